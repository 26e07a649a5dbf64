//! Revocation lists (RFC 5280 §5): complete, of one issuer, with number and key identifier.

use der::asn1::{BitString, OctetString};
use der::referenced::OwnedToRef;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::ext::pkix::crl::CrlNumber;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlReason, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::serial_number::SerialNumber;

use super::{CaError, SealKey, time};

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The private key may be in other hands.
    KeyCompromise,
    /// The CA's may be.
    CaCompromise,
    /// The subject's particulars changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
}

impl Reason {
    pub(crate) fn code(self) -> CrlReason {
        match self {
            Self::KeyCompromise => CrlReason::KeyCompromise,
            Self::CaCompromise => CrlReason::CaCompromise,
            Self::AffiliationChanged => CrlReason::AffiliationChanged,
            Self::Superseded => CrlReason::Superseded,
            Self::CessationOfOperation => CrlReason::CessationOfOperation,
        }
    }
}

impl std::str::FromStr for Reason {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_value(text.into()).map_err(|_| {
            "expected key_compromise, ca_compromise, affiliation_changed, superseded or cessation_of_operation"
                .to_owned()
        })
    }
}

/// A revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Its serial number, as in [`super::CertificateSummary::serial`].
    #[serde(with = "hex::serde")]
    pub serial: Vec<u8>,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Why.
    pub reason: Reason,
}

/// What a list says.
#[derive(Debug, Clone)]
pub struct RevocationList<'a> {
    /// Its number; every later list has a higher one.
    pub number: u64,
    /// When it is made, milliseconds since 1970.
    pub this_update_ms: i64,
    /// When the next one comes at the latest.
    pub next_update_ms: i64,
    /// The revoked certificates of the issuer.
    pub revoked: &'a [Revoked],
}

impl RevocationList<'_> {
    /// The list, signed by its issuer; DER.
    ///
    /// # Errors
    /// When the issuer's certificate, a serial number or a time cannot be used, or the key does not sign.
    pub fn sign(&self, issuer_key: &SealKey, issuer_der: &[u8]) -> Result<Vec<u8>, CaError> {
        let issuer = Certificate::from_der(issuer_der)?;
        let tbs = issuer.tbs_certificate();
        let algorithm = issuer_key.algorithm().identifier();
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(SubjectKeyIdentifier::try_from(tbs.subject_public_key_info().owned_to_ref())?.0),
            ..AuthorityKeyIdentifier::default()
        };
        let number = CrlNumber::try_from(self.number)?;
        let extensions: Vec<Extension> =
            vec![(&authority).to_extension(tbs.subject(), &[])?, (&number).to_extension(tbs.subject(), &[])?];
        let revoked = self.revoked.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let list: TbsCertList = TbsCertList {
            version: Version::V2,
            signature: algorithm.clone(),
            issuer: tbs.subject().clone(),
            this_update: time(self.this_update_ms)?,
            next_update: Some(time(self.next_update_ms)?),
            revoked_certificates: (!revoked.is_empty()).then_some(revoked),
            crl_extensions: Some(extensions),
        };
        let signature = BitString::from_bytes(&issuer_key.sign(&list.to_der()?)?)?;
        Ok(CertificateList { tbs_cert_list: list, signature_algorithm: algorithm, signature }.to_der()?)
    }
}

fn entry(revoked: &Revoked) -> Result<RevokedCert, CaError> {
    let reason = Extension {
        extn_id: der::asn1::ObjectIdentifier::new_unwrap("2.5.29.21"),
        critical: false,
        extn_value: OctetString::new(revoked.reason.code().to_der()?)?,
    };
    Ok(RevokedCert {
        serial_number: SerialNumber::new(&revoked.serial)?,
        revocation_date: time(revoked.since_ms)?,
        crl_entry_extensions: Some(vec![reason]),
    })
}
