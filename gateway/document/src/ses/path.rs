//! Certificates of makers and signers: keys, paths to a root with SM2 as well as P-256 and RSA issuers, revocation
//! lists. Not a general path validator: names, signatures, validity, the right to issue, nothing critical unknown.

use der::{Decode, Encode};
use qz_evidence::x509::{is_in_force, time_ms};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{SEAL_MAKING, SesError, Trust, Who, encoding};
use crate::key::{KeyAlgorithm, verifies};

/// Most issuing CAs between a certificate and its root.
const MAX_ISSUERS: usize = 4;
/// Extensions that are judged here or restrict nothing that matters: basic constraints, key usage, extended key
/// usage, policies.
const KNOWN: [&str; 4] = ["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.32"];

/// A certificate with an SM2 key.
pub(super) struct Holder {
    pub(super) certificate: Certificate,
    pub(super) public_key_der: Vec<u8>,
}

impl Holder {
    pub(super) fn read(who: Who, der: &[u8]) -> Result<Self, SesError> {
        let certificate = Certificate::from_der(der).map_err(encoding("certificate"))?;
        let key = certificate.tbs_certificate().subject_public_key_info();
        match KeyAlgorithm::of_public_key(key) {
            Ok(KeyAlgorithm::Sm2) => {}
            _ => return Err(SesError::Algorithm { who, algorithm: key.algorithm.oid.to_string() }),
        }
        let public_key_der = key.to_der().map_err(encoding("public key"))?;
        Ok(Self { certificate, public_key_der })
    }

    /// Does `signature` by its key cover `message`?
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        verifies(KeyAlgorithm::Sm2, &self.public_key_der, message, signature)
    }

    /// Leads to a root, in force and not revoked at this time, and is for signing; a maker's for making seals.
    pub(super) fn check(&self, who: Who, trust: &Trust, at_ms: i64) -> Result<Checked, SesError> {
        let at_ms = u64::try_from(at_ms).unwrap_or_default();
        self.check_purpose(who, trust)?;
        let roots = read_all(&trust.roots)?;
        let issuers = read_all(&trust.issuers)?;
        let lists = trust.revocation_lists.iter().map(|list| CertificateList::from_der(list));
        let lists = lists.collect::<Result<Vec<_>, _>>().map_err(encoding("revocation list"))?;
        let mut current = &self.certificate;
        let mut checked = Checked { revocation_known: true };
        for depth in 0..=MAX_ISSUERS {
            check_extensions(who, current)?;
            if !is_in_force(current, at_ms) {
                return Err(SesError::CertificateTime(who));
            }
            let issued = |issuer: &&Certificate| may_issue(issuer, depth) && signed_by(issuer, current);
            let root = roots.iter().find(issued);
            let Some(issuer) = root.or_else(|| issuers.iter().find(issued)) else {
                let detail = current.tbs_certificate().issuer().to_string();
                return Err(SesError::Path { who, detail });
            };
            match revocation(current, issuer, &lists, at_ms) {
                Some(true) => return Err(SesError::Revoked(who)),
                Some(false) => {}
                None => checked.revocation_known = false,
            }
            if root.is_some() {
                return match is_in_force(issuer, at_ms) {
                    true => Ok(checked),
                    false => Err(SesError::CertificateTime(who)),
                };
            }
            current = issuer;
        }
        Err(SesError::Path { who, detail: "too many issuers".to_owned() })
    }

    fn check_purpose(&self, who: Who, trust: &Trust) -> Result<(), SesError> {
        let tbs = self.certificate.tbs_certificate();
        let usage = tbs.get_extension::<KeyUsage>().map_err(encoding("certificate"))?;
        let signs = usage.is_none_or(|(_, usage)| usage.digital_signature() || usage.non_repudiation());
        let constraints = tbs.get_extension::<BasicConstraints>().map_err(encoding("certificate"))?;
        let is_ca = constraints.is_some_and(|(_, constraints)| constraints.ca);
        let purposes = tbs.get_extension::<ExtendedKeyUsage>().map_err(encoding("certificate"))?;
        let makes = purposes.is_some_and(|(_, ExtendedKeyUsage(purposes))| purposes.contains(&SEAL_MAKING));
        let own = self.certificate.to_der().map_err(encoding("certificate"))?;
        let fits = match who {
            Who::Maker => makes || trust.makers.contains(&own),
            Who::Signer => !makes,
        };
        if signs && !is_ca && fits { Ok(()) } else { Err(SesError::Purpose(who)) }
    }
}

/// What was found out on the way to the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    /// Lists say of every certificate of the path that it is not revoked.
    pub(super) revocation_known: bool,
}

fn read_all(ders: &[Vec<u8>]) -> Result<Vec<Certificate>, SesError> {
    ders.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>().map_err(encoding("certificate"))
}

fn check_extensions(who: Who, certificate: &Certificate) -> Result<(), SesError> {
    let mut all = certificate.tbs_certificate().extensions().into_iter().flatten();
    match all.find(|one| one.critical && !KNOWN.contains(&one.extn_id.to_string().as_str())) {
        Some(one) => Err(SesError::Path { who, detail: format!("critical extension {}", one.extn_id) }),
        None => Ok(()),
    }
}

/// May it issue certificates, with so many CAs below it?
fn may_issue(issuer: &Certificate, below: usize) -> bool {
    let tbs = issuer.tbs_certificate();
    let signs = match tbs.get_extension::<KeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
        Err(_) => false,
    };
    let constraints = tbs.get_extension::<BasicConstraints>();
    let is_ca = constraints.is_ok_and(|found| {
        found.is_some_and(|(_, one)| one.ca && one.path_len_constraint.is_none_or(|most| below <= usize::from(most)))
    });
    signs && is_ca
}

fn signed_by(issuer: &Certificate, certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    let signature = certificate.signature().as_bytes().unwrap_or_default();
    tbs.issuer() == issuer.tbs_certificate().subject()
        && tbs.signature() == certificate.signature_algorithm()
        && tbs.to_der().is_ok_and(|message| holds(issuer, certificate.signature_algorithm(), &message, signature))
}

fn holds(issuer: &Certificate, named: &AlgorithmIdentifierOwned, message: &[u8], signature: &[u8]) -> bool {
    let key = issuer.tbs_certificate().subject_public_key_info();
    let Ok(algorithm) = KeyAlgorithm::of_public_key(key) else { return false };
    named.oid == algorithm.identifier().oid
        && key.to_der().is_ok_and(|key| verifies(algorithm, &key, message, signature))
}

/// Was it revoked by then? Nothing if no list says.
fn revocation(certificate: &Certificate, issuer: &Certificate, lists: &[CertificateList], at_ms: u64) -> Option<bool> {
    let serial = certificate.tbs_certificate().serial_number();
    let mut known = None;
    for list in lists {
        let tbs = &list.tbs_cert_list;
        let signature = list.signature.as_bytes().unwrap_or_default();
        let message = tbs.to_der().ok()?;
        if tbs.issuer != *issuer.tbs_certificate().subject()
            || !holds(issuer, &list.signature_algorithm, &message, signature)
        {
            continue;
        }
        let entries = tbs.revoked_certificates.iter().flatten();
        let revoked =
            entries.into_iter().any(|one| one.serial_number == *serial && time_ms(one.revocation_date) <= at_ms);
        known = Some(revoked || known == Some(true));
    }
    known
}
