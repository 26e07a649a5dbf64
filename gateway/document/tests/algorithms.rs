//! Keys of every kind sign contracts and certificates; OpenSSL, pyHanko and the verifier's own reader judge.
#![allow(clippy::unwrap_used)]

mod support;

use qz_document::ca::{CertificateAuthority, KeyAlgorithm, LeafRequest, SealKey, Subject};
use qz_document::cms::{self, CmsError, SignerCertificate};
use qz_document::key::HashFunction;
use qz_document::render::{self, sample};
use qz_document::seal;
use qz_document::sign::{self, SignError};
use support::{Demo, NOW_MS, oracle, request};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

fn contract() -> Vec<u8> {
    render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap().pdf
}

/// A CA and a signer with keys of this kind.
fn world(algorithm: KeyAlgorithm) -> (CertificateAuthority, SealKey, Vec<u8>) {
    let root = SealKey::generate_for(algorithm).unwrap();
    let ca = CertificateAuthority::create(root, NOW_MS - YEAR_MS, NOW_MS + 20 * YEAR_MS, [1; 16]).unwrap();
    let key = SealKey::generate_for(algorithm).unwrap();
    let certificate = leaf(&ca, &key.public_key_der().unwrap());
    (ca, key, certificate)
}

fn leaf(ca: &CertificateAuthority, public_key_der: &[u8]) -> Vec<u8> {
    let request = LeafRequest {
        subject: Subject::Person { name: "周雅文", organisation: None },
        public_key_der,
        not_before_ms: NOW_MS - YEAR_MS,
        not_after_ms: NOW_MS + 3 * YEAR_MS,
        serial: [2; 16],
    };
    ca.issue(&request).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

#[track_caller]
fn openssl(arguments: &[&str]) -> String {
    let (ok, text) = oracle(&[&["openssl"], arguments].concat());
    assert!(ok, "{arguments:?}: {text}");
    text
}

#[test]
fn rsa_3072_signs_what_everybody_accepts() {
    let (ca, key, certificate) = world(KeyAlgorithm::Rsa);
    let folder = Folder::new();
    let stored = key.to_pkcs8_der().unwrap();
    let text =
        openssl(&["pkey", "-inform", "DER", "-in", &folder.put("key.der", &*stored), "-check", "-text", "-noout"]);
    assert!(text.contains("3072 bit") && text.contains("Key is valid"), "{text}");
    let restored = SealKey::from_pkcs8_der(&stored).unwrap();
    assert_eq!(restored.algorithm(), KeyAlgorithm::Rsa);
    assert_eq!(restored.sign(b"x").unwrap(), key.sign(b"x").unwrap());

    let imprint = seal::name_seal("周雅文").unwrap();
    let prepared = sign::prepare(&contract(), &request("sig-a", &imprint, "周雅文")).unwrap();
    let chain = [ca.certificate_der().to_vec()];
    let signed =
        sign::complete(&prepared, &cms::sign(&prepared.digest, &restored, &certificate, &chain).unwrap()).unwrap();
    let root = folder.put("ca.pem", qz_document::ca::to_pem(ca.certificate_der()).unwrap());
    let (ok, text) = oracle(&["validate", &root, &folder.put("rsa.pdf", &signed)]);
    assert!(ok && text.contains("judged VALID") && text.contains("sha256_rsa"), "{text}");
    let found = qz_evidence_pdf::signatures(&signed).unwrap();
    assert_eq!(found[0].cms_ok, Ok(()));
}

/// A key of somebody else's making, and one too short.
#[test]
fn rsa_keys_of_openssl_are_read() {
    let folder = Folder::new();
    for (bits, read) in [("2048", true), ("4096", true), ("1024", false)] {
        let key = folder.path("made.der");
        let option = format!("rsa_keygen_bits:{bits}");
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &option, "-out", &folder.path("made.pem")]);
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &folder.path("made.pem"), "-outform", "DER", "-out", &key]);
        let outcome = SealKey::from_pkcs8_der(&std::fs::read(&key).unwrap());
        assert_eq!(outcome.is_ok(), read, "{bits}");
        if let Ok(made) = outcome {
            openssl(&["pkey", "-inform", "DER", "-in", &key, "-pubout", "-outform", "DER", "-out", &folder.path("p")]);
            assert_eq!(std::fs::read(folder.path("p")).unwrap(), made.public_key_der().unwrap());
        }
    }
}

#[test]
fn sm2_signs_what_openssl_accepts() {
    let (ca, key, certificate) = world(KeyAlgorithm::Sm2);
    assert_eq!(SealKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap().algorithm(), KeyAlgorithm::Sm2);
    let folder = Folder::new();
    let root = folder.put("ca.pem", qz_document::ca::to_pem(ca.certificate_der()).unwrap());
    let own = folder.put("own.pem", qz_document::ca::to_pem(&certificate).unwrap());
    let identifier = "distid:1234567812345678";
    // OpenSSL wants the identifier of the certificate's issuer told.
    openssl(&["verify", "-vfyopt", identifier, "-CAfile", &root, &own]);

    let imprint = seal::name_seal("周雅文").unwrap();
    let prepared = sign::prepare(&contract(), &request("sig-a", &imprint, "周雅文")).unwrap();
    let signer = SignerCertificate { certificate_der: &certificate, chain_ders: &[] };
    assert_eq!(signer.hash().unwrap(), HashFunction::Sm3);
    let digest = prepared.digest_by(HashFunction::Sm3).unwrap();
    assert_ne!(digest, prepared.digest);
    let object = cms::sign(&digest, &key, &certificate, &[]).unwrap();
    sign::complete(&prepared, &object).unwrap();
    // Over the SHA-256 digest it is no SM3 signature of this file.
    let wrong = cms::sign(&prepared.digest, &key, &certificate, &[]).unwrap();
    assert!(matches!(sign::complete(&prepared, &wrong), Err(SignError::Cms(CmsError::Digest))));

    // The digest by OpenSSL's SM3 over the same bytes.
    let [_, first, second, _] = prepared.byte_range;
    let content = folder.put("content", [&prepared.bytes[..first], &prepared.bytes[second..]].concat());
    assert!(openssl(&["dgst", "-sm3", &content]).trim().ends_with(&hex::encode(digest)));
    // And the signature over the attributes.
    let message = folder.put("message", cms::to_be_signed(&digest, signer).unwrap());
    let value = folder.put("value", cms::signature_value(&object).unwrap());
    let public = folder.put("public.der", key.public_key_der().unwrap());
    openssl(&["pkey", "-pubin", "-inform", "DER", "-in", &public, "-out", &folder.path("public.pem")]);
    let text = openssl(&[
        "dgst",
        "-sm3",
        "-verify",
        &folder.path("public.pem"),
        "-sigopt",
        identifier,
        "-signature",
        &value,
        &message,
    ]);
    assert!(text.contains("Verified OK"), "{text}");
    std::fs::write(&message, b"another").unwrap();
    let arguments =
        ["openssl", "dgst", "-sm3", "-verify", &folder.path("public.pem"), "-sigopt", identifier, "-signature", &value];
    assert!(!oracle(&[&arguments[..], &[&message]].concat()).0);
}

/// The key is elsewhere: digest out, signature in. OpenSSL plays the USB key.
#[test]
fn deferred_signing_with_a_foreign_key() {
    for (algorithm, option) in [("EC", "ec_paramgen_curve:P-256"), ("RSA", "rsa_keygen_bits:3072")] {
        let (demo, folder) = (Demo::new(), Folder::new());
        openssl(&["genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", &folder.path("usb.pem")]);
        openssl(&[
            "pkey",
            "-in",
            &folder.path("usb.pem"),
            "-pubout",
            "-outform",
            "DER",
            "-out",
            &folder.path("public"),
        ]);
        let certificate = leaf(&demo.ca, &std::fs::read(folder.path("public")).unwrap());

        let imprint = seal::name_seal("周雅文").unwrap();
        let prepared = sign::prepare(&contract(), &request("sig-a", &imprint, "周雅文")).unwrap();
        let chain = [demo.ca.certificate_der().to_vec()];
        let signer = SignerCertificate { certificate_der: &certificate, chain_ders: &chain };
        let message = folder.put("out", cms::to_be_signed(&prepared.digest, signer).unwrap());
        openssl(&["dgst", "-sha256", "-sign", &folder.path("usb.pem"), "-out", &folder.path("in"), &message]);
        let signature = std::fs::read(folder.path("in")).unwrap();

        let mut broken = signature.clone();
        *broken.last_mut().unwrap() ^= 1;
        assert!(matches!(cms::assemble(&prepared.digest, signer, &broken), Err(CmsError::BadSignature)));
        assert!(matches!(cms::assemble(&[7; 32], signer, &signature), Err(CmsError::BadSignature)));
        let other = SignerCertificate { certificate_der: &demo.buyer.certificate, chain_ders: &chain };
        assert!(matches!(cms::assemble(&prepared.digest, other, &signature), Err(CmsError::BadSignature)));

        let object = cms::assemble(&prepared.digest, signer, &signature).unwrap();
        let signed = sign::complete(&prepared, &object).unwrap();
        let root = folder.put("ca.pem", demo.ca_pem());
        let (ok, text) = oracle(&["validate", &root, &folder.put("deferred.pdf", &signed)]);
        assert!(ok && text.contains("judged VALID"), "{algorithm}: {text}");
    }
}
