//! An organisation's own X.509 certificate authority for the RPC's mutual TLS, and the two leaves
//! that it issues: one for the server of its node, one for clients that it runs.
//!
//! All keys are ECDSA P-256. The authority's certificate stands in the organisation's card, so that
//! every member pins every other member's authority by the genesis; no public authority is involved.
//! These certificates have nothing to do with those of seals and signers.

use crate::private_file::{self, FileError};
use crate::vault::{Vault, VaultError, Writer};
use der::{Decode, Encode};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints as X509BasicConstraints;
use zeroize::Zeroizing;

/// Years that the authority's certificate is valid.
const CA_YEARS: i32 = 20;
/// Years that a leaf certificate is valid.
const LEAF_YEARS: i32 = 5;

/// Why certificates could not be made or read.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A secret file.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The certificate library's refusal.
    #[error("making a TLS certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// Not a certificate.
    #[error("{}: not a PEM certificate: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        source: der::Error,
    },
    /// Bytes are no usable authority.
    #[error("the TLS CA is not usable: {0}")]
    NotACa(String),
}

/// Where the six files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    /// The authority's certificate.
    pub ca_certificate: PathBuf,
    /// The authority's key.
    pub ca_key: PathBuf,
    /// The RPC server's certificate.
    pub server_certificate: PathBuf,
    /// The RPC server's key.
    pub server_key: PathBuf,
    /// The certificate that clients of this organisation show.
    pub client_certificate: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

impl TlsPaths {
    /// In an organisation's folder.
    pub fn of(home: &Path) -> Self {
        let file = |name: &str| home.join("tls").join(name);
        Self {
            ca_certificate: file("ca.crt"),
            ca_key: file("ca.key"),
            server_certificate: file("server.crt"),
            server_key: file("server.key"),
            client_certificate: file("client.crt"),
            client_key: file("client.key"),
        }
    }

    /// All six.
    pub fn all(&self) -> [&Path; 6] {
        [
            &self.ca_certificate,
            &self.ca_key,
            &self.server_certificate,
            &self.server_key,
            &self.client_certificate,
            &self.client_key,
        ]
    }
}

/// A certificate with its private key, both PEM (the key PKCS#8).
pub struct TlsIdentity {
    /// The leaf certificate.
    pub certificate_pem: Vec<u8>,
    /// Its private key; wiped on drop.
    pub key_pem: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(secret)")
    }
}

/// Names of the private keys within an organisation's folder.
pub(crate) const KEY_NAMES: [&str; 3] = [CA_KEY, SERVER_KEY, CLIENT_KEY];
const CA_KEY: &str = "tls/ca.key";
const SERVER_KEY: &str = "tls/server.key";
const CLIENT_KEY: &str = "tls/client.key";

/// Makes the authority and both leaves in `home/tls`. `host` is that of the RPC's URL; `year` and the
/// rest of `today` is the day before which nothing is valid.
pub(crate) fn create(
    writer: &Writer<'_>, organisation: &str, host: Option<&str>, today: jiff::civil::Date,
) -> Result<(), TlsError> {
    let paths = TlsPaths::of(writer.folder());
    let (ca_certificate, ca) = authority(organisation, today)?;
    write_pair(writer, &paths.ca_certificate, &ca_certificate, CA_KEY, ca.key())?;

    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if let Some(host) = host.filter(|h| !names.iter().any(|n| n == h)) {
        names.push(host.to_owned());
    }
    let (certificate, key) = leaf(&ca, organisation, "node", names, ExtendedKeyUsagePurpose::ServerAuth, today)?;
    write_pair(writer, &paths.server_certificate, &certificate, SERVER_KEY, &key)?;
    let (certificate, key) = leaf(&ca, organisation, "client", vec![], ExtendedKeyUsagePurpose::ClientAuth, today)?;
    write_pair(writer, &paths.client_certificate, &certificate, CLIENT_KEY, &key)
}

/// Issues one more client identity with a key of its own, into the folder of `writer`. `role` is in the
/// certificate's name, so that operators tell the two apart. The authority's key is read from `home`.
pub(crate) fn issue_client(
    home: &Path, vault: &Vault, organisation: &str, role: &str, writer: &Writer<'_>, today: jiff::civil::Date,
) -> Result<(), TlsError> {
    // A file that is no authority fails here, before the key is asked for.
    ca_der(home)?;
    let pem = vault.read(CA_KEY)?;
    let pem = std::str::from_utf8(&pem).map_err(|_| TlsError::NotACa("its key is not PEM".to_owned()))?;
    // Only its name and key go into what it issues; both are the same as when it was made.
    let ca = Issuer::new(authority_params(organisation, today)?, KeyPair::from_pem(pem)?);
    let (certificate, key) = leaf(&ca, organisation, role, vec![], ExtendedKeyUsagePurpose::ClientAuth, today)?;
    write_pair(writer, &TlsPaths::of(writer.folder()).client_certificate, &certificate, CLIENT_KEY, &key)
}

fn authority(organisation: &str, today: jiff::civil::Date) -> Result<(String, Issuer<'static, KeyPair>), TlsError> {
    let params = authority_params(organisation, today)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

fn authority_params(organisation: &str, today: jiff::civil::Date) -> Result<CertificateParams, TlsError> {
    let mut params = params(vec![], organisation, "TLS CA", CA_YEARS, today)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf(
    ca: &Issuer<'_, KeyPair>, organisation: &str, role: &str, names: Vec<String>, usage: ExtendedKeyUsagePurpose,
    today: jiff::civil::Date,
) -> Result<(String, KeyPair), TlsError> {
    let mut params = params(names, organisation, role, LEAF_YEARS, today)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, ca)?.pem();
    Ok((certificate, key))
}

fn params(
    names: Vec<String>, organisation: &str, role: &str, years: i32, today: jiff::civil::Date,
) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, format!("Qizheng {role} of {organisation}"));
    // A day of leeway for clocks; the first of the month avoids 29 February.
    let start = today.yesterday().unwrap_or(today);
    let date = |year: i32, month: i8, day: i8| date_time_ymd(year, month.unsigned_abs(), day.unsigned_abs());
    params.not_before = date(start.year().into(), start.month(), start.day());
    params.not_after = date(i32::from(start.year()) + years, start.month(), 1);
    Ok(params)
}

fn write_pair(
    writer: &Writer<'_>, certificate_path: &Path, certificate: &str, key_name: &str, key: &KeyPair,
) -> Result<(), TlsError> {
    let pem = Zeroizing::new(key.serialize_pem());
    writer.write(key_name, pem.as_bytes())?;
    Ok(private_file::write_public(certificate_path, certificate.as_bytes())?)
}

/// The RPC server's identity.
pub fn server(home: &Path, vault: &Vault) -> Result<TlsIdentity, TlsError> {
    identity(&TlsPaths::of(home).server_certificate, vault, SERVER_KEY)
}

/// The identity that this organisation's clients show to nodes.
pub fn client(home: &Path, vault: &Vault) -> Result<TlsIdentity, TlsError> {
    identity(&TlsPaths::of(home).client_certificate, vault, CLIENT_KEY)
}

fn identity(certificate: &Path, vault: &Vault, key: &str) -> Result<TlsIdentity, TlsError> {
    let certificate_pem = std::fs::read(certificate).map_err(FileError::at(certificate))?;
    Ok(TlsIdentity { certificate_pem, key_pem: vault.read(key)? })
}

/// The authority's certificate of an organisation's folder, as DER.
pub fn ca_der(home: &Path) -> Result<Vec<u8>, TlsError> {
    let path = TlsPaths::of(home).ca_certificate;
    let text = std::fs::read_to_string(&path).map_err(FileError::at(&path))?;
    let pem_error = |source| TlsError::Pem { path: path.clone(), source };
    let (label, document) = der::SecretDocument::from_pem(&text).map_err(pem_error)?;
    let der = document.as_bytes().to_vec();
    if label != "CERTIFICATE" {
        return Err(TlsError::NotACa(format!("the PEM label is {label}")));
    }
    public_key_of_ca(&der)?;
    Ok(der)
}

/// Checks that the bytes are a certificate authority's certificate; returns its public key (SPKI, DER),
/// by which a second use of the same authority is noticed.
pub fn public_key_of_ca(der: &[u8]) -> Result<Vec<u8>, TlsError> {
    let not_a_ca = |error: der::Error| TlsError::NotACa(error.to_string());
    let certificate = Certificate::from_der(der).map_err(not_a_ca)?;
    let tbs = certificate.tbs_certificate();
    let constraints = tbs.get_extension::<X509BasicConstraints>().map_err(not_a_ca)?;
    if !constraints.is_some_and(|(_, c)| c.ca) {
        return Err(TlsError::NotACa("its basic constraints do not make it a certificate authority".to_owned()));
    }
    tbs.subject_public_key_info().to_der().map_err(not_a_ca)
}
