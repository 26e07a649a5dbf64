//! Seal data of GB/T 38540: made and verified here, judged by BouncyCastle as well, and refused with one thing
//! wrong at a time.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use qz_document::ca::revocation::{Reason, RevocationList, Revoked};
use qz_document::ca::{CertificateAuthority, KeyAlgorithm, LeafRequest, SealKey, Subject, hierarchy};
use qz_document::ses::{self, NewSeal, NewSignature, Picture, SesError, SignatureTime, Signers, Trust, Who};
use qz_evidence::timestamp::Roots;
use support::ltv::Tsa;
use support::{NOW_MS, Signer};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;
const DOCUMENT: &[u8] = "采购合同 SL-CG-2026-1122".as_bytes();
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n not looked at";

struct Scene {
    ca: CertificateAuthority,
    maker: Signer,
    signer: Signer,
    other: Signer,
}

impl Scene {
    fn new() -> Self {
        let key = SealKey::generate_for(KeyAlgorithm::Sm2).unwrap();
        let ca = CertificateAuthority::create(key, NOW_MS - 5 * YEAR_MS, NOW_MS + 30 * YEAR_MS, [1; 16]).unwrap();
        let maker = holder(&ca, 2, maker_subject());
        let (signer, other) = (holder(&ca, 3, user("甲公司")), holder(&ca, 4, user("乙公司")));
        Self { ca, maker, signer, other }
    }

    fn trust(&self) -> Trust {
        Trust { roots: vec![self.ca.certificate_der().to_vec()], ..Trust::default() }
    }

    fn seal(&self) -> Vec<u8> {
        self.seal_by(&self.maker)
    }

    fn seal_by(&self, maker: &Signer) -> Vec<u8> {
        let signers = [self.signer.certificate.clone()];
        ses::make_seal(&new_seal(Signers::Certificates(&signers)), &maker.key, &maker.certificate).unwrap()
    }

    fn signed(&self, seal: &[u8]) -> Vec<u8> {
        let digest = ses::document_digest(DOCUMENT);
        ses::sign(&new_signature(seal, &digest), &self.signer.key, &self.signer.certificate).unwrap()
    }

    fn crl(&self, serial: &[u8], since_ms: i64) -> Vec<u8> {
        let revoked = [Revoked { serial: serial.to_vec(), since_ms, reason: Reason::KeyCompromise }];
        let list = RevocationList {
            number: 1,
            this_update_ms: NOW_MS - 1,
            next_update_ms: NOW_MS + YEAR_MS,
            revoked: &revoked,
        };
        list.sign(self.ca.key(), self.ca.certificate_der()).unwrap()
    }
}

fn maker_subject() -> Subject<'static> {
    Subject::Maker { organisation: "契证演示平台", credit_code: "91110105MA01DEM31Q" }
}

fn user(organisation: &str) -> Subject<'_> {
    Subject::Seal { organisation, credit_code: "91110108MA00DEM14Q", seal: "合同专用章" }
}

fn holder(ca: &CertificateAuthority, serial: u8, subject: Subject<'_>) -> Signer {
    let key = SealKey::generate_for(KeyAlgorithm::Sm2).unwrap();
    let request = LeafRequest {
        subject,
        public_key_der: &key.public_key_der().unwrap(),
        not_before_ms: NOW_MS - YEAR_MS,
        not_after_ms: NOW_MS + 3 * YEAR_MS,
        serial: [serial; 16],
    };
    let certificate = ca.issue(&request).unwrap();
    Signer { key, certificate }
}

fn new_seal(signers: Signers<'_>) -> NewSeal<'_> {
    NewSeal {
        id: "QZ-DEMO-0001",
        vendor: "QIZHENG",
        kind: 1,
        name: "甲公司合同专用章（演示）",
        signers,
        created_ms: NOW_MS,
        valid_from_ms: NOW_MS,
        valid_until_ms: NOW_MS + YEAR_MS,
        picture: Picture { format: "PNG".into(), data: PICTURE.to_vec(), width_mm: 40, height_mm: 40 },
    }
}

fn new_signature<'a>(seal: &'a [u8], digest: &'a [u8; 32]) -> NewSignature<'a> {
    NewSignature { seal, digest, properties: "file;bytes=0-31", time_ms: NOW_MS + 60_000 }
}

fn verify(signature: &[u8], trust: &Trust) -> Result<ses::VerifiedSignature, SesError> {
    ses::verify_signature(signature, &ses::document_digest(DOCUMENT), trust)
}

#[test]
fn what_was_said_is_read_back() {
    let scene = Scene::new();
    let seal = ses::verify_seal(&scene.seal(), &scene.trust(), NOW_MS + 1000).unwrap();
    assert_eq!((seal.id.as_str(), seal.vendor.as_str(), seal.kind), ("QZ-DEMO-0001", "QIZHENG", 1));
    assert_eq!((seal.name.as_str(), seal.signers), ("甲公司合同专用章（演示）", 1));
    assert_eq!((seal.created_ms, seal.valid_from_ms, seal.valid_until_ms), (NOW_MS, NOW_MS, NOW_MS + YEAR_MS));
    assert_eq!((seal.picture.data.as_slice(), seal.picture.width_mm, seal.picture.height_mm), (PICTURE, 40, 40));
    assert!(seal.maker.contains("契证演示平台") && !seal.revocation_known);

    let signature = verify(&scene.signed(&scene.seal()), &scene.trust()).unwrap();
    assert_eq!((signature.seal, signature.time_ms), (seal, NOW_MS + 60_000));
    assert_eq!((signature.time, signature.properties.as_str()), (SignatureTime::Claimed, "file;bytes=0-31"));
    assert!(signature.signer.contains("甲公司 合同专用章"));
}

/// Kind, CA, data and document.
type Case<'a> = (&'a str, &'a [u8], &'a [u8], &'a [u8]);

/// BouncyCastle's answers, one for each case.
fn bouncy_castle(folder: &Path, cases: &[Case<'_>]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles.sh");
    let mut child = Command::new(script).arg("ses").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for (index, (kind, ca, data, document)) in cases.iter().enumerate() {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(format!("{index}.{name}"));
            std::fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let paths = [write("ca", ca), write("data", data), write("document", document)];
        writeln!(input, "{kind}\t{}", paths.join("\t")).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "BouncyCastle is missing: testnet/setup.sh test");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bouncy_castle_agrees() {
    let scene = Scene::new();
    // An SM2 certificate of a CA with a P-256 key is one too.
    let mixed = CertificateAuthority::create(
        SealKey::generate().unwrap(),
        NOW_MS - 5 * YEAR_MS,
        NOW_MS + 30 * YEAR_MS,
        [1; 16],
    )
    .unwrap();
    let foreign = holder(&mixed, 2, maker_subject());
    let listed = [scene.other.certificate.clone(), scene.signer.certificate.clone()];
    let digests = ses::make_seal(&new_seal(Signers::Digests(&listed)), &scene.maker.key, &scene.maker.certificate);
    let (seal, digests) = (scene.seal(), digests.unwrap());
    let (signature, by_digest) = (scene.signed(&seal), scene.signed(&digests));
    let by_foreign = scene.seal_by(&foreign);
    let tampered = |bytes: &[u8], text: &[u8]| {
        let mut bytes = bytes.to_vec();
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        bytes[at] ^= 1;
        bytes
    };
    let (bad_seal, bad_signature) = (tampered(&seal, b"QZ-DEMO"), tampered(&signature, b"file;bytes"));
    let (own, other) = (scene.ca.certificate_der(), mixed.certificate_der());
    let folder = tempfile::tempdir().unwrap();
    let answers = bouncy_castle(
        folder.path(),
        &[
            ("seal", own, &seal, b""),
            ("seal", own, &digests, b""),
            ("seal", other, &by_foreign, b""),
            ("signature", own, &signature, DOCUMENT),
            ("signature", own, &by_digest, DOCUMENT),
            ("seal", own, &bad_seal, b""),
            ("seal", other, &seal, b""),
            ("signature", own, &bad_signature, DOCUMENT),
            ("signature", own, &signature, b"another document"),
        ],
    );
    let said = format!("QZ-DEMO-0001 甲公司合同专用章（演示） PNG {} 40x40", PICTURE.len());
    for (index, answer) in answers.iter().enumerate() {
        let expected = match index {
            0..=2 => format!("ok {said}"),
            3..=4 => format!("ok {said} file;bytes=0-31"),
            _ => "bad ".to_owned(),
        };
        let fits = if index < 5 { *answer == expected } else { answer.starts_with(&expected) };
        assert!(fits, "{index}: {answer}, expected {expected}");
    }
    assert_eq!(answers.len(), 9);
    assert!(answers[5].contains("signature of the maker") && answers[7].contains("signature of the signer"));
    assert!(answers[8].contains("other document"));
    // Ours says the same.
    let trust = |root: &[u8]| Trust { roots: vec![root.to_vec()], ..Trust::default() };
    ses::verify_seal(&digests, &trust(own), NOW_MS).unwrap();
    ses::verify_seal(&by_foreign, &trust(other), NOW_MS).unwrap();
    verify(&by_digest, &trust(own)).unwrap();
    assert!(matches!(ses::verify_seal(&bad_seal, &trust(own), NOW_MS), Err(SesError::Signature(Who::Maker))));
    assert!(matches!(ses::verify_seal(&seal, &trust(other), NOW_MS), Err(SesError::Path { who: Who::Maker, .. })));
    assert!(matches!(verify(&bad_signature, &trust(own)), Err(SesError::Signature(Who::Signer))));
    let elsewhere = ses::verify_signature(&signature, &ses::document_digest(b"another document"), &trust(own));
    assert!(matches!(elsewhere, Err(SesError::OtherDocument)));
}

#[test]
fn every_flipped_bit_is_refused() {
    let scene = Scene::new();
    let (seal, trust) = (scene.seal(), scene.trust());
    let signature = scene.signed(&seal);
    for index in 0..signature.len() {
        let mut flipped = signature.clone();
        flipped[index] ^= 1 << (index % 8);
        assert!(verify(&flipped, &trust).is_err(), "byte {index} of the signature");
    }
    for index in (0..seal.len()).step_by(3) {
        let mut flipped = seal.clone();
        flipped[index] ^= 1 << (index % 7);
        assert!(ses::verify_seal(&flipped, &trust, NOW_MS).is_err(), "byte {index} of the seal");
    }
    for length in (0..signature.len()).step_by(17) {
        assert!(verify(&signature[..length], &trust).is_err());
    }
    assert!(verify(&[&signature[..], b"\0"].concat(), &trust).is_err());
}

#[test]
fn makers_are_who_may_make_seals() {
    let scene = Scene::new();
    let trust = scene.trust();
    // Somebody with a certificate for using seals, and with the right key for it.
    let by_user = scene.seal_by(&scene.other);
    assert!(matches!(ses::verify_seal(&by_user, &trust, NOW_MS), Err(SesError::Purpose(Who::Maker))));
    let named = Trust { makers: vec![scene.other.certificate.clone()], ..trust.clone() };
    ses::verify_seal(&by_user, &named, NOW_MS).unwrap();
    // A maker of another CA of the same name.
    let stranger = Scene::new();
    let foreign = ses::verify_seal(&stranger.seal(), &trust, NOW_MS);
    assert!(matches!(foreign, Err(SesError::Path { who: Who::Maker, .. })), "{foreign:?}");
    // No key but the certificate's, and no other kind.
    let signers = [scene.signer.certificate.clone()];
    let new = new_seal(Signers::Certificates(&signers));
    let wrong = ses::make_seal(&new, &scene.other.key, &scene.maker.certificate);
    assert!(matches!(wrong, Err(SesError::OtherKey(Who::Maker))));
    let p256 = SealKey::generate().unwrap();
    let request = LeafRequest {
        subject: maker_subject(),
        public_key_der: &p256.public_key_der().unwrap(),
        not_before_ms: NOW_MS - YEAR_MS,
        not_after_ms: NOW_MS + YEAR_MS,
        serial: [9; 16],
    };
    let certificate = scene.ca.issue(&request).unwrap();
    let wrong = ses::make_seal(&new, &p256, &certificate);
    assert!(matches!(wrong, Err(SesError::Algorithm { who: Who::Maker, .. })));
    // The maker's certificate is renewed for the same purpose.
    let renewed = scene.ca.renew(&scene.maker.certificate, NOW_MS - 1000, NOW_MS + YEAR_MS, [7; 16]).unwrap();
    let seal = ses::make_seal(&new, &scene.maker.key, &renewed).unwrap();
    ses::verify_seal(&seal, &trust, NOW_MS).unwrap();
}

#[test]
fn makers_below_an_issuing_ca() {
    let scene = Scene::new();
    let request = |name| hierarchy::AuthorityRequest {
        name,
        not_before_ms: NOW_MS - YEAR_MS,
        not_after_ms: NOW_MS + 9 * YEAR_MS,
        serial: [3; 16],
    };
    let (root_key, key) = (SealKey::generate_for(KeyAlgorithm::Sm2).unwrap(), SealKey::generate().unwrap());
    let root = hierarchy::root(&root_key, &request("Root")).unwrap();
    let public = key.public_key_der().unwrap();
    let issuing =
        hierarchy::issuing(&root_key, &root, &public, &hierarchy::Services::default(), &request("Issuing")).unwrap();
    let ca = CertificateAuthority::load(key, &issuing).unwrap();
    let seal = scene.seal_by(&holder(&ca, 2, maker_subject()));
    let trust = Trust { roots: vec![root], ..Trust::default() };
    assert!(matches!(ses::verify_seal(&seal, &trust, NOW_MS), Err(SesError::Path { .. })));
    ses::verify_seal(&seal, &Trust { issuers: vec![issuing], ..trust }, NOW_MS).unwrap();
}

#[test]
fn seals_and_certificates_have_their_time() {
    let scene = Scene::new();
    let (seal, trust) = (scene.seal(), scene.trust());
    let at = |at_ms: i64| ses::verify_seal(&seal, &trust, at_ms);
    assert!(at(NOW_MS).is_ok() && at(NOW_MS + YEAR_MS).is_ok());
    assert!(matches!(at(NOW_MS - 1), Err(SesError::NotInForce)));
    assert!(matches!(at(NOW_MS + YEAR_MS + 1), Err(SesError::NotInForce)));

    let digest = ses::document_digest(DOCUMENT);
    let late = NewSignature { time_ms: NOW_MS + YEAR_MS + 1000, ..new_signature(&seal, &digest) };
    let late = ses::sign(&late, &scene.signer.key, &scene.signer.certificate).unwrap();
    assert!(matches!(verify(&late, &trust), Err(SesError::NotInForce)));

    // The maker's certificate counts when the seal was made, the signer's when it was used.
    let signers = [scene.signer.certificate.clone()];
    let early = NewSeal { created_ms: NOW_MS - 2 * YEAR_MS, ..new_seal(Signers::Certificates(&signers)) };
    let early = ses::make_seal(&early, &scene.maker.key, &scene.maker.certificate).unwrap();
    assert!(matches!(ses::verify_seal(&early, &trust, NOW_MS), Err(SesError::CertificateTime(Who::Maker))));
    let long = NewSeal { valid_until_ms: NOW_MS + 9 * YEAR_MS, ..new_seal(Signers::Certificates(&signers)) };
    let long = ses::make_seal(&long, &scene.maker.key, &scene.maker.certificate).unwrap();
    let late = NewSignature { time_ms: NOW_MS + 4 * YEAR_MS, ..new_signature(&long, &digest) };
    let late = ses::sign(&late, &scene.signer.key, &scene.signer.certificate).unwrap();
    assert!(matches!(verify(&late, &trust), Err(SesError::CertificateTime(Who::Signer))));
}

#[test]
fn revoked_certificates() {
    let scene = Scene::new();
    let serial =
        |holder: &Signer| hex::decode(qz_document::ca::summarise(&holder.certificate).unwrap().serial).unwrap();
    let signature = scene.signed(&scene.seal());
    let with = |list: Vec<u8>| verify(&signature, &Trust { revocation_lists: vec![list], ..scene.trust() });
    let (maker, signer) = (serial(&scene.maker), serial(&scene.signer));
    assert!(matches!(with(scene.crl(&maker, NOW_MS - 1000)), Err(SesError::Revoked(Who::Maker))));
    assert!(matches!(with(scene.crl(&signer, NOW_MS)), Err(SesError::Revoked(Who::Signer))));
    assert!(with(scene.crl(&signer, NOW_MS + YEAR_MS)).unwrap().revocation_known);
    assert!(with(scene.crl(b"another", NOW_MS)).unwrap().revocation_known);
    // Another CA's list says nothing.
    assert!(!with(Scene::new().crl(&signer, NOW_MS)).unwrap().revocation_known);
}

#[test]
fn only_those_sign_whom_the_seal_names() {
    let scene = Scene::new();
    let seal = scene.seal();
    let digest = ses::document_digest(DOCUMENT);
    let new = new_signature(&seal, &digest);
    let refused = ses::sign(&new, &scene.other.key, &scene.other.certificate);
    assert!(matches!(refused, Err(SesError::NotListed)));
    let wrong_key = ses::sign(&new, &scene.other.key, &scene.signer.certificate);
    assert!(matches!(wrong_key, Err(SesError::OtherKey(Who::Signer))));
    // Assembled around our own check, by exchanging the seal in a signature that held: the signature covers it.
    let listed = [scene.other.certificate.clone()];
    let theirs = new_seal(Signers::Certificates(&listed));
    let theirs = ses::make_seal(&theirs, &scene.maker.key, &scene.maker.certificate).unwrap();
    let signature = ses::sign(&new_signature(&theirs, &digest), &scene.other.key, &scene.other.certificate).unwrap();
    let swapped = replaced(&signature, &theirs, &seal);
    let refused = verify(&swapped, &scene.trust());
    assert!(refused.is_err(), "{refused:?}");
    let empty = ses::make_seal(&new_seal(Signers::Digests(&[])), &scene.maker.key, &scene.maker.certificate);
    assert!(matches!(empty, Err(SesError::CertificateList(2))));
}

/// With one part exchanged, lengths as they were.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn a_timestamp_proves_the_time() {
    let (scene, tsa) = (Scene::new(), Tsa::new());
    let signature = scene.signed(&scene.seal());
    // The value of the signature stands last.
    let value = signature_value(&signature);
    let imprint = qz_evidence::hash::sha256(&[&value]).0;
    let stamped = ses::with_timestamp(&signature, &tsa.token(&imprint, NOW_MS + 61_000)).unwrap();
    assert_eq!(verify(&stamped, &scene.trust()).unwrap().time, SignatureTime::Stamped(NOW_MS + 61_000));
    let trust = Trust { timestamp_roots: Roots::parse(&tsa.root).unwrap(), ..scene.trust() };
    assert_eq!(verify(&stamped, &trust).unwrap().time, SignatureTime::Proven(NOW_MS + 61_000));
    // It is over this signature, there is one, and the seal was in force when it was made.
    let other = ses::with_timestamp(&signature, &tsa.token(&[7; 32], NOW_MS));
    assert!(matches!(other, Err(SesError::Timestamp(_))));
    assert!(ses::with_timestamp(&stamped, &tsa.token(&imprint, NOW_MS)).is_err());
    let late = ses::with_timestamp(&signature, &tsa.token(&imprint, NOW_MS + 2 * YEAR_MS)).unwrap();
    assert!(matches!(verify(&late, &trust), Err(SesError::NotInForce)));
    let folder = tempfile::tempdir().unwrap();
    let ca = scene.ca.certificate_der();
    let answers = bouncy_castle(folder.path(), &[("signature", ca, &stamped, DOCUMENT)]);
    assert!(answers[0].starts_with("ok "), "{answers:?}");
}

/// SM2 as DER, at the end of a signature without a timestamp: found by its length.
fn signature_value(signature: &[u8]) -> Vec<u8> {
    let start = (signature.len() - 74..signature.len() - 66).find(|&at| {
        signature[at] == 0x30 && at + 2 + usize::from(signature[at + 1]) == signature.len() && signature[at - 1] == 0
    });
    signature[start.unwrap()..].to_vec()
}

#[test]
fn values_out_of_bounds_are_refused() {
    let scene = Scene::new();
    let signers = [scene.signer.certificate.clone()];
    let good = new_seal(Signers::Certificates(&signers));
    let refused = |new: NewSeal<'_>| {
        let made = ses::make_seal(&new, &scene.maker.key, &scene.maker.certificate);
        assert!(matches!(made, Err(SesError::Value(_))), "{made:?}");
    };
    refused(NewSeal { id: "印章一", ..good.clone() });
    refused(NewSeal { id: "", ..good.clone() });
    refused(NewSeal { name: " ", ..good.clone() });
    refused(NewSeal { valid_until_ms: NOW_MS, ..good.clone() });
    refused(NewSeal { created_ms: -1, ..good.clone() });
    refused(NewSeal { picture: Picture { width_mm: 0, ..good.picture.clone() }, ..good.clone() });
    refused(NewSeal { picture: Picture { data: vec![], ..good.picture.clone() }, ..good });
    assert!(matches!(
        ses::verify_seal(&vec![0x30; ses::MAX_BYTES + 1], &scene.trust(), NOW_MS),
        Err(SesError::TooLarge(_))
    ));
}
