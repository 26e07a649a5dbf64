//! The messages of OCSP (RFC 6960 §4), as far as requests without a signature and basic responses go. Shapes only;
//! what may be believed is for [`super::status`] to say.

use crate::x509::oid;
use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Choice, Enumerated, Sequence};
use x509_cert::Certificate;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// SHA-1, by which certificates are usually named.
pub const SHA_1: ObjectIdentifier = oid("1.3.14.3.2.26");
/// Extended key usage of a delegated responder.
pub const ID_KP_OCSP_SIGNING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.9");
/// Type of a basic response.
pub const ID_PKIX_OCSP_BASIC: ObjectIdentifier = oid("1.3.6.1.5.5.7.48.1.1");
/// Extension: this responder need not be asked about (value: NULL).
pub const ID_PKIX_OCSP_NOCHECK: ObjectIdentifier = oid("1.3.6.1.5.5.7.48.1.5");

/// §4.1.1, without signature.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct OcspRequest {
    /// What is asked.
    pub tbs: TbsRequest,
}

/// §4.1.1, without the requestor's name.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TbsRequest {
    /// 0 (v1).
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: u8,
    /// About these certificates.
    pub list: Vec<SingleRequest>,
    /// Such as a nonce.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

/// §4.1.1: about one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SingleRequest {
    /// Which.
    pub certificate: CertId,
    /// Seldom any.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

/// §4.1.1: names a certificate by its issuer and serial number.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct CertId {
    /// Of both hashes.
    pub hash_algorithm: AlgorithmIdentifierOwned,
    /// Hash of the issuer's name (DER).
    pub issuer_name_hash: OctetString,
    /// Hash of the issuer's key: the contents of its bit string.
    pub issuer_key_hash: OctetString,
    /// Of the certificate.
    pub serial_number: SerialNumber,
}

/// §4.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumerated)]
#[repr(u8)]
pub enum ResponseStatus {
    /// With an answer.
    Successful = 0,
    /// The request cannot be read.
    MalformedRequest = 1,
    /// The responder is broken.
    InternalError = 2,
    /// Later.
    TryLater = 3,
    /// The request must be signed.
    SigRequired = 5,
    /// Nothing for this asker, or about this certificate.
    Unauthorized = 6,
}

/// §4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct OcspResponse {
    /// How it went.
    pub status: ResponseStatus,
    /// The answer, if successful.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub bytes: Option<ResponseBytes>,
}

/// §4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ResponseBytes {
    /// [`ID_PKIX_OCSP_BASIC`].
    pub response_type: ObjectIdentifier,
    /// The encoded [`BasicResponse`].
    pub response: OctetString,
}

/// §4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct BasicResponse {
    /// The [`ResponseData`], kept as it came: these bytes are signed.
    pub data: Any,
    /// Of the signature.
    pub algorithm: AlgorithmIdentifierOwned,
    /// Over the encoded data.
    pub signature: BitString,
    /// That help to verify the signature.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub certificates: Option<Vec<Certificate>>,
}

/// §4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ResponseData {
    /// 0 (v1).
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: u8,
    /// Who signs.
    pub responder: ResponderId,
    /// When it was signed.
    pub produced_at: GeneralizedTime,
    /// About each certificate.
    pub responses: Vec<SingleResponse>,
    /// Such as the request's nonce.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

/// §4.2.1: who signs.
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum ResponderId {
    /// Subject of its certificate.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", constructed = "true")]
    Name(Name),
    /// SHA-1 of its key: the contents of the bit string.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    Key(OctetString),
}

/// §4.2.1: about one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SingleResponse {
    /// Which.
    pub certificate: CertId,
    /// What is known.
    pub status: CertStatus,
    /// As of when.
    pub this_update: GeneralizedTime,
    /// When there will be something newer; absent: at any time.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub next_update: Option<GeneralizedTime>,
    /// Seldom any.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

/// §4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
pub enum CertStatus {
    /// Not revoked.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    /// Revoked.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(RevokedInfo),
    /// The responder does not know it.
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

/// §4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct RevokedInfo {
    /// When.
    pub time: GeneralizedTime,
    /// Why, if it is said.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub reason: Option<CrlReason>,
}
