//! Running: from an open directory to a listening server, and back.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix_web::{App, HttpServer, middleware::from_fn, web};
use encrytrust_index_chain::chain::ChainError;
use encrytrust_keys::identity::Trust;
use encrytrust_protocol::{BlockHash, PlatformInfo};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use utoipa_actix_web::AppExt;

use crate::{
    config::{Config, ConfigError, Options},
    freshness::{Replays, now},
    home::{Home, OpenError},
    http,
    identity::{self, TrustError},
    limits::Gate,
    relay::Relay,
    sequencer::{self, Desk, SequencerError},
    service::{RequestIds, Service},
    tls::{self, TlsError},
    witness,
};

/// Participants that may wait for an administrator at one time.
const PENDING_MAX: usize = 10_000;

/// How long requests under way may take once the platform stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often full token buckets are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// A platform could not be started, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Whose certificates are taken.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// HTTPS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address.
    #[error("{address}: {source}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system: threads, randomness, sockets.
    #[error("starting: {0}")]
    System(#[from] io::Error),
    /// The threads for heavy work.
    #[error("starting: {0}")]
    Workers(#[from] rayon::ThreadPoolBuildError),
    /// The client for witnesses.
    #[error("starting: {0}")]
    Client(#[from] reqwest::Error),
    /// The platform's own statement about itself.
    #[error("starting: {0}")]
    Sign(#[from] encrytrust_keys::SignError),
    /// The sequencer had failed; what was acknowledged is on disk.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
}

/// A platform that runs. Dropping it lets it run on; [`stop`](Self::stop) ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tls: bool,
    stop: Arc<watch::Sender<bool>>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Stops it: takes no new connections, finishes what is under way, seals what is not sealed.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until it has ended, by a signal or because it failed.
    pub async fn ended(self) -> Result<(), ServeError> {
        self.ended.await.map_err(io::Error::other)?
    }
}

/// Opens the platform in a directory and serves it, in the background of the caller's tokio
/// runtime.
///
/// # Errors
///
/// Whatever keeps it from starting: a directory that another process has open, a log that
/// contradicts what was sealed, a port that is taken.
pub async fn serve(dir: &Path, options: Options) -> Result<Server, ServeError> {
    let config = Config::load(dir)?.overridden(&options);
    let trust = identity::trust(&config.identity)?;
    let tls = config.tls.as_ref().map(tls::configure).transpose()?;
    let has_tls = tls.is_some();
    let refused = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;

    let (directory, settings, passphrase) =
        (dir.to_owned(), config.clone(), options.passphrase.clone());
    let open = move || Home::open(&directory, &settings, passphrase.as_ref());
    let home = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;

    let (stop, stopping) = watch::channel(false);
    let stop = Arc::new(stop);
    let (service, writer) = assemble(config, trust, home, stopping)?;
    witness::attend_all(&service)?;
    tokio::spawn(sweep(Arc::clone(&service)));
    let farewell = farewell(Arc::clone(&stop), options.stop_on_signals)?;
    let server = http_server(&service, listener, tls, &options, farewell)?;
    tracing::info!(%address, tls = has_tls, market = %service.market(), "serving");

    let ended = tokio::spawn(end(server, service, Arc::clone(&stop), writer));
    Ok(Server { address, tls: has_tls, stop, ended })
}

/// Waits for the HTTP server to end, then lets the sequencer finish and closes the state.
async fn end(
    server: actix_web::dev::Server,
    service: Arc<Service>,
    stop: Arc<watch::Sender<bool>>,
    writer: sequencer::Handle,
) -> Result<(), ServeError> {
    let served = server.await;
    stop.send_replace(true);
    service.sequencer.stop().await;
    let written = tokio::task::spawn_blocking(move || writer.join());
    let written = written.await.map_err(io::Error::other)?;
    written.map_err(|_| io::Error::other("the sequencer panicked"))??;
    // Whoever opens the directory next finds the state closed: others let go of it as they stop.
    for _ in 0..200 {
        if Arc::strong_count(&service) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(served?)
}

/// Puts the parts together and starts the sequencer.
fn assemble(
    config: Config,
    trust: Trust,
    home: Home,
    stopping: watch::Receiver<bool>,
) -> Result<(Arc<Service>, sequencer::Handle), ServeError> {
    let Home { key, tag_key, chain, members, state, heads } = home;
    let genesis = chain.reader().blocks().block(0).map_err(ChainError::from);
    let genesis = genesis.map_err(OpenError::from)?.map(|block| block.hash());
    let info = key.sign_platform_info(PlatformInfo {
        market: config.market.clone(),
        tag_key: (*tag_key.public().as_bytes()).into(),
        genesis: genesis.unwrap_or(BlockHash::NONE),
        block_interval: config.block_interval_ms,
        at: now(),
    })?;
    let reader = chain.reader();
    let members_reader = members.reader();
    let (publisher, heads) = watch::channel(heads);
    let publisher = Arc::new(publisher);
    let (sequencer, writer) = sequencer::start(Desk {
        chain,
        members,
        state: state.clone(),
        key: key.clone(),
        interval: Duration::from_millis(config.block_interval_ms),
        pending_max: PENDING_MAX,
        heads: Arc::clone(&publisher),
    })?;
    let workers = rayon::ThreadPoolBuilder::new()
        .thread_name(|n| format!("worker-{n}"))
        .panic_handler(|_| tracing::error!("a computation panicked; its request fails"))
        .build()?;
    let service = Service {
        gate: Gate::new(&config.limits),
        relay: Relay::new(&config.limits),
        in_flight: Semaphore::new(config.limits.in_flight_bytes),
        replays: Replays::new(),
        requests: RequestIds::new().map_err(io::Error::other)?,
        metrics: metrics_handle(),
        tag_key: Arc::new(tag_key),
        chain: reader,
        members: members_reader,
        config,
        key,
        info,
        trust,
        state,
        sequencer,
        heads,
        publisher,
        workers,
        stopping,
    };
    Ok((Arc::new(service), writer))
}

fn http_server(
    service: &Arc<Service>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    options: &Options,
    farewell: impl Future<Output = ()> + Send + 'static,
) -> Result<actix_web::dev::Server, ServeError> {
    let api = http::api();
    let methods = web::Data::new(http::Methods::of(&api));
    let site = web::Data::from(Arc::clone(service));
    let app = move || {
        App::new()
            .wrap(from_fn(http::edge))
            .app_data(site.clone())
            .app_data(methods.clone())
            .configure(http::extractors)
            .into_utoipa_app()
            .configure(http::endpoints)
            .into_app()
            .service(web::redirect("/docs", "/docs/"))
            .service(http::docs(api.clone()))
            .default_service(web::to(http::nowhere))
    };
    let mut server = HttpServer::new(app)
        .disable_signals()
        // An answer written in two parts must not wait for the first to be acknowledged.
        .tcp_nodelay(true)
        .shutdown_signal(farewell)
        .shutdown_timeout(FAREWELL.as_secs())
        .max_connections(service.config.limits.connections);
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

/// Comes true when it is time to stop; whoever waits for something far off is told at once.
fn farewell(
    stop: Arc<watch::Sender<bool>>,
    on_signals: bool,
) -> io::Result<impl Future<Output = ()> + Send> {
    let mut signals = None;
    if on_signals {
        signals = Some((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    }
    let mut asked = stop.subscribe();
    Ok(async move {
        let signalled = async {
            match &mut signals {
                Some((terminate, interrupt)) => {
                    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signalled => tracing::info!("stopping on a signal"),
            _ = asked.wait_for(|asked| *asked) => tracing::info!("stopping"),
        }
        stop.send_replace(true);
    })
}

/// Keeps the token buckets to those who came lately.
async fn sweep(service: Arc<Service>) {
    let mut stopping = service.stopping.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => service.gate.forget_idle(),
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        service.metrics.run_upkeep();
    }
}

/// The process's metrics; platforms in one process share them.
fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let builder = PrometheusBuilder::new()
            .set_buckets(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0])
            .expect("the list of buckets is not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // The caller may have a recorder of its own; then it has the figures, and we none.
        let _ = metrics::set_global_recorder(recorder);
        handle
    };
    HANDLE.get_or_init(install).clone()
}
