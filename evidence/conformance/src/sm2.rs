//! Signatures by SM2 with SM3 (SPEC §11 step 11): of timestamp authorities, their roots and lists, and of contracts.
//! What must be refused of each.

use crate::algorithms::{EC, ED25519, Manner, SHA_256, SM3, Sign, algorithm, oid, public, then};
use crate::bundles::vector;
use crate::ledger::anchoring::DAY_MS;
use crate::ledger::anchoring::policy;
use crate::ledger::{Ledger, START_MS};
use crate::pdf::{Pdf, Signer};
use crate::scene::{Scene, VALID_MS};
use crate::vector::{Expect, Vector};
use der::asn1::{Any, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use ed25519_dalek::Signer as _;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::EncodePrivateKey;
use qz_document::ca::SealKey;
use qz_document::ca::revocation::{Reason, RevocationList, Revoked};
use qz_document::tsa;
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Anchor, anchored_message};
use qz_evidence::codec::{Bytes, encode};
use qz_evidence::hash::sha256;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

const SM2_WITH_SM3: ObjectIdentifier = oid("1.2.156.10197.1.501");
/// GB/T 35275 names SM2's signature algorithm only.
const SM2_SIGNATURE: ObjectIdentifier = oid("1.2.156.10197.1.301.1");
const SM2_CURVE: ObjectIdentifier = oid("1.2.156.10197.1.301");
const P256_CURVE: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const ECDSA_SHA_256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const IDENTIFIER: &str = "1234567812345678";
/// Content types of GB/T 35275.
const GM_DATA: ObjectIdentifier = oid("1.2.156.10197.6.1.4.2.1");
const GM_SIGNED_DATA: ObjectIdentifier = oid("1.2.156.10197.6.1.4.2.2");
/// Order of the group, GB/T 32918.5.
const ORDER: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";

/// A secret that everybody knows.
fn secret(n: u8) -> sm2::SecretKey {
    sm2::SecretKey::from_slice(&[n; 32]).unwrap()
}

/// The same as a key of seals and authorities.
pub fn key(n: u8) -> SealKey {
    SealKey::from_pkcs8_der(secret(n).to_pkcs8_der().unwrap().as_bytes()).unwrap()
}

fn sign_as(identifier: &'static str) -> Sign {
    Box::new(move |message| {
        let key = sm2::dsa::SigningKey::new(identifier, &secret(79)).unwrap();
        let signature: sm2::dsa::Signature = p256::ecdsa::signature::Signer::sign(&key, message);
        signature.to_der().as_bytes().to_vec()
    })
}

fn ecdsa() -> Sign {
    Box::new(|message| {
        let key = p256::ecdsa::SigningKey::from_slice(&[79; 32]).unwrap();
        let signature: p256::ecdsa::DerSignature = p256::ecdsa::signature::Signer::sign(&key, message);
        signature.as_bytes().to_vec()
    })
}

#[derive(Sequence)]
struct Pair<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// Other numbers for r and s.
type Change = fn([u8; 32], [u8; 32]) -> (Vec<u8>, Vec<u8>);

/// The signature with other numbers.
fn renumbered(signature: &mut Vec<u8>, change: Change) {
    let number = |n: UintRef<'_>| {
        let mut padded = [0; 32];
        padded[32 - n.as_bytes().len()..].copy_from_slice(n.as_bytes());
        padded
    };
    let Pair { r, s } = Pair::from_der(signature).unwrap();
    let (r, s) = change(number(r), number(s));
    *signature = Pair { r: UintRef::new(&r).unwrap(), s: UintRef::new(&s).unwrap() }.to_der().unwrap();
}

/// n + the group's order, which is the same number for who does not look.
fn beyond_order(n: [u8; 32]) -> Vec<u8> {
    let order = hex::decode(ORDER).unwrap();
    let mut sum = vec![0; 33];
    let mut carry = 0;
    for i in (0..32).rev() {
        carry += u16::from(n[i]) + u16::from(order[i]);
        sum[i + 1] = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    sum[0] = carry.to_le_bytes()[0];
    sum
}

fn on_curve(curve: ObjectIdentifier, point: &[u8]) -> SubjectPublicKeyInfoOwned {
    public(AlgorithmIdentifierOwned { oid: EC, parameters: Some(Any::encode_from(&curve).unwrap()) }, point)
}

/// Ways in which an authority with such a key signs.
pub fn manners() -> Vec<Manner> {
    let (good, bad) = (Expect::Valid, Expect::Refused(11));
    let point = |compress| secret(79).public_key().to_sec1_point(compress).as_bytes().to_vec();
    let own = || on_curve(SM2_CURVE, &point(false));
    let mut astray = point(false);
    astray[64] ^= 1;
    let p256 = p256::ecdsa::SigningKey::from_slice(&[79; 32]).unwrap();
    let p256_key = || on_curve(P256_CURVE, p256.verifying_key().to_sec1_point(false).as_bytes());
    let edwards = ed25519_dalek::SigningKey::from_bytes(&[79; 32]);
    let edwards_key = public(algorithm(ED25519), edwards.verifying_key().as_bytes());
    let manner = |about, key, digest, oid, sign, expect| {
        let algorithm = algorithm(oid);
        Manner { about, key, digest, algorithm, sign, expect }
    };
    let sm2 = || sign_as(IDENTIFIER);
    vec![
        manner("SM2", own(), SM3, SM2_WITH_SM3, sm2(), good),
        manner("SM2 named as in GB-T 35275", own(), SM3, SM2_SIGNATURE, sm2(), good),
        manner("SM2 named by its curve", own(), SM3, SM2_CURVE, sm2(), good),
        manner("SM2 named as any curve", own(), SM3, EC, sm2(), good),
        manner("SM2, broken", own(), SM3, SM2_WITH_SM3, then(sm2(), |s| *s.last_mut().unwrap() ^= 1), bad),
        manner("SM2 under another identifier", own(), SM3, SM2_WITH_SM3, sign_as("ALICE123@YAHOO.COM"), bad),
        manner("SM2 under no identifier", own(), SM3, SM2_WITH_SM3, sign_as(""), bad),
        manner("SM2 over a SHA-256 digest", own(), SHA_256, SM2_WITH_SM3, sm2(), bad),
        manner("SM2 named as any curve over a SHA-256 digest", own(), SHA_256, EC, sm2(), bad),
        manner("SM2 of a compressed key", on_curve(SM2_CURVE, &point(true)), SM3, SM2_WITH_SM3, sm2(), bad),
        manner("SM2 of a key beside the curve", on_curve(SM2_CURVE, &astray), SM3, SM2_WITH_SM3, sm2(), bad),
        manner("SM2 by a key that says P-256", on_curve(P256_CURVE, &point(false)), SM3, SM2_WITH_SM3, sm2(), bad),
        manner("SM2, a byte too many", own(), SM3, SM2_WITH_SM3, then(sm2(), |s| s.push(0)), bad),
        manner("SM2, r beyond the order", own(), SM3, SM2_WITH_SM3, then(sm2(), r_beyond), bad),
        manner("SM2, s beyond the order", own(), SM3, SM2_WITH_SM3, then(sm2(), s_beyond), bad),
        manner("SM2, r zero", own(), SM3, SM2_WITH_SM3, then(sm2(), r_zero), bad),
        manner("SM2, s zero", own(), SM3, SM2_WITH_SM3, then(sm2(), s_zero), bad),
        manner("SM2, r and s opposite", own(), SM3, SM2_WITH_SM3, then(sm2(), opposite), bad),
        manner("SM2 by a P-256 key", p256_key(), SM3, SM2_WITH_SM3, ecdsa(), bad),
        manner("ECDSA by an SM2 key", own(), SHA_256, ECDSA_SHA_256, sm2(), bad),
        manner("ECDSA over an SM3 digest", p256_key(), SM3, ECDSA_SHA_256, ecdsa(), bad),
        manner(
            "Ed25519 over an SM3 digest",
            edwards_key,
            SM3,
            ED25519,
            Box::new(move |message| edwards.sign(message).to_vec()),
            bad,
        ),
    ]
}

fn r_beyond(signature: &mut Vec<u8>) {
    renumbered(signature, |r, s| (beyond_order(r), s.to_vec()));
}

fn s_beyond(signature: &mut Vec<u8>) {
    renumbered(signature, |r, s| (r.to_vec(), beyond_order(s)));
}

fn r_zero(signature: &mut Vec<u8>) {
    renumbered(signature, |_, s| (vec![0], s.to_vec()));
}

fn s_zero(signature: &mut Vec<u8>) {
    renumbered(signature, |r, _| (r.to_vec(), vec![0]));
}

/// s = n − r: the sum is zero.
fn opposite(signature: &mut Vec<u8>) {
    renumbered(signature, |r, _| {
        let order = hex::decode(ORDER).unwrap();
        let mut s = vec![0; 32];
        let mut borrow = 0;
        for i in (0..32).rev() {
            let difference = i16::from(order[i]) - i16::from(r[i]) - borrow;
            borrow = i16::from(difference < 0);
            s[i] = difference.to_le_bytes()[0];
        }
        (r.to_vec(), s)
    });
}

/// An authority under an SM2 root, with lists of that root.
pub fn roots(ledger: &Ledger, bundle: &Bundle) -> Vec<Vector> {
    const SERIAL: [u8; 16] = [0x48; 16];
    let ms = |ms: u64| i64::try_from(ms).unwrap();
    let (root_key, authority_key) = (key(80), key(81));
    let root = tsa::root(&root_key, ms(START_MS - 10 * DAY_MS), ms(START_MS + 3650 * DAY_MS), [1; 16]).unwrap();
    let request = tsa::AuthorityRequest {
        organisation: "Qizheng tests",
        public_key_der: &authority_key.public_key_der().unwrap(),
        revocation_url: "http://127.0.0.1:9/tsa.crl",
        not_before_ms: ms(START_MS - DAY_MS),
        not_after_ms: ms(START_MS + 365 * DAY_MS),
        serial: SERIAL,
    };
    let authority = tsa::authority(&root_key, &root, &request).unwrap();
    let other_root = tsa::root(&key(82), ms(START_MS - DAY_MS), ms(START_MS + 3650 * DAY_MS), [1; 16]).unwrap();
    let other = tsa::authority(&key(82), &root, &request).unwrap();
    let list = |signer: &SealKey, issuer: &[u8], reason: Option<Reason>| {
        let revoked: Vec<_> = reason
            .map(|reason| Revoked { serial: SERIAL.to_vec(), since_ms: ms(START_MS), reason })
            .into_iter()
            .collect();
        let (from, to) = (ms(START_MS), ms(START_MS + 30 * DAY_MS));
        let list = RevocationList { number: 1, this_update_ms: from, next_update_ms: to, revoked: &revoked };
        list.sign(signer, issuer).unwrap()
    };
    let empty = list(&root_key, &root, None);
    let revoking = list(&root_key, &root, Some(Reason::KeyCompromise));
    let foreign = list(&key(82), &root_of(&key(82), &root), Some(Reason::KeyCompromise));
    let message = anchored_message(&ledger.tree_head().0, &[]);
    let manner = Manner {
        about: "SM2",
        key: SubjectPublicKeyInfoOwned::from_der(&authority_key.public_key_der().unwrap()).unwrap(),
        digest: SM3,
        algorithm: algorithm(SM2_WITH_SM3),
        sign: Box::new(|message| key(81).sign(message).unwrap()),
        expect: Expect::Valid,
    };
    // About, the authority's certificate, the root, a list.
    type Case<'a> = (&'a str, &'a [u8], &'a [u8], Option<Vec<u8>>, Expect);
    let cases: [Case<'_>; 6] = [
        ("an SM2 root", &authority, &root, None, Expect::Valid),
        ("an SM2 root with its list", &authority, &root, Some(empty), Expect::Valid),
        ("an SM2 root that revoked it", &authority, &root, Some(revoking), Expect::Refused(11)),
        ("an SM2 root and a list of another key", &authority, &root, Some(foreign), Expect::Valid),
        ("an SM2 root that did not certify it", &other, &root, None, Expect::Accepted),
        ("another SM2 root of the same name", &authority, &other_root, None, Expect::Accepted),
    ];
    let made = cases.into_iter().map(|(about, certificate, root, list, expect)| {
        let token = manner.token(&message, certificate);
        let anchor = Anchor { revocations: list.into_iter().map(Bytes).collect(), ..Anchor::of_token(token) };
        let mut bundle = bundle.clone();
        bundle.anchors = vec![Bytes(encode(&anchor))];
        let group = if expect.is_positive() { "accepted" } else { "anchor" };
        let mut vector = vector(group, &format!("timestamp under {about}"), ledger, encode(&bundle), expect);
        vector.witness_policy = Some(policy("all"));
        vector.tsa_roots = qz_document::ca::to_pem(root).unwrap().into_bytes();
        vector.as_of_ms = crate::anchors::NOW_MS;
        vector
    });
    made.collect()
}

/// A certificate of the same name for this key.
fn root_of(key: &SealKey, like: &[u8]) -> Vec<u8> {
    let summary = qz_document::ca::summarise(like).unwrap();
    tsa::root(key, summary.not_before_ms, summary.not_after_ms, [1; 16]).unwrap()
}

/// A contract that was sealed with SM2.
pub fn documents() -> Vec<Vector> {
    let sealer = || Signer::sm2(83, "sm2", VALID_MS.0, VALID_MS.1);
    let scene = Scene::sealed_by(sealer());
    let mut flipped = scene.contract.bytes.clone();
    let place = flipped.windows(8).position(|window| window == b"Purchase").unwrap();
    flipped[place] ^= 1;
    let mut all = vec![];
    for (about, file, expect) in [
        ("the final file, signed with SM2", scene.contract.bytes.clone(), Expect::Accepted),
        ("a flipped bit in a text signed with SM2", flipped, Expect::Refused(9)),
    ] {
        let group = if expect.is_positive() { "accepted" } else { "file" };
        let mut vector = vector(group, about, &scene.ledger, file, expect);
        vector.proof = Some(encode(&scene.bundle()));
        all.push(vector);
    }
    type Make = (&'static str, fn(&Signer, &mut Pdf), Expect);
    const CASES: &[Make] = &[
        (
            "completed with an SM2 signature over the SHA-256 digest",
            |sealer, pdf| {
                let prepared = pdf.prepare();
                pdf.complete(&prepared, &sealer.cms(&prepared.digest));
            },
            Expect::Refused(9),
        ),
        (
            "completed with an SM2 signature in the form of GB-T 35275",
            |sealer, pdf| {
                let prepared = pdf.prepare();
                pdf.complete(&prepared, &sealer.cms_as(&prepared, GM_DATA, GM_SIGNED_DATA));
            },
            Expect::Accepted,
        ),
        (
            "completed with an SM2 signature over another content type",
            |sealer, pdf| {
                let prepared = pdf.prepare();
                pdf.complete(&prepared, &sealer.cms_as(&prepared, SM2_CURVE, GM_SIGNED_DATA));
            },
            Expect::Refused(9),
        ),
        (
            "completed with an SM2 signature in another form",
            |sealer, pdf| {
                let prepared = pdf.prepare();
                pdf.complete(&prepared, &sealer.cms_as(&prepared, GM_DATA, GM_DATA));
            },
            Expect::Refused(9),
        ),
        (
            "completed with a broken SM2 signature",
            |sealer, pdf| {
                let prepared = pdf.prepare();
                let mut object = sealer.cms_of(&prepared);
                *object.last_mut().unwrap() ^= 1;
                pdf.complete(&prepared, &object);
            },
            Expect::Refused(9),
        ),
    ];
    for (about, make, expect) in CASES {
        let mut scene = Scene::sealed_by(sealer());
        let mut pdf = Pdf::new("Purchase contract", &[]);
        make(&scene.sealer, &mut pdf);
        assert_eq!(sha256(&[&pdf.bytes[..scene.version.len()]]), sha256(&[&scene.version]), "the same version");
        scene.complete_with(&pdf.bytes);
        let group = if expect.is_positive() { "accepted" } else { "completed" };
        let mut vector = vector(group, about, &scene.ledger, pdf.bytes, *expect);
        vector.proof = Some(encode(&scene.bundle()));
        all.push(vector);
    }
    all
}
