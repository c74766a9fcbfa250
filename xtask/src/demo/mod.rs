//! The story that `make demo` tells.
//!
//! Three enterprises publish what they know about the same thousand people, a lender finds one of
//! them without saying whom, gets the records, and an auditor checks everything. Every step is an
//! `ets` command that a person could type; this module only types them and says what to look at.

mod split;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::shell::{self, root, shown};
use split::{BANK, EMPLOYER_REGISTRY, ID_COLUMNS, Person, Share, TELECOM};
use stage::{Stage, free_address};

/// The market's name: in every signature on it.
const MARKET: &str = "market.example";

/// Left in the folder; only a folder that has it is ever removed.
const MARKER: &str = "README.txt";

/// The person the lender asks about, by row of the sample.
const ROW: usize = 42;

/// A company that publishes.
struct Enterprise {
    dir: &'static str,
    name: &'static str,
    share: &'static Share,
    title: &'static str,
    price: &'static str,
    /// The port its node would like; without one it is reached through the platform's relay.
    port: Option<u16>,
}

const ENTERPRISES: [Enterprise; 3] = [
    Enterprise {
        dir: "bank",
        name: "Kontor Bank",
        share: &BANK,
        title: "Credit history",
        price: "5",
        port: Some(7711),
    },
    Enterprise {
        dir: "registry",
        name: "Employer Registry",
        share: &EMPLOYER_REGISTRY,
        title: "Employment",
        price: "3",
        port: Some(7712),
    },
    Enterprise {
        dir: "telecom",
        name: "Fernruf Telecom",
        share: &TELECOM,
        title: "Household and telephone",
        price: "2",
        port: None,
    },
];

const LENDER: (&str, &str) = ("lender", "Kestrel Lending");

/// Where the platform answers, and the key that everybody pins.
struct Market {
    address: String,
    url: String,
    key: String,
}

/// An offer the lender found: its ID, and the file its record goes to.
struct Found {
    id: String,
    record: String,
}

pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let ets = shell::ets()?;
    let folder = empty_folder()?;
    let mut stage = Stage::open(ets, folder)?;
    stage.say(
        "EncryTrust from end to end, on real data. Every party has a folder of its own in demo/ and \
         speaks to the others over HTTP only. Lines with a $ are commands as you could type them in \
         that folder.",
    );

    share_out(&mut stage)?;
    let market = open_market(&mut stage)?;
    join(&mut stage, &market)?;
    let bank_address = open_nodes(&mut stage)?;
    publish(&mut stage)?;
    let offers = find(&mut stage)?;
    get(&mut stage, &offers)?;
    audit(&mut stage, &market, &offers)?;
    tamper(&mut stage)?;
    drop(stage);
    farewell(&market, &bank_address, &offers[0], started);
    Ok(())
}

fn share_out(stage: &mut Stage) -> Result<()> {
    stage.scene("Three companies, the same thousand people");
    let people = split::split(&root().join("samples/german_credit.csv"), &stage.path("data"))?;
    let person = Person::of_row(ROW);
    stage.say(&format!(
        "Statlog (German Credit Data), by Hans Hofmann, UCI, CC BY 4.0: {people} people who asked for \
         a loan. It has no names, so each row gets an invented ID and name, and its columns go to \
         three companies. In row {ROW} stands {}, {}:",
        person.name, person.national_id
    ));
    for enterprise in &ENTERPRISES {
        let file = enterprise.share.file;
        println!(
            "    data/{file:<22} {}, {} columns",
            enterprise.name,
            enterprise.share.columns.len()
        );
        stage.show_row(&format!("data/{file}"), ROW)?;
    }
    Ok(())
}

fn open_market(stage: &mut Stage) -> Result<Market> {
    stage.scene("A platform opens a market");
    stage.say(
        "The platform keeps two public logs (offers, trades) and the list of who takes part. It will \
         never hold a record, nor a key that opens one.",
    );
    let address = free_address(7700)?;
    let init = ["platform", "init", "--dir", "platform", "--origin", MARKET];
    let said = stage.ets(&[&init[..], &["--listen", &address]].concat())?;
    let key = said.split_whitespace().find(|word| word.starts_with(&format!("{MARKET}+")));
    let key = key.context("platform init did not print its verifier key")?.to_owned();
    stage.say(
        "That verifier key is what the others are told by another way than the network, and pin.",
    );
    stage.serve("platform", Some(&address), &["platform", "serve", "--dir", "platform"])?;
    Ok(Market { url: format!("http://{address}"), address, key })
}

fn join(stage: &mut Stage, market: &Market) -> Result<()> {
    stage.scene("Three enterprises and a lender join");
    stage.say(
        "Each makes a node and pins the platform's key, sends a certificate, and adds keys to its \
         pool. Offers and requests are signed with pool keys; only the platform knows which of them \
         belong together.",
    );
    let enterprises = ENTERPRISES.iter().map(|e| (e.dir, e.name));
    for (dir, name) in enterprises.chain([LENDER]) {
        let pinned = ["--platform", &market.url, "--platform-key", &market.key];
        stage.ets(&[&["node", "init", "--dir", dir][..], &pinned].concat())?;
        stage.ets(&["node", "join", "--dir", dir, "--name", name])?;
    }
    stage.say(
        "The administrator compares the IDs with what the four say they are, and lets them in.",
    );
    stage.ets(&["admin", "list", "--dir", "platform"])?;
    stage.ets(&["admin", "approve", "--dir", "platform", "--all"])?;
    for enterprise in &ENTERPRISES {
        stage.ets(&["node", "keys", "add", "--dir", enterprise.dir, "--count", "16"])?;
    }
    Ok(())
}

/// Starts the nodes; returns where the bank's listens.
fn open_nodes(stage: &mut Stage) -> Result<String> {
    stage.scene("Each enterprise starts its node");
    stage.say(
        "A node answers buyers from the company's own table. The telecom opens no port: its node \
         fetches requests from the platform's relay, which passes sealed packets and can open none.",
    );
    let mut listening = Vec::new();
    for Enterprise { dir, port, .. } in &ENTERPRISES {
        let serve = ["node", "serve", "--dir", dir];
        let Some(port) = port else {
            stage.serve(dir, None, &serve)?;
            continue;
        };
        let address = free_address(*port)?;
        let endpoint = format!("http://{address}");
        let reached = ["--listen", &address, "--endpoint", &endpoint];
        stage.serve(dir, Some(&address), &[&serve[..], &reached].concat())?;
        listening.push(address);
    }
    listening.into_iter().next().context("the bank's node listens")
}

fn publish(stage: &mut Stage) -> Result<()> {
    stage.scene("They publish an index, not their data");
    stage.say(
        "For each row: a tag in place of the ID, made with the platform's help from an ID it sees only \
         blinded; the columns' names; a salted hash of the values; a price; a signature. The platform \
         answers when all of it is on disk, and with proofs that it is in the log.",
    );
    for enterprise in &ENTERPRISES {
        publish_table(stage, enterprise)?;
    }
    stage.say("Once more, and nothing happens: only new, changed and vanished rows make entries.");
    publish_table(stage, &ENTERPRISES[2])
}

fn publish_table(stage: &Stage, enterprise: &Enterprise) -> Result<()> {
    let Enterprise { dir, share, title, price, .. } = enterprise;
    let source = format!("csv:data/{}", share.file);
    let (ids, columns) = (ID_COLUMNS.join(","), share.columns.join(","));
    let table = ["--source", &source, "--id-columns", &ids, "--columns", &columns];
    let terms = ["--price", price, "--title", title];
    stage.ets(&[&["publish", "--dir", dir][..], &table, &terms].concat())?;
    Ok(())
}

fn find(stage: &mut Stage) -> Result<Vec<Found>> {
    stage.scene("The lender finds somebody without saying whom");
    let person = Person::of_row(ROW);
    // Typed as people type: other case, other spacing. One ID has one tag all the same.
    let id = person.national_id.to_lowercase();
    let name = person.name.to_uppercase();
    stage.say(&format!(
        "{} asks for a loan. The platform evaluates the blinded ID and returns a proof that it used \
         its one key. Then it sees a tag, which names nobody; the companies see nothing at all.",
        person.name
    ));
    let query = ["find", "--dir", LENDER.0, "--id", &id, "--id", &name];
    stage.ets(&query)?;
    stage.say(
        "Shy of the platform too? Download the public log once, incrementally later, and look there. \
         The lookup itself then sends nothing at all.",
    );
    stage.ets(&["log", "sync", "--dir", LENDER.0])?;
    let local = [&query[..], &["--local"]].concat();
    stage.ets(&local)?;

    let found = stage.ask(&local)?;
    let offers = found["offers"].as_array().context("find --json answers without offers")?;
    ENTERPRISES
        .iter()
        .map(|enterprise| {
            let offer = offers.iter().find(|offer| offer["title"] == enterprise.title);
            let offer = offer.with_context(|| format!("no offer of {}", enterprise.name))?;
            let record = format!("{}-record.json", enterprise.dir);
            Ok(Found { id: text(offer, "id")?, record })
        })
        .collect()
}

fn get(stage: &mut Stage, offers: &[Found]) -> Result<()> {
    stage.scene("The lender gets the records");
    stage.say(
        "A request names the offer and brings a fresh key, signed by a pool key of the lender. The \
         provider sees that some approved member asks, not which. The answer is sealed to that fresh \
         key; the lender checks signature, salt and values against the hash in the index. The last of \
         the three travels through the relay.",
    );
    for offer in offers {
        stage.ets(&["get", "--dir", LENDER.0, &offer.id, "--out", &offer.record])?;
    }
    stage.say("What the bank sent, readable here and nowhere on the way:");
    stage.show_file(&offers[0].record)?;
    Ok(())
}

fn audit(stage: &mut Stage, market: &Market, offers: &[Found]) -> Result<()> {
    stage.scene("Anyone audits, from the first block");
    stage.say(
        "The auditor has the platform's key and nothing else. Every tile, block link, tree head, offer \
         and receipt is checked again, here, and the copy is kept: next time it must continue this one.",
    );
    let pinned = ["--platform", &market.url, "--platform-key", &market.key];
    stage.ets(&[&["audit"][..], &pinned, &["--dir", "auditor"]].concat())?;
    stage.say("The bank makes sure besides that everything it published is there:");
    stage.ets(&["audit", "--platform", &market.url, "--mine", "bank"])?;
    stage.say(
        "And one offer's place in the log as a file, in a format (C2SP tlog-proof) that other people's \
         tools read:",
    );
    stage.ets(&["prove", "--dir", "bank", &offers[0].id, "--out", "offer.tlog-proof"])?;
    stage.show_file("offer.tlog-proof")?;
    Ok(())
}

fn tamper(stage: &mut Stage) -> Result<()> {
    stage.scene("Somebody changes one bit, and is caught");
    let entries = PathBuf::from("forged/index/entries");
    copy_folder(&stage.path("auditor"), &stage.path("forged"))?;
    let path = stage.path(&entries);
    let mut bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&path, bytes)?;
    stage.by_hand("cp -r auditor forged");
    stage.by_hand(&format!("# flip the lowest bit of byte {at} of {}", entries.display()));
    stage.say("The audit of that copy, offline, has to end with exit code 3 and name the entry:");
    stage.ets_exits(3, &["audit", "--dir", "forged"])?;
    Ok(())
}

fn farewell(market: &Market, bank_address: &str, bought: &Found, started: Instant) {
    let Market { address, url, .. } = market;
    let Found { id: offer, record } = bought;
    let person = Person::of_row(ROW + 1);
    let (id, name) = (person.national_id, person.name);
    let took = started.elapsed().as_secs_f32();
    println!(
        "
The whole story took {took:.0} s. The servers have stopped; what they made is in demo/.

Look around:
  cat demo/README.txt
  cat demo/{record}

Try next:
  export PATH=$PWD/target/debug:$PATH; cd demo
  ets audit --dir auditor                                # offline, any time
  ets audit --dir forged                                 # caught again
  ets platform serve --dir platform &                    # the market opens again on {address}
  ets node serve --dir bank --listen {bank_address} &    # and so does the bank
  ets find --dir lender --id {id} --id '{name}'
  ets get --dir lender {offer} --out again.json
  curl {url}/v1/openapi.json          # the HTTP API; /docs for people
  cd ..; make interop                                    # others' verifiers: docs/guide/audit.md"
    );
}

/// demo/, made anew. A folder of that name that this program did not make is left alone.
fn empty_folder() -> Result<PathBuf> {
    let folder = root().join("demo");
    if folder.exists() {
        if !folder.join(MARKER).exists() {
            bail!(
                "{} exists and is not from an earlier demo; `make clean-demo` removes it",
                shown(&folder)
            );
        }
        fs::remove_dir_all(&folder).context("cannot remove the demo before")?;
    }
    fs::create_dir_all(&folder).context("cannot make demo/")?;
    let about = "\
What `make demo` left: one folder per party. The next `make demo` removes it all.

platform/  the market: keys/, the two public logs index/ and trades/, blocks
bank/ registry/ telecom/  three enterprises' nodes     data/  their tables
lender/    the buyer's node                            *-record.json  what it bought
auditor/   a copy of the public logs                   forged/  the same with one bit changed
logs/      what the servers said
";
    fs::write(folder.join(MARKER), about)?;
    Ok(folder)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to).with_context(|| format!("copy to {}", to.display()))?;
        }
    }
    Ok(())
}

fn text(value: &Value, field: &str) -> Result<String> {
    let text = value[field].as_str();
    Ok(text.with_context(|| format!("no text {field:?} in {value}"))?.to_owned())
}
