//! Keys in a PKCS#11 token that sign documents and certificates: ECDSA P-256 or RSA-3072. Made there, never
//! leave it. Where it is, is a [`TokenLocation`] like that of a member's key.

use crate::token::{TokenError, TokenLocation, at, find, only, open};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Encode, Sequence};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVE_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Bits of a new RSA key.
const RSA_BITS: u64 = 3072;

/// Kinds of keys that a token makes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerKind {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// RSA PKCS #1 v1.5 with SHA-256.
    Rsa3072,
}

impl SignerKind {
    fn key_type(self) -> KeyType {
        match self {
            Self::EcdsaP256 => KeyType::EC,
            Self::Rsa3072 => KeyType::RSA,
        }
    }
}

/// A key in a token, logged in.
pub struct TokenSigner {
    // One operation at a time per session (PKCS#11).
    session: Mutex<Session>,
    private: ObjectHandle,
    kind: SignerKind,
    public_key_der: Vec<u8>,
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({:?})", self.kind)
    }
}

impl TokenSigner {
    /// Makes a new key in the token; refuses a label that is taken.
    pub fn generate(location: &TokenLocation, kind: SignerKind) -> Result<Self, TokenError> {
        let session = open(location, true)?;
        for taken in [KeyType::EC, KeyType::RSA] {
            let found = find(&session, location, ObjectClass::PRIVATE_KEY, taken)?.len();
            if found > 0 {
                return Err(TokenError::Keys { label: location.label.clone(), class: "private", found });
            }
        }
        let label = || Attribute::Label(location.label.as_bytes().to_vec());
        let mut public = vec![Attribute::Token(true), Attribute::Private(false), Attribute::Verify(true), label()];
        let mechanism = match kind {
            SignerKind::EcdsaP256 => {
                let curve = CURVE_P256.to_der().map_err(|_| TokenError::PublicKey(location.label.clone()))?;
                public.push(Attribute::EcParams(curve));
                Mechanism::EccKeyPairGen
            }
            SignerKind::Rsa3072 => {
                public.push(Attribute::ModulusBits(RSA_BITS.into()));
                public.push(Attribute::PublicExponent(vec![1, 0, 1]));
                Mechanism::RsaPkcsKeyPairGen
            }
        };
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            label(),
        ];
        session.generate_key_pair(&mechanism, &public, &private).map_err(at("making a key"))?;
        Self::of_session(session, location, kind)
    }

    /// Opens the key, whichever kind it is.
    pub fn open(location: &TokenLocation) -> Result<Self, TokenError> {
        let session = open(location, false)?;
        let is_rsa = !find(&session, location, ObjectClass::PRIVATE_KEY, KeyType::RSA)?.is_empty();
        Self::of_session(session, location, if is_rsa { SignerKind::Rsa3072 } else { SignerKind::EcdsaP256 })
    }

    fn of_session(session: Session, location: &TokenLocation, kind: SignerKind) -> Result<Self, TokenError> {
        let key_type = kind.key_type();
        let private = only(find(&session, location, ObjectClass::PRIVATE_KEY, key_type)?, location, "private")?;
        let public = only(find(&session, location, ObjectClass::PUBLIC_KEY, key_type)?, location, "public")?;
        let wanted = match kind {
            SignerKind::EcdsaP256 => vec![AttributeType::EcPoint],
            SignerKind::Rsa3072 => vec![AttributeType::Modulus, AttributeType::PublicExponent],
        };
        let attributes = session.get_attributes(public, &wanted).map_err(at("reading the public key"))?;
        let public_key_der = encoded(kind, &attributes).ok_or_else(|| TokenError::PublicKey(location.label.clone()))?;
        Ok(Self { session: Mutex::new(session), private, kind, public_key_der })
    }

    /// What kind it is.
    pub fn kind(&self) -> SignerKind {
        self.kind
    }

    /// The public half, SubjectPublicKeyInfo DER.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// A signature over a message: ECDSA as DER, RSA as bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match self.kind {
            SignerKind::Rsa3072 => {
                session.sign(&Mechanism::Sha256RsaPkcs, self.private, message).map_err(at("signing"))
            }
            SignerKind::EcdsaP256 => {
                // CKM_ECDSA takes the hash, and gives r and s without an encoding (PKCS#11 v3.0 §6.3.1).
                let hash = qz_evidence::hash::sha256(&[message]);
                let raw = session.sign(&Mechanism::Ecdsa, self.private, &hash.0).map_err(at("signing"))?;
                let (r, s) = raw.split_at_checked(32).ok_or(TokenError::Signature(raw.len()))?;
                let der = UintRef::new(r).and_then(|r| EcdsaSignature { r, s: UintRef::new(s)? }.to_der());
                der.map_err(|_| TokenError::Signature(raw.len()))
            }
        }
    }
}

/// RFC 3279 §2.2.3.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// RFC 8017 §A.1.1.
#[derive(Sequence)]
struct RsaNumbers<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn encoded(kind: SignerKind, attributes: &[Attribute]) -> Option<Vec<u8>> {
    let find = |read: fn(&Attribute) -> Option<&Vec<u8>>| attributes.iter().find_map(read);
    match kind {
        SignerKind::EcdsaP256 => {
            let point = find(|attribute| match attribute {
                Attribute::EcPoint(point) => Some(point),
                _ => None,
            })?;
            // The standard wraps the 65 bytes in an OCTET STRING; some modules give them bare.
            let point = point.strip_prefix(&[0x04, 0x41]).unwrap_or(point);
            let curve = CURVE_P256.to_der().ok()?;
            let parameters = AnyRef::try_from(curve.as_slice()).ok()?;
            let algorithm = AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some(parameters) };
            let key = BitStringRef::from_bytes(point).ok().filter(|_| point.len() == 65)?;
            SubjectPublicKeyInfoRef { algorithm, subject_public_key: key }.to_der().ok()
        }
        SignerKind::Rsa3072 => {
            let modulus = find(|attribute| match attribute {
                Attribute::Modulus(bytes) => Some(bytes),
                _ => None,
            })?;
            let exponent = find(|attribute| match attribute {
                Attribute::PublicExponent(bytes) => Some(bytes),
                _ => None,
            })?;
            let numbers = RsaNumbers { modulus: UintRef::new(modulus).ok()?, exponent: UintRef::new(exponent).ok()? };
            let numbers = numbers.to_der().ok()?;
            let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
            let key = BitStringRef::from_bytes(&numbers).ok()?;
            SubjectPublicKeyInfoRef { algorithm, subject_public_key: key }.to_der().ok()
        }
    }
}
