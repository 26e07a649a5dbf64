//! PAdES B-T, B-LT and B-LTA on two signatures, and the renewal of an archived file, judged by pyHanko, qpdf
//! and OpenSSL.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use qz_document::ca::revocation::{Reason, Revoked};
use qz_document::cms::{self, CmsError};
use qz_document::render::{self, sample};
use qz_document::seal;
use qz_document::sign::{self, FieldRequest, SignError};
use support::ltv::{Tsa, archived, now_ms};
use support::{Demo, NOW_MS, oracle, request};

fn contract() -> Vec<u8> {
    render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap().pdf
}

/// Two signatures with timestamps.
fn stamped(demo: &Demo, tsa: &Tsa) -> Vec<u8> {
    let (first, second) =
        (seal::company_seal(sample::BUYER, "合同专用章").unwrap(), seal::name_seal("周雅文").unwrap());
    let request_a = FieldRequest { time_ms: now_ms(), ..request("sig-a", &first, sample::BUYER) };
    let once = demo.sign_stamped(&contract(), &demo.buyer, &request_a, tsa);
    let request_b =
        FieldRequest { x_mm: 70.0, y_mm: 40.0, time_ms: now_ms(), ..request("sig-b", &second, sample::SELLER) };
    demo.sign_stamped(&once, &demo.seller, &request_b, tsa)
}

struct Judges {
    folder: tempfile::TempDir,
}

impl Judges {
    fn new(demo: &Demo, tsa: &Tsa) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), demo.ca_pem()).unwrap();
        let root = qz_document::ca::to_pem(&tsa.root).unwrap();
        std::fs::write(folder.path().join("tsa.pem"), &root).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// pyHanko's verdicts of the levels (EN 319 102-1), one for each signature that is no timestamp.
    #[track_caller]
    fn check(&self, pdf: &[u8], name: &str, expected: &str) -> String {
        self.check_at(pdf, name, expected, &[])
    }

    /// The same as of a moment.
    #[track_caller]
    fn check_at(&self, pdf: &[u8], name: &str, expected: &str, when: &[&str]) -> String {
        let file = self.path(&format!("{name}.pdf"));
        std::fs::write(&file, pdf).unwrap();
        let (ok, text) = oracle(&["structure", &file]);
        assert!(ok, "{name}: {text}");
        let (ca, tsa) = (self.path("ca.pem"), self.path("tsa.pem"));
        let (_, text) = oracle(&[&["ades", &ca, &tsa, &file], when].concat());
        assert_eq!(text.matches(expected).count(), 2, "{name}: {text}");
        assert!(!text.contains("Error in diff"), "{name}: {text}");
        println!("{name}: {} bytes; {text}", pdf.len());
        text
    }
}

#[test]
fn every_level_holds() {
    let (demo, tsa) = (Demo::new(), Tsa::new());
    let judges = Judges::new(&demo, &tsa);

    let signed = stamped(&demo, &tsa);
    let timestamps = sign::signatures(&signed).unwrap();
    assert_eq!(timestamps.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["sig-a", "sig-b"]);
    let file = judges.path("b-t.pdf");
    std::fs::write(&file, &signed).unwrap();
    let (ok, text) = oracle(&["validate-stamped", &judges.path("ca.pem"), &judges.path("tsa.pem"), &file]);
    assert!(ok && text.matches("judged VALID").count() == 2, "{text}");
    // Without revocation data in the file, nothing is known of the certificates.
    judges.check(&signed, "b-t", "judged INVALID");

    let long_term = demo.with_validation_data(&signed, &tsa, &[]);
    assert_eq!(&long_term[..signed.len()], signed);
    judges.check(&long_term, "b-lt", "judged VALID");

    let archive = archived(&long_term, &tsa, "qz-timestamp-1");
    assert_eq!(&archive[..long_term.len()], long_term);
    judges.check(&archive, "b-lta", "judged VALID");

    // Years later: the data of the last timestamp, and a new one over all.
    let again = demo.with_validation_data(&archive, &tsa, &[]);
    let renewed = archived(&again, &tsa, "qz-timestamp-2");
    assert_eq!(&renewed[..archive.len()], archive);
    judges.check(&renewed, "renewed", "judged VALID");
    // After all revocation data have expired only what was archived in time still holds.
    let later = ["--validation-time", "2035-01-01T00:00:00Z"];
    judges.check_at(&renewed, "renewed-2035", "judged VALID", &later);
    judges.check_at(&long_term, "b-lt-2035", "judged INVALID", &later);
    let found = sign::signatures(&renewed).unwrap();
    assert_eq!(found.iter().filter(|one| one.is_timestamp).count(), 2);

    if let Ok(folder) = std::env::var("QZ_SAMPLES") {
        for (name, bytes) in [("b-t", &signed), ("b-lt", &long_term), ("b-lta", &archive), ("renewed", &renewed)] {
            std::fs::write(Path::new(&folder).join(format!("{name}.pdf")), bytes).unwrap();
        }
        std::fs::write(Path::new(&folder).join("ca.pem"), demo.ca_pem()).unwrap();
        std::fs::copy(judges.path("tsa.pem"), Path::new(&folder).join("tsa-root.pem")).unwrap();
    }
}

#[test]
fn a_revoked_signer_is_not_passed() {
    let (demo, tsa) = (Demo::new(), Tsa::new());
    let judges = Judges::new(&demo, &tsa);
    let signed = stamped(&demo, &tsa);
    let revoked = |signer: &support::Signer| Revoked {
        serial: hex::decode(qz_document::ca::summarise(&signer.certificate).unwrap().serial).unwrap(),
        since_ms: now_ms() - 3_600_000,
        reason: Reason::KeyCompromise,
    };
    let list = [revoked(&demo.buyer), revoked(&demo.seller)];
    let text = judges.check(&demo.with_validation_data(&signed, &tsa, &list), "revoked", "judged INVALID");
    assert!(text.contains("certificate is revoked"), "{text}");
}

#[test]
fn openssl_accepts_the_token_over_the_signature_value() {
    let (demo, tsa) = (Demo::new(), Tsa::new());
    let judges = Judges::new(&demo, &tsa);
    let signed = stamped(&demo, &tsa);
    let [first, _] = &sign::signatures(&signed).unwrap()[..] else { panic!() };
    let token = cms::timestamp(&first.object).unwrap().unwrap();
    let value = cms::signature_value(&first.object).unwrap();
    std::fs::write(judges.path("token.der"), &token).unwrap();
    std::fs::write(judges.path("value"), &value).unwrap();
    let arguments = ["token", &judges.path("tsa.pem"), &judges.path("token.der"), &judges.path("value")];
    let (ok, text) = oracle(&arguments);
    assert!(ok, "{text}");
    std::fs::write(judges.path("value"), &value[1..]).unwrap();
    assert!(!oracle(&arguments).0);
}

#[test]
fn wrong_tokens_are_refused() {
    let (demo, tsa) = (Demo::new(), Tsa::new());
    let pdf = contract();
    let prepared = sign::prepare_timestamp(&pdf, "qz-timestamp-1").unwrap();
    let other = tsa.token(&[7; 32], now_ms());
    assert!(matches!(sign::complete_timestamp(&prepared, &other), Err(SignError::Timestamp(_))));
    let good = tsa.token(&prepared.digest, now_ms());
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert!(matches!(sign::complete_timestamp(&prepared, &broken), Err(SignError::Timestamp(_))));
    let done = sign::complete_timestamp(&prepared, &good).unwrap();
    assert!(matches!(sign::prepare_timestamp(&done, "qz-timestamp-1"), Err(SignError::FieldExists(_))));

    let signed = cms::sign(&[3; 32], &demo.buyer.key, &demo.buyer.certificate, &[]).unwrap();
    assert_eq!(cms::timestamp(&signed).unwrap(), None);
    let stamped = cms::with_timestamp(&signed, &good).unwrap();
    assert_eq!(cms::timestamp(&stamped).unwrap(), Some(good.clone()));
    assert_eq!(cms::signature_value(&stamped).unwrap(), cms::signature_value(&signed).unwrap());
    assert!(matches!(cms::with_timestamp(&stamped, &good), Err(CmsError::Stamped)));
    assert!(cms::with_timestamp(&signed, b"no token").is_err());
}
