//! The two keys that run a market: the platform's and its administrator's.
//!
//! Each is an Ed25519 key with a verb for every message it may sign, and no way to sign anything
//! else. The platform's key signs blocks and checkpoints too; whoever steals it can show two
//! histories, which witnesses and every client that keeps heads will notice.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::{
    AdminCommand, AdminQuery, Block, KeyStatus, PlatformInfo, PublicKey, Verified,
};
use zeroize::Zeroizing;

use crate::{
    files::Stored,
    signing::{self, SignError},
    tags::TagKey,
};

/// The key of a market's platform.
#[derive(Clone)]
pub struct PlatformKey(SigningKey);

/// The key of a market's administrator.
#[derive(Clone)]
pub struct AdminKey(SigningKey);

impl PlatformKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Self {
        Self(signing::generate())
    }

    /// The key with this RFC 8032 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public half: what participants pin.
    pub fn public(&self) -> PublicKey {
        PublicKey::from(&self.0)
    }

    /// Signs a block that names this key as its producer.
    pub fn sign_block(&self, block: Block) -> Result<Verified<Block>, SignError> {
        let (named, key) = (block.producer, self.public());
        if named != key {
            return Err(SignError::OtherSigner { what: "block", named, key });
        }
        signing::sign(&self.0, block)
    }

    /// Signs what the platform says about a pool key.
    pub fn sign_key_status(&self, status: KeyStatus) -> Result<Verified<KeyStatus>, SignError> {
        signing::sign(&self.0, status)
    }

    /// Signs what the platform says of itself.
    pub fn sign_platform_info(
        &self,
        info: PlatformInfo,
    ) -> Result<Verified<PlatformInfo>, SignError> {
        signing::sign(&self.0, info)
    }

    /// Signs the text of a checkpoint (C2SP tlog-checkpoint), blank line and signatures excluded.
    ///
    /// The signature is over the text itself. It can stand for no message of the protocol: those
    /// sign a `Sig_structure`, whose first byte, 0x84, begins no UTF-8 text.
    pub fn sign_checkpoint_note(&self, text: &str) -> Result<[u8; 64], SignError> {
        let printable = !text.chars().any(|c| c.is_control() && c != '\n');
        if !(printable && text.len() > 1 && text.ends_with('\n')) {
            return Err(SignError::NotANote);
        }
        Ok(self.0.sign(text.as_bytes()).to_bytes())
    }
}

impl AdminKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Self {
        Self(signing::generate())
    }

    /// The key with this RFC 8032 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public half: whose commands the platform obeys.
    pub fn public(&self) -> PublicKey {
        PublicKey::from(&self.0)
    }

    /// Signs a decision on a participant.
    pub fn sign_command(&self, command: AdminCommand) -> Result<Verified<AdminCommand>, SignError> {
        signing::sign(&self.0, command)
    }

    /// Signs the question who takes part.
    pub fn sign_query(&self, query: AdminQuery) -> Result<Verified<AdminQuery>, SignError> {
        signing::sign(&self.0, query)
    }
}

impl Stored for PlatformKey {
    const KIND: &'static str = "platform";

    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        signing::seed_of(&self.0)
    }

    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        signing::from_seed(bytes).map(Self)
    }
}

impl Stored for AdminKey {
    const KIND: &'static str = "admin";

    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        signing::seed_of(&self.0)
    }

    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        signing::from_seed(bytes).map(Self)
    }
}

impl Stored for TagKey {
    const KIND: &'static str = "subject-tags";

    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.expose(|secret| Zeroizing::new(secret.to_vec()))
    }

    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_secret(bytes).ok()
    }
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlatformKey({}, <redacted>)", self.public())
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminKey({}, <redacted>)", self.public())
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};
    use encrytrust_protocol::{
        AdminAction, BlockHash, KeyState, Market, Nonce, ParticipantId, Signed, TreeHead,
    };

    use super::*;
    use crate::files;

    fn market() -> Market {
        Market::new("market.example").unwrap()
    }

    fn block(producer: PublicKey) -> Block {
        Block {
            market: market(),
            height: 0,
            previous: BlockHash::NONE,
            index: TreeHead::empty(),
            trades: TreeHead::empty(),
            time: 1_700_000_000_000,
            producer,
            randomness: [5; 32].into(),
        }
    }

    #[test]
    fn a_platform_signs_its_blocks_and_words() {
        let key = PlatformKey::generate();
        let signed = key.sign_block(block(key.public())).unwrap();
        let read = Signed::<Block>::decode(signed.bytes()).unwrap().verify().unwrap();
        assert_eq!(read.signer(), key.public());

        let status = KeyStatus {
            market: market(),
            key: [1; 32].into(),
            state: KeyState::Active,
            at: 1,
            until: 2,
        };
        let signed = key.sign_key_status(status.clone()).unwrap();
        assert!(Signed::<KeyStatus>::decode(signed.bytes()).unwrap().verify().is_ok());
        let error = key.sign_key_status(KeyStatus { until: 1, ..status }).unwrap_err();
        assert!(matches!(error, SignError::Message(_)));

        let info = PlatformInfo {
            market: market(),
            tag_key: (*TagKey::generate().public().as_bytes()).into(),
            genesis: BlockHash::NONE,
            block_interval: 1000,
            at: 1,
        };
        let signed = key.sign_platform_info(info).unwrap();
        assert!(Signed::<PlatformInfo>::decode(signed.bytes()).unwrap().verify().is_ok());
    }

    #[test]
    fn a_block_of_another_producer_is_not_signed() {
        let (key, other) = (PlatformKey::generate(), PlatformKey::generate());
        let error = key.sign_block(block(other.public())).unwrap_err();
        assert!(matches!(error, SignError::OtherSigner { what: "block", .. }));
    }

    #[test]
    fn a_checkpoint_is_signed_as_its_text() {
        let key = PlatformKey::generate();
        let text = "market.example/index\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        let signature = Signature::from_bytes(&key.sign_checkpoint_note(text).unwrap());
        let public = VerifyingKey::from_bytes(key.public().as_bytes()).unwrap();
        assert!(public.verify_strict(text.as_bytes(), &signature).is_ok());
        for bad in ["", "\n", "no newline", "a\r\n", "a\0\n"] {
            assert_eq!(key.sign_checkpoint_note(bad), Err(SignError::NotANote), "{bad:?}");
        }
    }

    #[test]
    fn an_administrator_decides_and_asks() {
        let key = AdminKey::from_seed(&[3; 32]);
        let command = AdminCommand {
            market: market(),
            action: AdminAction::Approve,
            participant: ParticipantId::from([1; 32]),
            reason: "known by letter".into(),
            nonce: Nonce::from([2; 16]),
            at: 1,
        };
        let signed = key.sign_command(command).unwrap();
        assert!(Signed::<AdminCommand>::decode(signed.bytes()).unwrap().verify().is_ok());
        let query = AdminQuery { market: market(), nonce: Nonce::from([2; 16]), at: 1 };
        let signed = key.sign_query(query).unwrap();
        assert!(Signed::<AdminQuery>::decode(signed.bytes()).unwrap().verify().is_ok());
    }

    #[test]
    fn keys_survive_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        let (platform, admin, tags) =
            (PlatformKey::generate(), AdminKey::generate(), TagKey::generate());
        files::create(&at("platform.key"), &platform, None).unwrap();
        files::create(&at("admin.key"), &admin, None).unwrap();
        files::create(&at("oprf.key"), &tags, None).unwrap();
        let read: PlatformKey = files::load(&at("platform.key"), None).unwrap();
        assert_eq!(read.public(), platform.public());
        let read: AdminKey = files::load(&at("admin.key"), None).unwrap();
        assert_eq!(read.public(), admin.public());
        let read: TagKey = files::load(&at("oprf.key"), None).unwrap();
        assert_eq!(read.public(), tags.public());
        assert!(files::load::<AdminKey>(&at("platform.key"), None).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?} {:?}", PlatformKey::from_seed(&[7; 32]), AdminKey::generate());
        assert!(!text.contains(&hex::encode([7; 32])), "{text}");
    }
}
