//! Taking part: an identity once, keys to trade under at any time (white paper, section 6.2).
//!
//! # What a crash leaves behind
//!
//! The identity is on disk before the platform hears of it. New pool keys wait in
//! `keys/pool.pending` until the platform has answered; the next `keys_add` asks which of those it
//! has and registers the others. A key that is in `pool.keys` is therefore always one the platform
//! knows.

use std::{fs, io::ErrorKind};

use encrytrust_keys::{
    SignError,
    files::{self as secrets, FileError},
    identity::Identity as Certificate,
    membership::PoolSubmission,
    pool::{KeyRing, PoolKey},
};
use encrytrust_protocol::{Algorithm, Pool, Suite};

use crate::{
    error::NodeError,
    files::{self, now},
    node::Node,
    report::{Identity, KeysAdded, Membership},
};

impl Node {
    /// Asks to take part. Asking again with the same identity is harmless, and renews its
    /// certificate when a new one is given.
    pub async fn join(&self, identity: &Identity) -> Result<Membership, NodeError> {
        let kept = self.identity()?;
        let certificate = match (identity, kept) {
            (Identity::SelfSigned, Some(kept)) => kept,
            (Identity::SelfSigned, None) => {
                let made = Certificate::generate(Algorithm::Ed25519, self.name(), now());
                self.keep(made.map_err(|e| NodeError::Usage(e.to_string()))?)?
            }
            (Identity::Issued { certificates, key }, kept) => {
                let given = Certificate::from_pem(certificates.as_bytes(), key.as_bytes());
                let given = given.map_err(|e| NodeError::Usage(e.to_string()))?;
                if kept.is_some_and(|kept| kept.participant() != given.participant()) {
                    let why = "this node joined with another key; start a second node for this one";
                    return Err(NodeError::Usage(why.into()));
                }
                self.keep(given)?
            }
        };
        certificate.check_time(now()).map_err(|e| NodeError::Usage(e.to_string()))?;
        let join = certificate.sign_join(self.market(), self.name(), now()).map_err(unsigned)?;
        self.platform().join(join.bytes()).await?;
        self.status().await
    }

    /// Where this node stands on its market.
    pub async fn status(&self) -> Result<Membership, NodeError> {
        let certificate = self.joined()?;
        let view = self.platform().participant(&certificate.participant()).await?;
        let (id, name, state, keys) = (view.id, view.name, view.state, view.keys);
        Ok(Membership { id, name, state, keys })
    }

    /// Makes pool keys and registers them. X-Wing seals to them.
    pub async fn keys_add(&self, count: usize) -> Result<KeysAdded, NodeError> {
        if !(1..=Pool::KEYS_MAX).contains(&count) {
            return Err(NodeError::Usage(format!("1 to {} keys at once", Pool::KEYS_MAX)));
        }
        let certificate = self.joined()?;
        let path = self.key_path("pool.pending");
        let mut pending: KeyRing = match secrets::load(&path, self.passphrase()) {
            Err(e) if is_missing(&e) => KeyRing::default(),
            loaded => loaded?,
        };
        let resumed = !pending.keys().is_empty();
        if !resumed {
            for _ in 0..count {
                pending.add(PoolKey::generate(Suite::XWing));
            }
            secrets::replace(&path, &pending, self.passphrase())?;
        }
        // Keys of an earlier attempt may have arrived, under the bindings that were signed then.
        let mut waiting = Vec::new();
        for key in pending.keys() {
            if !(resumed && self.is_registered(key).await?) {
                waiting.push(key);
            }
        }
        let known = (pending.keys().len() - waiting.len()) as u64;
        let (added, present) = self.register(&certificate, &waiting).await?;

        let mut ring = (*self.reload_ring()?).clone();
        pending.keys().iter().for_each(|key| ring.add(key.clone()));
        secrets::replace(&self.key_path("pool.keys"), &ring, self.passphrase())?;
        fs::remove_file(&path).map_err(|e| NodeError::state(&path, e))?;
        let pool = self.reload_ring()?.keys().len() as u64;
        Ok(KeysAdded { added, present: present + known, pool })
    }

    /// Whether the platform knows a key, by its binding.
    async fn is_registered(&self, key: &PoolKey) -> Result<bool, NodeError> {
        match self.platform().key(&key.public()).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Claims keys; answers how many of them were new to the platform and how many were not.
    async fn register(
        &self,
        certificate: &Certificate,
        keys: &[&PoolKey],
    ) -> Result<(u64, u64), NodeError> {
        if keys.is_empty() {
            return Ok((0, 0));
        }
        let (market, now) = (self.market(), now());
        let bindings = keys.iter().map(|key| key.sign_binding(market, now));
        let bindings = bindings.collect::<Result<Vec<_>, _>>().map_err(unsigned)?;
        let pool = certificate.sign_pool(market, &bindings, now).map_err(unsigned)?;
        let answer = self.platform().pool(&PoolSubmission::encode(&pool, &bindings)).await?;
        Ok((answer.added, answer.present))
    }

    fn identity(&self) -> Result<Option<Certificate>, NodeError> {
        match secrets::load(&self.key_path("identity.key"), self.passphrase()) {
            Err(e) if is_missing(&e) => Ok(None),
            loaded => Ok(Some(loaded?)),
        }
    }

    fn joined(&self) -> Result<Certificate, NodeError> {
        self.identity()?.ok_or_else(|| {
            let dir = self.dir().display();
            NodeError::Usage(format!("this node has not joined; run: ets node join --dir {dir}"))
        })
    }

    fn keep(&self, certificate: Certificate) -> Result<Certificate, NodeError> {
        secrets::replace(&self.key_path("identity.key"), &certificate, self.passphrase())?;
        let path = self.key_path("identity.pem");
        files::replace(&path, certificate.chain_pem().as_bytes(), 0o644)
            .map_err(|e| NodeError::state(&path, e))?;
        Ok(certificate)
    }
}

fn is_missing(error: &FileError) -> bool {
    matches!(error, FileError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unsigned(error: SignError) -> NodeError {
    NodeError::Usage(format!("cannot sign: {error}"))
}
