//! The command line is a conversation, and the conversation is a test.
//!
//! What every verb says of itself, and how it refuses what makes no sense, is written down in
//! `help/` and `errors/`; `TRYCMD=overwrite cargo test -p encrytrust-tests --test cli` writes the
//! files again. The rest talks to a platform that runs for the test.

mod conversation;

use conversation::{Market, ets_path};

#[test]
fn help_is_enough_to_use_it() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("ets", ets_path());
    cases.env("COLUMNS", "80").case("cli/help/*.trycmd");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_touched() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("ets", ets_path());
    cases.env("COLUMNS", "80").case("cli/errors/*.trycmd");
}

const ROWS: &str = "\
id,born,income,employed
ZZ-1,1964-08-12,41000,true
ZZ-2,1971-01-30,38500,true
ZZ-3,1990-05-05,,false
";

/// What `publish` needs to know about [`ROWS`].
const PUBLISH: [&str; 13] = [
    "publish",
    "--dir",
    "bank",
    "--source",
    "csv:rows.csv",
    "--id-columns",
    "id,born",
    "--columns",
    "income,employed",
    "--price",
    "5",
    "--title",
    "Income",
];

const FIND: [&str; 7] = ["find", "--dir", "lender", "--id", "zz-2", "--id", "1971-01-30"];

/// From an empty folder to an audited trade, as a script does it: every answer is one document.
#[test]
fn a_script_reads_json_all_the_way() {
    let market = Market::open();
    let json = |words: &[&str]| market.ets(&[words, &["--json"]].concat()).json();
    let platform = ["--platform", &market.url];

    for (dir, name) in [("bank", "Kontor Bank"), ("lender", "Kestrel")] {
        let named = ["node", "init", "--dir", dir, "--name", name];
        let node = json(&[&named[..], &platform, &["--platform-key", &market.vkey]].concat());
        assert_eq!(
            (node["pinned"].as_bool(), node["market"].as_str()),
            (Some(true), Some("market.example"))
        );
        assert_eq!(json(&["node", "join", "--dir", dir])["state"], "pending");
    }
    let waiting = json(&["admin", "list", "--dir", "market"]);
    assert_eq!(waiting["participants"][0]["name"], "Kontor Bank");
    let id = waiting["participants"][1]["id"].as_str().expect("an id");
    json(&["admin", "approve", "--dir", "market", "Kontor Bank", &id[..8]]);
    assert_eq!(json(&["node", "status", "--dir", "lender"])["state"], "approved");
    assert_eq!(json(&["node", "keys", "add", "--dir", "bank", "--count", "2"])["added"], 2);

    market.table("rows.csv", ROWS);
    let published = json(&PUBLISH);
    assert_eq!((&published["new"], &published["index_size"]), (&3.into(), &3.into()));
    let again = json(&PUBLISH);
    assert_eq!((&again["new"], &again["unchanged"]), (&0.into(), &3.into()));

    let _node = market.serve("bank");
    let found = json(&FIND);
    let offer = found["offers"][0]["id"].as_str().expect("one offer");
    assert_eq!(json(&["log", "sync", "--dir", "lender"])["index"]["total"], 3);
    let local = json(&[&FIND[..], &["--local"]].concat());
    assert_eq!(local["offers"][0]["id"], offer);
    assert_eq!(local["offers"].as_array().map(Vec::len), Some(1));

    let got = json(&["get", "--dir", "lender", &offer[..6], "--out", "record.json"]);
    assert_eq!((&got["price"], &got["receipt"]), (&5.into(), &0.into()));
    let record = std::fs::read_to_string(market.path("record.json")).expect("the record");
    assert!(record.contains("38500"), "{record}");

    json(&["prove", "--dir", "lender", &offer[..6], "--out", "offer.tlog-proof"]);
    let proof = std::fs::read_to_string(market.path("offer.tlog-proof")).expect("the proof");
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n"), "{proof}");

    let audit = json(&[&["audit", "--dir", "copy", "--mine", "bank"][..], &platform].concat());
    assert_eq!((&audit["own_offers"], &audit["receipts"]), (&3.into(), &1.into()));
    let again = json(&["audit", "--dir", "copy"]);
    assert_eq!(again["heads_seen_before"], 2);
    market.stop();
}

/// Each refusal says what is wrong and what to try; nothing is half done.
#[test]
fn a_person_is_told_what_to_try() {
    let market = Market::open();
    let platform = ["--platform", &market.url];
    let ets = |words: &[&str]| market.ets(words);

    let init = ["node", "init", "--dir", "bank"];
    let wrong_key = market.vkey.replace("market.example", "other.example");
    // The key's id is a hash over its name too, so a renamed key is none at all.
    ets(&[&init[..], &platform, &["--platform-key", &wrong_key]].concat()).refused(2, "key", "");
    let stranger = "stranger.example+5b8ac1b4+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
    ets(&[&init[..], &platform, &["--platform-key", stranger]].concat()).refused(2, "key", "");
    assert!(!market.path("bank/node.toml").exists());
    ets(&[&init[..], &platform, &["--name", "Kontor Bank"]].concat()).done();
    ets(&[&init[..], &platform].concat()).refused(2, "there is a node", "");

    market.table("rows.csv", ROWS);
    ets(&PUBLISH).refused(2, "not joined", "ets node join --dir bank");
    ets(&["node", "status", "--dir", "bank"]).refused(2, "not joined", "ets node join --dir bank");
    ets(&["node", "join", "--dir", "bank"]).done();
    ets(&PUBLISH).refused(1, "not approved", "approved");
    ets(&["admin", "approve", "--dir", "market", "Kontor"]).refused(1, "Kontor", "ets admin list");
    ets(&["admin", "approve", "--dir", "market", "Kontor Bank"]).done();

    let typo = PUBLISH.map(|word| if word == "income,employed" { "incme" } else { word });
    ets(&typo).refused(2, "id, born, income, employed", "");
    ets(&PUBLISH).done();

    market.member("lender");
    ets(&["get", "--dir", "lender", "xyz", "--out", "r.json"]).refused(2, "64 hex", "ets find");
    ets(&["get", "--dir", "lender", "abcd", "--out", "r.json"]).refused(1, "abcd", "ets find");
    let unknown = "ab".repeat(32);
    ets(&["get", "--dir", "lender", &unknown, "--out", "r.json"]).refused(1, "abab", "");
    ets(&["prove", "--dir", "lender", &unknown]).refused(1, "abab", "");

    let suspend = ["admin", "suspend", "--dir", "market", "Kontor Bank", "--reason", "a test"];
    ets(&suspend).done();
    let _node = market.serve("bank");
    let found = ets(&FIND).done();
    assert!(found.contains("Income"), "what was published stays: {found}");
    let offer = found.lines().nth(2).and_then(|line| line.get(..12)).expect("an offer's id");
    ets(&["get", "--dir", "lender", offer, "--out", "r.json"]).refused(1, "suspended", "");
    assert!(!market.path("r.json").exists());
}

/// One bit of a copy is changed: the audit names the entry and ends with 3.
#[test]
fn a_changed_copy_is_caught() {
    let market = Market::open();
    market.member("bank");
    market.table("rows.csv", ROWS);
    market.ets(&PUBLISH).done();
    let sync = ["audit", "--platform", &market.url, "--dir", "copy"];
    let said = market.ets(&[&sync[..], &["--platform-key", &market.vkey]].concat()).done();
    assert!(said.contains("everything holds"), "{said}");

    let entries = market.path("copy/index/entries");
    let mut bytes = std::fs::read(&entries).expect("the copy's entries");
    let at = bytes.len() - 5;
    bytes[at] ^= 1;
    std::fs::write(&entries, bytes).expect("the copy can be written to");

    market.ets(&["audit", "--dir", "copy"]).refused(3, "entry 2 of index", "ets audit --platform");
    let said = market.ets(&["audit", "--dir", "copy", "--json"]);
    let fault: serde_json::Value = serde_json::from_str(&said.stdout).expect("a document");
    assert_eq!((said.code, &fault["fault"]["index"]), (3, &2.into()));
    assert_eq!(fault["error"]["type"], "audit-fault");
}

/// A copy is checked against the key it was made under, and against no other.
#[test]
fn two_markets_are_not_confused() {
    let (one, other) = (Market::open(), Market::open());
    one.ets(&["audit", "--platform", &one.url, "--dir", "copy"]).done();
    let asked = ["audit", "--platform", &one.url, "--dir", "copy", "--platform-key", &other.vkey];
    one.ets(&asked).refused(3, "made under", "operator");
    let init = ["node", "init", "--dir", "me", "--platform", &one.url, "--platform-key"];
    one.ets(&[&init[..], &[&other.vkey]].concat()).refused(3, &other.vkey, "operator");
    one.ets(&["audit", "--platform", &other.url, "--dir", "copy"]).refused(3, "", "");
}

/// A market that takes certificates of its CA alone tells others so, and they are not in.
#[test]
fn a_stranger_is_not_let_in() {
    let market = Market::open_with(|toml| {
        let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/ca.pem");
        toml.replace("self_signed = true", &format!("self_signed = false\nca_file = {ca:?}"))
    });
    market.ets(&["node", "init", "--dir", "me", "--platform", &market.url]).done();
    market.ets(&["node", "join", "--dir", "me"]).refused(1, "self-signed", "CA");
    let nobody = market.ets(&["admin", "list", "--dir", "market"]).done();
    assert!(nobody.contains("nobody has joined"), "{nobody}");

    market.table("me.pem", "not a certificate");
    market.table("me.key", "not a key");
    let join = ["node", "join", "--dir", "me", "--cert", "me.pem", "--key", "me.key"];
    market.ets(&join).refused(1, "open to other users", "");
}

/// Keys under a passphrase open with it, from a file, and without it not at all.
#[test]
fn a_passphrase_comes_from_a_file_or_a_terminal() {
    let market = Market::open();
    market.table("passphrase", "correct horse\nnot read\n");
    market.table("other", "wrong horse\n");
    let init = ["node", "init", "--dir", "me", "--platform", &market.url];
    market.ets(&[&init[..], &["--passphrase-file", "passphrase"]].concat()).done();
    let join = ["node", "join", "--dir", "me"];
    market.ets(&join).refused(1, "no terminal", "--passphrase-file");
    let wrong = [&join[..], &["--passphrase-file", "other"]].concat();
    market.ets(&wrong).refused(1, "does not open", "");
    market.ets(&[&join[..], &["--passphrase-file", "passphrase"]].concat()).done();
}

/// The operator's mistakes: two servers for one market, no server, a second market in one place.
#[test]
fn an_operator_is_told_what_to_try() {
    let market = Market::open();
    let init = ["platform", "init", "--dir", "market"];
    market.ets(&init).refused(1, "holds a platform already", "ets platform serve");
    let port = market.url.strip_prefix("http://").expect("an address");
    let serve = ["platform", "serve", "--dir", "market", "--listen", port];
    market.ets(&serve).refused(1, port, "--listen");
    let serve = ["platform", "serve", "--dir", "market", "--listen", "127.0.0.1:0"];
    market.ets(&serve).refused(1, "another process", "");
    let away = ["admin", "list", "--dir", "market", "--platform", "http://127.0.0.1:9"];
    market.ets(&away).refused(1, "cannot be reached", "ets platform serve");

    market.member("me");
    let folder = market.stop();
    let rebuilt = conversation::run(folder.path(), &["platform", "rebuild", "--dir", "market"]);
    assert!(rebuilt.done().contains("made anew"));
}
