//! A witness' folder: its key, the last checkpoint that it signed (written whole and synced before the
//! signature leaves), and the evidence of a split view.

use crate::history::now_ms;
use crate::membership::{Membership, MembershipError};
use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::checkpoint::{CheckpointError, SignedCheckpoint};
use qz_evidence::genesis::Genesis;
use qz_evidence::note::{KeyType, NoteError, SignedNote, VerifierKey};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::{ZeroizeOnDrop, Zeroizing};

const KEY_FILE: &str = "witness-key.json";
const STATE_FILE: &str = "latest.note";
const LOCK_FILE: &str = "witness.lock";
/// Proof of every change of governance, if there was any.
pub const GOVERNANCE_FILE: &str = "governance.qzproof";
/// Two signed checkpoints that contradict each other, one after the other.
pub const EVIDENCE_FILE: &str = "split-view.txt";

/// Why a witness' folder cannot be used.
#[derive(Debug, Error)]
pub enum WitnessHomeError {
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key file.
    #[error("{}: {reason}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The name.
    #[error(transparent)]
    Name(#[from] NoteError),
    /// The kept checkpoint is damaged: signing without it could sign a second history.
    #[error("{} is damaged ({source}): restore it from a copy that is not older than the last signature", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// The kept proof of the members does not hold. Without it the genesis' members count, so it may be deleted.
    #[error("{} does not hold: {source}", path.display())]
    Governance {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<MembershipError>,
    },
    /// The folder belongs to another ledger.
    #[error("the witness has signed checkpoints of {0}; use another folder for another ledger")]
    OtherLog(String),
    /// Another process works in it.
    #[error("another process uses {}", .0.display())]
    InUse(PathBuf),
}

#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: String,
    name: String,
    seed: String,
}

const FORMAT: &str = "qz-witness-key/v1";

/// A witness' folder, in use by this process alone.
pub struct WitnessHome {
    path: PathBuf,
    key: VerifierKey,
    secret: SigningKey,
    _lock: File,
}

impl WitnessHome {
    /// Makes a key in a new folder.
    pub fn create(path: &Path, name: &str) -> Result<VerifierKey, WitnessHomeError> {
        let file = path.join(KEY_FILE);
        let failed = |source| WitnessHomeError::File { path: file.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| failed(io::Error::other(error.to_string())))?;
        let secret = SigningKey::from_bytes(&seed);
        let key = VerifierKey::new(name, KeyType::Cosigner, secret.verifying_key().to_bytes())?;
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let stored = KeyFile { format: FORMAT.to_owned(), name: name.to_owned(), seed: hex };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&stored).expect("texts have a JSON form"));
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
        out.write_all(&text).and_then(|()| out.sync_all()).map_err(failed)?;
        Ok(key)
    }

    /// Opens a folder that [`WitnessHome::create`] made.
    pub fn open(path: &Path) -> Result<Self, WitnessHomeError> {
        let lock = path.join(LOCK_FILE);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let opened = opened.map_err(|source| WitnessHomeError::File { path: lock.clone(), source })?;
        opened.try_lock().map_err(|_| WitnessHomeError::InUse(path.to_owned()))?;
        let file = path.join(KEY_FILE);
        let bytes = std::fs::read(&file).map_err(|source| WitnessHomeError::File { path: file.clone(), source })?;
        let bytes = Zeroizing::new(bytes);
        let bad = |reason: String| WitnessHomeError::Key { path: file.clone(), reason };
        let stored: KeyFile = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let seed = qz_evidence::Hash32::from_hex(&stored.seed).filter(|_| stored.format == FORMAT);
        let seed = Zeroizing::new(seed.ok_or_else(|| bad("not a witness' key file".to_owned()))?.0);
        let secret = SigningKey::from_bytes(&seed);
        let key = VerifierKey::new(&stored.name, KeyType::Cosigner, secret.verifying_key().to_bytes())?;
        Ok(Self { path: path.to_owned(), key, secret, _lock: opened })
    }

    /// Its public key.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }

    /// The last checkpoint that it signed.
    pub(super) fn latest(&self, origin: &str) -> Result<Option<SignedCheckpoint>, WitnessHomeError> {
        let path = self.path.join(STATE_FILE);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let found = SignedCheckpoint::parse(&bytes).map_err(|source| WitnessHomeError::State { path, source })?;
        if found.tree.origin != origin {
            return Err(WitnessHomeError::OtherLog(found.tree.origin));
        }
        Ok(Some(found))
    }

    /// Keeps what is about to be signed, in one step: a crash leaves the old or the new file, whole.
    pub(super) fn keep(&self, note: &SignedNote) -> Result<(), WitnessHomeError> {
        self.write(STATE_FILE, note.to_string().as_bytes())
    }

    /// Who the members are by the kept proof, else by the genesis.
    pub(super) fn members(&self, genesis: &Genesis) -> Result<Membership, WitnessHomeError> {
        let path = self.path.join(GOVERNANCE_FILE);
        let Some(bytes) = read(&path)? else { return Ok(Membership::of_genesis(genesis)) };
        let found = now_ms().map_err(MembershipError::Clock);
        let found = found.and_then(|now_ms| Membership::proven_by(genesis, &[bytes], now_ms));
        found.map_err(|source| WitnessHomeError::Governance { path, source: Box::new(source) })
    }

    /// Keeps the proof of who the members are.
    pub(super) fn keep_members(&self, bundle: &[u8]) -> Result<(), WitnessHomeError> {
        self.write(GOVERNANCE_FILE, bundle)
    }

    /// Keeps both sides of a split view.
    pub(super) fn keep_evidence(&self, one: &SignedNote, other: &SignedNote) -> Result<(), WitnessHomeError> {
        self.write(EVIDENCE_FILE, format!("{one}\n{other}").as_bytes())
    }

    /// A split view that was seen stays an alarm over restarts.
    pub(super) fn alarm(&self) -> Result<Option<String>, WitnessHomeError> {
        let path = self.path.join(EVIDENCE_FILE);
        Ok(read(&path)?.map(|_| format!("split view: see {}", path.display())))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WitnessHomeError> {
        let path = self.path.join(name);
        let temporary = path.with_extension("new");
        let written = (|| {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|source| WitnessHomeError::File { path, source })
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, WitnessHomeError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WitnessHomeError::File { path: path.to_owned(), source }),
    }
}
