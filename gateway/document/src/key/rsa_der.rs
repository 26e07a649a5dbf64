//! RSA keys in DER (RFC 8017 appendix A.1; RFC 5958). The RSA library's own encoding wants a prerelease of
//! another crate, so it is done here.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use p256::pkcs8::PrivateKeyInfoRef;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

#[derive(Sequence)]
struct PublicNumbers<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// Two primes only.
#[derive(Sequence)]
struct PrivateNumbers<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime_p: UintRef<'a>,
    prime_q: UintRef<'a>,
    exponent_p: UintRef<'a>,
    exponent_q: UintRef<'a>,
    coefficient: UintRef<'a>,
}

const ALGORITHM: AlgorithmIdentifierRef<'static> =
    AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };

fn number(n: UintRef<'_>) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(n.as_bytes())
}

fn bytes(n: &BoxedUint) -> Zeroizing<Vec<u8>> {
    let bytes = Zeroizing::new(n.to_be_bytes().to_vec());
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Zeroizing::new(bytes[zeros..].to_vec())
}

/// Reads PKCS#8.
pub(super) fn private_key(der: &[u8]) -> Option<RsaPrivateKey> {
    let info = PrivateKeyInfoRef::from_der(der).ok().filter(|info| info.algorithm.oid == RSA_ENCRYPTION)?;
    let numbers = PrivateNumbers::from_der(info.private_key.as_bytes()).ok().filter(|numbers| numbers.version == 0)?;
    let primes = vec![number(numbers.prime_p), number(numbers.prime_q)];
    let (modulus, public) = (number(numbers.modulus), number(numbers.public_exponent));
    RsaPrivateKey::from_components(modulus, public, number(numbers.private_exponent), primes).ok()
}

/// Writes PKCS#8.
pub(super) fn private_key_der(key: &RsaPrivateKey) -> der::Result<Zeroizing<Vec<u8>>> {
    let missing = || der::ErrorKind::Failed;
    let [p, q] = key.primes() else { return Err(missing().into()) };
    let coefficient = key.crt_coefficient().ok_or_else(missing)?;
    let (dp, dq) = (key.dp().ok_or_else(missing)?, key.dq().ok_or_else(missing)?);
    let parts = [key.n().as_ref(), key.e(), key.d(), p, q, dp, dq, &coefficient].map(bytes);
    let [modulus, public, private, p, q, dp, dq, coefficient] = &parts;
    let numbers = PrivateNumbers {
        version: 0,
        modulus: UintRef::new(modulus)?,
        public_exponent: UintRef::new(public)?,
        private_exponent: UintRef::new(private)?,
        prime_p: UintRef::new(p)?,
        prime_q: UintRef::new(q)?,
        exponent_p: UintRef::new(dp)?,
        exponent_q: UintRef::new(dq)?,
        coefficient: UintRef::new(coefficient)?,
    };
    let numbers = Zeroizing::new(numbers.to_der()?);
    PrivateKeyInfoRef::new(ALGORITHM, OctetStringRef::new(&numbers)?).to_der().map(Zeroizing::new)
}

/// Reads SubjectPublicKeyInfo.
pub(super) fn public_key(der: &[u8]) -> Option<RsaPublicKey> {
    let info = SubjectPublicKeyInfoRef::try_from(der).ok().filter(|info| info.algorithm.oid == RSA_ENCRYPTION)?;
    let numbers = PublicNumbers::from_der(info.subject_public_key.as_bytes()?).ok()?;
    RsaPublicKey::new(number(numbers.modulus), number(numbers.exponent)).ok()
}

/// Writes SubjectPublicKeyInfo.
pub(super) fn public_key_der(key: &RsaPublicKey) -> der::Result<Vec<u8>> {
    let (modulus, exponent) = (bytes(key.n()), bytes(key.e()));
    let numbers = PublicNumbers { modulus: UintRef::new(&modulus)?, exponent: UintRef::new(&exponent)? }.to_der()?;
    SubjectPublicKeyInfoRef { algorithm: ALGORITHM, subject_public_key: BitStringRef::from_bytes(&numbers)? }.to_der()
}
