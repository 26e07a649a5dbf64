//! Answers of OCSP responders (RFC 6960): was a certificate revoked? Read strictly, believed only if the
//! issuer of the certificate has signed or has authorised who did. Pure; the request is bytes, too.
//!
//! SHA-1 stands here only because certificates and keys are named by it; nothing is believed for its sake.

pub mod message;

use crate::x509::{self, Revocation, SignatureFailure, check_signature, oid};
use der::asn1::{BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use message::{
    BasicResponse, CertId, CertStatus, ID_KP_OCSP_SIGNING, ID_PKIX_OCSP_BASIC, ID_PKIX_OCSP_NOCHECK, OcspRequest,
    OcspResponse, ResponderId, ResponseData, ResponseStatus, RevokedInfo, SHA_1, SingleRequest, SingleResponse,
    TbsRequest,
};
use sha1::{Digest as _, Sha1};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, ExtendedKeyUsage, KeyUsage};
use x509_cert::spki::AlgorithmIdentifierOwned;

const ID_AD_OCSP: ObjectIdentifier = oid("1.3.6.1.5.5.7.48.1");
const AUTHORITY_INFO_ACCESS: ObjectIdentifier = oid("1.3.6.1.5.5.7.1.1");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = oid("2.5.29.35");

/// Media type of a request (RFC 6960 §A.1).
pub const REQUEST_TYPE: &str = "application/ocsp-request";
/// Media type of a response.
pub const RESPONSE_TYPE: &str = "application/ocsp-response";
/// Most certificates, and most single answers, in a response.
const MAX_PARTS: usize = 16;

/// Why bytes are no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OcspError {
    /// Not DER of this shape.
    #[error("the OCSP response cannot be read: {0}")]
    Malformed(String),
    /// The responder says that it has none.
    #[error("the OCSP responder gives no answer: {0}")]
    NoAnswer(String),
}

fn malformed(error: impl ToString) -> OcspError {
    OcspError::Malformed(error.to_string())
}

fn ms(time: &GeneralizedTime) -> u64 {
    u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX)
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    Sha1::digest(bytes).to_vec()
}

fn key_bits(certificate: &Certificate) -> &[u8] {
    certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes()
}

fn has_critical(extensions: Option<&Extensions>) -> bool {
    extensions.into_iter().flatten().any(|extension| extension.critical)
}

/// A response that can be read. Nothing about it is believed yet.
pub struct Answer {
    signed: Vec<u8>,
    data: ResponseData,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
    certificates: Vec<Certificate>,
}

impl Answer {
    /// Reads an OCSPResponse (DER) that is successful and basic.
    pub fn read(bytes: &[u8]) -> Result<Self, OcspError> {
        let response = OcspResponse::from_der(bytes).map_err(malformed)?;
        let inner = match (response.status, response.bytes) {
            (ResponseStatus::Successful, Some(inner)) => inner,
            (status, _) => return Err(OcspError::NoAnswer(format!("{status:?}"))),
        };
        if inner.response_type != ID_PKIX_OCSP_BASIC {
            return Err(malformed("another type than a basic response"));
        }
        let basic = BasicResponse::from_der(inner.response.as_bytes()).map_err(malformed)?;
        let signed = basic.data.to_der().map_err(malformed)?;
        let data = ResponseData::from_der(&signed).map_err(malformed)?;
        let certificates = basic.certificates.unwrap_or_default();
        if data.version != 0 || data.responses.len() > MAX_PARTS || certificates.len() > MAX_PARTS {
            return Err(malformed("another version, or too many parts"));
        }
        Ok(Self { signed, data, algorithm: basic.algorithm, signature: basic.signature, certificates })
    }

    /// Does it say anything about this certificate of this serial number, whoever signed it?
    pub fn is_about(&self, certificate: &Certificate) -> bool {
        let serial = certificate.tbs_certificate().serial_number();
        self.data.responses.iter().any(|one| one.certificate.serial_number == *serial)
    }

    /// Has the issuer signed it, or somebody whom the issuer has authorised to (RFC 6960 §4.2.2.2)?
    fn is_authorised(&self, issuer: &Certificate, further: &[Certificate]) -> bool {
        if has_critical(self.data.extensions.as_ref()) {
            return false;
        }
        let delegates = self.certificates.iter().chain(further);
        let delegates = delegates.filter(|one| is_delegate(one, issuer, ms(&self.data.produced_at)));
        std::iter::once(issuer).chain(delegates).any(|signer| self.names(signer) && self.is_signed_by(signer).is_ok())
    }

    fn names(&self, signer: &Certificate) -> bool {
        match &self.data.responder {
            ResponderId::Name(name) => name == signer.tbs_certificate().subject(),
            ResponderId::Key(hash) => hash.as_bytes() == sha1(key_bits(signer)),
        }
    }

    fn is_signed_by(&self, signer: &Certificate) -> Result<(), SignatureFailure> {
        let key = signer.tbs_certificate().subject_public_key_info();
        let signature = self.signature.as_bytes().ok_or(SignatureFailure::Bad)?;
        check_signature(key, &self.algorithm, None, &self.signed, signature)
    }
}

/// Has the issuer certified it for answers, and said that it need not be asked about itself?
fn is_delegate(certificate: &Certificate, issuer: &Certificate, at_ms: u64) -> bool {
    let purposes = x509::extension::<ExtendedKeyUsage>(certificate, x509::EXTENDED_KEY_USAGE);
    let usage = x509::extension::<KeyUsage>(certificate, x509::KEY_USAGE);
    matches!(purposes, Ok(Some((_, ExtendedKeyUsage(purposes)))) if purposes.contains(&ID_KP_OCSP_SIGNING))
        && usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| usage.digital_signature()))
        && matches!(x509::extension::<Null>(certificate, ID_PKIX_OCSP_NOCHECK), Ok(Some(_)))
        && !x509::has_other_critical(certificate.tbs_certificate().extensions())
        && x509::is_in_force(certificate, at_ms)
        && x509::issued(issuer, certificate)
}

impl CertId {
    fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let hash = |bytes: &[u8]| match x509::HashFunction::of(&self.hash_algorithm.oid) {
            Some(hash) => Some(hash.digest(bytes)),
            None => (self.hash_algorithm.oid == SHA_1).then(|| sha1(bytes)),
        };
        let Ok(name) = issuer.tbs_certificate().subject().to_der() else { return false };
        self.serial_number == *certificate.tbs_certificate().serial_number()
            && hash(&name).is_some_and(|hash| hash == self.issuer_name_hash.as_bytes())
            && hash(key_bits(issuer)).is_some_and(|hash| hash == self.issuer_key_hash.as_bytes())
    }
}

impl SingleResponse {
    /// What it says of a certificate that signed at this time.
    fn status(&self, at_ms: u64) -> Revocation {
        let this = ms(&self.this_update);
        // Without the next time the responder always has newer knowledge: only later answers count.
        let covers = match self.next_update.as_ref().map(ms) {
            Some(next) => this <= next && at_ms <= next,
            None => at_ms <= this,
        };
        if !covers || has_critical(self.extensions.as_ref()) {
            return Revocation::Unknown;
        }
        match &self.status {
            CertStatus::Good(_) => Revocation::Good,
            CertStatus::Unknown(_) => Revocation::Unknown,
            CertStatus::Revoked(RevokedInfo { time, reason }) => x509::revoked(ms(time), *reason, at_ms),
        }
    }
}

/// What the answers that count say of a certificate that signed at this time. `further` are certificates among
/// which a delegated responder may be, besides those in the answer.
pub fn status(
    certificate: &Certificate, issuer: &Certificate, answers: &[Answer], further: &[Certificate], at_ms: u64,
) -> Revocation {
    let counting = answers.iter().filter(|answer| answer.is_authorised(issuer, further));
    let about = counting.flat_map(|answer| &answer.data.responses).filter(|r| r.certificate.names(certificate, issuer));
    about.map(|response| response.status(at_ms)).fold(Revocation::Unknown, Revocation::or)
}

/// A request about a certificate, without nonce: an answer that was made before will do. Nothing if neither the
/// issuer nor its key's identifier is known.
pub fn request(certificate: &Certificate, issuer: Option<&Certificate>) -> Option<Vec<u8>> {
    let tbs = certificate.tbs_certificate();
    let key_hash = match issuer {
        Some(issuer) => sha1(key_bits(issuer)),
        // RFC 5280 §4.2.1.2 (1): what issuers put there is this hash.
        None => {
            let found = x509::extension::<AuthorityKeyIdentifier>(certificate, AUTHORITY_KEY_IDENTIFIER).ok()??;
            found.1.key_identifier.filter(|id| id.as_bytes().len() == 20)?.as_bytes().to_vec()
        }
    };
    let certificate = CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: SHA_1, parameters: Some(Null.into()) },
        issuer_name_hash: OctetString::new(sha1(&tbs.issuer().to_der().ok()?)).ok()?,
        issuer_key_hash: OctetString::new(key_hash).ok()?,
        serial_number: tbs.serial_number().clone(),
    };
    let list = vec![SingleRequest { certificate, extensions: None }];
    OcspRequest { tbs: TbsRequest { version: 0, list, extensions: None } }.to_der().ok()
}

/// Where a certificate says that its responder is, over `http`.
pub fn url(certificate: &Certificate) -> Option<String> {
    let access = x509::extension::<AuthorityInfoAccessSyntax>(certificate, AUTHORITY_INFO_ACCESS).ok()??;
    let mut places = access.1.0.into_iter().filter(|place| place.access_method == ID_AD_OCSP);
    places.find_map(|place| match place.access_location {
        GeneralName::UniformResourceIdentifier(url) if url.as_str().starts_with("http://") => Some(url.to_string()),
        _ => None,
    })
}
