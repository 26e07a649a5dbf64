//! Keys and X.509 certificates of the demonstration CA.
#![allow(clippy::unwrap_used)]

use qz_document::ca::{self, CaError, CertificateAuthority, KeyError, LeafRequest, SealKey, Subject};

const START: i64 = 1_795_312_800_000;
const END: i64 = START + 1_000_000_000;

#[test]
fn keys_are_restored_and_never_printed() {
    let key = SealKey::generate().unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let again = SealKey::from_pkcs8_der(&der).unwrap();
    assert_eq!(key.public_key_der().unwrap(), again.public_key_der().unwrap());
    assert_eq!(format!("{key:?}"), "SealKey(..)");
    assert!(matches!(SealKey::from_pkcs8_der(&der[..20]), Err(KeyError::PrivateKey)));
}

#[test]
fn certificates_name_what_was_asked() {
    let authority = CertificateAuthority::create(SealKey::generate().unwrap(), START, END, [0xff; 16]).unwrap();
    let key = SealKey::generate().unwrap();
    let public = key.public_key_der().unwrap();
    let request = LeafRequest {
        subject: Subject::Seal {
            organisation: "甲, 乙/丙=丁+公司",
            credit_code: "91110108MA00DEM14Q",
            seal: "合同专用章",
        },
        public_key_der: &public,
        not_before_ms: START,
        not_after_ms: END,
        serial: [0; 16],
    };
    let der = authority.issue(&request).unwrap();
    let summary = ca::summarise(&der).unwrap();
    assert_eq!(summary.common_name, "甲, 乙/丙=丁+公司 合同专用章");
    assert_eq!(summary.issuer_common_name, ca::DEMO_ROOT_NAME);
    assert_eq!((summary.not_before_ms, summary.not_after_ms), (START, END));
    assert_eq!(summary.serial, format!("40{}", "00".repeat(15)));
    assert!(summary.issuer.contains(ca::DEMO_CA_ORGANISATION));
    assert_eq!(ca::from_pem(&ca::to_pem(&der).unwrap()).unwrap(), der);

    let restored = CertificateAuthority::load(authority.key().clone(), authority.certificate_der()).unwrap();
    assert_eq!(restored.issue(&request).unwrap(), der, "issuing is deterministic");
    assert!(matches!(CertificateAuthority::load(key, authority.certificate_der()), Err(CaError::OtherKey)));
    let bad = LeafRequest { public_key_der: &public[..40], ..request.clone() };
    assert!(matches!(authority.issue(&bad), Err(CaError::Key(KeyError::PublicKey))));
    let bad = LeafRequest { not_after_ms: START, ..request };
    assert!(matches!(authority.issue(&bad), Err(CaError::Validity)));
}

#[test]
fn the_verifier_accepts_the_chain_and_nothing_else() {
    use qz_evidence_pdf::{ChainError, certificate_facts, check_issued_by};
    let authority = || CertificateAuthority::create(SealKey::generate().unwrap(), START, END, [1; 16]).unwrap();
    let (ours, theirs) = (authority(), authority());
    let key = SealKey::generate().unwrap();
    let leaf = ours
        .issue(&LeafRequest {
            subject: Subject::Person { name: "周雅文", organisation: None },
            public_key_der: &key.public_key_der().unwrap(),
            not_before_ms: START + 1000,
            not_after_ms: END - 1000,
            serial: [9; 16],
        })
        .unwrap();
    let root = ours.certificate_der();
    assert_eq!(check_issued_by(&leaf, root, START + 5000), Ok(()));
    assert_eq!(check_issued_by(&leaf, root, START), Err(ChainError::NotValidThen));
    assert_eq!(check_issued_by(&leaf, root, END), Err(ChainError::NotValidThen));
    assert_eq!(check_issued_by(&leaf, theirs.certificate_der(), START + 5000), Err(ChainError::BadSignature));
    assert_eq!(check_issued_by(&leaf, &leaf, START + 5000), Err(ChainError::IssuerName));
    assert_eq!(check_issued_by(root, root, START + 5000), Err(ChainError::KeyUsage));
    let mut bad = leaf.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    assert_eq!(check_issued_by(&bad, root, START + 5000), Err(ChainError::BadSignature));
    assert!(certificate_facts(&leaf).unwrap().subject.contains("周雅文"));
    assert!(certificate_facts(&leaf[1..]).is_err());
}
