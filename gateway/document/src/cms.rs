//! The CMS object of a PAdES B-B signature (RFC 5652; ETSI EN 319 122-1): detached, one signer,
//! ECDSA P-256 with SHA-256, signing-certificate-v2, no signing-time (PDF has `/M`).

use ::cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use ::cms::content_info::{CmsVersion, ContentInfo};
use ::cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode, Encode, Sequence, Tag};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::ca::SealKey;

const ID_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Why a CMS object could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CmsError {
    /// A certificate or object is not valid DER.
    #[error("数据编码无效 / {what} is not valid DER")]
    Encoding {
        /// What was read or written.
        what: &'static str,
        /// The cause.
        #[source]
        source: der::Error,
    },
    /// The certificate is for another key.
    #[error("数字证书与签名密钥不匹配 / the X.509 certificate is not for the signing key")]
    OtherKey,
    /// No message digest, or another one.
    #[error("签名摘要不符 / the CMS object has no or another message digest")]
    Digest,
}

fn encoding(what: &'static str) -> impl FnOnce(der::Error) -> CmsError {
    move |source| CmsError::Encoding { what, source }
}

/// Hash algorithm left out: SHA-256 is the default (RFC 5035 §4).
#[derive(Sequence)]
struct EssCertIdV2 {
    cert_hash: OctetString,
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
}

/// Signs `digest` (SHA-256 over the byte range). `chain_ders` are the issuers to be included.
/// Deterministic: the nonce follows RFC 6979.
///
/// # Errors
/// When a certificate cannot be read or is not for `key`.
pub fn sign(
    digest: &[u8; 32], key: &SealKey, certificate_der: &[u8], chain_ders: &[Vec<u8>],
) -> Result<Vec<u8>, CmsError> {
    let certificate = Certificate::from_der(certificate_der).map_err(encoding("certificate"))?;
    let public = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(encoding("public key"))?;
    match VerifyingKey::from_public_key_der(&public) {
        Ok(public) if public == *key.signing_key().verifying_key() => {}
        _ => return Err(CmsError::OtherKey),
    }
    build(digest, key, certificate, certificate_der, chain_ders).map_err(encoding("signature"))
}

fn build(
    digest: &[u8; 32], key: &SealKey, certificate: Certificate, certificate_der: &[u8], chain_ders: &[Vec<u8>],
) -> der::Result<Vec<u8>> {
    let sha256 = AlgorithmIdentifierOwned { oid: SHA_256, parameters: None };
    let named = SigningCertificateV2 {
        certs: vec![EssCertIdV2 { cert_hash: OctetString::new(Sha256::digest(certificate_der).to_vec())? }],
    };
    let attributes = SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, Any::encode_from(&ID_DATA)?)?,
        attribute(MESSAGE_DIGEST, Any::new(Tag::OctetString, digest.to_vec())?)?,
        attribute(SIGNING_CERTIFICATE_V2, Any::encode_from(&named)?)?,
    ])?;
    let signature: DerSignature = key.signing_key().sign(&attributes.to_der()?);
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: certificate.tbs_certificate().issuer().clone(),
            serial_number: certificate.tbs_certificate().serial_number().clone(),
        }),
        digest_alg: sha256.clone(),
        signed_attrs: Some(attributes),
        signature_algorithm: AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None },
        signature: OctetString::new(signature.as_bytes().to_vec())?,
        unsigned_attrs: None,
    };
    let mut certificates = vec![CertificateChoices::Certificate(certificate)];
    for issuer in chain_ders {
        certificates.push(CertificateChoices::Certificate(Certificate::from_der(issuer)?));
    }
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![sha256])?,
        encap_content_info: EncapsulatedContentInfo { econtent_type: ID_DATA, econtent: None },
        certificates: Some(CertificateSet::try_from(certificates)?),
        crls: None,
        signer_infos: SignerInfos::try_from(vec![signer])?,
    };
    ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

/// Checks that `cms_der` is signed data over `digest`; the signature itself is not verified.
pub(crate) fn check_digest(cms_der: &[u8], digest: &[u8; 32]) -> Result<(), CmsError> {
    let info = ContentInfo::from_der(cms_der).map_err(encoding("CMS object"))?;
    let signed = info.content.decode_as::<SignedData>().map_err(encoding("CMS object"))?;
    let found = signed
        .signer_infos
        .0
        .iter()
        .flat_map(|signer| signer.signed_attrs.iter())
        .flat_map(|attributes| attributes.iter())
        .filter(|attribute| attribute.oid == MESSAGE_DIGEST)
        .flat_map(|attribute| attribute.values.iter())
        .any(|value| value.value() == digest);
    if found { Ok(()) } else { Err(CmsError::Digest) }
}
