//! Answers of an OCSP responder (RFC 6960) that is the issuing CA itself. Reading other responders' answers is
//! the verifier's (`qz_evidence`).

use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use qz_evidence::ocsp::message::{
    BasicResponse, CertId, CertStatus, ID_PKIX_OCSP_BASIC, OcspResponse, ResponderId, ResponseBytes, ResponseData,
    ResponseStatus, RevokedInfo, SHA_1, SingleRequest, SingleResponse,
};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use x509_cert::Certificate;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::GeneralName;

use super::revocation::Reason;
use super::{CaError, SealKey, time};

const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// Most certificates that one request asks about.
const MAX_REQUESTS: usize = 16;
/// RFC 9654 §2.1: longest nonce.
const MAX_NONCE: usize = 128;

/// Unlike `qz_evidence`'s, with the signature and the requestor's name that others may send; nothing depends on them.
#[derive(Sequence)]
struct OcspRequest {
    tbs: TbsRequest,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    signature: Option<der::Any>,
}

#[derive(Sequence)]
struct TbsRequest {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    version: u8,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    requestor: Option<GeneralName>,
    list: Vec<SingleRequest>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

/// What the CA knows of a serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Issued and not revoked.
    Good,
    /// Revoked since then (milliseconds since 1970).
    Revoked(i64, Reason),
    /// Never issued.
    Unknown,
}

/// The answer to a request at this time; good until `next_update_ms`. What cannot be read, and certificates of
/// other issuers, get the answers that the RFC has for them.
///
/// # Errors
/// When the issuer's certificate or the times cannot be used, or the key does not sign.
pub fn answer(
    request: &[u8], issuer_key: &SealKey, issuer_der: &[u8], (now_ms, next_update_ms): (i64, i64),
    status: impl Fn(&[u8]) -> Status,
) -> Result<Vec<u8>, CaError> {
    let issuer = Certificate::from_der(issuer_der)?;
    let Some(request) = OcspRequest::from_der(request).ok().filter(|request| request.tbs.list.len() <= MAX_REQUESTS)
    else {
        return Ok(OcspResponse { status: ResponseStatus::MalformedRequest, bytes: None }.to_der()?);
    };
    let single = |asked: &SingleRequest| {
        let id = asked.certificate.clone();
        let found = match is_of(&id, &issuer)? {
            true => status(id.serial_number.as_bytes()),
            false => Status::Unknown,
        };
        let status = match found {
            Status::Good => CertStatus::Good(Null),
            Status::Unknown => CertStatus::Unknown(Null),
            Status::Revoked(since_ms, reason) => {
                CertStatus::Revoked(RevokedInfo { time: moment(since_ms)?, reason: Some(reason.code()) })
            }
        };
        let (this_update, next_update) = (moment(now_ms)?, Some(moment(next_update_ms)?));
        Ok::<_, CaError>(SingleResponse { certificate: id, status, this_update, next_update, extensions: None })
    };
    let nonce = request.tbs.extensions.iter().flatten().find(|extension| extension.extn_id == NONCE);
    let nonce = nonce.filter(|nonce| nonce.extn_value.as_bytes().len() <= MAX_NONCE + 2).cloned();
    let data = ResponseData {
        version: 0,
        responder: ResponderId::Key(OctetString::new(Sha1::digest(key_bits(&issuer)).to_vec())?),
        produced_at: moment(now_ms)?,
        responses: request.tbs.list.iter().map(single).collect::<Result<_, _>>()?,
        extensions: nonce.map(|nonce| vec![nonce]),
    };
    let signature = BitString::from_bytes(&issuer_key.sign(&data.to_der()?)?)?;
    let algorithm = issuer_key.algorithm().identifier();
    let basic = BasicResponse { data: Any::encode_from(&data)?, algorithm, signature, certificates: None };
    let bytes = ResponseBytes { response_type: ID_PKIX_OCSP_BASIC, response: OctetString::new(basic.to_der()?)? };
    Ok(OcspResponse { status: ResponseStatus::Successful, bytes: Some(bytes) }.to_der()?)
}

/// Does the request mean this issuer?
fn is_of(id: &CertId, issuer: &Certificate) -> Result<bool, CaError> {
    let name = issuer.tbs_certificate().subject().to_der()?;
    let key = key_bits(issuer);
    // SHA-1 names certificates here, nothing is believed for its sake.
    let (name, key) = match id.hash_algorithm.oid {
        SHA_1 => (Sha1::digest(&name).to_vec(), Sha1::digest(key).to_vec()),
        SHA_256 => (Sha256::digest(&name).to_vec(), Sha256::digest(key).to_vec()),
        _ => return Ok(false),
    };
    Ok(id.issuer_name_hash.as_bytes() == name && id.issuer_key_hash.as_bytes() == key)
}

fn key_bits(certificate: &Certificate) -> &[u8] {
    certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes()
}

fn moment(ms: i64) -> Result<GeneralizedTime, CaError> {
    GeneralizedTime::from_unix_duration(time(ms)?.to_unix_duration()).map_err(|_| CaError::Validity)
}
