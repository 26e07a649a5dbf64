//! An OCSP responder for the authority of `anchoring.rs`. Its DER is put together by hand, so that answers can
//! be wrong in every way, and so that the reader is not tested with its own structures.
#![allow(dead_code, clippy::unwrap_used)]

use super::START_MS;
use super::anchoring::{Authority, DAY_MS, Style};
use der::Encode;
use der::asn1::{GeneralizedTime, ObjectIdentifier};
use p256::ecdsa::DerSignature;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::time::Duration;
use x509_cert::Certificate;

/// Tag, length, contents.
fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let body = contents.concat();
    let length = match body.len() {
        short @ 0..128 => vec![short as u8],
        middle @ 128..256 => vec![0x81, middle as u8],
        long => [&[0x82], &(long as u16).to_be_bytes()[..]].concat(),
    };
    [&[tag], &length[..], &body].concat()
}

fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, contents)
}

fn time(ms: u64) -> Vec<u8> {
    GeneralizedTime::from_unix_duration(Duration::from_millis(ms)).unwrap().to_der().unwrap()
}

fn algorithm(oid: &str, null: bool) -> Vec<u8> {
    let oid = ObjectIdentifier::new_unwrap(oid).to_der().unwrap();
    sequence(&[&oid, if null { &[5, 0] } else { &[] }])
}

/// An extension nobody knows.
fn unknown_extension(critical: bool) -> Vec<u8> {
    let oid = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.9").to_der().unwrap();
    let critical = if critical { &[1, 1, 0xff][..] } else { &[] };
    sequence(&[&sequence(&[&oid, critical, &tlv(4, &[&[5, 0]])])])
}

/// What is said.
#[derive(Clone, Copy)]
pub enum Status {
    Good,
    Unknown,
    /// At a time, for a reason (CRLReason).
    Revoked(u64, Option<u8>),
}

/// Who says it.
#[derive(Clone, Copy)]
pub enum Signer {
    /// The issuer of the certificate itself.
    Issuer,
    /// Somebody whom the issuer has certified.
    Delegate(Style),
    /// Somebody with the issuer's name and another key.
    Impostor,
    /// A delegate of another authority.
    Foreign,
}

/// An answer, by default a sound one of the issuer.
#[derive(Clone)]
pub struct Response {
    pub status: Status,
    pub signer: Signer,
    pub produced_ms: u64,
    pub this_ms: u64,
    pub next_ms: Option<u64>,
    pub by_key: bool,
    pub sha256: bool,
    pub serial: u8,
    pub name_of_issuer: Option<Vec<u8>>,
    pub key_of_issuer: Option<Vec<u8>>,
    pub critical: bool,
    pub critical_single: bool,
    /// A good answer about another certificate stands first.
    pub second: bool,
    pub outcome: u8,
    pub response_type: &'static str,
}

/// A delegate as it should be.
pub fn delegate() -> Style {
    Style { for_timestamps: false, for_answers: true, nocheck: true, critical: false, ..Style::default() }
}

impl Response {
    pub fn new(status: Status) -> Self {
        Self {
            status,
            signer: Signer::Issuer,
            produced_ms: START_MS + DAY_MS,
            this_ms: START_MS + DAY_MS,
            next_ms: Some(START_MS + 8 * DAY_MS),
            by_key: false,
            sha256: false,
            serial: 2,
            name_of_issuer: None,
            key_of_issuer: None,
            critical: false,
            critical_single: false,
            second: false,
            outcome: 0,
            response_type: "1.3.6.1.5.5.7.48.1.1",
        }
    }

    fn single(&self, issuer: &Certificate, serial: u8, status: Status) -> Vec<u8> {
        let tbs = issuer.tbs_certificate();
        let name = self.name_of_issuer.clone().unwrap_or_else(|| tbs.subject().to_der().unwrap());
        let key = tbs.subject_public_key_info().subject_public_key.raw_bytes();
        let key = self.key_of_issuer.as_deref().unwrap_or(key);
        let (oid, name, key) = match self.sha256 {
            true => ("2.16.840.1.101.3.4.2.1", Sha256::digest(name).to_vec(), Sha256::digest(key).to_vec()),
            false => ("1.3.14.3.2.26", Sha1::digest(name).to_vec(), Sha1::digest(key).to_vec()),
        };
        let id = sequence(&[&algorithm(oid, true), &tlv(4, &[&name]), &tlv(4, &[&key]), &tlv(2, &[&[serial]])]);
        let status = match status {
            Status::Good => vec![0x80, 0],
            Status::Unknown => vec![0x82, 0],
            Status::Revoked(at, reason) => {
                let reason = reason.map_or_else(Vec::new, |reason| tlv(0xa0, &[&[0x0a, 1, reason]]));
                tlv(0xa1, &[&time(at), &reason])
            }
        };
        let next = self.next_ms.map_or_else(Vec::new, |next| tlv(0xa0, &[&time(next)]));
        let extensions = if self.critical_single { tlv(0xa1, &[&unknown_extension(true)]) } else { vec![] };
        sequence(&[&id, &status, &time(self.this_ms), &next, &extensions])
    }

    /// Its bytes.
    pub fn encode(&self, authority: &Authority) -> Vec<u8> {
        let (key, certificate) = match self.signer {
            Signer::Issuer => (authority.root_key.clone(), authority.root.clone()),
            Signer::Delegate(style) => authority.issue(3, "CN=Responder,O=Qizheng tests", style),
            Signer::Impostor => (p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap(), authority.root.clone()),
            Signer::Foreign => {
                Authority::new(90, Style::default()).issue(3, "CN=Responder,O=Qizheng tests", delegate())
            }
        };
        let tbs = certificate.tbs_certificate();
        let responder = match self.by_key {
            true => {
                let key = tbs.subject_public_key_info().subject_public_key.raw_bytes();
                tlv(0xa2, &[&tlv(4, &[&Sha1::digest(key)])])
            }
            false => tlv(0xa1, &[&tbs.subject().to_der().unwrap()]),
        };
        let mut singles = if self.second { self.single(&authority.root, 55, Status::Good) } else { vec![] };
        singles.extend(self.single(&authority.root, self.serial, self.status));
        let extensions = tlv(0xa1, &[&unknown_extension(self.critical)]);
        let data = sequence(&[&responder, &time(self.produced_ms), &sequence(&[&singles]), &extensions]);
        let signature: DerSignature = p256::ecdsa::signature::Signer::sign(&key, &data);
        let signature = tlv(3, &[&[0], signature.as_bytes()]);
        let inside = match self.signer {
            Signer::Delegate(_) | Signer::Foreign => tlv(0xa0, &[&sequence(&[&certificate.to_der().unwrap()])]),
            Signer::Issuer | Signer::Impostor => vec![],
        };
        let basic = sequence(&[&data, &algorithm("1.2.840.10045.4.3.2", false), &signature, &inside]);
        let response_type = ObjectIdentifier::new_unwrap(self.response_type).to_der().unwrap();
        let bytes = tlv(0xa0, &[&sequence(&[&response_type, &tlv(4, &[&basic])])]);
        match self.outcome {
            0 => sequence(&[&[0x0a, 1, 0], &bytes]),
            outcome => sequence(&[&[0x0a, 1, outcome]]),
        }
    }
}
