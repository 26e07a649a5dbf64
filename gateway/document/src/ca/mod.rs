//! A small CA for demonstration and private installations: X.509 certificates for seals and persons, CAs in one
//! or two levels, requests, revocation lists and OCSP answers.
//!
//! It is not a licensed electronic certification service (非依法设立的电子认证服务提供者) and says so in the
//! names it writes. Which certificates were issued or revoked is the caller's to keep. Keys live in zeroizing memory and are never printed.

pub mod hierarchy;
pub mod ocsp;
pub mod request;
pub mod revocation;
mod standing;

use der::asn1::{Any, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use der::{Decode, DecodePem, Encode, EncodePem};
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use crate::key::SignatureBytes;
pub use crate::key::{KeyAlgorithm, KeyError, SealKey};
use crate::ses::SEAL_MAKING;
pub use hierarchy::Services;
pub use standing::{RevocationData, Standing, check_signer, check_signer_with};

/// Organisation name in every issuer name of the demonstration CA.
pub const DEMO_CA_ORGANISATION: &str = "演示 · 非依法设立的电子认证服务提供者";
/// Common name of the demonstration root.
pub const DEMO_ROOT_NAME: &str = "契证演示根证书 Qizheng Demo Root";

pub(crate) const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
pub(crate) const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// ETSI EN 319 412-1 §5.1.4: `NTRCN-` and the unified social credit code.
const ORGANISATION_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.97");
/// RFC 9336.
const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");
const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");

/// Why a key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not an X.509 certificate, or one that cannot be written.
    #[error("数字证书编码无效 / invalid X.509 certificate: {0}")]
    Encoding(#[from] der::Error),
    /// The builder refused.
    #[error("数字证书签发失败 / the X.509 certificate cannot be issued: {0}")]
    Builder(x509_cert::builder::Error),
    /// The CA's key and certificate do not belong together.
    #[error("CA 私钥与证书不匹配 / the CA's private key and certificate do not match")]
    OtherKey,
    /// The certificate to be renewed is another CA's.
    #[error("证书不是本 CA 签发的 / another CA issued the certificate")]
    OtherIssuer,
    /// A request was not signed with the key that it names.
    #[error("证书请求的签名与其公钥不符 / the request was not signed with the key that it names")]
    Possession,
    /// A validity limit is not a date, or the end is not after the start.
    #[error("有效期无效 / invalid validity")]
    Validity,
}

impl From<x509_cert::builder::Error> for CaError {
    fn from(error: x509_cert::builder::Error) -> Self {
        Self::Builder(error)
    }
}

/// Whom a leaf certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A seal of an organisation.
    Seal {
        /// Registered name of the organisation.
        organisation: &'a str,
        /// Unified social credit code 统一社会信用代码.
        credit_code: &'a str,
        /// Name of the seal, e.g. 合同专用章.
        seal: &'a str,
    },
    /// A seal maker 制章人, who signs seal data ([`crate::ses`]) and no documents.
    Maker {
        /// Registered name of the organisation.
        organisation: &'a str,
        /// Unified social credit code 统一社会信用代码.
        credit_code: &'a str,
    },
    /// A natural person.
    Person {
        /// Name of the person.
        name: &'a str,
        /// Organisation the person acts for, if any.
        organisation: Option<&'a str>,
    },
}

/// What is to be issued.
#[derive(Debug, Clone)]
pub struct LeafRequest<'a> {
    /// Whom the certificate names.
    pub subject: Subject<'a>,
    /// The subject's public key, SubjectPublicKeyInfo DER.
    pub public_key_der: &'a [u8],
    /// First moment of validity, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment of validity.
    pub not_after_ms: i64,
    /// Serial number; unique for each certificate of the CA.
    pub serial: [u8; 16],
}

/// The demonstration CA.
#[derive(Debug)]
pub struct CertificateAuthority {
    key: SealKey,
    certificate: Certificate,
    certificate_der: Vec<u8>,
    services: Services,
}

impl CertificateAuthority {
    /// Makes a root under `key`, valid between the two moments (milliseconds since 1970).
    ///
    /// # Errors
    /// When the validity makes no sense.
    pub fn create(key: SealKey, not_before_ms: i64, not_after_ms: i64, serial: [u8; 16]) -> Result<Self, CaError> {
        let name = distinguished_name(&[
            (COUNTRY, "CN"),
            (ORGANISATION, DEMO_CA_ORGANISATION),
            (COMMON_NAME, DEMO_ROOT_NAME),
        ])?;
        let public = SubjectPublicKeyInfo::from_der(&key.public_key_der()?)?;
        let builder = CertificateBuilder::new(
            RootProfile { name },
            serial_number(serial)?,
            validity(not_before_ms, not_after_ms)?,
            public,
        )?;
        let certificate = builder.build::<_, SignatureBytes>(&key)?;
        let certificate_der = certificate.to_der()?;
        Ok(Self { key, certificate, certificate_der, services: Services::default() })
    }

    /// Restores a CA from its key and root certificate.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn load(key: SealKey, certificate_der: &[u8]) -> Result<Self, CaError> {
        let certificate = Certificate::from_der(certificate_der)?;
        if certificate.tbs_certificate().subject_public_key_info().to_der()? != key.public_key_der()? {
            return Err(CaError::OtherKey);
        }
        let certificate_der = certificate_der.to_vec();
        Ok(Self { key, certificate, certificate_der, services: Services::default() })
    }

    /// With the places that its certificates name.
    #[must_use]
    pub fn with_services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    /// The root certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The CA's private key, for storing it.
    pub fn key(&self) -> &SealKey {
        &self.key
    }

    /// Issues a leaf certificate for signing documents; DER.
    ///
    /// # Errors
    /// When the public key is of no known kind or the validity makes no sense.
    pub fn issue(&self, request: &LeafRequest<'_>) -> Result<Vec<u8>, CaError> {
        let public = SubjectPublicKeyInfo::from_der(request.public_key_der).map_err(|_| KeyError::PublicKey)?;
        KeyAlgorithm::of_public_key(&public)?;
        let profile = LeafProfile {
            issuer: self.certificate.tbs_certificate().subject().clone(),
            subject: subject_name(&request.subject)?,
            purposes: match request.subject {
                Subject::Maker { .. } => vec![SEAL_MAKING],
                Subject::Seal { .. } | Subject::Person { .. } => vec![DOCUMENT_SIGNING, EMAIL_PROTECTION],
            },
            services: self.services.clone(),
        };
        let builder = CertificateBuilder::new(
            profile,
            serial_number(request.serial)?,
            validity(request.not_before_ms, request.not_after_ms)?,
            public,
        )?;
        Ok(builder.build::<_, SignatureBytes>(&self.key)?.to_der()?)
    }
}

impl CertificateAuthority {
    /// A new certificate for the subject and key of one that this CA issued before; DER. Signatures under the old
    /// one keep it.
    ///
    /// # Errors
    /// When the old one cannot be read or is another CA's, or the validity makes no sense.
    pub fn renew(
        &self, old_der: &[u8], not_before_ms: i64, not_after_ms: i64, serial: [u8; 16],
    ) -> Result<Vec<u8>, CaError> {
        let old = Certificate::from_der(old_der)?;
        let old = old.tbs_certificate();
        let issuer = self.certificate.tbs_certificate().subject().clone();
        if *old.issuer() != issuer {
            return Err(CaError::OtherIssuer);
        }
        let purposes = match old.get_extension::<ExtendedKeyUsage>()? {
            Some((_, ExtendedKeyUsage(purposes))) => purposes,
            None => vec![DOCUMENT_SIGNING, EMAIL_PROTECTION],
        };
        let profile = LeafProfile { issuer, subject: old.subject().clone(), purposes, services: self.services.clone() };
        let (serial, validity) = (serial_number(serial)?, validity(not_before_ms, not_after_ms)?);
        let builder = CertificateBuilder::new(profile, serial, validity, old.subject_public_key_info().clone())?;
        Ok(builder.build::<_, SignatureBytes>(&self.key)?.to_der()?)
    }
}

/// The parts of an X.509 certificate that a signing certificate lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// Common name of the subject.
    pub common_name: String,
    /// Issuer, RFC 4514 text.
    pub issuer: String,
    /// Common name of the issuer.
    pub issuer_common_name: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// First moment of validity, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment of validity.
    pub not_after_ms: i64,
}

/// Reads what people look at in a certificate.
///
/// # Errors
/// When it is not an X.509 certificate.
pub fn summarise(certificate_der: &[u8]) -> Result<CertificateSummary, CaError> {
    let certificate = Certificate::from_der(certificate_der)?;
    let tbs = certificate.tbs_certificate();
    let millis = |time: &Time| i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX);
    Ok(CertificateSummary {
        subject: tbs.subject().to_string(),
        common_name: common_name(tbs.subject()),
        issuer: tbs.issuer().to_string(),
        issuer_common_name: common_name(tbs.issuer()),
        serial: hex::encode(tbs.serial_number().as_bytes()),
        not_before_ms: millis(&tbs.validity().not_before),
        not_after_ms: millis(&tbs.validity().not_after),
    })
}

/// DER to PEM.
///
/// # Errors
/// When it is not an X.509 certificate.
pub fn to_pem(certificate_der: &[u8]) -> Result<String, CaError> {
    Ok(Certificate::from_der(certificate_der)?.to_pem(der::pem::LineEnding::LF)?)
}

/// PEM to DER.
///
/// # Errors
/// When it is not an X.509 certificate.
pub fn from_pem(pem: &str) -> Result<Vec<u8>, CaError> {
    Ok(Certificate::from_pem(pem)?.to_der()?)
}

/// Several certificates in PEM to DER, in their order.
///
/// # Errors
/// When it is not PEM or holds no certificate.
pub fn chain_from_pem(pem: &str) -> Result<Vec<Vec<u8>>, CaError> {
    let chain = Certificate::load_pem_chain(pem.as_bytes())?;
    Ok(chain.iter().map(Encode::to_der).collect::<Result<_, _>>()?)
}

fn common_name(name: &Name) -> String {
    name.iter()
        .find(|part| part.oid == COMMON_NAME)
        .and_then(|part| String::from_utf8(part.value.value().to_vec()).ok())
        .unwrap_or_default()
}

pub(crate) struct RootProfile {
    pub(crate) name: Name,
}

impl BuilderProfile for RootProfile {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self, own: SubjectPublicKeyInfoRef<'_>, _issuer: SubjectPublicKeyInfoRef<'_>, tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let name = tbs.subject();
        Ok(vec![
            (&BasicConstraints { ca: true, path_len_constraint: Some(0) }).to_extension(name, &[])?,
            (&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)).to_extension(name, &[])?,
            (&SubjectKeyIdentifier::try_from(own)?).to_extension(name, &[])?,
        ])
    }
}

struct LeafProfile {
    issuer: Name,
    subject: Name,
    purposes: Vec<ObjectIdentifier>,
    services: Services,
}

impl BuilderProfile for LeafProfile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self, own: SubjectPublicKeyInfoRef<'_>, issuer: SubjectPublicKeyInfoRef<'_>, tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let name = tbs.subject();
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(SubjectKeyIdentifier::try_from(issuer)?.0),
            ..AuthorityKeyIdentifier::default()
        };
        let mut extensions = vec![
            (&BasicConstraints { ca: false, path_len_constraint: None }).to_extension(name, &[])?,
            (&KeyUsage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation)).to_extension(name, &[])?,
            (&ExtendedKeyUsage(self.purposes.clone())).to_extension(name, &[])?,
            (&SubjectKeyIdentifier::try_from(own)?).to_extension(name, &[])?,
            (&authority).to_extension(name, &[])?,
        ];
        extensions.extend(self.services.extensions(name)?);
        Ok(extensions)
    }
}

fn subject_name(subject: &Subject<'_>) -> Result<Name, CaError> {
    match subject {
        Subject::Seal { organisation, credit_code, seal } => distinguished_name(&[
            (COUNTRY, "CN"),
            (ORGANISATION, organisation),
            (ORGANISATION_ID, &format!("NTRCN-{credit_code}")),
            (UNIT, "演示印章"),
            (COMMON_NAME, format!("{organisation} {seal}").trim()),
        ]),
        Subject::Maker { organisation, credit_code } => distinguished_name(&[
            (COUNTRY, "CN"),
            (ORGANISATION, organisation),
            (ORGANISATION_ID, &format!("NTRCN-{credit_code}")),
            (UNIT, "演示制章人"),
            (COMMON_NAME, &format!("{organisation} 制章")),
        ]),
        Subject::Person { name, organisation } => {
            let mut parts = vec![(COUNTRY, "CN")];
            parts.extend(organisation.map(|organisation| (ORGANISATION, organisation)));
            parts.extend([(UNIT, "演示个人证书"), (COMMON_NAME, *name)]);
            distinguished_name(&parts)
        }
    }
}

/// Built from values, not from text: a name with commas or slashes stays one value.
pub(crate) fn distinguished_name(parts: &[(ObjectIdentifier, &str)]) -> Result<Name, CaError> {
    let mut sequence = RdnSequence::default();
    for (oid, value) in parts {
        let value = if *oid == COUNTRY {
            Any::encode_from(&PrintableStringRef::new(value)?)?
        } else {
            Any::encode_from(&Utf8StringRef::new(value)?)?
        };
        let mut name = RelativeDistinguishedName::default();
        name.insert(AttributeTypeAndValue { oid: *oid, value })?;
        sequence.push(name);
    }
    Ok(Name::from_der(&sequence.to_der()?)?)
}

pub(crate) fn serial_number(mut serial: [u8; 16]) -> Result<SerialNumber, CaError> {
    // RFC 5280 §4.1.2.2: positive and not zero, in its shortest form.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    Ok(SerialNumber::new(&serial)?)
}

pub(crate) fn validity(not_before_ms: i64, not_after_ms: i64) -> Result<Validity, CaError> {
    if not_after_ms <= not_before_ms {
        return Err(CaError::Validity);
    }
    Ok(Validity::new(time(not_before_ms)?, time(not_after_ms)?))
}

/// Whole seconds, as GeneralizedTime or UTCTime.
pub(crate) fn time(ms: i64) -> Result<Time, CaError> {
    let seconds = Timestamp::from_millisecond(ms).map_err(|_| CaError::Validity)?.as_second();
    let since = std::time::Duration::from_secs(u64::try_from(seconds).map_err(|_| CaError::Validity)?);
    let time = der::asn1::GeneralizedTime::from_unix_duration(since).map_err(|_| CaError::Validity)?;
    Ok(Time::GeneralTime(time))
}
