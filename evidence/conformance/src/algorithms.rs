//! Timestamps signed in every way that SPEC step 11 knows: RSA (PKCS #1 v1.5 and PSS), ECDSA on P-384, Ed25519;
//! by the authority, and by the root in its certificate. And what must be refused of each.

use crate::anchors::{HEAD_MS, NOW_MS, trusting};
use crate::ledger::Ledger;
use crate::ledger::anchoring::{Authority, Style};
use crate::vector::{Expect, Vector};
use curve25519_dalek::constants::EIGHT_TORSION;
use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, UintRef};
use der::{DateTime, Encode, Sequence};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Anchor, anchored_message};
use qz_evidence::codec::{Bytes, encode};
use qz_evidence::hash::sha256;
use qz_evidence::signed_data::NewSignedData;
use qz_evidence::timestamp::MessageImprint;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, RsaPrivateKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use sm3::Sm3;
use std::convert::Infallible;
use std::time::Duration;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

pub(crate) const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const ID_TST_INFO: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.4");
const POLICY: ObjectIdentifier = oid("1.3.6.1.4.1.32473.1");
pub(crate) const SHA_256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
pub(crate) const SM3: ObjectIdentifier = oid("1.2.156.10197.1.401");
const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const RSA_SHA_256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const RSA_SHA_512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
const RSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = oid("1.2.840.113549.1.1.8");
pub(crate) const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = oid("1.3.132.0.34");
const ECDSA_SHA_384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
pub(crate) const ED25519: ObjectIdentifier = oid("1.3.101.112");

/// Primes of keys that everybody knows.
const RSA_2048: [&str; 2] = [
    "\
     f090c18b8f25861db7c08ab4c7278d5e2045abe5655767dcd39cc8f28bc638ecdbffcc3ebfd598dcf6a018c58b163c04\
     52b9ac4c57300016eb8efeceb7ab9bf20f4ed06c083d8f62e188fdf9e6207d172c0e73f4b16cf2e7a18e5bf2177265b0\
     d048ad5b20a13f67865d1958ad0efe2f15c205a22358e84c889b88f4b142af3f\
    ",
    "\
     e5c13ed43fda7b17a6efee2d7164d50126ce8109e06bce27b53a18c02d4d306d2b6a3811802df7d1c4c90d4a4513ed26\
     fc08579730eafcb447cce31253dd0e6322def365df3a8d71cdc54a78e910ea11431a7152412bc2c2d8e69a4a549d59ca\
     13d6afa87325d156639ebd818fa041e17c25fac912a57626cd77fc9b4d509093\
    ",
];
const RSA_1024: [&str; 2] = [
    "\
     e2201baf3387425e6a66671cf8bb3eaf067939abf5138d4bce02f451e72688899265de716676c1f32d6daa17fe6c1be4\
     e6faa6fd0f473ca6beeee58420a3f0a3\
    ",
    "\
     c9840fce4b999019ceaf87d301efe9ea05b17d00c00036af28a1b3490bd40dd233494fe8dcf0cd1135565716890870b1\
     b0b5d2eafa1b73e6ce435f74cadd231f\
    ",
];

/// RFC 3161 §2.4.2, without what is optional.
#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: MessageImprint,
    serial: u8,
    gen_time: GeneralizedTime,
}

#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// RFC 4055 §3.1.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_length: Option<u16>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

pub(crate) fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: None }
}

fn with_null(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::encode_from(&Null).unwrap()) }
}

fn pss(
    hash: ObjectIdentifier, mask: ObjectIdentifier, salt_length: u16, trailer: Option<u8>,
) -> AlgorithmIdentifierOwned {
    let mask = AlgorithmIdentifierOwned { oid: MGF1, parameters: Some(Any::encode_from(&with_null(mask)).unwrap()) };
    let parameters =
        PssParameters { hash: Some(with_null(hash)), mask: Some(mask), salt_length: Some(salt_length), trailer };
    AlgorithmIdentifierOwned { oid: RSA_PSS, parameters: Some(Any::encode_from(&parameters).unwrap()) }
}

/// Salt that is no secret: the same on every run.
struct Salt;

impl rsa::rand_core::TryRng for Salt {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        Ok(())
    }
}

impl rsa::rand_core::TryCryptoRng for Salt {}

fn rsa_key(primes: [&str; 2]) -> RsaPrivateKey {
    let [p, q] = primes.map(|digits| BoxedUint::from_be_slice_vartime(&hex::decode(digits).unwrap()));
    RsaPrivateKey::from_p_q(p, q, BoxedUint::from_be_slice_vartime(&[1, 0, 1])).unwrap()
}

pub(crate) fn public(algorithm: AlgorithmIdentifierOwned, bytes: &[u8]) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(bytes).unwrap() }
}

fn rsa_public(algorithm: AlgorithmIdentifierOwned, key: &RsaPrivateKey) -> SubjectPublicKeyInfoOwned {
    let (modulus, exponent) = (key.n().to_be_bytes_trimmed_vartime(), key.e().to_be_bytes_trimmed_vartime());
    let key = RsaKey { modulus: UintRef::new(&modulus).unwrap(), exponent: UintRef::new(&exponent).unwrap() };
    public(algorithm, &key.to_der().unwrap())
}

pub(crate) type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// How an authority signs, and what it says about that.
pub(crate) struct Manner {
    pub(crate) about: &'static str,
    pub(crate) key: SubjectPublicKeyInfoOwned,
    pub(crate) digest: ObjectIdentifier,
    pub(crate) algorithm: AlgorithmIdentifierOwned,
    pub(crate) sign: Sign,
    pub(crate) expect: Expect,
}

fn pkcs1(primes: [&'static str; 2], sha512: bool) -> Sign {
    Box::new(move |message| match sha512 {
        true => rsa_key(primes).sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)).unwrap(),
        false => rsa_key(primes).sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).unwrap(),
    })
}

fn pss_256(salt_length: usize) -> Sign {
    Box::new(move |message| {
        let hashed = Sha256::digest(message);
        rsa_key(RSA_2048).sign_with_rng(&mut Salt, Pss::<Sha256>::new_with_salt(salt_length), &hashed).unwrap()
    })
}

fn pss_512() -> Sign {
    Box::new(|message| {
        let hashed = Sha512::digest(message);
        rsa_key(RSA_2048).sign_with_rng(&mut Salt, Pss::<Sha512>::new_with_salt(64), &hashed).unwrap()
    })
}

fn ed25519() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[77; 32])
}

fn edwards() -> Sign {
    Box::new(|message| ed25519().sign(message).to_vec())
}

/// The same with the signature changed.
pub(crate) fn then(sign: Sign, change: fn(&mut Vec<u8>)) -> Sign {
    Box::new(move |message| {
        let mut signature = sign(message);
        change(&mut signature);
        signature
    })
}

fn manners() -> Vec<Manner> {
    let (good, bad) = (Expect::Valid, Expect::Refused(11));
    let rsa = || rsa_public(with_null(RSA), &rsa_key(RSA_2048));
    let edwards_key = || public(algorithm(ED25519), ed25519().verifying_key().as_bytes());
    let p384 = p384::ecdsa::SigningKey::from_slice(&[78; 48]).unwrap();
    let curve = AlgorithmIdentifierOwned { oid: EC, parameters: Some(Any::encode_from(&SECP384R1).unwrap()) };
    let p384_key = public(curve, p384.verifying_key().to_sec1_point(false).as_bytes());
    let p384_sign: Sign = Box::new(move |message| {
        let signature: p384::ecdsa::Signature = p384.sign_prehash(&Sha384::digest(message)).unwrap();
        signature.to_der().as_bytes().to_vec()
    });
    let manner = |about, key, digest, algorithm, sign, expect| Manner { about, key, digest, algorithm, sign, expect };
    let (small, flip): (_, fn(&mut Vec<u8>)) = (rsa_public(with_null(RSA), &rsa_key(RSA_1024)), |s| s[20] ^= 1);
    vec![
        manner("RSA", rsa(), SHA_256, with_null(RSA_SHA_256), pkcs1(RSA_2048, false), good),
        manner("RSA with SHA-512", rsa(), SHA_512, with_null(RSA_SHA_512), pkcs1(RSA_2048, true), good),
        manner("RSA without naming the digest again", rsa(), SHA_256, with_null(RSA), pkcs1(RSA_2048, false), good),
        manner("RSA, broken", rsa(), SHA_256, with_null(RSA_SHA_256), then(pkcs1(RSA_2048, false), flip), bad),
        manner("RSA, two digests", rsa(), SHA_256, with_null(RSA_SHA_512), pkcs1(RSA_2048, true), bad),
        manner("RSA of 1024 bits", small, SHA_256, with_null(RSA_SHA_256), pkcs1(RSA_1024, false), bad),
        manner("PSS", rsa(), SHA_256, pss(SHA_256, SHA_256, 32, None), pss_256(32), good),
        manner("PSS with its trailer named", rsa(), SHA_256, pss(SHA_256, SHA_256, 32, Some(1)), pss_256(32), good),
        manner("PSS with a short salt", rsa(), SHA_256, pss(SHA_256, SHA_256, 20, None), pss_256(20), good),
        manner("PSS without salt", rsa(), SHA_256, pss(SHA_256, SHA_256, 0, None), pss_256(0), good),
        manner("PSS with SHA-512", rsa(), SHA_512, pss(SHA_512, SHA_512, 64, None), pss_512(), good),
        manner("PSS, broken", rsa(), SHA_256, pss(SHA_256, SHA_256, 32, None), then(pss_256(32), flip), bad),
        manner("PSS, another salt length", rsa(), SHA_256, pss(SHA_256, SHA_256, 20, None), pss_256(32), bad),
        manner("PSS, another digest of the mask", rsa(), SHA_256, pss(SHA_256, SHA_384, 32, None), pss_256(32), bad),
        manner("PSS, another trailer", rsa(), SHA_256, pss(SHA_256, SHA_256, 32, Some(2)), pss_256(32), bad),
        manner("PSS, two digests", rsa(), SHA_256, pss(SHA_512, SHA_512, 64, None), pss_512(), bad),
        manner("PSS without parameters", rsa(), SHA_256, algorithm(RSA_PSS), pss_256(32), bad),
        manner("PSS that is PKCS 1", rsa(), SHA_256, pss(SHA_256, SHA_256, 32, None), pkcs1(RSA_2048, false), bad),
        manner("PKCS 1 that is PSS", rsa(), SHA_256, with_null(RSA_SHA_256), pss_256(32), bad),
        manner("ECDSA on P-384", p384_key, SHA_384, algorithm(ECDSA_SHA_384), p384_sign, good),
        manner("Ed25519", edwards_key(), SHA_512, algorithm(ED25519), edwards(), good),
        manner("Ed25519 with SHA-256", edwards_key(), SHA_256, algorithm(ED25519), edwards(), good),
        manner("Ed25519, broken", edwards_key(), SHA_512, algorithm(ED25519), then(edwards(), flip), bad),
        manner(
            "Ed25519, S beyond the order",
            edwards_key(),
            SHA_512,
            algorithm(ED25519),
            then(edwards(), |s| add_order(s)),
            bad,
        ),
        manner(
            "Ed25519, a byte too many",
            edwards_key(),
            SHA_512,
            algorithm(ED25519),
            then(edwards(), |s| s.push(0)),
            bad,
        ),
        manner("Ed25519 by a key of small order", small_order(), SHA_512, algorithm(ED25519), anything(), bad),
        manner("Ed25519 by an RSA key", rsa(), SHA_256, algorithm(ED25519), edwards(), bad),
        manner("ECDSA by an Ed25519 key", edwards_key(), SHA_384, algorithm(ECDSA_SHA_384), edwards(), bad),
    ]
}

fn add_order(signature: &mut [u8]) {
    crate::bundles::add_order(signature);
}

fn small_order() -> SubjectPublicKeyInfoOwned {
    public(algorithm(ED25519), EIGHT_TORSION[0].compress().as_bytes())
}

/// R the same point and S zero: satisfies the equation for the neutral point as key, whatever the message.
fn anything() -> Sign {
    Box::new(|_| [EIGHT_TORSION[0].compress().as_bytes().as_slice(), &[0; 32]].concat())
}

impl Manner {
    /// A token over a message, two seconds after the head.
    pub(crate) fn token(&self, message: &[u8], certificate: &[u8]) -> Vec<u8> {
        let time = DateTime::from_unix_duration(Duration::from_secs(HEAD_MS / 1000 + 2)).unwrap();
        let info = TstInfo {
            version: 1,
            policy: POLICY,
            imprint: MessageImprint::sha256(&sha256(&[message])).unwrap(),
            serial: 78,
            gen_time: GeneralizedTime::from_date_time(time),
        };
        let info = info.to_der().unwrap();
        let digest = match self.digest {
            SHA_512 => Sha512::digest(&info).to_vec(),
            SHA_384 => Sha384::digest(&info).to_vec(),
            SM3 => Sm3::digest(&info).to_vec(),
            _ => Sha256::digest(&info).to_vec(),
        };
        let signed = NewSignedData {
            content_type: ID_TST_INFO,
            content: Some(&info),
            digest: &digest,
            digest_algorithm: algorithm(self.digest),
            signature_algorithm: self.algorithm.clone(),
            certificate,
            issuers: &[],
            with_certificates: true,
        };
        signed.assemble(&(self.sign)(&signed.to_be_signed().unwrap())).unwrap()
    }
}

pub fn vectors(ledger: &Ledger, bundle: &Bundle, authority: &Authority) -> Vec<Vector> {
    let all = manners().into_iter().chain(crate::sm2::manners());
    all.map(|manner| manner.vector(ledger, bundle, authority)).collect()
}

impl Manner {
    fn vector(&self, ledger: &Ledger, bundle: &Bundle, authority: &Authority) -> Vector {
        let message = anchored_message(&ledger.tree_head().0, &[]);
        let certificate = authority.certify(&self.key, "CN=Test TSA of another kind", Style::default());
        let token = self.token(&message, &certificate.to_der().unwrap());
        let mut bundle = bundle.clone();
        bundle.anchors = vec![Bytes(encode(&Anchor::of_token(token)))];
        let about = format!("timestamp by {}", self.about);
        let mut vector = trusting(&about, ledger, &bundle, authority, self.expect);
        vector.as_of_ms = NOW_MS;
        vector
    }
}
