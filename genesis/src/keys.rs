//! An organisation's Ed25519 keys: one file per purpose, and no key serves two purposes.
//!
//! A key file is JSON of one line:
//! `{"format":"qz-key","version":1,"purpose":"relay","organisation":"notary","algorithm":"ed25519",
//! "protection":"none","public":"<64 hex>","secret":"<64 hex>"}` where `secret` is the RFC 8032 seed. A key
//! that lives in a PKCS#11 token has `"protection":"pkcs11"` and, instead of `secret`, a member `token` with
//! module, token, label and PIN (see [`crate::token`]). Unless its maker chose otherwise the whole file is
//! encrypted (see [`crate::sealed`]). Secrets are wiped from memory and never printed.

use crate::private_file::FileError;
use crate::token::{TokenError, TokenKey, TokenLocation};
use crate::vault::{Vault, VaultError, Writer};
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
    /// The file: absent, unreadable, readable by others, there already, or encrypted otherwise.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The token that holds the key.
    #[error("{}: {source}", path.display())]
    Token {
        /// The key file, which says where the token is.
        path: PathBuf,
        /// Why it does not serve.
        source: TokenError,
    },
    /// A library wants the secret itself, and a token does not give it away.
    #[error(
        "the {0} key is in a token and cannot leave it; only the consensus, office, relay and witness keys may be there"
    )]
    InToken(Purpose),
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

impl From<FileError> for KeyError {
    fn from(error: FileError) -> Self {
        Self::Vault(error.into())
    }
}

/// A signing key that knows its purpose and its organisation.
pub struct SecretKey {
    purpose: Purpose,
    organisation: OrgId,
    key: Custody,
}

/// Who holds the secret.
enum Custody {
    /// This process; wipes itself on drop.
    Here(SigningKey),
    /// A token.
    Token { location: TokenLocation, key: TokenKey },
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
        Ok(Self { purpose, organisation, key: Custody::Here(SigningKey::from_bytes(&seed)) })
    }

    /// A new key made in a PKCS#11 token.
    pub fn generate_in_token(organisation: OrgId, purpose: Purpose, location: TokenLocation) -> Result<Self, KeyError> {
        if purpose == Purpose::Network {
            return Err(KeyError::InToken(purpose));
        }
        let made = TokenKey::generate(&location);
        let key = made.map_err(|source| KeyError::Token { path: location.module.clone(), source })?;
        Ok(Self { purpose, organisation, key: Custody::Token { location, key } })
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
        match &self.key {
            Custody::Here(key) => Hash32(key.verifying_key().to_bytes()),
            Custody::Token { key, .. } => key.public(),
        }
    }

    /// Signs a message, which must start with the domain tag of its purpose. Only a token can fail.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        match &self.key {
            Custody::Here(key) => Ok(key.sign(message).to_bytes()),
            Custody::Token { location, key } => {
                key.sign(message).map_err(|source| KeyError::Token { path: location.module.clone(), source })
            }
        }
    }

    /// The RFC 8032 seed, for a library that wants to hold the key itself.
    pub fn seed(&self) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        match &self.key {
            Custody::Here(key) => Ok(Zeroizing::new(key.to_bytes())),
            Custody::Token { .. } => Err(KeyError::InToken(self.purpose)),
        }
    }

    /// Writes the key file; never overwrites.
    pub(crate) fn save(&self, writer: &Writer<'_>) -> Result<(), KeyError> {
        let (protection, secret, token) = match &self.key {
            Custody::Here(key) => (UNPROTECTED, Some(hex::encode(Zeroizing::new(key.to_bytes()))), None),
            Custody::Token { location, .. } => (IN_TOKEN, None, Some(location.clone())),
        };
        let file = KeyFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            purpose: self.purpose,
            organisation: self.organisation.clone(),
            algorithm: ALGORITHM.to_owned(),
            protection: protection.to_owned(),
            public: self.public(),
            secret,
            token,
        };
        let mut text = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *text, &file).expect("strings and numbers are representable in JSON");
        text.push(b'\n');
        Ok(writer.write(&name(self.purpose), &text)?)
    }
}

const FORMAT: &str = "qz-key";
const VERSION: u32 = 1;
const ALGORITHM: &str = "ed25519";
/// The secret stands in the file (which may be encrypted as a whole).
const UNPROTECTED: &str = "none";
/// The secret is in a token.
const IN_TOKEN: &str = "pkcs11";

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<TokenLocation>,
}

/// The name of a purpose's key file within an organisation's folder.
pub fn name(purpose: Purpose) -> String {
    format!("keys/{purpose}.key")
}

/// The file of a purpose's key in an organisation's folder.
pub fn path(home: &Path, purpose: Purpose) -> PathBuf {
    home.join(name(purpose))
}

/// Loads the key of a purpose from an organisation's folder.
pub fn load(vault: &Vault, wanted: Purpose) -> Result<SecretKey, KeyError> {
    let name = name(wanted);
    let path = vault.path(&name);
    let bytes = vault.read(&name)?;
    let malformed = || KeyError::Malformed(path.clone());
    let header: KeyFileHeader = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    if header.format != FORMAT {
        return Err(malformed());
    }
    if header.version != VERSION || ![UNPROTECTED, IN_TOKEN].contains(&header.protection.as_str()) {
        let KeyFileHeader { version, protection, .. } = header;
        return Err(KeyError::Version { path, version, protection });
    }
    let file: KeyFile = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    if file.algorithm != ALGORITHM {
        return Err(malformed());
    }
    if file.purpose != wanted {
        return Err(KeyError::Purpose { path, found: file.purpose, wanted });
    }
    let key = match (header.protection == IN_TOKEN, &file.secret, &file.token) {
        (false, Some(secret), None) => {
            let mut seed = Zeroizing::new([0u8; 32]);
            hex::decode_to_slice(secret, &mut seed[..]).map_err(|_| malformed())?;
            Custody::Here(SigningKey::from_bytes(&seed))
        }
        (true, None, Some(location)) => {
            let opened = TokenKey::open(location);
            let key = opened.map_err(|source| KeyError::Token { path: path.clone(), source })?;
            Custody::Token { location: location.clone(), key }
        }
        _ => return Err(malformed()),
    };
    let key = SecretKey { purpose: file.purpose, organisation: file.organisation.clone(), key };
    if key.public() != file.public {
        return Err(KeyError::Mismatch(path));
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
        key.save(&Vault::new(home).writer().unwrap()).unwrap();
        key
    }

    fn load(home: &Path, purpose: Purpose) -> Result<SecretKey, KeyError> {
        super::load(&Vault::new(home), purpose)
    }

    #[test]
    fn a_saved_key_loads_and_signs_the_same() {
        let home = tempfile::tempdir().unwrap();
        let key = saved(home.path(), Purpose::Relay);
        let loaded = load(home.path(), Purpose::Relay).unwrap();
        assert_eq!(loaded.public(), key.public());
        assert_eq!(loaded.sign(b"message").unwrap(), key.sign(b"message").unwrap());
        assert!(qz_evidence::keys::verify_ed25519(&key.public().0, b"message", &loaded.sign(b"message").unwrap()));
        assert_eq!(fs::metadata(path(home.path(), Purpose::Relay)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn debug_prints_nothing_of_the_secret() {
        let key = SecretKey::generate(OrgId::new("notary").unwrap(), Purpose::Office).unwrap();
        let text = format!("{key:?}");
        assert!(!text.contains(&hex::encode(key.seed().unwrap())[..8]), "{text}");
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let key = saved(home.path(), Purpose::Office);
        let other = SecretKey::generate(OrgId::new("notary").unwrap(), Purpose::Office).unwrap();
        let vault = Vault::new(home.path());
        let error = other.save(&vault.writer().unwrap()).unwrap_err();
        assert!(matches!(error, KeyError::Vault(VaultError::File(FileError::Exists(_)))));
        assert_eq!(load(home.path(), Purpose::Office).unwrap().public(), key.public());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        saved(home.path(), Purpose::Network);
        for mode in [0o640, 0o604, 0o660, 0o610, 0o644] {
            fs::set_permissions(path(home.path(), Purpose::Network), fs::Permissions::from_mode(mode)).unwrap();
            let error = load(home.path(), Purpose::Network).unwrap_err();
            assert!(matches!(error, KeyError::Vault(VaultError::File(FileError::Mode { .. }))), "{mode:o}: {error}");
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
        let secret = hex::encode(key.seed().unwrap());
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
