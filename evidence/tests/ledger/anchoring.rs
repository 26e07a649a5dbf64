//! Witnesses and a timestamp authority with fixed keys, for bundles whose steps 10 and 11 can pass.
//! What its responder says about it is in `responder.rs`.
#![allow(dead_code, clippy::unwrap_used)]

use super::{Ledger, ORGS, START_MS, key};
use der::asn1::{BitString, ObjectIdentifier, OctetString};
use der::{Encode, EncodePem};
use ed25519_dalek::{Signer as _, SigningKey};
use p256::ecdsa::DerSignature;
use p256::pkcs8::EncodePublicKey;
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{self, Anchor, TreeHead, anchored_message, member_keys};
use qz_evidence::codec::{Bytes, encode};
use qz_evidence::hash::sha256;
use qz_evidence::note::{KeyType, NoteSignature, SignedNote, VerifierKey, cosigned_message};
use qz_evidence::timestamp::{Accuracy, MessageImprint, NewToken};
use qz_evidence::{Hash32, OrgId};
use std::str::FromStr;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::ext::pkix::{BasicConstraints, CrlReason, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

pub const DAY_MS: u64 = 86_400_000;
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const OCSP_NOCHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");
const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1");

fn time(ms: u64) -> Time {
    Time::try_from(std::time::UNIX_EPOCH + Duration::from_millis(ms)).unwrap()
}

/// What an authority's certificate says.
#[derive(Clone, Copy)]
pub struct Style {
    pub from_ms: u64,
    pub to_ms: u64,
    pub critical: bool,
    pub for_timestamps: bool,
    /// For OCSP answers instead.
    pub for_answers: bool,
    /// Need it not be asked about (id-pkix-ocsp-nocheck)?
    pub nocheck: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            from_ms: START_MS - DAY_MS,
            to_ms: START_MS + 365 * DAY_MS,
            critical: true,
            for_timestamps: true,
            for_answers: false,
            nocheck: false,
        }
    }
}

struct Profile {
    issuer: Option<Name>,
    subject: Name,
    style: Style,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.issuer.clone().unwrap_or_else(|| subject.clone())
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self, _: SubjectPublicKeyInfoRef<'_>, _: SubjectPublicKeyInfoRef<'_>, tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let name = tbs.subject();
        if self.issuer.is_none() {
            return Ok(vec![
                (&BasicConstraints { ca: true, path_len_constraint: None }).to_extension(name, &[])?,
                (&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)).to_extension(name, &[])?,
            ]);
        }
        let purpose = match self.style {
            Style { for_answers: true, .. } => OCSP_SIGNING,
            Style { for_timestamps: true, .. } => TIME_STAMPING,
            _ => DOCUMENT_SIGNING,
        };
        let mut usage = (&ExtendedKeyUsage(vec![purpose])).to_extension(name, &[])?;
        usage.critical = self.style.critical;
        let mut all = vec![(&KeyUsage(KeyUsages::DigitalSignature.into())).to_extension(name, &[])?, usage];
        if self.style.nocheck {
            let null = OctetString::new([5, 0])?;
            all.push(Extension { extn_id: OCSP_NOCHECK, critical: false, extn_value: null });
        }
        Ok(all)
    }
}

/// A timestamp authority and its root.
pub struct Authority {
    pub root_key: p256::ecdsa::SigningKey,
    pub root: Certificate,
    key: p256::ecdsa::SigningKey,
    pub certificate: Certificate,
}

impl Authority {
    pub fn new(seed: u8, style: Style) -> Self {
        let root_key = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
        let key = p256::ecdsa::SigningKey::from_slice(&[seed + 1; 32]).unwrap();
        let name = Name::from_str(&format!("CN=Test Root {seed},O=Qizheng tests")).unwrap();
        let root_style = Style { from_ms: START_MS - 10 * DAY_MS, to_ms: START_MS + 3650 * DAY_MS, ..style };
        let root = issue(&root_key, &root_key, Profile { issuer: None, subject: name.clone(), style: root_style }, 1);
        let subject = Name::from_str(&format!("CN=Test TSA {seed},O=Qizheng tests")).unwrap();
        let certificate = issue(&root_key, &key, Profile { issuer: Some(name), subject, style }, 2);
        Self { root_key, root, key, certificate }
    }

    /// A certificate of the root for somebody else, with this key's seed.
    pub fn issue(&self, seed: u8, name: &str, style: Style) -> (p256::ecdsa::SigningKey, Certificate) {
        let key = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
        let issuer = Some(self.root.tbs_certificate().subject().clone());
        let profile = Profile { issuer, subject: Name::from_str(name).unwrap(), style };
        let certificate = issue(&self.root_key, &key, profile, seed);
        (key, certificate)
    }

    /// The same for a key of any kind.
    pub fn certify(&self, key: &SubjectPublicKeyInfoOwned, name: &str, style: Style) -> Certificate {
        let issuer = Some(self.root.tbs_certificate().subject().clone());
        let profile = Profile { issuer, subject: Name::from_str(name).unwrap(), style };
        certify(&self.root_key, key.clone(), profile, 9)
    }

    /// What the verifier is given.
    pub fn root_pem(&self) -> Vec<u8> {
        self.root.to_pem(der::pem::LineEnding::LF).unwrap().into_bytes()
    }

    pub fn token(&self, imprint: &Hash32, time_ms: u64) -> Vec<u8> {
        let imprint = MessageImprint::sha256(imprint).unwrap();
        let certificate = self.certificate.to_der().unwrap();
        let token = NewToken {
            imprint: &imprint,
            nonce: None,
            policy: POLICY,
            serial: 77,
            time_ms,
            accuracy: Accuracy { seconds: Some(1), millis: None, micros: None },
            certificate: &certificate,
            issuers: &[],
            with_certificates: true,
        };
        token
            .signed(|message| {
                let signature: DerSignature = p256::ecdsa::signature::Signer::sign(&self.key, message);
                Ok::<_, der::Error>(signature.as_bytes().to_vec())
            })
            .unwrap()
    }

    /// The root's list of the day, with this revocation of the authority's certificate.
    pub fn revocations(&self, revoked: Option<(u64, CrlReason)>) -> Vec<u8> {
        self.revocations_because(revoked.map(|(at_ms, reason)| (at_ms, Some(reason))))
    }

    /// The same, perhaps without a reason.
    pub fn revocations_because(&self, revoked: Option<(u64, Option<CrlReason>)>) -> Vec<u8> {
        let algorithm =
            AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), parameters: None };
        let entry = |(at_ms, reason): (u64, Option<CrlReason>)| RevokedCert {
            serial_number: self.certificate.tbs_certificate().serial_number().clone(),
            revocation_date: time(at_ms),
            crl_entry_extensions: reason.map(|reason| {
                vec![Extension {
                    extn_id: ObjectIdentifier::new_unwrap("2.5.29.21"),
                    critical: false,
                    extn_value: OctetString::new(reason.to_der().unwrap()).unwrap(),
                }]
            }),
        };
        let tbs = TbsCertList {
            version: Version::V2,
            signature: algorithm.clone(),
            issuer: self.root.tbs_certificate().subject().clone(),
            this_update: time(START_MS - DAY_MS),
            next_update: Some(time(START_MS + 30 * DAY_MS)),
            revoked_certificates: revoked.map(|one| vec![entry(one)]),
            crl_extensions: None,
        };
        let signature: DerSignature = p256::ecdsa::signature::Signer::sign(&self.root_key, &tbs.to_der().unwrap());
        let signature = BitString::from_bytes(signature.as_bytes()).unwrap();
        CertificateList { tbs_cert_list: tbs, signature_algorithm: algorithm, signature }.to_der().unwrap()
    }

    pub fn anchor(&self, message: &[u8], time_ms: u64) -> Anchor {
        Anchor {
            revocations: vec![Bytes(self.revocations(None))],
            ..Anchor::of_token(self.token(&sha256(&[message]), time_ms))
        }
    }
}

fn issue(issuer: &p256::ecdsa::SigningKey, key: &p256::ecdsa::SigningKey, profile: Profile, serial: u8) -> Certificate {
    let public = key.verifying_key().to_public_key_der().unwrap();
    let public = <SubjectPublicKeyInfo<_, _> as der::Decode>::from_der(public.as_bytes()).unwrap();
    certify(issuer, public, profile, serial)
}

fn certify(
    issuer: &p256::ecdsa::SigningKey, public: SubjectPublicKeyInfoOwned, profile: Profile, serial: u8,
) -> Certificate {
    let validity = Validity::new(time(profile.style.from_ms), time(profile.style.to_ms));
    let serial = SerialNumber::new(&[serial]).unwrap();
    CertificateBuilder::new(profile, serial, validity, public).unwrap().build::<_, DerSignature>(issuer).unwrap()
}

/// An outside witness.
pub fn witness(n: u8) -> (SigningKey, VerifierKey) {
    let secret = SigningKey::from_bytes(&[100 + n; 32]);
    let key = VerifierKey::new(&format!("witness.example/w{n}"), KeyType::Cosigner, secret.verifying_key().to_bytes());
    (secret, key.unwrap())
}

/// A policy that wants witness 1 and witness 2, or one of them.
pub fn policy(required: &str) -> Vec<u8> {
    let (one, two) = (witness(1).1, witness(2).1);
    format!("witness one {one}\nwitness two {two}\ngroup outside {required} one two\nquorum outside\n").into_bytes()
}

pub fn log_line(text: &str, chain: &Hash32, organisation: usize) -> NoteSignature {
    let [log, _] = keys(chain, organisation);
    NoteSignature::new(&log, None, &key(organisation, "witness").sign(text.as_bytes()).to_bytes())
}

pub fn member_line(text: &str, chain: &Hash32, organisation: usize, seconds: u64) -> NoteSignature {
    let [_, cosigner] = keys(chain, organisation);
    cosign(&key(organisation, "witness"), &cosigner, text, seconds)
}

pub fn cosign(secret: &SigningKey, key: &VerifierKey, text: &str, seconds: u64) -> NoteSignature {
    NoteSignature::new(key, Some(seconds), &secret.sign(&cosigned_message(seconds, text)).to_bytes())
}

fn keys(chain: &Hash32, organisation: usize) -> [VerifierKey; 2] {
    let witness = Hash32(key(organisation, "witness").verifying_key().to_bytes());
    member_keys(chain, &OrgId::new(ORGS[organisation].0).unwrap(), &witness).unwrap()
}

impl Ledger {
    /// The text of the head's checkpoint, and the path.
    pub fn tree_head(&self) -> (String, Vec<Hash32>) {
        let size = self.headers.len() as u64;
        let path = self.last_path();
        let tree = TreeHead::new(&self.chain_id, size, self.root());
        (tree.to_string(), path)
    }

    /// The head's checkpoint: every member's two lines and those of both outside witnesses.
    pub fn note(&self, seconds: u64) -> SignedNote {
        let (text, _) = self.tree_head();
        let mut note = SignedNote { text: text.clone(), signatures: vec![] };
        for organisation in 0..4 {
            note.add(log_line(&text, &self.chain_id, organisation)).unwrap();
            note.add(member_line(&text, &self.chain_id, organisation, seconds)).unwrap();
        }
        for n in [1, 2] {
            let (secret, key) = witness(n);
            note.add(cosign(&secret, &key, &text, seconds)).unwrap();
        }
        note
    }

    /// The proof of [`Ledger::bundle`], with checkpoint and timestamp.
    pub fn anchored_bundle(&self, authority: &Authority) -> Bundle {
        let head_ms = START_MS + (self.headers.len() as u64 - 1) * 1000;
        let note = self.note(head_ms / 1000 + 1);
        let mut bundle = self.bundle();
        bundle.checkpoint = Some(checkpoint::encoded(&note, self.tree_head().1, vec![]));
        let anchor = authority.anchor(&anchored_message(&note.text, &[]), head_ms + 2000);
        bundle.anchors = vec![Bytes(encode(&anchor))];
        bundle
    }
}
