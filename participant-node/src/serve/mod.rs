//! The provider's node at work: it answers sealed requests, directly or through the relay.
//!
//! Both doors lead to one function, [`Server::answer`](answer). A node that can be reached listens
//! and says so in its offers; one that cannot fetches its requests from the platform, one patient
//! question for each key, and the platform sees sealed bytes only.

pub(crate) mod answer;
mod door;
mod keys;
mod relay;
mod stock;
mod trades;

use std::{future::Future, ops::Deref, sync::Arc};

use tokio::sync::Semaphore;

use self::{
    keys::KeyWords,
    stock::{Offers, Sources},
    trades::Trades,
};
use crate::{error::NodeError, node::Node, report::ServeOptions};

/// A provider's node that answers.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inside>);

pub(crate) struct Inside {
    node: Node,
    offers: Offers,
    sources: Sources,
    trades: Trades,
    keys: KeyWords,
    /// Packets being opened: a stranger's packet costs one attempt for each key.
    opening: Semaphore,
}

/// Packets opened at the same time.
const OPENING: usize = 8;

impl Deref for Server {
    type Target = Inside;
    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl Server {
    pub(crate) fn open(node: &Node) -> Result<Self, NodeError> {
        let (vault, key) = (node.vault(), node.vault_key());
        Ok(Self(Arc::new(Inside {
            offers: Offers::open(&vault, key)?,
            sources: Sources::default(),
            trades: Trades::open(&vault, key)?,
            keys: KeyWords::default(),
            opening: Semaphore::new(OPENING),
            node: node.clone(),
        })))
    }
}

impl Node {
    /// Answers requests until `stop` completes: listens if there is an address to listen on, and
    /// asks the relay unless buyers reach the node directly.
    ///
    /// `started` is told the address once it is bound.
    pub async fn serve(
        &self,
        options: &ServeOptions,
        started: impl FnOnce(Option<std::net::SocketAddr>),
        stop: impl Future<Output = ()>,
    ) -> Result<(), NodeError> {
        if options.endpoint.is_some() && options.listen.is_none() {
            let why = "an endpoint needs an address to listen on: add --listen";
            return Err(NodeError::Usage(why.into()));
        }
        if self.ring().keys().is_empty() {
            self.some_key()?;
        }
        let server = Server::open(self)?;
        let door = options.listen.as_deref().map(|addr| door::bind(&server, addr)).transpose()?;
        started(door.as_ref().map(|(address, _)| *address));
        // Dropping the set ends its tasks.
        let mut relay = tokio::task::JoinSet::new();
        if options.endpoint.is_none() {
            relay.spawn(relay::fetch(server));
        }
        let Some((address, door)) = door else {
            stop.await;
            return Ok(());
        };
        let (handle, mut door) = (door.handle(), tokio::spawn(door));
        let ended = tokio::select! {
            ended = &mut door => ended,
            () = stop => {
                handle.stop(true).await;
                door.await
            }
        };
        let ended = ended.map_err(std::io::Error::other).flatten();
        ended.map_err(|e| NodeError::state(format!("listener on {address}"), e))
    }
}
