//! A market that runs for one test: its platform, its members, and the wire between them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use encrytrust_index_chain::{
    audit::{AuditError, Auditor, Report},
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
};
use encrytrust_keys::{
    files,
    platform::AdminKey,
    seal::{SealContext, SealKey, seal},
};
use encrytrust_participant_node::{
    FoundOffer, Identity, InitOptions, Node, NodeError, Published, ServeOptions,
};
use encrytrust_platform::{Config, Options, Server, init, serve};
use encrytrust_protocol::{
    AdminAction, AdminCommand, KeyBinding, Market, Offer, OfferId, ParticipantId, Receipt, Request,
    Signed, Suite, Verified,
    api::{KeyView, OneOfferView},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    Hand, Table, Wire,
    clock::{nonce, now},
    proxy::Proxy,
};

/// How often blocks are sealed: tests do not like to wait.
const BLOCK_INTERVAL: Duration = Duration::from_millis(40);

/// Keys in the pool of a member's node.
const KEYS: usize = 3;

/// A running platform and the directory it runs from.
#[derive(Debug)]
pub struct Platform {
    /// Its directory.
    pub dir: PathBuf,
    server: Server,
}

/// A market: one platform behind one proxy, and a folder for everybody's directories.
#[derive(Debug)]
pub struct MarketUnderTest {
    /// Its name.
    pub market: Market,
    /// Its key, as participants pin it.
    pub vkey: Vkey,
    /// What stands between everybody and the platform.
    pub proxy: Proxy,
    /// Its administrator.
    pub admin: AdminKey,
    platform: Option<Platform>,
    folder: TempDir,
}

/// A provider's node at work; stops when it is dropped or told to.
#[derive(Debug)]
pub struct Provider {
    /// Where it listens, if it does.
    pub url: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), NodeError>>,
}

/// Asks again until something is so.
#[derive(Debug)]
pub struct Deadline(tokio::time::Instant);

impl Platform {
    /// Serves a directory on a free port.
    pub async fn start(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let options = Options {
            listen: Some(([127, 0, 0, 1], 0).into()),
            block_interval: Some(BLOCK_INTERVAL),
            workers: Some(1),
            ..Options::default()
        };
        let server = serve(&dir, options).await?;
        Ok(Self { dir, server })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Speaks to it directly.
    pub fn wire(&self) -> Wire {
        Wire::new(self.url())
    }

    /// Stops it; answers its directory.
    pub async fn stop(self) -> Result<PathBuf> {
        self.server.stop().await?;
        Ok(self.dir)
    }
}

impl MarketUnderTest {
    /// Opens a market.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    /// Opens a market whose operator decided otherwise than by default.
    pub async fn start_with(configure: impl FnOnce(&mut Config)) -> Result<Self> {
        let folder = TempDir::with_prefix("ets-test-")?;
        let market = Market::new("market.example")?;
        let mut config = Config::new(market.clone());
        configure(&mut config);
        let dir = folder.path().join("platform");
        let made = init(&dir, config, None)?;
        let platform = Platform::start(&dir).await?;
        let proxy = Proxy::start(&platform.url()).await?;
        let admin = files::load(&dir.join("keys/admin.key"), None)?;
        Ok(Self { market, vkey: made.vkey, proxy, admin, platform: Some(platform), folder })
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its platform, which runs.
    pub fn platform(&self) -> &Platform {
        self.platform.as_ref().expect("it is gone only between a stop and the start after it")
    }

    /// Speaks to the platform, with nobody in between.
    pub fn wire(&self) -> Wire {
        self.platform().wire()
    }

    /// Stops the platform, lets somebody work in its directory, and starts it again.
    pub async fn while_stopped<T>(&mut self, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let platform = self.platform.take().context("the platform runs")?;
        let dir = platform.stop().await?;
        let done = work(&dir)?;
        let platform = Platform::start(dir).await?;
        self.proxy.lead_to(&platform.url());
        self.platform = Some(platform);
        Ok(done)
    }

    /// A second platform with everything the first one has, its keys among it: from here on the
    /// two can tell different stories. Everybody still talks to the first.
    pub async fn fork(&mut self, name: &str) -> Result<Platform> {
        let twin = self.path(name);
        self.while_stopped(|dir| copy_dir(dir, &twin)).await?;
        Platform::start(twin).await
    }

    /// A participant's node, joined, approved, with keys.
    pub async fn member(&self, name: &str) -> Result<Node> {
        let node = self.candidate(name).await?;
        let id = node.status().await?.id;
        self.decide(AdminAction::Approve, id).await?;
        node.keys_add(KEYS).await?;
        Ok(node)
    }

    /// A participant's node that joined; nobody has decided on it.
    pub async fn candidate(&self, name: &str) -> Result<Node> {
        let dir = self.path(name);
        let options = InitOptions {
            platform: self.proxy.url().to_owned(),
            vkey: Some(self.vkey.to_string()),
            name: name.to_owned(),
            passphrase: None,
        };
        Node::init(&dir, options).await?;
        let node = Node::open(&dir, None)?;
        node.join(&Identity::SelfSigned).await?;
        Ok(node)
    }

    /// Somebody who speaks by hand, joined, approved, with keys.
    pub async fn hand(&self, name: &str) -> Result<Hand> {
        let hand = Hand::new(&self.market, name)?;
        self.admit(&hand).await?;
        Ok(hand)
    }

    /// Lets somebody in who speaks by hand.
    pub async fn admit(&self, hand: &Hand) -> Result<()> {
        let wire = self.wire();
        wire.post("/v1/participants", hand.join(now())?).await?.done()?;
        self.decide(AdminAction::Approve, hand.id()).await?;
        wire.post("/v1/keys", hand.pool(now())?).await?.done()?;
        Ok(())
    }

    /// What the administrator would say.
    pub fn command(
        &self,
        action: AdminAction,
        participant: ParticipantId,
    ) -> Result<Verified<AdminCommand>> {
        Ok(self.admin.sign_command(AdminCommand {
            market: self.market.clone(),
            action,
            participant,
            reason: "as the test has it".into(),
            nonce: nonce(),
            at: now(),
        })?)
    }

    /// The administrator decides.
    pub async fn decide(&self, action: AdminAction, participant: ParticipantId) -> Result<()> {
        let command = self.command(action, participant)?;
        self.wire().post("/v1/admin/commands", command.bytes().to_vec()).await?.done()?;
        Ok(())
    }

    /// A node offers a table's rows.
    pub async fn publish(
        &self,
        node: &Node,
        table: &Table,
        endpoint: Option<&str>,
    ) -> Result<Published, NodeError> {
        node.publish(&table.on_offer(node.name(), endpoint), &|_| ()).await
    }

    /// A log's checkpoint now, its signature checked.
    pub async fn head(&self, log: LogName) -> Result<SignedCheckpoint> {
        let note = self.wire().get(&format!("/log/{log}/checkpoint")).await?.done()?.body;
        Ok(SignedCheckpoint::open(&note, &log.vkey(&self.market, self.vkey.key()))?)
    }

    /// Entries of a log now.
    pub async fn size(&self, log: LogName) -> Result<u64> {
        Ok(self.head(log).await?.head().size)
    }

    /// An offer as the index has it, its signature checked.
    pub async fn offer(&self, id: &OfferId) -> Result<Verified<Offer>> {
        let view: OneOfferView =
            self.wire().get(&format!("/v1/offers/{id}")).await?.done()?.json()?;
        Ok(Signed::<Offer>::decode(&view.offer.entry.0)?.verify()?)
    }

    /// The one offer there is about somebody, found by a node.
    pub async fn only_offer(&self, node: &Node, id: &str) -> Result<FoundOffer> {
        let mut found = node.find(&[id.to_owned()], false, &|_| ()).await?.offers;
        ensure!(found.len() == 1, "{} offers about {id}", found.len());
        Ok(found.remove(0))
    }

    /// A signed request, sealed to the key it asks.
    pub async fn seal(&self, request: &Verified<Request>) -> Result<Vec<u8>> {
        let provider = request.message().provider;
        let view: KeyView =
            self.wire().get(&format!("/v1/keys/{provider}")).await?.done()?.json()?;
        let binding = Signed::<KeyBinding>::decode(&view.binding.0)?.verify()?;
        let context = SealContext::Request { market: &self.market, provider };
        Ok(seal(&binding.message().hpke, &context, b"", request.bytes())?.encode())
    }

    /// Somebody asks for what is on offer; its sealed request.
    pub async fn packet(&self, buyer: &Hand, offer: &Verified<Offer>) -> Result<Vec<u8>> {
        let reply_key = SealKey::generate(Suite::X25519);
        let block = self.head(LogName::Index).await?.checkpoint().block.hash;
        let request = buyer.key().sign_request(buyer.request(offer, block, &reply_key))?;
        self.seal(&request).await
    }

    /// The receipts on the log of trades, oldest first, both signatures of each checked.
    pub async fn receipts(&self) -> Result<Vec<Verified<Receipt>>> {
        let size = self.size(LogName::Trades).await?;
        ensure!(size < 256, "more receipts than one bundle has");
        if size == 0 {
            return Ok(Vec::new());
        }
        let path = format!("/log/trades/tile/entries/000.p/{size}");
        let bundle = self.wire().get(&path).await?.done()?.body;
        let (mut rest, mut receipts) = (&bundle[..], Vec::new());
        while let Some((length, after)) = rest.split_first_chunk() {
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            let receipt = Signed::<Receipt>::decode(entry)?.verify()?;
            receipt.delivery()?;
            receipts.push(receipt);
            rest = after;
        }
        Ok(receipts)
    }

    /// Somebody who trusts the platform's key and nothing else.
    pub fn auditor(&self) -> Auditor<'static> {
        Auditor::new(self.market.clone(), self.vkey.key())
    }

    /// Audits the platform's own directory, which it may be writing to.
    pub fn audit(&self) -> Result<Report, AuditError> {
        self.auditor().audit(&self.platform().dir)
    }
}

impl Provider {
    /// A node listens on a free port; its offers must name that port as their endpoint.
    pub async fn listen(node: &Node) -> Result<Self> {
        let options = ServeOptions {
            listen: Some("127.0.0.1:0".into()),
            endpoint: Some("http://as.the.offers.say".into()),
        };
        Self::start(node, options).await
    }

    /// A node fetches requests from the relay.
    pub async fn by_relay(node: &Node) -> Result<Self> {
        Self::start(node, ServeOptions { listen: None, endpoint: None }).await
    }

    async fn start(node: &Node, options: ServeOptions) -> Result<Self> {
        let deadline = Deadline::in_seconds(5);
        loop {
            let (stop, stopped) = oneshot::channel();
            let (started, address) = oneshot::channel();
            let (node, options) = (node.clone(), options.clone());
            let ended = tokio::spawn(async move {
                let started = |address| _ = started.send(address);
                node.serve(&options, started, async { drop(stopped.await) }).await
            });
            if let Ok(address) = address.await {
                let url = address.map(|a| format!("http://{a}"));
                return Ok(Self { url, stop: Some(stop), ended });
            }
            match ended.await? {
                // The threads of one that was stopped hold on to the vault a moment longer.
                Err(NodeError::Vault(error)) => deadline.again(&error.to_string()).await?,
                other => other?,
            }
        }
    }

    /// Where it listens.
    pub fn url(&self) -> Result<&str> {
        self.url.as_deref().context("it does not listen")
    }

    /// Stops it.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.stop.take());
        Ok(self.ended.await??)
    }
}

impl Deadline {
    /// So many seconds from now.
    pub fn in_seconds(seconds: u64) -> Self {
        Self(tokio::time::Instant::now() + Duration::from_secs(seconds))
    }

    /// Waits a moment; an error when the time is over.
    pub async fn again(&self, what: &str) -> Result<()> {
        ensure!(tokio::time::Instant::now() < self.0, "too late: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
        Ok(())
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_dir(&path, &copy)?;
        } else {
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}
