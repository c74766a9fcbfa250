//! A market for one test: a platform, and participants it approved.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use encrytrust_keys::{
    files,
    platform::AdminKey,
    pool::{KeyRing, PoolKey},
};
use encrytrust_participant_node::{
    Identity, InitOptions, Node, NodeError, PublishSpec, Published, ServeOptions,
    source::SourceSpec,
};
use encrytrust_platform::{Config, Options, Server, init, serve};
use encrytrust_protocol::{
    AdminAction, AdminCommand, Market as MarketName, Nonce, ParticipantId, TagScheme,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// A platform that runs, and room for nodes.
pub(crate) struct Market {
    pub(crate) home: TempDir,
    pub(crate) url: String,
    pub(crate) vkey: String,
    server: Option<Server>,
}

/// A node that serves until it is stopped.
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), NodeError>>,
    pub(crate) address: Option<SocketAddr>,
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Market {
    pub(crate) async fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("platform");
        let name = MarketName::new("market.example").unwrap();
        let made = init(&dir, Config::new(name), None).unwrap();
        let mut market =
            Self { home, url: String::new(), vkey: made.vkey.to_string(), server: None };
        market.start().await;
        market
    }

    pub(crate) async fn start(&mut self) {
        let options = Options {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            block_interval: Some(Duration::from_millis(50)),
            workers: Some(2),
            ..Options::default()
        };
        let server = serve(&self.platform_dir(), options).await.unwrap();
        self.url = server.url();
        self.server = Some(server);
    }

    /// The platform goes away.
    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }

    pub(crate) fn platform_dir(&self) -> PathBuf {
        self.home.path().join("platform")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A node that joined, was approved, and has keys.
    pub(crate) async fn participant(&self, name: &str) -> Node {
        let dir = self.path(name);
        let options = InitOptions {
            platform: self.url.clone(),
            vkey: Some(self.vkey.clone()),
            name: name.to_owned(),
            passphrase: None,
        };
        assert!(Node::init(&dir, options).await.unwrap().pinned);
        let node = Node::open(&dir, None).unwrap();
        let joined = node.join(&Identity::SelfSigned).await.unwrap();
        self.decide(AdminAction::Approve, joined.id).await;
        assert_eq!(node.keys_add(4).await.unwrap().pool, 4);
        node
    }

    pub(crate) async fn decide(&self, action: AdminAction, participant: ParticipantId) {
        let admin: AdminKey =
            files::load(&self.platform_dir().join("keys/admin.key"), None).unwrap();
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).unwrap();
        let command = AdminCommand {
            market: MarketName::new("market.example").unwrap(),
            action,
            participant,
            reason: String::new(),
            nonce: Nonce::from(nonce),
            at: now(),
        };
        let command = admin.sign_command(command).unwrap();
        let url = format!("{}/v1/admin/commands", self.url.trim_end_matches('/'));
        let post = reqwest::Client::new().post(url).body(command.bytes().to_vec());
        assert!(post.send().await.unwrap().status().is_success());
    }
}

/// A table of people, and what is sold of it.
pub(crate) fn people(path: &Path, rows: &[(&str, &str, i64)]) -> PublishSpec {
    let rows = rows.iter().map(|(id, name, amount)| format!("{id},{name},{amount}\n"));
    let text = format!("national_id,name,amount\n{}", rows.collect::<String>());
    std::fs::write(path, text).unwrap();
    spec(path)
}

/// What is sold of a table of people.
pub(crate) fn spec(path: &Path) -> PublishSpec {
    PublishSpec {
        source: SourceSpec::Csv(path.to_owned()),
        id_columns: vec!["national_id".into()],
        columns: vec!["amount".into(), "name".into()],
        title: "Credit history".into(),
        text: String::new(),
        price: 5,
        duration: Duration::from_secs(86_400),
        endpoint: None,
        scheme: TagScheme::Voprf,
        dataset: None,
    }
}

pub(crate) async fn publish(node: &Node, spec: &PublishSpec) -> Published {
    let published = node.publish(spec, &|_| {}).await.unwrap();
    assert!(published.refused.is_empty(), "{published:?}");
    published
}

/// New, updated, withdrawn, unchanged.
pub(crate) fn counts(published: &Published) -> (u64, u64, u64, u64) {
    (published.new, published.updated, published.withdrawn, published.unchanged)
}

pub(crate) async fn start(node: &Node, options: ServeOptions) -> Serving {
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, bound) = oneshot::channel();
    let node = node.clone();
    let task = tokio::spawn(async move {
        let started = |address| assert_eq!(ready.send(address), Ok(()));
        node.serve(&options, started, async move { drop(stopped.await) }).await
    });
    let address = bound.await.expect("the node serves");
    Serving { stop: Some(stop), task, address }
}

pub(crate) async fn start_listening(node: &Node) -> Serving {
    let options = ServeOptions {
        listen: Some("127.0.0.1:0".into()),
        endpoint: Some("http://stated.in.the.offers".into()),
    };
    start(node, options).await
}

impl Serving {
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap().unwrap();
    }
}

/// The keys of a node, as a thief of its directory has them.
pub(crate) fn stolen_keys(node: &Node) -> Vec<PoolKey> {
    let ring: KeyRing = files::load(&node.dir().join("keys/pool.keys"), None).unwrap();
    ring.keys().to_vec()
}

pub(crate) fn id(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}
