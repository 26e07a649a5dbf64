//! Private keys that sign documents and certificates: ECDSA P-256, RSA (PKCS #1 v1.5, SHA-256) or SM2 with
//! SM3, in memory or behind a device that never gives them out. Keys in memory are wiped on drop; `Debug`
//! prints nothing of them. Where a key is kept is the caller's.

mod rsa_der;

use std::sync::Arc;

use der::asn1::{Any, BitString, ObjectIdentifier};
use p256::ecdsa::signature::rand_core::{TryCryptoRng, TryRng};
use p256::ecdsa::signature::{Error as SignatureError, Keypair, Signer, Verifier};
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::spki::{
    DynSignatureAlgorithmIdentifier, EncodePublicKey, Error as SpkiError, SignatureBitStringEncoding,
};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sm3::Sm3;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use rsa_der::RSA_ENCRYPTION;

pub(crate) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
/// GM/T 0006: SM3 and SM2 with SM3.
const SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.401");
const SM2_WITH_SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.501");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVE_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const CURVE_SM2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");

/// GM/T 0009: the distinguishing identifier where none is agreed.
const SM2_IDENTIFIER: &str = "1234567812345678";
/// Bits of a new RSA key.
const RSA_BITS: usize = 3072;
/// Bits of RSA keys that are read.
const RSA_RANGE: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no randomness.
    #[error("系统随机数不可用 / no randomness: {0}")]
    Randomness(getrandom::Error),
    /// Not a PKCS#8 private key of a known kind.
    #[error("私钥格式无效 / not a private key in PKCS#8 DER (P-256, RSA from 2048 bits, or SM2)")]
    PrivateKey,
    /// Not a public key of a known kind.
    #[error("公钥格式无效 / not a public key in SubjectPublicKeyInfo DER (P-256, RSA or SM2)")]
    PublicKey,
    /// The key stays where it is.
    #[error("私钥不可导出 / the private key is in a device and cannot be exported")]
    NotExportable,
    /// The device did not sign.
    #[error("密钥设备未能签名 / the key's device did not sign: {0}")]
    Device(String),
    /// The computation failed.
    #[error("签名计算失败 / the signature could not be computed")]
    Computation,
}

/// Kinds of keys; which one is chosen per key, by configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "p256")]
    EcdsaP256,
    /// RSA PKCS #1 v1.5 with SHA-256; new keys have 3072 bits.
    #[serde(rename = "rsa3072")]
    Rsa,
    /// SM2 with SM3 (GB/T 32918, GB/T 32905). PDF readers outside China do not know it.
    #[serde(rename = "sm2")]
    Sm2,
}

impl std::str::FromStr for KeyAlgorithm {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "p256" => Ok(Self::EcdsaP256),
            "rsa3072" => Ok(Self::Rsa),
            "sm2" => Ok(Self::Sm2),
            other => Err(format!("`{other}`: p256, rsa3072 or sm2 is expected")),
        }
    }
}

/// Hash functions of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-256.
    Sha256,
    /// SM3.
    Sm3,
}

impl HashFunction {
    /// The hash of these parts, one behind the other.
    pub fn digest(self, parts: &[&[u8]]) -> [u8; 32] {
        fn hashed<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            hash.finalize().to_vec()
        }
        let digest = match self {
            Self::Sha256 => hashed::<Sha256>(parts),
            Self::Sm3 => hashed::<Sm3>(parts),
        };
        digest.try_into().expect("both functions give 32 bytes")
    }

    pub(crate) fn identifier(self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::Sha256 => SHA_256,
            Self::Sm3 => SM3,
        };
        AlgorithmIdentifierOwned { oid, parameters: None }
    }
}

impl KeyAlgorithm {
    /// The hash function of its signatures.
    pub fn hash(self) -> HashFunction {
        match self {
            Self::EcdsaP256 | Self::Rsa => HashFunction::Sha256,
            Self::Sm2 => HashFunction::Sm3,
        }
    }

    pub(crate) fn identifier(self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self {
            Self::EcdsaP256 => (ECDSA_WITH_SHA256, None),
            // RFC 4055 §5: the parameters are NULL.
            Self::Rsa => (SHA256_WITH_RSA, Some(Any::null())),
            Self::Sm2 => (SM2_WITH_SM3, None),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }

    /// The kind of a public key.
    ///
    /// # Errors
    /// When it is of no kind that is known here.
    pub fn of_public_key(key: &SubjectPublicKeyInfoOwned) -> Result<Self, KeyError> {
        if key.algorithm.oid == RSA_ENCRYPTION {
            return Ok(Self::Rsa);
        }
        let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
        match curve.filter(|_| key.algorithm.oid == EC_PUBLIC_KEY) {
            Some(CURVE_P256) => Ok(Self::EcdsaP256),
            Some(CURVE_SM2) => Ok(Self::Sm2),
            _ => Err(KeyError::PublicKey),
        }
    }
}

/// A key that stays in a device (PKCS#11 token, USB key, remote signer).
pub trait ExternalKey: Send + Sync {
    /// What kind it is.
    fn algorithm(&self) -> KeyAlgorithm;
    /// The public key, SubjectPublicKeyInfo DER.
    fn public_key_der(&self) -> Vec<u8>;
    /// A signature over `message` (hashed within): ECDSA and SM2 as DER, RSA as bytes.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// A private key of a seal, person or CA.
#[derive(Clone)]
pub struct SealKey(Inner);

#[derive(Clone)]
enum Inner {
    EcdsaP256(SigningKey),
    Rsa(Arc<RsaPrivateKey>),
    Sm2(sm2::SecretKey),
    External(Arc<dyn ExternalKey>),
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// A new random P-256 key.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::generate_for(KeyAlgorithm::EcdsaP256)
    }

    /// A new random key of this kind. RSA takes about a second.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate_for(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        match algorithm {
            KeyAlgorithm::EcdsaP256 => scalar(|bytes| SigningKey::from_slice(bytes).ok()).map(Inner::EcdsaP256),
            KeyAlgorithm::Sm2 => scalar(|bytes| sm2::SecretKey::from_slice(bytes).ok()).map(Inner::Sm2),
            KeyAlgorithm::Rsa => {
                // The generator below cannot report an error: asked for here, so that it does not come to that.
                scalar(|_| Some(()))?;
                let key = RsaPrivateKey::new(&mut SystemRandomness, RSA_BITS).map_err(|_| KeyError::Computation)?;
                Ok(Inner::Rsa(Arc::new(key)))
            }
        }
        .map(Self)
    }

    /// A key in a device.
    pub fn external(key: Arc<dyn ExternalKey>) -> Self {
        Self(Inner::External(key))
    }

    /// Reads PKCS#8 DER; the kind is the one that it names.
    ///
    /// # Errors
    /// When it is of no known kind.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = SigningKey::from_pkcs8_der(der) {
            return Ok(Self(Inner::EcdsaP256(key)));
        }
        if let Ok(key) = sm2::SecretKey::from_pkcs8_der(der) {
            return Ok(Self(Inner::Sm2(key)));
        }
        match rsa_der::private_key(der) {
            Some(key) if RSA_RANGE.contains(&(8 * key.size())) => Ok(Self(Inner::Rsa(Arc::new(key)))),
            _ => Err(KeyError::PrivateKey),
        }
    }

    /// PKCS#8 DER in memory that is wiped on drop.
    ///
    /// # Errors
    /// For a key in a device.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &self.0 {
            Inner::EcdsaP256(key) => key.to_pkcs8_der(),
            Inner::Sm2(key) => key.to_pkcs8_der(),
            Inner::Rsa(key) => return rsa_der::private_key_der(key).map_err(|_| KeyError::PrivateKey),
            Inner::External(_) => return Err(KeyError::NotExportable),
        };
        document.map(|der| Zeroizing::new(der.as_bytes().to_vec())).map_err(|_| KeyError::PrivateKey)
    }

    /// What kind it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0 {
            Inner::EcdsaP256(_) => KeyAlgorithm::EcdsaP256,
            Inner::Rsa(_) => KeyAlgorithm::Rsa,
            Inner::Sm2(_) => KeyAlgorithm::Sm2,
            Inner::External(key) => key.algorithm(),
        }
    }

    /// The public key, SubjectPublicKeyInfo DER.
    ///
    /// # Errors
    /// Never for a key that this type holds.
    pub fn public_key_der(&self) -> Result<Vec<u8>, KeyError> {
        let document = match &self.0 {
            Inner::EcdsaP256(key) => key.verifying_key().to_public_key_der(),
            Inner::Sm2(key) => key.public_key().to_public_key_der(),
            Inner::Rsa(key) => {
                return rsa_der::public_key_der(key.as_public_key()).map_err(|_| KeyError::PublicKey);
            }
            Inner::External(key) => return Ok(key.public_key_der()),
        };
        document.map(|der| der.as_bytes().to_vec()).map_err(|_| KeyError::PublicKey)
    }

    /// A signature over `message`, hashed by [`KeyAlgorithm::hash`]: ECDSA and SM2 as DER, RSA as bytes.
    /// Deterministic in memory (RFC 6979 for the curves).
    ///
    /// # Errors
    /// When the device does not sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Inner::EcdsaP256(key) => {
                let signature: DerSignature = key.sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Inner::Rsa(key) => {
                // Blinded, so that its timing says nothing of the key; the result is the same.
                let hashed = Sha256::digest(message);
                key.sign_with_rng(&mut SystemRandomness, Pkcs1v15Sign::new::<Sha256>(), &hashed)
                    .map_err(|_| KeyError::Computation)
            }
            Inner::Sm2(key) => {
                let key = sm2::dsa::SigningKey::new(SM2_IDENTIFIER, key).map_err(|_| KeyError::Computation)?;
                let signature: sm2::dsa::Signature =
                    Signer::try_sign(&key, message).map_err(|_| KeyError::Computation)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Inner::External(key) => key.sign(message).map_err(KeyError::Device),
        }
    }
}

/// Does `signature` by this key cover `message`?
pub(crate) fn verifies(algorithm: KeyAlgorithm, public_key_der: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => {
            let key = p256::ecdsa::VerifyingKey::from_public_key_der(public_key_der);
            let signature = p256::ecdsa::Signature::from_der(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
        }
        KeyAlgorithm::Rsa => rsa_der::public_key(public_key_der)
            .is_some_and(|key| key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature).is_ok()),
        KeyAlgorithm::Sm2 => {
            let key = sm2::PublicKey::from_public_key_der(public_key_der)
                .ok()
                .and_then(|key| sm2::dsa::VerifyingKey::new(SM2_IDENTIFIER, key).ok());
            let signature = sm2::dsa::Signature::from_der(signature);
            matches!((key, signature), (Some(key), Ok(signature)) if key.verify(message, &signature).is_ok())
        }
    }
}

/// Random bytes until they are a secret: one try but for zero and values above the group order, once in 2³².
fn scalar<T>(read: impl Fn(&[u8]) -> Option<T>) -> Result<T, KeyError> {
    loop {
        let mut secret = Zeroizing::new([0_u8; 32]);
        getrandom::fill(secret.as_mut()).map_err(KeyError::Randomness)?;
        if let Some(key) = read(secret.as_ref()) {
            return Ok(key);
        }
    }
}

/// The operating system's randomness in the form that RSA wants.
struct SystemRandomness;

impl TryRng for SystemRandomness {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        getrandom::fill(bytes).expect("the system's randomness was there a moment ago and does not go away");
        Ok(())
    }
}

impl TryCryptoRng for SystemRandomness {}

/// The key as certificate builders want it.
impl Keypair for SealKey {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        PublicKey(self.public_key_der().unwrap_or_default())
    }
}

/// A public key, SubjectPublicKeyInfo DER.
#[derive(Clone)]
pub struct PublicKey(Vec<u8>);

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> Result<der::Document, SpkiError> {
        der::Document::try_from(self.0.as_slice()).map_err(Into::into)
    }
}

impl DynSignatureAlgorithmIdentifier for SealKey {
    fn signature_algorithm_identifier(&self) -> Result<AlgorithmIdentifierOwned, SpkiError> {
        Ok(self.algorithm().identifier())
    }
}

/// A signature's bytes.
#[derive(Clone)]
pub struct SignatureBytes(Vec<u8>);

impl SignatureBitStringEncoding for SignatureBytes {
    fn to_bitstring(&self) -> der::Result<BitString> {
        BitString::from_bytes(&self.0)
    }
}

impl Signer<SignatureBytes> for SealKey {
    fn try_sign(&self, message: &[u8]) -> Result<SignatureBytes, SignatureError> {
        self.sign(message).map(SignatureBytes).map_err(SignatureError::from_source)
    }
}
