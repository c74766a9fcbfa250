//! A message's bytes with a meaning beside each line.

use minicbor::{Decoder, data::Type};

/// The names of a message's fields by their map keys; items of an array share their fields.
struct Field {
    name: &'static str,
    inner: &'static [Field],
}

const fn leaf(name: &'static str) -> Field {
    Field { name, inner: &[] }
}

const fn node(name: &'static str, inner: &'static [Field]) -> Field {
    Field { name, inner }
}

const SUBJECT: &[Field] = &[leaf("scheme"), leaf("tag")];
const COLUMN: &[Field] = &[leaf("name"), leaf("type")];
const DESCRIPTION: &[Field] = &[leaf("title"), node("columns", COLUMN), leaf("text")];
const VALIDITY: &[Field] = &[leaf("from"), leaf("until")];
const HPKE_KEY: &[Field] = &[leaf("suite"), leaf("key")];
const HEAD: &[Field] = &[leaf("size"), leaf("root")];
const OFFER: &[Field] = &[
    leaf("market"),
    node("subject", SUBJECT),
    node("description", DESCRIPTION),
    leaf("commitment"),
    leaf("price"),
    leaf("endpoint"),
    node("valid", VALIDITY),
    leaf("supersedes"),
];
const WITHDRAWAL: &[Field] =
    &[leaf("market"), node("subject", SUBJECT), leaf("withdraws"), leaf("at")];
const REQUEST: &[Field] = &[
    leaf("market"),
    leaf("offer"),
    leaf("block"),
    leaf("provider"),
    node("reply key", HPKE_KEY),
    leaf("price"),
    leaf("nonce"),
    leaf("at"),
];
const DELIVERY: &[Field] = &[
    leaf("market"),
    leaf("trade"),
    leaf("offer"),
    leaf("buyer"),
    leaf("block"),
    leaf("price"),
    leaf("packet"),
    leaf("at"),
];
const RECEIPT: &[Field] = &[leaf("market"), leaf("delivery"), leaf("outcome"), leaf("at")];
const KEY_BINDING: &[Field] = &[leaf("market"), node("hpke", HPKE_KEY), leaf("at")];
const POOL: &[Field] = &[leaf("market"), leaf("participant"), leaf("bindings"), leaf("at")];
const JOIN: &[Field] = &[leaf("market"), leaf("name"), leaf("chain"), leaf("at")];
const ADMIN_COMMAND: &[Field] = &[
    leaf("market"),
    leaf("action"),
    leaf("participant"),
    leaf("reason"),
    leaf("nonce"),
    leaf("at"),
];
const NONCE_AND_TIME: &[Field] = &[leaf("market"), leaf("nonce"), leaf("at")];
const KEY_STATUS: &[Field] =
    &[leaf("market"), leaf("key"), leaf("state"), leaf("at"), leaf("until")];
const PLATFORM_INFO: &[Field] =
    &[leaf("market"), leaf("tag key"), leaf("genesis"), leaf("block interval"), leaf("at")];
const BLOCK: &[Field] = &[
    leaf("market"),
    leaf("height"),
    leaf("previous"),
    node("index", HEAD),
    node("trades", HEAD),
    leaf("time"),
    leaf("producer"),
    leaf("randomness"),
];
const TAG_REQUEST: &[Field] = &[leaf("market"), leaf("blinded"), leaf("nonce"), leaf("at")];

const RECORD: &[Field] = &[leaf("salt"), leaf("values")];

fn fields(message: &str) -> &'static [Field] {
    match message {
        "offer" => OFFER,
        "withdrawal" => WITHDRAWAL,
        "request" => REQUEST,
        "delivery" => DELIVERY,
        "receipt" => RECEIPT,
        "key-binding" => KEY_BINDING,
        "pool" => POOL,
        "join" => JOIN,
        "admin-command" => ADMIN_COMMAND,
        "admin-query" | "relay-poll" => NONCE_AND_TIME,
        "key-status" => KEY_STATUS,
        "platform-info" => PLATFORM_INFO,
        "block" => BLOCK,
        "tag-request" => TAG_REQUEST,
        "record" => RECORD,
        other => panic!("no field names for {other}"),
    }
}

/// Bytes on a line of hex.
const WIDTH: usize = 32;
/// Longer byte strings are cut in the middle.
const SHOWN: usize = 128;

/// The whole message as hex.
pub(crate) fn whole(bytes: &[u8]) -> String {
    hex_lines(bytes, 40).map(|line| line + "\n").collect()
}

fn hex_lines(bytes: &[u8], width: usize) -> impl Iterator<Item = String> + '_ {
    bytes.chunks(width).map(hex::encode)
}

/// The message cut at every CBOR item, each with its meaning.
pub(crate) fn cut(message: &str, bytes: &[u8]) -> String {
    let mut page = Page { text: String::new(), bytes };
    let mut d = Decoder::new(bytes);
    if d.datatype().unwrap() != Type::Tag {
        page.value(&mut d, 0, 0, "", fields(message));
        return page.text;
    }
    d.tag().unwrap();
    page.line(0, 0..d.position(), "tag 18: COSE_Sign1");
    let at = d.position();
    d.array().unwrap();
    page.line(0, at..d.position(), "array of 4");
    page.wrapped(&mut d, "protected headers", |page, d| {
        let at = d.position();
        let count = d.map().unwrap().unwrap();
        page.line(2, at..d.position(), &format!("map of {count}"));
        for _ in 0..count {
            let at = d.position();
            let name = match d.u8().unwrap() {
                1 => "alg",
                4 => "kid",
                16 => "typ",
                other => panic!("header {other}"),
            };
            page.value(d, at, 3, name, &[]);
        }
    });
    let at = d.position();
    d.map().unwrap();
    page.line(1, at..d.position(), "unprotected headers: none");
    page.wrapped(&mut d, "payload", |page, d| {
        let at = d.position();
        page.value(d, at, 2, "", fields(message));
    });
    let at = d.position();
    page.value(&mut d, at, 1, "signature", &[]);
    page.text
}

struct Page<'b> {
    text: String,
    bytes: &'b [u8],
}

impl Page<'_> {
    fn line(&mut self, depth: usize, range: std::ops::Range<usize>, meaning: &str) {
        let indent = "  ".repeat(depth);
        let shown = range.len().min(SHOWN);
        let cut = &self.bytes[range.start..range.start + shown];
        let mut lines = hex_lines(cut, WIDTH);
        let first = lines.next().unwrap_or_default();
        let text = &mut self.text;
        text.push_str(&format!("{indent}{first}"));
        if !meaning.is_empty() {
            let pad = 76_usize.saturating_sub(indent.len() + first.len());
            text.push_str(&format!("{}# {meaning}", " ".repeat(pad.max(2))));
        }
        text.push('\n');
        for line in lines {
            text.push_str(&format!("{indent}{line}\n"));
        }
        if shown < range.len() {
            text.push_str(&format!("{indent}… {} more bytes\n", range.len() - shown));
        }
    }

    /// A byte string that holds CBOR.
    fn wrapped(
        &mut self,
        d: &mut Decoder<'_>,
        what: &str,
        inside: impl FnOnce(&mut Self, &mut Decoder<'_>),
    ) {
        let at = d.position();
        let content = d.bytes().unwrap();
        let head_end = d.position() - content.len();
        self.line(1, at..head_end, &format!("{what}, {} bytes", content.len()));
        let end = d.position();
        d.set_position(head_end);
        inside(self, d);
        assert_eq!(d.position(), end, "{what} is dissected to its end");
    }

    /// One item, with the map key before it when there was one.
    fn value(
        &mut self,
        d: &mut Decoder<'_>,
        at: usize,
        depth: usize,
        name: &str,
        inner: &'static [Field],
    ) {
        let named = |what: String| if name.is_empty() { what } else { format!("{name}: {what}") };
        match d.datatype().unwrap() {
            Type::Map => {
                let count = d.map().unwrap().unwrap();
                self.line(depth, at..d.position(), &named(format!("map of {count}")));
                for _ in 0..count {
                    let at = d.position();
                    let key = d.u8().unwrap();
                    let field = &inner[usize::from(key)];
                    self.value(d, at, depth + 1, field.name, field.inner);
                }
            }
            Type::Array => {
                let count = d.array().unwrap().unwrap();
                self.line(depth, at..d.position(), &named(format!("array of {count}")));
                for _ in 0..count {
                    let at = d.position();
                    self.value(d, at, depth + 1, "", inner);
                }
            }
            Type::Bytes => {
                let count = d.bytes().unwrap().len();
                self.line(depth, at..d.position(), &named(format!("{count} bytes")));
            }
            Type::String => {
                let text = d.str().unwrap().to_owned();
                self.line(depth, at..d.position(), &named(format!("{text:?}")));
            }
            Type::Bool => {
                let truth = d.bool().unwrap();
                self.line(depth, at..d.position(), &named(truth.to_string()));
            }
            Type::Null => {
                d.null().unwrap();
                self.line(depth, at..d.position(), &named("null".into()));
            }
            _ => {
                let number = d.i64().unwrap();
                self.line(depth, at..d.position(), &named(number.to_string()));
            }
        }
    }
}
