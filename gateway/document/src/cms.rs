//! The CMS object of a PAdES signature (RFC 5652; ETSI EN 319 122-1): detached, one signer,
//! signing-certificate-v2, no signing-time (PDF has `/M`), and later a timestamp over the signature value.
//!
//! [`to_be_signed`] and [`assemble`] are the two halves of [`sign`], for keys that are elsewhere. The kind of
//! signature follows the certificate's key.

use ::cms::cert::CertificateChoices;
use ::cms::content_info::ContentInfo;
use ::cms::signed_data::{SignedData, SignerInfo, SignerInfos};
use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode};
use qz_evidence::signed_data::{ID_DATA, ID_SIGNED_DATA, MESSAGE_DIGEST, NewSignedData};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;

use crate::key::{HashFunction, KeyAlgorithm, KeyError, SealKey, verifies};

/// RFC 3161 appendix A: a timestamp over the signature value.
const SIGNATURE_TIME_STAMP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");

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
    /// The certificate's key is of no known kind.
    #[error("数字证书的密钥算法不支持 / the X.509 certificate's key is neither P-256, RSA nor SM2")]
    UnknownKey,
    /// No message digest, or another one.
    #[error("签名摘要不符 / the CMS object has no or another message digest")]
    Digest,
    /// The signature does not verify with the certificate.
    #[error("签名值与数字证书不符 / the signature does not verify with the X.509 certificate's key")]
    BadSignature,
    /// There is not exactly one signer.
    #[error("签名人不唯一 / the CMS object has not exactly one signer")]
    Signers,
    /// The signature has a timestamp already.
    #[error("签名已有时间戳 / the signature has a timestamp already")]
    Stamped,
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn encoding(what: &'static str) -> impl FnOnce(der::Error) -> CmsError {
    move |source| CmsError::Encoding { what, source }
}

/// Who signs: a certificate and its issuers, which are carried along.
#[derive(Debug, Clone, Copy)]
pub struct SignerCertificate<'a> {
    /// The signer's certificate, DER.
    pub certificate_der: &'a [u8],
    /// The issuers to be included, DER.
    pub chain_ders: &'a [Vec<u8>],
}

impl<'a> SignerCertificate<'a> {
    fn algorithm(&self) -> Result<KeyAlgorithm, CmsError> {
        let certificate = Certificate::from_der(self.certificate_der).map_err(encoding("certificate"))?;
        KeyAlgorithm::of_public_key(certificate.tbs_certificate().subject_public_key_info())
            .map_err(|_| CmsError::UnknownKey)
    }

    fn public_key_der(&self) -> Result<Vec<u8>, CmsError> {
        let certificate = Certificate::from_der(self.certificate_der).map_err(encoding("certificate"))?;
        certificate.tbs_certificate().subject_public_key_info().to_der().map_err(encoding("public key"))
    }

    /// The hash function of what this signer signs.
    ///
    /// # Errors
    /// When the certificate cannot be read or its key is of no known kind.
    pub fn hash(&self) -> Result<HashFunction, CmsError> {
        Ok(self.algorithm()?.hash())
    }

    fn unsigned(&self, digest: &'a [u8; 32]) -> Result<NewSignedData<'a>, CmsError> {
        let algorithm = self.algorithm()?;
        Ok(NewSignedData {
            content_type: ID_DATA,
            content: None,
            digest,
            digest_algorithm: algorithm.hash().identifier(),
            signature_algorithm: algorithm.identifier(),
            certificate: self.certificate_der,
            issuers: self.chain_ders,
            with_certificates: true,
        })
    }
}

/// The bytes that the signer's key signs (hashing them within) for a document with this digest, by the
/// hash function of [`SignerCertificate::hash`].
///
/// # Errors
/// When the certificate cannot be used.
pub fn to_be_signed(digest: &[u8; 32], signer: SignerCertificate<'_>) -> Result<Vec<u8>, CmsError> {
    signer.unsigned(digest)?.to_be_signed().map_err(encoding("signed attributes"))
}

/// The finished object; the signature over [`to_be_signed`] must hold: ECDSA and SM2 as DER, RSA as bytes.
///
/// # Errors
/// When the certificate cannot be used or the signature does not verify with it.
pub fn assemble(digest: &[u8; 32], signer: SignerCertificate<'_>, signature: &[u8]) -> Result<Vec<u8>, CmsError> {
    let unsigned = signer.unsigned(digest)?;
    let message = unsigned.to_be_signed().map_err(encoding("signed attributes"))?;
    if !verifies(signer.algorithm()?, &signer.public_key_der()?, &message, signature) {
        return Err(CmsError::BadSignature);
    }
    unsigned.assemble(signature).map_err(encoding("signature"))
}

/// Signs `digest` (over the byte range, by the key's hash function). `chain_ders` are the issuers to be
/// included. Deterministic for keys in memory.
///
/// # Errors
/// When a certificate cannot be read or is not for `key`, or the key does not sign.
pub fn sign(
    digest: &[u8; 32], key: &SealKey, certificate_der: &[u8], chain_ders: &[Vec<u8>],
) -> Result<Vec<u8>, CmsError> {
    let signer = SignerCertificate { certificate_der, chain_ders };
    if signer.public_key_der()? != key.public_key_der()? {
        return Err(CmsError::OtherKey);
    }
    let signature = key.sign(&to_be_signed(digest, signer)?)?;
    assemble(digest, signer, &signature)
}

/// The signature value, over which a timestamp is asked for.
///
/// # Errors
/// When it is no CMS object with one signer.
pub fn signature_value(cms_der: &[u8]) -> Result<Vec<u8>, CmsError> {
    Ok(signer_of(&read(cms_der)?)?.signature.as_bytes().to_vec())
}

/// The object with a timestamp token (RFC 3161) over its signature value: PAdES B-T. Whether the token
/// holds is the caller's to check.
///
/// # Errors
/// When it is no CMS object with one signer, or has a timestamp.
pub fn with_timestamp(cms_der: &[u8], token_der: &[u8]) -> Result<Vec<u8>, CmsError> {
    let mut signed = read(cms_der)?;
    let mut signer = signer_of(&signed)?.clone();
    if timestamp_of(&signer).is_some() {
        return Err(CmsError::Stamped);
    }
    let stamped = || {
        let token = SetOfVec::try_from(vec![Any::from_der(token_der)?])?;
        let mut attributes = signer.unsigned_attrs.take().unwrap_or_default();
        attributes.insert(Attribute { oid: SIGNATURE_TIME_STAMP, values: token })?;
        signer.unsigned_attrs = Some(attributes);
        signed.signer_infos = SignerInfos::try_from(vec![signer])?;
        ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()
    };
    stamped().map_err(encoding("timestamp token"))
}

/// The timestamp token over the signature value, if there is one.
///
/// # Errors
/// When it is no CMS object with one signer.
pub fn timestamp(cms_der: &[u8]) -> Result<Option<Vec<u8>>, CmsError> {
    let signed = read(cms_der)?;
    let token = timestamp_of(signer_of(&signed)?).map(Encode::to_der);
    token.transpose().map_err(encoding("timestamp token"))
}

/// The certificates that it carries, DER.
///
/// # Errors
/// When it is no CMS object.
pub fn certificates(cms_der: &[u8]) -> Result<Vec<Vec<u8>>, CmsError> {
    let signed = read(cms_der)?;
    let choices = signed.certificates.iter().flat_map(|set| set.0.iter());
    let certificates = choices.filter_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) => Some(certificate.to_der().map_err(encoding("certificate"))),
        CertificateChoices::Other(_) => None,
    });
    certificates.collect()
}

fn read(cms_der: &[u8]) -> Result<SignedData, CmsError> {
    let info = ContentInfo::from_der(cms_der).map_err(encoding("CMS object"))?;
    info.content.decode_as().map_err(encoding("CMS object"))
}

fn signer_of(signed: &SignedData) -> Result<&SignerInfo, CmsError> {
    match signed.signer_infos.0.as_slice() {
        [signer] => Ok(signer),
        _ => Err(CmsError::Signers),
    }
}

fn timestamp_of(signer: &SignerInfo) -> Option<&Any> {
    let mut attributes = signer.unsigned_attrs.iter().flat_map(|attributes| attributes.iter());
    attributes.find(|attribute| attribute.oid == SIGNATURE_TIME_STAMP).and_then(|attribute| attribute.values.get(0))
}

/// Checks that `cms_der` is signed data over the content in these parts; the signature itself is not verified.
pub(crate) fn check_digest(cms_der: &[u8], content: &[&[u8]]) -> Result<(), CmsError> {
    let signed = read(cms_der)?;
    let signer = signer_of(&signed)?;
    let functions = [HashFunction::Sha256, HashFunction::Sm3];
    let function = functions.into_iter().find(|function| function.identifier().oid == signer.digest_alg.oid);
    let digest = function.ok_or(CmsError::Digest)?.digest(content);
    let mut attributes = signer.signed_attrs.iter().flat_map(|attributes| attributes.iter());
    let found = attributes
        .find(|attribute| attribute.oid == MESSAGE_DIGEST)
        .is_some_and(|attribute| attribute.values.len() == 1 && attribute.values.iter().any(|v| v.value() == digest));
    if found { Ok(()) } else { Err(CmsError::Digest) }
}
