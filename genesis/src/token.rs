//! An Ed25519 key in a PKCS#11 token (HSM, smart card, SoftHSM): made there, never leaves it, signs by
//! CKM_EDDSA (PKCS#11 v3.0 §6.3). The organisation's folder holds only where it is and the PIN.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use qz_evidence::Hash32;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `edwards25519` as a PrintableString, the curve name of PKCS#11 v3.0 §6.3.3.
const CURVE: &[u8] = b"\x13\x0cedwards25519";

/// Where a key is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct TokenLocation {
    /// The PKCS#11 module, such as `/usr/lib/softhsm/libsofthsm2.so`.
    #[zeroize(skip)]
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label within the token.
    pub label: String,
    /// The user PIN.
    pub pin: String,
}

impl fmt::Debug for TokenLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenLocation({} in token {} of {})", self.label, self.token, self.module.display())
    }
}

/// Why a token does not serve.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The module or the device.
    #[error("PKCS#11 {doing}: {source}")]
    Pkcs11 {
        /// What was being done.
        doing: &'static str,
        /// The library's words.
        source: Box<cryptoki::error::Error>,
    },
    /// No such token.
    #[error("no token labelled `{0}` is present")]
    NoToken(String),
    /// No such key, or several.
    #[error("the token has {found} {class} keys labelled `{label}`; exactly one is needed")]
    Keys {
        /// Label searched for.
        label: String,
        /// Private or public.
        class: &'static str,
        /// How many there are.
        found: usize,
    },
    /// The token's public key cannot be read as an Ed25519 key.
    #[error("the key `{0}` of the token is not an Ed25519 key")]
    NotEd25519(String),
    /// The token's public key cannot be read.
    #[error("the public key `{0}` of the token cannot be read")]
    PublicKey(String),
    /// The token gave something that is no signature.
    #[error("the token's signature has {0} bytes, not 64")]
    Signature(usize),
}

pub(crate) fn at(doing: &'static str) -> impl FnOnce(cryptoki::error::Error) -> TokenError {
    move |source| TokenError::Pkcs11 { doing, source: Box::new(source) }
}

/// A key in a token, logged in.
pub struct TokenKey {
    // One operation at a time per session (PKCS#11).
    session: Mutex<Session>,
    private: ObjectHandle,
    public: Hash32,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({})", self.public)
    }
}

impl TokenKey {
    /// Makes a new key in the token; refuses a label that is taken.
    pub fn generate(location: &TokenLocation) -> Result<Self, TokenError> {
        let session = open(location, true)?;
        let taken = find(&session, location, ObjectClass::PRIVATE_KEY, KeyType::EC_EDWARDS)?.len();
        if taken > 0 {
            return Err(TokenError::Keys { label: location.label.clone(), class: "private", found: taken });
        }
        let label = || Attribute::Label(location.label.as_bytes().to_vec());
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(CURVE.to_vec()),
            label(),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            label(),
        ];
        session
            .generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private)
            .map_err(at("making an Ed25519 key"))?;
        Self::of_session(session, location)
    }

    /// Opens the key.
    pub fn open(location: &TokenLocation) -> Result<Self, TokenError> {
        Self::of_session(open(location, false)?, location)
    }

    fn of_session(session: Session, location: &TokenLocation) -> Result<Self, TokenError> {
        let private =
            only(find(&session, location, ObjectClass::PRIVATE_KEY, KeyType::EC_EDWARDS)?, location, "private")?;
        let public = only(find(&session, location, ObjectClass::PUBLIC_KEY, KeyType::EC_EDWARDS)?, location, "public")?;
        let attributes =
            session.get_attributes(public, &[AttributeType::EcPoint]).map_err(at("reading the public key"))?;
        let point = attributes.iter().find_map(|attribute| match attribute {
            Attribute::EcPoint(point) => Some(point.as_slice()),
            _ => None,
        });
        // The standard wraps the 32 bytes in an OCTET STRING; some modules give them bare.
        let bytes = point.map(|point| point.strip_prefix(&[0x04, 0x20]).unwrap_or(point));
        let public = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let public = public.ok_or_else(|| TokenError::NotEd25519(location.label.clone()))?;
        Ok(Self { session: Mutex::new(session), private, public: Hash32(public) })
    }

    /// The public half.
    pub fn public(&self) -> Hash32 {
        self.public
    }

    /// An Ed25519 signature (RFC 8032, pure) by the token.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], TokenError> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signature = session.sign(&mechanism, self.private, message).map_err(at("signing"))?;
        signature.as_slice().try_into().map_err(|_| TokenError::Signature(signature.len()))
    }
}

/// A module is initialised once per process.
fn module(path: &PathBuf) -> Result<Pkcs11, TokenError> {
    static MODULES: OnceLock<Mutex<HashMap<PathBuf, Pkcs11>>> = OnceLock::new();
    let mut modules = MODULES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(path).map_err(at("loading the module"))?;
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    module.initialize(arguments).map_err(at("initialising the module"))?;
    modules.insert(path.clone(), module.clone());
    Ok(module)
}

pub(crate) fn open(location: &TokenLocation, writable: bool) -> Result<Session, TokenError> {
    let module = module(&location.module)?;
    for slot in module.get_slots_with_token().map_err(at("listing tokens"))? {
        if module.get_token_info(slot).map_err(at("reading a token's label"))?.label() != location.token {
            continue;
        }
        let session = if writable { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
        let session = session.map_err(at("opening a session"))?;
        let pin = AuthPin::new(location.pin.clone().into());
        match session.login(UserType::User, Some(&pin)) {
            // All sessions of a process with one token share the login.
            Ok(()) | Err(cryptoki::error::Error::Pkcs11(cryptoki::error::RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(at("logging in with the PIN")(error)),
        }
        return Ok(session);
    }
    Err(TokenError::NoToken(location.token.clone()))
}

pub(crate) fn find(
    session: &Session, location: &TokenLocation, class: ObjectClass, kind: KeyType,
) -> Result<Vec<ObjectHandle>, TokenError> {
    let template =
        [Attribute::Class(class), Attribute::KeyType(kind), Attribute::Label(location.label.as_bytes().to_vec())];
    session.find_objects(&template).map_err(at("searching the key"))
}

pub(crate) fn only(
    found: Vec<ObjectHandle>, location: &TokenLocation, class: &'static str,
) -> Result<ObjectHandle, TokenError> {
    match found.as_slice() {
        [one] => Ok(*one),
        others => Err(TokenError::Keys { label: location.label.clone(), class, found: others.len() }),
    }
}
