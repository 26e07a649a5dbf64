//! May a certificate sign documents now? Its purpose, its validity and its issuers, and what revocation lists and
//! OCSP answers say.

use der::Decode;
use qz_evidence::ocsp::{self, Answer};
use qz_evidence::x509::{self, Revocation};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::CaError;

/// What is known of a signer's certificate at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may sign.
    Good,
    /// Its validity has not begun.
    NotYet,
    /// Its validity, or that of an issuer, is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// It is not for signing documents, or is a CA's.
    Purpose,
    /// Its issuers do not lead from one to the next.
    Chain,
    /// Nothing speaks against it, but no list and no answer that counts says whether it, or an issuer's, was revoked.
    Unknown,
}

impl Standing {
    /// In words: Chinese, English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("数字证书有效", "the X.509 certificate may sign"),
            Self::NotYet => ("数字证书尚未生效", "the X.509 certificate is not valid yet"),
            Self::Expired => (
                "数字证书或其颁发者证书已过期，请换发后再签",
                "the X.509 certificate or an issuer's has expired: renew it",
            ),
            Self::Revoked => ("数字证书已被吊销，不能签署", "the X.509 certificate was revoked: it must not sign"),
            Self::Purpose => ("数字证书的用途不含签名", "the X.509 certificate is not for signing documents"),
            Self::Chain => {
                ("数字证书与所附颁发者证书不匹配", "the X.509 certificate was not issued by the given issuers")
            }
            Self::Unknown => (
                "无法取得数字证书的吊销状态（吊销列表、OCSP），不能确认其未被吊销",
                "neither a revocation list nor an OCSP answer says whether the X.509 certificate was revoked",
            ),
        }
    }
}

/// Judges a certificate (DER) by its issuers (DER, nearest first) at a time (ms since 1970). Whom to trust is
/// not asked.
///
/// # Errors
/// When a certificate cannot be read.
pub fn check_signer(certificate_der: &[u8], issuers: &[Vec<u8>], at_ms: i64) -> Result<Standing, CaError> {
    let standing = check_signer_with(certificate_der, issuers, RevocationData::default(), at_ms)?;
    Ok(if standing == Standing::Unknown { Standing::Good } else { standing })
}

/// What is known about revocation, DER.
#[derive(Debug, Clone, Copy, Default)]
pub struct RevocationData<'a> {
    /// Revocation lists of the issuers.
    pub lists: &'a [Vec<u8>],
    /// OCSP responses.
    pub answers: &'a [Vec<u8>],
}

/// The same with revocation data; [`Standing::Unknown`] if they say nothing about a certificate of the path.
///
/// # Errors
/// When a certificate or list cannot be read.
pub fn check_signer_with(
    certificate_der: &[u8], issuers: &[Vec<u8>], data: RevocationData<'_>, at_ms: i64,
) -> Result<Standing, CaError> {
    let mut path = vec![Certificate::from_der(certificate_der)?];
    for issuer in issuers {
        path.push(Certificate::from_der(issuer)?);
    }
    let lists = data.lists.iter().map(|list| CertificateList::from_der(list)).collect::<Result<Vec<_>, _>>()?;
    // What is no answer says nothing.
    let answers: Vec<Answer> = data.answers.iter().filter_map(|answer| Answer::read(answer).ok()).collect();
    let at_ms = u64::try_from(at_ms).unwrap_or_default();
    let leaf = &path[0];
    let usage = leaf.tbs_certificate().get_extension::<KeyUsage>()?.map(|(_, usage)| usage);
    let is_ca = leaf.tbs_certificate().get_extension::<BasicConstraints>()?.is_some_and(|(_, basic)| basic.ca);
    if is_ca || usage.is_some_and(|usage| !usage.digital_signature() && !usage.non_repudiation()) {
        return Ok(Standing::Purpose);
    }
    for certificate in &path {
        let validity = certificate.tbs_certificate().validity();
        if at_ms < x509::time_ms(validity.not_before) {
            return Ok(Standing::NotYet);
        }
        if at_ms > x509::time_ms(validity.not_after) {
            return Ok(Standing::Expired);
        }
    }
    let mut known = true;
    for pair in path.windows(2) {
        if !x509::issued(&pair[1], &pair[0]) {
            return Ok(Standing::Chain);
        }
        let by_lists = x509::revocation(&pair[0], &pair[1], &lists, at_ms);
        match by_lists.or(ocsp::status(&pair[0], &pair[1], &answers, &path, at_ms)) {
            Revocation::Revoked => return Ok(Standing::Revoked),
            Revocation::Unknown => known = false,
            Revocation::Good => {}
        }
    }
    Ok(if known { Standing::Good } else { Standing::Unknown })
}
