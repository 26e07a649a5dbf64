//! Certificate chains, revocation data and timestamps of a signature, with what the file brings along
//! (CMS object and `/DSS`) and the roots that the verifier gives.

use der::Decode;
use qz_evidence::ocsp::{self, Answer};
use qz_evidence::timestamp::{Roots, verify_over};
use qz_evidence::x509::{self, Revocation};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::KeyUsage;

use super::report::{TimestampReport, Trust};
use crate::cms::Outcome;
use crate::file::View;
use crate::file::value::{Dictionary, Value};

/// Most certificates, and most revocation lists, that a `/DSS` may bring.
const MAX_KEPT: usize = 256;

/// What the verifier trusts.
#[derive(Clone, Debug, Default)]
pub struct TrustedRoots {
    roots: Vec<Certificate>,
    timestamps: Roots,
    now_ms: u64,
}

/// A file of roots that is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("根证书无法读取 / the roots cannot be read: {0}")]
pub struct RootsError(String);

impl TrustedRoots {
    /// `roots` are those of signers, `timestamps` those of timestamp authorities: each one certificate in DER,
    /// any number in PEM, or nothing. `now_ms` is the time of this verification.
    ///
    /// # Errors
    /// When a file of roots is neither.
    pub fn parse(roots: &[u8], timestamps: &[u8], now_ms: u64) -> Result<Self, RootsError> {
        let roots = if roots.is_empty() { vec![] } else { x509::read_roots(roots).map_err(RootsError)? };
        let timestamps = Roots::parse(timestamps).map_err(|error| RootsError(error.to_string()))?;
        Ok(Self { roots, timestamps, now_ms })
    }

    pub(crate) fn are_given(&self) -> bool {
        !self.roots.is_empty()
    }
}

/// Validation data of the file (`/DSS`, ISO 32000-2 §12.8.4.3).
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) lists: Vec<Vec<u8>>,
    pub(crate) ocsp: Vec<Vec<u8>>,
}

impl Stored {
    pub(crate) fn read(view: View<'_>, catalog: &Dictionary) -> Self {
        let Some(dss) = view.dictionary(catalog, b"DSS") else { return Self::default() };
        let streams = |key: &[u8]| -> Vec<Vec<u8>> {
            let members: Vec<Value> = view.array(&dss, key);
            members.iter().take(MAX_KEPT).filter_map(|member| view.unpacked(&view.resolve(member))).collect()
        };
        Self { certificates: streams(b"Certs"), lists: streams(b"CRLs"), ocsp: streams(b"OCSPs") }
    }
}

/// Verifies a timestamp over `parts`.
pub(crate) fn timestamp(token: &[u8], parts: &[&[u8]], stored: &Stored, trusted: &TrustedRoots) -> TimestampReport {
    match verify_over(token, parts, &stored.certificates, &stored.lists, &stored.ocsp, &trusted.timestamps) {
        Ok(found) => TimestampReport {
            time_ms: Some(found.time_ms),
            authority: Some(found.authority),
            trusted: found.trusted.is_some(),
            problem: None,
        },
        Err(error) => {
            TimestampReport { time_ms: None, authority: None, trusted: false, problem: Some(error.to_string()) }
        }
    }
}

/// Does the signer's certificate lead to a root, at the time that a trusted timestamp gives, else now?
pub(crate) fn chain(outcome: &Outcome, stored: &Stored, trusted: &TrustedRoots, stamped_ms: Option<u64>) -> Trust {
    let Ok(leaf) = Certificate::from_der(&outcome.certificate) else { return Trust::Unknown };
    let usage = leaf.tbs_certificate().get_extension::<KeyUsage>();
    let may_sign = |usage: KeyUsage| usage.digital_signature() || usage.non_repudiation();
    if !usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| may_sign(usage))) {
        return Trust::WrongUse;
    }
    if trusted.roots.is_empty() {
        return Trust::NoRootGiven;
    }
    let ders = outcome.chain.iter().chain(&stored.certificates);
    let mut pool: Vec<Certificate> = vec![];
    for found in ders.filter_map(|der| Certificate::from_der(der).ok()) {
        if !pool.contains(&found) {
            pool.push(found);
        }
    }
    let ders = outcome.lists.iter().chain(&stored.lists);
    let lists: Vec<CertificateList> = ders.filter_map(|der| CertificateList::from_der(der).ok()).collect();
    let ders = outcome.ocsp.iter().chain(&stored.ocsp);
    let answers: Vec<Answer> = ders.filter_map(|der| Answer::read(der).ok()).collect();
    let kept = Kept { lists, answers, pool: &pool };
    let at_ms = stamped_ms.unwrap_or(trusted.now_ms);
    let mut answer = Trust::Unknown;
    if let Some(found) = trusted.roots.iter().find(|root| **root == leaf) {
        answer = Trust::Trusted { path: vec![subject(found)], unchecked: vec![] };
    }
    for path in x509::paths(&leaf, &pool, &trusted.roots) {
        match judge(&path, &kept, at_ms) {
            found @ Trust::Trusted { .. } => return found,
            other => answer = other,
        }
    }
    answer
}

/// Revocation data, and certificates among which a responder's may be.
struct Kept<'a> {
    lists: Vec<CertificateList>,
    answers: Vec<Answer>,
    pool: &'a [Certificate],
}

fn judge(path: &x509::Path<'_>, kept: &Kept<'_>, at_ms: u64) -> Trust {
    if let Some(certificate) = x509::not_in_force(path, at_ms) {
        return Trust::NotInForce { certificate: subject(certificate) };
    }
    let mut unchecked = vec![];
    for pair in path.windows(2) {
        let by_list = x509::revocation(pair[0], pair[1], &kept.lists, at_ms);
        match by_list.or(ocsp::status(pair[0], pair[1], &kept.answers, kept.pool, at_ms)) {
            Revocation::Good => {}
            Revocation::Unknown => unchecked.push(subject(pair[0])),
            Revocation::Revoked => return Trust::Revoked { certificate: subject(pair[0]) },
        }
    }
    Trust::Trusted { path: path.iter().map(|certificate| subject(certificate)).collect(), unchecked }
}

fn subject(certificate: &Certificate) -> String {
    certificate.tbs_certificate().subject().to_string()
}
