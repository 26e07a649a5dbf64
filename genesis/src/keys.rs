//! An organisation's Ed25519 keys: one file per purpose, and no key serves two purposes.
//!
//! A key file is JSON of one line:
//! `{"format":"qz-key","version":1,"purpose":"relay","organisation":"notary","algorithm":"ed25519",
//! "protection":"none","public":"<64 hex>","secret":"<64 hex>"}` where `secret` is the RFC 8032 seed.
//!
//! Version 1 is not encrypted: it relies on file mode 0600 and on the machine. `version` and
//! `protection` are there for encryption under a passphrase in a later version; a reader of version 1
//! refuses any other version rather than guess. Secrets are wiped from memory and never printed.

use crate::private_file::{self, FileError};
use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::{Hash32, OrgId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Official acts, attestations, governance and the signature of the genesis.
    Office,
    /// Submissions that this member relays.
    Relay,
    /// Cosignatures of checkpoints.
    Witness,
    /// Votes and proposals of the validator.
    Consensus,
    /// The validator's libp2p identity.
    Network,
}

impl Purpose {
    /// Every purpose, in the order of `Organisation::keys`.
    pub const ALL: [Self; 5] = [Self::Office, Self::Relay, Self::Witness, Self::Consensus, Self::Network];

    /// The name used in files, cards and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::Relay => "relay",
            Self::Witness => "witness",
            Self::Consensus => "consensus",
            Self::Network => "network",
        }
    }

    /// Does only an organisation with a validator have such a key?
    pub fn is_of_validator(self) -> bool {
        matches!(self, Self::Consensus | Self::Network)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a key could not be made or loaded.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file: absent, unreadable, readable by others, or there already.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// Not a key file. The parser's words are left out: they could quote the secret.
    #[error("{}: not a key file of this program", .0.display())]
    Malformed(PathBuf),
    /// A later format.
    #[error("{}: key file version {version} with protection `{protection}` is not supported by this program", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Its protection.
        protection: String,
    },
    /// A key of another purpose stands in this place.
    #[error("{}: is a {found} key; a {wanted} key is needed here", path.display())]
    Purpose {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: Purpose,
        /// What was asked for.
        wanted: Purpose,
    },
    /// Public and secret half do not belong together.
    #[error("{}: the public key does not belong to the secret key; the file was altered", .0.display())]
    Mismatch(PathBuf),
}

/// A signing key that knows its purpose and its organisation.
pub struct SecretKey {
    purpose: Purpose,
    organisation: OrgId,
    // Wipes itself on drop.
    key: SigningKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} of {}, secret)", self.purpose, self.organisation)
    }
}

impl SecretKey {
    /// A new key from the operating system's randomness.
    pub fn generate(organisation: OrgId, purpose: Purpose) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(&mut seed[..]).map_err(KeyError::Randomness)?;
        Ok(Self { purpose, organisation, key: SigningKey::from_bytes(&seed) })
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whose it is.
    pub fn organisation(&self) -> &OrgId {
        &self.organisation
    }

    /// The public half.
    pub fn public(&self) -> Hash32 {
        Hash32(self.key.verifying_key().to_bytes())
    }

    /// Signs a message, which must start with the domain tag of its purpose.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The RFC 8032 seed, for a library that wants to hold the key itself.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// Writes the key file; never overwrites.
    pub fn save(&self, home: &Path) -> Result<(), KeyError> {
        let file = KeyFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            purpose: self.purpose,
            organisation: self.organisation.clone(),
            algorithm: ALGORITHM.to_owned(),
            protection: UNPROTECTED.to_owned(),
            public: self.public(),
            secret: hex::encode(self.seed()),
        };
        let mut text = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *text, &file).expect("strings and numbers are representable in JSON");
        text.push(b'\n');
        Ok(private_file::write_secret(&path(home, self.purpose), &text)?)
    }
}

const FORMAT: &str = "qz-key";
const VERSION: u32 = 1;
const ALGORITHM: &str = "ed25519";
const UNPROTECTED: &str = "none";

/// What every version of the format has.
#[derive(Deserialize)]
struct KeyFileHeader {
    format: String,
    version: u32,
    protection: String,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: String,
    version: u32,
    #[zeroize(skip)]
    purpose: Purpose,
    #[zeroize(skip)]
    organisation: OrgId,
    algorithm: String,
    protection: String,
    #[zeroize(skip)]
    public: Hash32,
    secret: String,
}

/// The file of a purpose's key in an organisation's folder.
pub fn path(home: &Path, purpose: Purpose) -> PathBuf {
    home.join("keys").join(format!("{purpose}.key"))
}

/// Loads the key of a purpose from an organisation's folder.
pub fn load(home: &Path, purpose: Purpose) -> Result<SecretKey, KeyError> {
    load_file(&path(home, purpose), purpose)
}

/// Loads a key file that must be of this purpose, wherever it lies.
pub fn load_file(path: &Path, wanted: Purpose) -> Result<SecretKey, KeyError> {
    let bytes = private_file::read_secret(path)?;
    let malformed = || KeyError::Malformed(path.to_owned());
    let header: KeyFileHeader = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    if header.format != FORMAT {
        return Err(malformed());
    }
    if header.version != VERSION || header.protection != UNPROTECTED {
        let KeyFileHeader { version, protection, .. } = header;
        return Err(KeyError::Version { path: path.to_owned(), version, protection });
    }
    let file: KeyFile = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    if file.algorithm != ALGORITHM {
        return Err(malformed());
    }
    if file.purpose != wanted {
        return Err(KeyError::Purpose { path: path.to_owned(), found: file.purpose, wanted });
    }
    let mut seed = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(&file.secret, &mut seed[..]).map_err(|_| malformed())?;
    let key = SecretKey {
        purpose: file.purpose,
        organisation: file.organisation.clone(),
        key: SigningKey::from_bytes(&seed),
    };
    if key.public() != file.public {
        return Err(KeyError::Mismatch(path.to_owned()));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn saved(home: &Path, purpose: Purpose) -> SecretKey {
        fs::create_dir_all(home.join("keys")).unwrap();
        let key = SecretKey::generate(OrgId::new("notary").unwrap(), purpose).unwrap();
        key.save(home).unwrap();
        key
    }

    #[test]
    fn a_saved_key_loads_and_signs_the_same() {
        let home = tempfile::tempdir().unwrap();
        let key = saved(home.path(), Purpose::Relay);
        let loaded = load(home.path(), Purpose::Relay).unwrap();
        assert_eq!(loaded.public(), key.public());
        assert_eq!(loaded.sign(b"message"), key.sign(b"message"));
        assert!(qz_evidence::keys::verify_ed25519(&key.public().0, b"message", &loaded.sign(b"message")));
        assert_eq!(fs::metadata(path(home.path(), Purpose::Relay)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn debug_prints_nothing_of_the_secret() {
        let key = SecretKey::generate(OrgId::new("notary").unwrap(), Purpose::Office).unwrap();
        let text = format!("{key:?}");
        assert!(!text.contains(&hex::encode(key.seed())[..8]), "{text}");
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let key = saved(home.path(), Purpose::Office);
        let other = SecretKey::generate(OrgId::new("notary").unwrap(), Purpose::Office).unwrap();
        assert!(matches!(other.save(home.path()), Err(KeyError::File(FileError::Exists(_)))));
        assert_eq!(load(home.path(), Purpose::Office).unwrap().public(), key.public());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        saved(home.path(), Purpose::Network);
        for mode in [0o640, 0o604, 0o660, 0o610, 0o644] {
            fs::set_permissions(path(home.path(), Purpose::Network), fs::Permissions::from_mode(mode)).unwrap();
            let error = load(home.path(), Purpose::Network).unwrap_err();
            assert!(matches!(error, KeyError::File(FileError::Mode { .. })), "{mode:o}: {error}");
        }
    }

    #[test]
    fn a_key_of_one_purpose_is_no_key_of_another() {
        let home = tempfile::tempdir().unwrap();
        saved(home.path(), Purpose::Relay);
        fs::rename(path(home.path(), Purpose::Relay), path(home.path(), Purpose::Consensus)).unwrap();
        let error = load(home.path(), Purpose::Consensus).unwrap_err();
        assert!(
            matches!(error, KeyError::Purpose { found: Purpose::Relay, wanted: Purpose::Consensus, .. }),
            "{error}"
        );
    }

    #[test]
    fn altered_files_are_refused_without_quoting_the_secret() {
        let home = tempfile::tempdir().unwrap();
        let key = saved(home.path(), Purpose::Witness);
        let file = path(home.path(), Purpose::Witness);
        let good = fs::read_to_string(&file).unwrap();
        let secret = hex::encode(key.seed());
        let other_secret = format!("{:064x}", 7);
        let cases = [
            ("another secret", good.replace(&secret, &other_secret), "altered"),
            ("short secret", good.replace(&secret, &secret[..62]), "not a key file"),
            ("unknown member", good.replace("{\"format\"", "{\"x\":1,\"format\""), "not a key file"),
            ("other algorithm", good.replace("ed25519", "p256"), "not a key file"),
            ("other format", good.replace("qz-key", "key"), "not a key file"),
            ("later version", good.replace("\"version\":1", "\"version\":2"), "version 2"),
            ("protected", good.replace("\"none\"", "\"passphrase\""), "`passphrase`"),
            ("truncated", good[..good.len() / 2].to_owned(), "not a key file"),
            ("empty", String::new(), "not a key file"),
        ];
        for (name, text, expected) in cases {
            assert_ne!(text, good, "{name}: the case changes nothing");
            fs::write(&file, &text).unwrap();
            let message = load(home.path(), Purpose::Witness).unwrap_err().to_string();
            assert!(message.contains(expected), "{name}: {message}");
            assert!(!message.contains(&secret[..16]), "{name} quotes the secret");
        }
    }
}
