//! The structures of GB/T 38540-2020 §6 and §7 in ASN.1, version 4. Encoding and decoding are the `der` crate's.

use der::asn1::{Any, BitString, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString, PrintableString};
use der::{Decode, Encode, Sequence};

use super::{MAX_BYTES, SesError, encoding};

/// Identifier in every header.
pub(super) const HEADER_ID: &str = "ES";
/// The version of the format.
pub(super) const VERSION: u32 = 4;
/// `certListType`: certificates.
pub(super) const CERTIFICATES: u32 = 1;
/// `certListType`: digests of certificates.
pub(super) const DIGESTS: u32 = 2;
/// Name of the hash function in a [`CertificateDigest`].
pub(super) const SM3_NAME: &str = "SM3";

/// SESeal: 电子印章.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct Seal {
    /// eSealInfo.
    pub(super) info: SealInfo,
    /// cert: the maker's certificate.
    pub(super) certificate: OctetString,
    /// signAlgID.
    pub(super) algorithm: ObjectIdentifier,
    /// signedValue over the DER of `info`.
    pub(super) signature: BitString,
}

/// SES_SealInfo: 印章信息.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct SealInfo {
    pub(super) header: Header,
    /// esID: identifier of the seal.
    pub(super) id: Ia5String,
    pub(super) property: Property,
    pub(super) picture: PictureInfo,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<ExtensionData>>,
}

/// SES_Header: 头信息.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct Header {
    pub(super) id: Ia5String,
    pub(super) version: u32,
    /// Vid: whose software made it.
    pub(super) vendor: Ia5String,
}

/// SES_ESPropertyInfo: 印章属性.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct Property {
    /// type: kind of the seal, defined by its maker.
    pub(super) kind: u32,
    pub(super) name: String,
    pub(super) list_type: u32,
    /// SES_CertList: certificates or digests, as `list_type` says; the CHOICE has no tags to tell them apart.
    pub(super) list: Any,
    pub(super) created: GeneralizedTime,
    pub(super) valid_from: GeneralizedTime,
    pub(super) valid_until: GeneralizedTime,
}

/// CertDigestObj.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct CertificateDigest {
    /// type: name of the hash function.
    pub(super) function: PrintableString,
    pub(super) value: OctetString,
}

/// SES_ESPictrueInfo: 印章图像数据.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct PictureInfo {
    /// type: `PNG` …
    pub(super) format: Ia5String,
    pub(super) data: OctetString,
    /// Millimetres.
    pub(super) width: u32,
    /// Millimetres.
    pub(super) height: u32,
}

/// ExtData.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct ExtensionData {
    pub(super) id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    pub(super) critical: bool,
    pub(super) value: OctetString,
}

/// SES_Signature: 电子签章数据.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct Signature {
    pub(super) to_sign: ToSign,
    /// cert: the signer's certificate.
    pub(super) certificate: OctetString,
    pub(super) algorithm: ObjectIdentifier,
    /// Over the DER of `to_sign`.
    pub(super) signature: BitString,
    /// A timestamp token (RFC 3161) over the value of `signature`.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) timestamp: Option<BitString>,
}

/// TBS_Sign: 签章信息.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct ToSign {
    pub(super) version: u32,
    pub(super) seal: Seal,
    /// timeInfo.
    pub(super) time: GeneralizedTime,
    /// dataHash.
    pub(super) digest: BitString,
    /// propertyInfo: at least which part of the document is covered.
    pub(super) properties: Ia5String,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<ExtensionData>>,
}

/// Reads a structure that must be exactly its DER.
pub(super) fn strict<T>(what: &'static str, bytes: &[u8]) -> Result<T, SesError>
where
    T: for<'a> Decode<'a, Error = der::Error> + Encode,
{
    if bytes.len() > MAX_BYTES {
        return Err(SesError::TooLarge(bytes.len()));
    }
    let read = T::from_der(bytes).map_err(encoding(what))?;
    match read.to_der().map_err(encoding(what))? == bytes {
        true => Ok(read),
        false => Err(SesError::NotCanonical),
    }
}

/// No extension is known here, so none may be critical.
pub(super) fn check_extensions(extensions: Option<&[ExtensionData]>) -> Result<(), SesError> {
    match extensions.into_iter().flatten().find(|extension| extension.critical) {
        Some(extension) => Err(SesError::CriticalExtension(extension.id)),
        None => Ok(()),
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(time: GeneralizedTime) -> i64 {
    i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX)
}

/// Whole seconds of it, as the format has them.
pub(super) fn general_time(what: &'static str, time_ms: i64) -> Result<GeneralizedTime, SesError> {
    let seconds = u64::try_from(time_ms).map_err(|_| SesError::Value(what))? / 1000;
    GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(seconds)).map_err(|_| SesError::Value(what))
}

/// ASCII text.
pub(super) fn ascii(what: &'static str, text: &str) -> Result<Ia5String, SesError> {
    match text.is_empty() || text.len() > 4096 {
        true => Err(SesError::Value(what)),
        false => Ia5String::new(text).map_err(|_| SesError::Value(what)),
    }
}
