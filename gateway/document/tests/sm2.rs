//! PDFs signed with SM2 and SM3 under a CA of its own kind: judged by BouncyCastle and by the verifier's own
//! examination, as they are and with one thing wrong at a time. pyHanko knows no SM2.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;
use qz_document::ca::{KeyAlgorithm, SealKey, to_pem};
use qz_document::cms::{self, SignerCertificate};
use qz_document::render::{self, sample};
use qz_document::seal;
use qz_document::sign::{self, FieldRequest};
use qz_evidence_pdf::{DocumentReport, DocumentVerdict, SignatureStatus, TrustedRoots, examine};
use support::ltv::{Tsa, archived, now_ms};
use support::{Demo, NOW_MS, Signer, oracle, request};

const OIDS: &str = "1.2.156.10197.1.401+1.2.156.10197.1.501";

fn contract() -> Vec<u8> {
    render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap().pdf
}

/// Two signatures with timestamps, one behind the other.
fn stamped(demo: &Demo, signers: [&Signer; 2], tsa: &Tsa) -> Vec<u8> {
    let (first, second) =
        (seal::company_seal(sample::BUYER, "合同专用章").unwrap(), seal::name_seal("周雅文").unwrap());
    let request_a = FieldRequest { time_ms: now_ms(), ..request("sig-a", &first, sample::BUYER) };
    let once = demo.sign_stamped(&contract(), signers[0], &request_a, tsa);
    let request_b =
        FieldRequest { x_mm: 70.0, y_mm: 40.0, time_ms: now_ms(), ..request("sig-b", &second, sample::SELLER) };
    demo.sign_stamped(&once, signers[1], &request_b, tsa)
}

fn examined(pdf: &[u8], demo: &Demo, tsa: &Tsa) -> DocumentReport {
    let (roots, timestamps) = (demo.ca_pem(), to_pem(&tsa.root).unwrap());
    let now = u64::try_from(now_ms()).unwrap();
    examine(pdf, &TrustedRoots::parse(roots.as_bytes(), timestamps.as_bytes(), now).unwrap())
}

/// BouncyCastle's answers, one for each file.
fn bouncy_castle(ca: &[u8], files: &[&[u8]]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: String, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let ca = put("ca".to_owned(), ca);
    let lines = files.iter().enumerate().map(|(n, file)| format!("{ca}\t{}\n", put(format!("{n}.pdf"), file)));
    let lines: String = lines.collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles.sh");
    let mut child = Command::new(script).arg("cms").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "BouncyCastle is missing: testnet/setup.sh test");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn flipped(pdf: &[u8], at: usize) -> Vec<u8> {
    let mut pdf = pdf.to_vec();
    pdf[at] ^= 1;
    pdf
}

/// The same file with other contents of its last signature.
fn with_object(pdf: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let (old, mut new) = (hex::encode(old), hex::encode(new));
    while new.len() < old.len() {
        new.push('0');
    }
    let at = pdf.windows(old.len()).rposition(|window| window == old.as_bytes()).unwrap();
    [&pdf[..at], new.as_bytes(), &pdf[at + old.len()..]].concat()
}

#[test]
fn every_level_holds_for_bouncy_castle_and_the_examination() {
    let (demo, tsa, other) = (Demo::with_keys(KeyAlgorithm::Sm2), Tsa::new(), Demo::with_keys(KeyAlgorithm::Sm2));
    let signed = stamped(&demo, [&demo.buyer, &demo.seller], &tsa);
    let long_term = demo.with_validation_data(&signed, &tsa, &[]);
    let archive = archived(&long_term, &tsa, "qz-timestamp-1");

    for pdf in [&signed, &long_term, &archive] {
        let report = examined(pdf, &demo, &tsa);
        assert_eq!(report.verdict, DocumentVerdict::Valid, "{report:#?}");
        let people = report.signatures.iter().filter(|one| one.algorithm.as_deref() == Some("SM2, SM3")).count();
        assert_eq!(people, 2, "{report:#?}");
    }
    assert_eq!(examined(&signed, &other, &tsa).verdict, DocumentVerdict::Intact);
    if let Ok(folder) = std::env::var("QZ_SAMPLES") {
        std::fs::write(Path::new(&folder).join("sm2-b-lta.pdf"), &archive).unwrap();
        std::fs::write(Path::new(&folder).join("sm2-ca.pem"), demo.ca_pem()).unwrap();
        std::fs::write(Path::new(&folder).join("sm2-object.der"), &sign::signatures(&signed).unwrap()[0].object)
            .unwrap();
    }

    // One thing wrong at a time, in the second revision: its bytes, its signature value, its signed attributes.
    let in_first = signed.windows(9).position(|window| window == b"/MediaBox").unwrap() + 5;
    let last = sign::signatures(&signed).unwrap().pop().unwrap();
    let value = cms::signature_value(&last.object).unwrap();
    let at = last.object.windows(value.len()).position(|window| window == value).unwrap() + value.len() - 1;
    let other_value = with_object(&signed, &last.object, &flipped(&last.object, at));
    // Signed by another key, or under another identifier, while all else stays.
    let prepared =
        sign::prepare(&contract(), &request("sig-a", &seal::name_seal("周雅文").unwrap(), "周雅文")).unwrap();
    let (digest, chain) = (demo.person.digest(&prepared), [demo.ca.certificate_der().to_vec()]);
    let own = cms::sign(&digest, &demo.person.key, &demo.person.certificate, &chain).unwrap();
    let signer = SignerCertificate { certificate_der: &demo.person.certificate, chain_ders: &chain };
    let message = cms::to_be_signed(&digest, signer).unwrap();
    let (good, old) = (sign::complete(&prepared, &own).unwrap(), cms::signature_value(&own).unwrap());
    // Lengths of values differ by a byte or two; those around it must stay.
    let replaced = |values: &dyn Fn(u32) -> Vec<u8>| {
        let new = (0..1000).map(values).find(|new| new.len() == old.len()).unwrap();
        with_object(&good, &old, &new)
    };
    let foreign = replaced(&|_| SealKey::generate_for(KeyAlgorithm::Sm2).unwrap().sign(&message).unwrap());
    let secret = sm2::SecretKey::from_pkcs8_der(&demo.person.key.to_pkcs8_der().unwrap()).unwrap();
    let renamed = replaced(&|n| {
        let key = sm2::dsa::SigningKey::new(&format!("ALICE{n}@EXAMPLE.COM"), &secret).unwrap();
        let signature: sm2::dsa::Signature = key.sign(&message);
        signature.to_der().as_bytes().to_vec()
    });
    assert_eq!(examined(&good, &demo, &tsa).verdict, DocumentVerdict::Valid);
    let broken = [flipped(&signed, in_first), other_value, foreign, renamed];
    for pdf in &broken {
        let report = examined(pdf, &demo, &tsa);
        assert_eq!(report.verdict, DocumentVerdict::Invalid, "{report:#?}");
        assert!(report.signatures.iter().any(|one| one.status == SignatureStatus::Broken));
    }

    let mut files: Vec<&[u8]> = vec![&signed, &long_term, &archive];
    files.extend(broken.iter().map(Vec::as_slice));
    let answers = bouncy_castle(demo.ca.certificate_der(), &files);
    for answer in &answers[..3] {
        assert_eq!(*answer, format!("ok {OIDS} {OIDS}"));
    }
    assert_eq!(answers.len(), files.len());
    assert!(answers[3..].iter().all(|answer| answer.starts_with("bad ")), "{answers:?}");
    let answers = bouncy_castle(other.ca.certificate_der(), &[&signed]);
    assert!(answers[0].starts_with("bad "), "{answers:?}");
}

/// The other kinds of keys by the same judge, and a file signed with several.
#[test]
fn bouncy_castle_accepts_files_of_mixed_kinds() {
    let (sm2, p256, tsa) = (Demo::with_keys(KeyAlgorithm::Sm2), Demo::new(), Tsa::new());
    let mixed = stamped(&p256, [&p256.buyer, &sm2.buyer], &tsa);
    let report = examined(&mixed, &p256, &tsa);
    let statuses: Vec<_> =
        report.signatures.iter().map(|one| (one.algorithm.as_deref().unwrap_or_default(), one.status)).collect();
    let intact = SignatureStatus::Intact;
    assert_eq!(statuses, [("ECDSA P-256, SHA-256", intact), ("SM2, SM3", intact)]);
    let plain = stamped(&p256, [&p256.buyer, &p256.seller], &tsa);
    let answers = bouncy_castle(p256.ca.certificate_der(), &[&plain]);
    let ecdsa = "2.16.840.1.101.3.4.2.1+1.2.840.10045.4.3.2";
    assert_eq!(answers, [format!("ok {ecdsa} {ecdsa}")]);
    // The SM2 signer's certificate is not of this CA.
    assert!(bouncy_castle(p256.ca.certificate_der(), &[&mixed])[0].starts_with("bad "));
}

/// What this machine's OpenSSL says: it has no way to tell CMS the signer's identifier.
#[test]
fn openssl_reads_the_object() {
    let demo = Demo::with_keys(KeyAlgorithm::Sm2);
    let object = cms::sign(&[7; 32], &demo.person.key, &demo.person.certificate, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("object.der").display().to_string();
    std::fs::write(&path, object).unwrap();
    let (ok, text) = oracle(&["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", &path]);
    assert!(ok && text.contains("SM2-with-SM3") && text.contains("signingCertificateV2"), "{text}");
}
