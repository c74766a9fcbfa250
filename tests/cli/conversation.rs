//! Talking to `ets` as a person or a script does: words in, words and an exit code out.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The binary that `cargo build` left beside the tests.
pub(crate) fn ets_path() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let debug = test.parent().and_then(Path::parent).expect("tests run from target/debug/deps");
    let ets = debug.join("ets");
    assert!(ets.is_file(), "{} is missing: cargo build -p encrytrust-cli", ets.display());
    ets
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// It went well: what was answered.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// It went well, with `--json`: the one document on stdout, and nothing else anywhere.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        serde_json::from_str(&self.stdout).expect("one JSON document on stdout")
    }

    /// It did not go well: how it ended, what was wrong, what to try.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, error: &str, next: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        let (said, tried) = self.stderr.split_once("\ntry:   ").unwrap_or((&self.stderr, ""));
        let said = said.strip_prefix("error: ").unwrap_or_else(|| panic!("{said}"));
        assert!(said.contains(error), "{said:?} does not say {error:?}");
        assert!(tried.contains(next), "{tried:?} does not suggest {next:?}");
    }
}

/// A market that is served for one test, in a folder of its own.
pub(crate) struct Market {
    folder: Option<TempDir>,
    server: Child,
    pub(crate) url: String,
    pub(crate) vkey: String,
}

impl Market {
    pub(crate) fn open() -> Self {
        Self::open_with(|configuration| configuration)
    }

    /// A market whose operator edited `platform.toml`.
    pub(crate) fn open_with(edit: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let init = ["platform", "init", "--dir", "market", "--origin", "market.example", "--json"];
        run(folder.path(), &init).json();
        let file = folder.path().join("market/platform.toml");
        let configuration = fs::read_to_string(&file).expect("init wrote it");
        fs::write(&file, edit(configuration)).expect("it can be edited");
        let mut server = Command::new(ets_path())
            .args(["platform", "serve", "--dir", "market", "--listen", "127.0.0.1:0", "--json"])
            .args(["--block-interval", "50ms"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ets starts");
        let said = server.stdout.as_mut().expect("stdout is piped");
        let ready: Value = first_document(said);
        let text =
            |field: &str| ready[field].as_str().unwrap_or_else(|| panic!("{ready}")).to_owned();
        Self { url: text("url"), vkey: text("vkey"), folder: Some(folder), server }
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it is taken only by stop").path()
    }

    /// A path in the market's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Says something to `ets`, standing in the market's folder.
    pub(crate) fn ets(&self, words: &[&str]) -> Said {
        run(self.folder(), words)
    }

    /// Somebody who has joined and was let in.
    pub(crate) fn member(&self, dir: &str) {
        let platform = ["--platform", &self.url, "--platform-key", &self.vkey];
        self.ets(&[&["node", "init", "--dir", dir][..], &platform].concat()).done();
        self.ets(&["node", "join", "--dir", dir]).done();
        self.ets(&["admin", "approve", "--dir", "market", dir]).done();
    }

    /// A member's table, one line a row.
    pub(crate) fn table(&self, name: &str, rows: &str) {
        fs::write(self.path(name), rows).expect("the folder can be written to");
    }

    /// Starts a node and waits until it answers.
    pub(crate) fn serve(&self, dir: &str) -> Server {
        let mut child = Command::new(ets_path())
            .args(["node", "serve", "--dir", dir, "--json"])
            .current_dir(self.folder())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ets starts");
        first_document(child.stdout.as_mut().expect("stdout is piped"));
        Server(child)
    }

    /// Stops the platform as an operator would; what is left is its folder.
    pub(crate) fn stop(mut self) -> TempDir {
        terminate(&self.server);
        let ended = self.server.wait().expect("it is our child");
        assert!(ended.success(), "a platform asked to stop ends well: {ended}");
        self.folder.take().expect("it is taken only here")
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A node that answers until it is dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says something to `ets`, standing in a folder.
pub(crate) fn run(folder: &Path, words: &[&str]) -> Said {
    let output = Command::new(ets_path())
        .args(words)
        .current_dir(folder)
        .env_remove("ETS_DIR")
        .env_remove("ETS_LOG")
        .env_remove("ETS_PASSPHRASE_FILE")
        .stdin(Stdio::null())
        .output()
        .expect("ets starts");
    let text = |bytes| String::from_utf8(bytes).expect("ets writes UTF-8");
    Said {
        code: output.status.code().expect("ets ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The first JSON document of a server that goes on running.
fn first_document(reader: impl Read) -> Value {
    let mut documents = serde_json::Deserializer::from_reader(reader).into_iter();
    documents.next().expect("the server says that it is ready").expect("as JSON")
}

fn terminate(child: &Child) {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(asked.expect("kill is a command").success());
}
