//! A root that certifies issuing CAs only, and issuing CAs below it: the root's key can rest in a safe while
//! the issuing CA works.

use der::asn1::Ia5String;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};

use super::{
    COMMON_NAME, COUNTRY, CaError, DEMO_CA_ORGANISATION, ORGANISATION, SealKey, distinguished_name, serial_number,
    validity,
};
use crate::key::SignatureBytes;

const OCSP: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const CA_ISSUERS: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// Where relying parties find what belongs to a CA; written into the certificates that it issues. `http://…`:
/// what is there is signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// The CA's revocation list.
    pub revocation_list_url: Option<String>,
    /// Its OCSP responder.
    pub ocsp_url: Option<String>,
    /// Its own certificate.
    pub issuer_url: Option<String>,
}

impl Services {
    /// The extensions that say so.
    pub(super) fn extensions(&self, subject: &Name) -> x509_cert::builder::Result<Vec<Extension>> {
        let mut extensions = Vec::new();
        let url = |url: &String| Ok::<_, der::Error>(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?));
        if let Some(list) = &self.revocation_list_url {
            let point = DistributionPoint {
                distribution_point: Some(DistributionPointName::FullName(vec![url(list)?])),
                reasons: None,
                crl_issuer: None,
            };
            extensions.push((&CrlDistributionPoints(vec![point])).to_extension(subject, &[])?);
        }
        let mut access = Vec::new();
        for (method, place) in [(OCSP, &self.ocsp_url), (CA_ISSUERS, &self.issuer_url)] {
            if let Some(place) = place {
                access.push(AccessDescription { access_method: method, access_location: url(place)? });
            }
        }
        if !access.is_empty() {
            extensions.push((&AuthorityInfoAccessSyntax(access)).to_extension(subject, &[])?);
        }
        Ok(extensions)
    }
}

/// What a CA's certificate says.
#[derive(Debug, Clone)]
pub struct AuthorityRequest<'a> {
    /// Common name.
    pub name: &'a str,
    /// First moment of validity, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment of validity.
    pub not_after_ms: i64,
    /// Serial number; unique for each certificate of its issuer.
    pub serial: [u8; 16],
}

/// A root over issuing CAs; DER.
///
/// # Errors
/// When the request makes no sense or the key does not sign.
pub fn root(key: &SealKey, request: &AuthorityRequest<'_>) -> Result<Vec<u8>, CaError> {
    build(key, &key.public_key_der()?, None, &Services::default(), request)
}

/// An issuing CA below a root; DER. `services` are the root's.
///
/// # Errors
/// When the request or the root makes no sense or the root's key does not sign.
pub fn issuing(
    root_key: &SealKey, root_der: &[u8], public_key_der: &[u8], services: &Services, request: &AuthorityRequest<'_>,
) -> Result<Vec<u8>, CaError> {
    build(root_key, public_key_der, Some(root_der), services, request)
}

fn build(
    signer: &SealKey, public_key_der: &[u8], root_der: Option<&[u8]>, services: &Services,
    request: &AuthorityRequest<'_>,
) -> Result<Vec<u8>, CaError> {
    let subject =
        distinguished_name(&[(COUNTRY, "CN"), (ORGANISATION, DEMO_CA_ORGANISATION), (COMMON_NAME, request.name)])?;
    let issuer = root_der.map(Certificate::from_der).transpose()?;
    let issuer = issuer.map(|root| root.tbs_certificate().subject().clone());
    let profile = AuthorityProfile { subject, issuer, services: services.clone() };
    let builder = CertificateBuilder::new(
        profile,
        serial_number(request.serial)?,
        validity(request.not_before_ms, request.not_after_ms)?,
        SubjectPublicKeyInfo::from_der(public_key_der)?,
    )?;
    Ok(builder.build::<_, SignatureBytes>(signer)?.to_der()?)
}

struct AuthorityProfile {
    subject: Name,
    /// Nothing for a root.
    issuer: Option<Name>,
    services: Services,
}

impl BuilderProfile for AuthorityProfile {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.issuer.as_ref().unwrap_or(subject).clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self, own: SubjectPublicKeyInfoRef<'_>, issuer: SubjectPublicKeyInfoRef<'_>, tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let name = tbs.subject();
        // Below the root issuing CAs, below those nobody who issues.
        let below = if self.issuer.is_some() { 0 } else { 1 };
        let mut extensions = vec![
            (&BasicConstraints { ca: true, path_len_constraint: Some(below) }).to_extension(name, &[])?,
            (&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign | KeyUsages::DigitalSignature))
                .to_extension(name, &[])?,
            (&SubjectKeyIdentifier::try_from(own)?).to_extension(name, &[])?,
        ];
        if self.issuer.is_some() {
            let authority = AuthorityKeyIdentifier {
                key_identifier: Some(SubjectKeyIdentifier::try_from(issuer)?.0),
                ..AuthorityKeyIdentifier::default()
            };
            extensions.push((&authority).to_extension(name, &[])?);
        }
        extensions.extend(self.services.extensions(name)?);
        Ok(extensions)
    }
}
