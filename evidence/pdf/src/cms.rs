//! The CMS object of a PAdES signature: one signer, ECDSA P-256 with SHA-256, detached
//! (RFC 5652, ETSI EN 319 122-1). Other algorithms are named as unsupported, not as broken.

use ::cms::cert::CertificateChoices;
use ::cms::content_info::ContentInfo;
use ::cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::spki::AlgorithmIdentifierOwned;

const ID_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// Not one DER object followed by zeros, or not signed data.
    #[error("签名数据无法解析 / the CMS object cannot be parsed: {0}")]
    Malformed(String),
    /// Another algorithm than ECDSA P-256 with SHA-256.
    #[error("不支持的签名算法 / unsupported algorithm {0}")]
    Unsupported(String),
    /// There is not exactly one signer, or its certificate is not included.
    #[error("签名人不明确 / {0}")]
    Signer(&'static str),
    /// A signed attribute is missing, repeated or wrong.
    #[error("签名属性无效 / signed attribute {0} is missing, repeated or wrong")]
    Attribute(&'static str),
    /// The covered bytes are not the ones that were signed.
    #[error("文件内容与签名不符 / the covered bytes are not the signed ones: message digest differs")]
    DigestMismatch,
    /// The signature over the signed attributes does not verify.
    #[error("签名值校验失败 / the signature does not verify with the signer's certificate")]
    BadSignature,
}

/// What was found in a CMS object.
pub(crate) struct Outcome {
    pub(crate) result: Result<(), CmsError>,
    pub(crate) subject: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) chain: Vec<Vec<u8>>,
}

/// RFC 5035 §4: the algorithm is left out when it is SHA-256.
#[derive(Sequence)]
struct EssCertIdV2 {
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    cert_hash: OctetString,
    issuer_serial: Option<der::Any>,
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
    policies: Option<der::Any>,
}

/// Verifies `contents` (padded with zeros) against the digest of the covered bytes.
pub(crate) fn verify(contents: &[u8], digest: &[u8; 32]) -> Outcome {
    let mut outcome = Outcome { result: Ok(()), subject: String::new(), certificate: Vec::new(), chain: Vec::new() };
    outcome.result = check(contents, digest, &mut outcome.subject, &mut outcome.certificate, &mut outcome.chain);
    outcome
}

fn malformed(error: impl ToString) -> CmsError {
    CmsError::Malformed(error.to_string())
}

fn check(
    contents: &[u8], digest: &[u8; 32], subject: &mut String, certificate: &mut Vec<u8>, chain: &mut Vec<Vec<u8>>,
) -> Result<(), CmsError> {
    let info = ContentInfo::from_der(unpadded(contents)?).map_err(malformed)?;
    if info.content_type != ID_SIGNED_DATA {
        return Err(malformed("not signed data"));
    }
    let signed = info.content.decode_as::<SignedData>().map_err(malformed)?;
    if signed.encap_content_info.econtent_type != ID_DATA || signed.encap_content_info.econtent.is_some() {
        return Err(malformed("not a detached signature over data"));
    }
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(CmsError::Signer("not exactly one signer"));
    };
    let certificates = signed.certificates.iter().flat_map(|set| set.0.iter()).filter_map(|choice| match choice {
        CertificateChoices::Certificate(found) => Some(found),
        CertificateChoices::Other(_) => None,
    });
    let mut own = None;
    for candidate in certificates {
        if own.is_none() && names(&signer.sid, candidate) {
            own = Some(candidate);
        } else {
            chain.push(candidate.to_der().map_err(malformed)?);
        }
    }
    let own = own.ok_or(CmsError::Signer("the signer's certificate is not included"))?;
    *certificate = own.to_der().map_err(malformed)?;
    *subject = own.tbs_certificate().subject().to_string();
    check_signer(signer, own, certificate, digest)
}

fn names(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == *certificate.tbs_certificate().issuer()
                && id.serial_number == *certificate.tbs_certificate().serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

fn check_signer(
    signer: &SignerInfo, certificate: &Certificate, certificate_der: &[u8], digest: &[u8; 32],
) -> Result<(), CmsError> {
    if signer.digest_alg.oid != SHA_256 {
        return Err(CmsError::Unsupported(signer.digest_alg.oid.to_string()));
    }
    if signer.signature_algorithm.oid != ECDSA_WITH_SHA256 {
        return Err(CmsError::Unsupported(signer.signature_algorithm.oid.to_string()));
    }
    let content_type = attribute(signer, CONTENT_TYPE, "contentType")?;
    if content_type.decode_as::<ObjectIdentifier>().map_err(malformed)? != ID_DATA {
        return Err(CmsError::Attribute("contentType"));
    }
    let hash: [u8; 32] = Sha256::digest(certificate_der).into();
    let named = attribute(signer, SIGNING_CERTIFICATE_V2, "signingCertificateV2")?
        .decode_as::<SigningCertificateV2>()
        .map_err(|_| CmsError::Attribute("signingCertificateV2"))?;
    let names_own = |id: &EssCertIdV2| {
        id.hash_algorithm.as_ref().is_none_or(|algorithm| algorithm.oid == SHA_256) && id.cert_hash.as_bytes() == hash
    };
    if !named.certs.first().is_some_and(names_own) {
        return Err(CmsError::Attribute("signingCertificateV2"));
    }
    let message_digest =
        attribute(signer, MESSAGE_DIGEST, "messageDigest")?.decode_as::<OctetString>().map_err(malformed)?;
    if message_digest.as_bytes() != digest {
        return Err(CmsError::DigestMismatch);
    }
    // RFC 5652 §5.4: the signature is over the attributes as an explicit SET OF.
    let attributes = signer.signed_attrs.as_ref().ok_or(CmsError::Attribute("signedAttrs"))?;
    let signed_bytes = attributes.to_der().map_err(malformed)?;
    let key = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(malformed)?;
    let key = VerifyingKey::from_public_key_der(&key)
        .map_err(|_| CmsError::Unsupported("public key other than P-256".into()))?;
    let signature = Signature::from_der(signer.signature.as_bytes()).map_err(|_| CmsError::BadSignature)?;
    key.verify(&signed_bytes, &signature).map_err(|_| CmsError::BadSignature)
}

/// The one value of the signed attribute `oid`.
fn attribute<'a>(signer: &'a SignerInfo, oid: ObjectIdentifier, name: &'static str) -> Result<&'a der::Any, CmsError> {
    let mut found = signer.signed_attrs.iter().flat_map(|set| set.iter()).filter(|attribute| attribute.oid == oid);
    match (found.next(), found.next()) {
        (Some(attribute), None) if attribute.values.len() == 1 => {
            attribute.values.get(0).ok_or(CmsError::Attribute(name))
        }
        _ => Err(CmsError::Attribute(name)),
    }
}

/// The DER object at the front of `contents`; what follows must be zeros.
fn unpadded(contents: &[u8]) -> Result<&[u8], CmsError> {
    let truncated = || malformed("truncated");
    let length = match *contents.get(1).ok_or_else(truncated)? {
        short @ 0..=0x7f => 2 + usize::from(short),
        long @ 0x81..=0x84 => {
            let count = usize::from(long & 0x7f);
            let octets = contents.get(2..2 + count).ok_or_else(truncated)?;
            2 + count + octets.iter().fold(0_usize, |sum, octet| (sum << 8) | usize::from(*octet))
        }
        _ => return Err(malformed("indefinite or oversized length")),
    };
    let (object, padding) = contents.split_at_checked(length).ok_or_else(truncated)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(malformed("something follows the object"));
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::unpadded;

    #[test]
    fn padding_is_cut_by_the_object_length() {
        assert_eq!(unpadded(&[0x30, 1, 7, 0, 0]), Ok(&[0x30, 1, 7][..]));
        assert_eq!(unpadded(&[0x30, 0x81, 1, 7]), Ok(&[0x30, 0x81, 1, 7][..]));
        for bad in [&[0x30][..], &[0x30, 5, 1], &[0x30, 1, 7, 9], &[0x30, 0x80, 0, 0], &[0x30, 0x82, 1]] {
            assert!(unpadded(bad).is_err(), "{bad:?}");
        }
    }
}
