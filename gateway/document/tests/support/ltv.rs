//! A timestamp authority and revocation lists for tests, and a signature through all levels.

use qz_document::ca::SealKey;
use qz_document::ca::revocation::{RevocationList, Revoked};
use qz_document::ltv::{self, ForSignature, ValidationData};
use qz_document::sign::{self, FieldRequest};
use qz_document::{cms, tsa};
use qz_evidence::Hash32;
use qz_evidence::timestamp::{Accuracy, MessageImprint, NewToken};

use super::{Demo, Signer};

const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

/// The real time: validators judge revocation data by it.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

pub struct Tsa {
    root_key: SealKey,
    pub root: Vec<u8>,
    key: SealKey,
    pub certificate: Vec<u8>,
}

impl Tsa {
    pub fn new() -> Self {
        let (root_key, key) = (SealKey::generate().unwrap(), SealKey::generate().unwrap());
        let (from, to) = (now_ms() - YEAR_MS, now_ms() + 20 * YEAR_MS);
        let root = tsa::root(&root_key, from, to, [9; 16]).unwrap();
        let request = tsa::AuthorityRequest {
            organisation: "示例公证处",
            public_key_der: &key.public_key_der().unwrap(),
            revocation_url: "http://127.0.0.1:9/tsa.crl",
            not_before_ms: from,
            not_after_ms: to,
            serial: [8; 16],
        };
        let certificate = tsa::authority(&root_key, &root, &request).unwrap();
        Self { root_key, root, key, certificate }
    }

    pub fn token(&self, digest: &[u8; 32], time_ms: i64) -> Vec<u8> {
        let token = NewToken {
            imprint: &MessageImprint::sha256(&Hash32(*digest)).unwrap(),
            nonce: None,
            policy: der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.3161.1"),
            serial: 77,
            time_ms: u64::try_from(time_ms).unwrap(),
            accuracy: Accuracy { seconds: Some(1), millis: None, micros: None },
            certificate: &self.certificate,
            issuers: &[],
            with_certificates: true,
        };
        token.signed(|message| Ok::<_, der::Error>(self.key.sign(message).unwrap())).unwrap()
    }

    pub fn crl(&self) -> Vec<u8> {
        tsa::revocation_list(&self.root_key, &self.root, now_ms(), now_ms() + 24 * HOUR_MS).unwrap()
    }
}

pub fn crl(demo: &Demo, revoked: &[Revoked]) -> Vec<u8> {
    let list = RevocationList { number: 1, this_update_ms: now_ms(), next_update_ms: now_ms() + 24 * HOUR_MS, revoked };
    list.sign(demo.ca.key(), demo.ca.certificate_der()).unwrap()
}

impl Demo {
    /// B-T: signed, with a timestamp over the signature value.
    pub fn sign_stamped(&self, pdf: &[u8], signer: &Signer, request: &FieldRequest<'_>, tsa: &Tsa) -> Vec<u8> {
        let prepared = sign::prepare(pdf, request).unwrap();
        let chain = [self.ca.certificate_der().to_vec()];
        let cms = cms::sign(&signer.digest(&prepared), &signer.key, &signer.certificate, &chain).unwrap();
        let imprint = qz_evidence::hash::sha256(&[&cms::signature_value(&cms).unwrap()]).0;
        let stamped = cms::with_timestamp(&cms, &tsa.token(&imprint, now_ms())).unwrap();
        sign::complete(&prepared, &stamped).unwrap()
    }

    /// B-LT: with validation data of every signature in the file.
    pub fn with_validation_data(&self, pdf: &[u8], tsa: &Tsa, revoked: &[Revoked]) -> Vec<u8> {
        let (own, authority) = (crl(self, revoked), tsa.crl());
        let signatures = sign::signatures(pdf).unwrap();
        let data = |object: &[u8], is_timestamp: bool| {
            let mut data =
                ValidationData { certificates: cms::certificates(object).unwrap(), ..ValidationData::default() };
            data.certificates.push(tsa.root.clone());
            data.revocation_lists.push(authority.clone());
            if !is_timestamp {
                data.revocation_lists.push(own.clone());
                if let Some(token) = cms::timestamp(object).unwrap() {
                    data.certificates.extend(cms::certificates(&token).unwrap());
                }
            }
            data
        };
        let signatures: Vec<_> = signatures
            .iter()
            .map(|one| ForSignature { contents: &one.contents, data: data(&one.object, one.is_timestamp) })
            .collect();
        ltv::add(pdf, &signatures).unwrap()
    }
}

/// B-LTA: a timestamp over the whole file.
pub fn archived(pdf: &[u8], tsa: &Tsa, field: &str) -> Vec<u8> {
    let prepared = sign::prepare_timestamp(pdf, field).unwrap();
    sign::complete_timestamp(&prepared, &tsa.token(&prepared.digest, now_ms())).unwrap()
}
