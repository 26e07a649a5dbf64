//! Certificates of a demonstration timestamp authority: a root of its own, the authority's certificate (RFC
//! 3161 §2.3: for timestamps alone, critically) and the root's revocation list.
//!
//! Demonstration: the names say 演示. A real authority's certificate comes from a licensed CA.

use der::asn1::{Ia5String, ObjectIdentifier};
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};

use crate::ca::revocation::RevocationList;
use crate::ca::{
    COMMON_NAME, COUNTRY, CaError, DEMO_CA_ORGANISATION, ORGANISATION, RootProfile, SealKey, distinguished_name,
    serial_number, validity,
};
use crate::key::SignatureBytes;

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// Common name of the demonstration root.
pub const DEMO_TSA_ROOT_NAME: &str = "契证演示时间戳根证书 Qizheng Demo TSA Root";

/// Makes the root's certificate, DER.
///
/// # Errors
/// When the validity makes no sense.
pub fn root(key: &SealKey, not_before_ms: i64, not_after_ms: i64, serial: [u8; 16]) -> Result<Vec<u8>, CaError> {
    let name = distinguished_name(&[
        (COUNTRY, "CN"),
        (ORGANISATION, DEMO_CA_ORGANISATION),
        (COMMON_NAME, DEMO_TSA_ROOT_NAME),
    ])?;
    let public = SubjectPublicKeyInfo::from_der(&key.public_key_der()?)?;
    let validity = validity(not_before_ms, not_after_ms)?;
    let builder = CertificateBuilder::new(RootProfile { name }, serial_number(serial)?, validity, public)?;
    Ok(builder.build::<_, SignatureBytes>(key)?.to_der()?)
}

/// What the authority's certificate says.
#[derive(Debug, Clone)]
pub struct AuthorityRequest<'a> {
    /// The organisation that runs it.
    pub organisation: &'a str,
    /// Its public key, SubjectPublicKeyInfo DER.
    pub public_key_der: &'a [u8],
    /// Where the root's revocation list is, `http://…`.
    pub revocation_url: &'a str,
    /// First moment of validity, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment of validity.
    pub not_after_ms: i64,
    /// Serial number.
    pub serial: [u8; 16],
}

/// Issues the authority's certificate, DER.
///
/// # Errors
/// When the root or the request cannot be used.
pub fn authority(root_key: &SealKey, root_der: &[u8], request: &AuthorityRequest<'_>) -> Result<Vec<u8>, CaError> {
    let root = Certificate::from_der(root_der)?;
    let profile = AuthorityProfile {
        issuer: root.tbs_certificate().subject().clone(),
        subject: distinguished_name(&[
            (COUNTRY, "CN"),
            (ORGANISATION, request.organisation),
            (COMMON_NAME, &format!("演示时间戳 Demo TSA · {}", request.organisation)),
        ])?,
        revocation_url: Ia5String::new(request.revocation_url)?,
    };
    let validity = validity(request.not_before_ms, request.not_after_ms)?;
    let public = SubjectPublicKeyInfo::from_der(request.public_key_der)?;
    let builder = CertificateBuilder::new(profile, serial_number(request.serial)?, validity, public)?;
    Ok(builder.build::<_, SignatureBytes>(root_key)?.to_der()?)
}

/// The root's list, empty, valid between these moments; DER.
///
/// # Errors
/// When the root or the times cannot be used.
pub fn revocation_list(
    root_key: &SealKey, root_der: &[u8], this_update_ms: i64, next_update_ms: i64,
) -> Result<Vec<u8>, CaError> {
    let number = u64::try_from(this_update_ms).unwrap_or_default();
    RevocationList { number, this_update_ms, next_update_ms, revoked: &[] }.sign(root_key, root_der)
}

struct AuthorityProfile {
    issuer: Name,
    subject: Name,
    revocation_url: Ia5String,
}

impl BuilderProfile for AuthorityProfile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self, _own: SubjectPublicKeyInfoRef<'_>, _issuer: SubjectPublicKeyInfoRef<'_>, tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let name = tbs.subject();
        let mut purpose = (&ExtendedKeyUsage(vec![TIME_STAMPING])).to_extension(name, &[])?;
        purpose.critical = true;
        let url = GeneralName::UniformResourceIdentifier(self.revocation_url.clone());
        let point = DistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(vec![url])),
            reasons: None,
            crl_issuer: None,
        };
        Ok(vec![
            (&KeyUsage(KeyUsages::DigitalSignature.into())).to_extension(name, &[])?,
            purpose,
            (&CrlDistributionPoints(vec![point])).to_extension(name, &[])?,
        ])
    }
}
