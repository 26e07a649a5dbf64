//! One step of an X.509 chain: is this certificate issued by that one and valid at a moment
//! (RFC 5280 §6 without policies, name constraints and revocation, which the verifier reports as not
//! checked).

use der::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::time::Time;

/// The parts of an X.509 certificate that people look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CertificateFacts {
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// Issuer, RFC 4514 text.
    pub issuer: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// First moment of validity, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment of validity, milliseconds since 1970.
    pub not_after_ms: i64,
}

/// Why a certificate does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not an X.509 certificate.
    #[error("数字证书无法解析 / the X.509 certificate cannot be parsed: {0}")]
    Malformed(String),
    /// Another algorithm than ECDSA P-256 with SHA-256.
    #[error("数字证书算法不支持 / the X.509 certificate uses an unsupported algorithm")]
    Unsupported,
    /// The issuer's name is not the subject of the other one.
    #[error("颁发者名称不符 / the issuer's name differs")]
    IssuerName,
    /// The other one is not a CA certificate.
    #[error("颁发者证书不是 CA 证书 / the issuer is not a CA")]
    NotCa,
    /// The certificate is not for signing documents.
    #[error("数字证书用途不含签名 / the key usage does not allow signing")]
    KeyUsage,
    /// The issuer's signature does not verify.
    #[error("数字证书签名校验失败 / the issuer's signature does not verify")]
    BadSignature,
    /// Not yet or no longer valid.
    #[error("数字证书在该时间不在有效期内 / not valid at that time")]
    NotValidThen,
}

/// Reads a certificate.
///
/// # Errors
/// When it is not an X.509 certificate.
pub fn certificate_facts(certificate_der: &[u8]) -> Result<CertificateFacts, ChainError> {
    let certificate = parse(certificate_der)?;
    let tbs = certificate.tbs_certificate();
    Ok(CertificateFacts {
        subject: tbs.subject().to_string(),
        issuer: tbs.issuer().to_string(),
        serial: tbs.serial_number().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        not_before_ms: millis(&tbs.validity().not_before),
        not_after_ms: millis(&tbs.validity().not_after),
    })
}

/// Checks that `certificate_der` may sign documents, was issued by the CA `issuer_der`, and that both
/// were valid at `at_ms` (milliseconds since 1970). Whether `issuer_der` is trusted is the caller's.
///
/// # Errors
/// See [`ChainError`].
pub fn check_issued_by(certificate_der: &[u8], issuer_der: &[u8], at_ms: i64) -> Result<(), ChainError> {
    let (certificate, issuer) = (parse(certificate_der)?, parse(issuer_der)?);
    let (tbs, ca) = (certificate.tbs_certificate(), issuer.tbs_certificate());
    if tbs.issuer() != ca.subject() {
        return Err(ChainError::IssuerName);
    }
    let constraints = extension::<BasicConstraints>(&issuer)?;
    let may_issue = extension::<KeyUsage>(&issuer)?.is_none_or(|usage| usage.key_cert_sign());
    if !constraints.is_some_and(|constraints| constraints.ca) || !may_issue {
        return Err(ChainError::NotCa);
    }
    let may_sign = |usage: KeyUsage| usage.digital_signature() || usage.non_repudiation();
    if !extension::<KeyUsage>(&certificate)?.is_some_and(may_sign) {
        return Err(ChainError::KeyUsage);
    }
    for validity in [tbs.validity(), ca.validity()] {
        if !(millis(&validity.not_before)..=millis(&validity.not_after)).contains(&at_ms) {
            return Err(ChainError::NotValidThen);
        }
    }
    let key = ca.subject_public_key_info().to_der().map_err(malformed)?;
    let key = VerifyingKey::from_public_key_der(&key).map_err(|_| ChainError::Unsupported)?;
    if certificate.signature_algorithm().oid != crate::cms::ECDSA_WITH_SHA256
        || tbs.signature() != certificate.signature_algorithm()
    {
        return Err(ChainError::Unsupported);
    }
    let signature = certificate.signature().as_bytes().ok_or(ChainError::BadSignature)?;
    let signature = Signature::from_der(signature).map_err(|_| ChainError::BadSignature)?;
    key.verify(&tbs.to_der().map_err(malformed)?, &signature).map_err(|_| ChainError::BadSignature)
}

fn parse(certificate_der: &[u8]) -> Result<Certificate, ChainError> {
    Certificate::from_der(certificate_der).map_err(malformed)
}

fn malformed(error: der::Error) -> ChainError {
    ChainError::Malformed(error.to_string())
}

fn extension<T>(certificate: &Certificate) -> Result<Option<T>, ChainError>
where
    T: for<'a> Decode<'a, Error = der::Error> + der::oid::AssociatedOid,
{
    let found = certificate.tbs_certificate().get_extension::<T>().map_err(malformed)?;
    Ok(found.map(|(_, value)| value))
}

fn millis(time: &Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX)
}
