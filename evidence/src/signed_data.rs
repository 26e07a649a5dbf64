//! Makes a CMS `SignedData` with one signer (RFC 5652, with RFC 5035's signingCertificateV2), in two steps, so
//! that whoever holds the key, a device perhaps, signs in between. Reading and judging are elsewhere.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode, Encode, Sequence, Tag};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// Content type of plain data.
pub const ID_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// Content type of signed data.
pub const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// The attribute contentType.
pub const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
/// The attribute messageDigest.
pub const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// The attribute signingCertificateV2.
pub const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// RFC 5035 §4, with the hash function left out: SHA-256.
#[derive(Sequence)]
struct EssCertIdV2 {
    cert_hash: OctetString,
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
}

/// Signed data that waits for its signature.
#[derive(Clone, Debug)]
pub struct NewSignedData<'a> {
    /// What kind of content is signed.
    pub content_type: ObjectIdentifier,
    /// The content, to be carried along; nothing for a detached signature.
    pub content: Option<&'a [u8]>,
    /// The content's digest.
    pub digest: &'a [u8],
    /// By which function.
    pub digest_algorithm: AlgorithmIdentifierOwned,
    /// How the signature is made.
    pub signature_algorithm: AlgorithmIdentifierOwned,
    /// The signer's certificate (DER).
    pub certificate: &'a [u8],
    /// Its issuers, to be carried along.
    pub issuers: &'a [Vec<u8>],
    /// Are certificates carried along at all?
    pub with_certificates: bool,
}

impl NewSignedData<'_> {
    /// What the signature is over: the signed attributes (DER), without signing-time.
    pub fn to_be_signed(&self) -> der::Result<Vec<u8>> {
        self.attributes()?.to_der()
    }

    fn attributes(&self) -> der::Result<SignedAttributes> {
        let named = SigningCertificateV2 {
            certs: vec![EssCertIdV2 { cert_hash: OctetString::new(Sha256::digest(self.certificate).to_vec())? }],
        };
        SetOfVec::try_from(vec![
            attribute(CONTENT_TYPE, Any::encode_from(&self.content_type)?)?,
            attribute(MESSAGE_DIGEST, Any::new(Tag::OctetString, self.digest.to_vec())?)?,
            attribute(SIGNING_CERTIFICATE_V2, Any::encode_from(&named)?)?,
        ])
    }

    /// The finished object (a ContentInfo, DER).
    pub fn assemble(&self, signature: &[u8]) -> der::Result<Vec<u8>> {
        let certificate = Certificate::from_der(self.certificate)?;
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: certificate.tbs_certificate().issuer().clone(),
                serial_number: certificate.tbs_certificate().serial_number().clone(),
            }),
            digest_alg: self.digest_algorithm.clone(),
            signed_attrs: Some(self.attributes()?),
            signature_algorithm: self.signature_algorithm.clone(),
            signature: OctetString::new(signature.to_vec())?,
            unsigned_attrs: None,
        };
        let certificates = match self.with_certificates {
            false => None,
            true => {
                let mut set = vec![CertificateChoices::Certificate(certificate)];
                for issuer in self.issuers {
                    set.push(CertificateChoices::Certificate(Certificate::from_der(issuer)?));
                }
                Some(CertificateSet::try_from(set)?)
            }
        };
        let econtent = self.content.map(|content| Any::new(Tag::OctetString, content.to_vec())).transpose()?;
        let signed = SignedData {
            // RFC 5652 §5.1.
            version: if self.content_type == ID_DATA { CmsVersion::V1 } else { CmsVersion::V3 },
            digest_algorithms: SetOfVec::try_from(vec![self.digest_algorithm.clone()])?,
            encap_content_info: EncapsulatedContentInfo { econtent_type: self.content_type, econtent },
            certificates,
            crls: None,
            signer_infos: SignerInfos::try_from(vec![signer])?,
        };
        ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}
