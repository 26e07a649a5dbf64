//! The demonstration CA of this gateway and the issuer of signing certificates: made by `admin init`,
//! loaded at start. Private keys stand encrypted in storage; `authority.json` holds what is public.
//!
//! The CA is 非依法设立的电子认证服务提供者 and says so in every name that it writes. In a real deployment
//! a licensed CA takes its place.

use crate::clock::{now_ms, signed};
use crate::error::ServiceError;
use anyhow::Context;
use qz_document::ca::revocation::{Reason, RevocationList, Revoked};
use qz_document::ca::{CertificateAuthority, LeafRequest, SealKey, Services, Subject, summarise};
use qz_document::seal::{self, Imprint};
use qz_storage::revoked_certificates::{self, RevokedCertificate};
use qz_storage::{KeyEncryption, SealKeyId, Storage, Tx, seal_keys};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "authority.json";
/// A year in milliseconds.
const YEAR_MS: u64 = 365 * 24 * 3_600_000;
/// Certificates begin this long before they are issued, since clocks differ.
const SKEW_MS: u64 = 5 * 60_000;
/// How long a revocation list holds.
const LIST_MS: u64 = 24 * 3_600_000;
/// Where the revocation list is, below the portal's address.
pub const LIST_PATH: &str = "ca/revoked.crl";
/// Line under the star of the issuer's seal.
const ISSUER_SEAL: &str = "签署证明专用章";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    ca_key: String,
    ca_certificate: String,
    issuer_key: String,
    issuer_certificate: String,
}

/// A private key with its X.509 certificate.
#[derive(Debug)]
pub struct Credential {
    /// The key.
    pub key: SealKey,
    /// Its certificate, DER.
    pub certificate_der: Vec<u8>,
}

/// CA and issuer.
#[derive(Debug)]
pub struct Authority {
    ca: CertificateAuthority,
    issuer: Credential,
    issuer_imprint: Imprint,
}

impl Authority {
    /// Makes both and stores them. An existing `authority.json` is not overwritten.
    pub async fn create(
        home: &Path, storage: &Storage, encryption: &KeyEncryption, issuer_name: &str, issuer_code: &str, now_ms: u64,
    ) -> anyhow::Result<()> {
        let serial = || random::<16>();
        let ca = CertificateAuthority::create(
            SealKey::generate()?,
            signed(now_ms - SKEW_MS),
            signed(now_ms + 20 * YEAR_MS),
            serial(),
        )?;
        let subject = Subject::Seal { organisation: issuer_name, credit_code: issuer_code, seal: ISSUER_SEAL };
        let key = SealKey::generate()?;
        let certificate_der = issue(&ca, &subject, &key, now_ms, 10)?;
        let issuer = Credential { key, certificate_der };
        // Drawn here so that a name that does not fit the seal is refused now.
        seal::company_seal(issuer_name, ISSUER_SEAL)?;
        let (ca_key, issuer_key) = (SealKeyId::random(), SealKeyId::random());
        let tx = storage.begin().await?;
        seal_keys::insert(&tx, encryption, &ca_key, &ca.key().to_pkcs8_der()?, now_ms).await?;
        seal_keys::insert(&tx, encryption, &issuer_key, &issuer.key.to_pkcs8_der()?, now_ms).await?;
        tx.commit().await?;
        let stored = Stored {
            ca_key: ca_key.to_string(),
            ca_certificate: hex::encode(ca.certificate_der()),
            issuer_key: issuer_key.to_string(),
            issuer_certificate: hex::encode(&issuer.certificate_der),
        };
        let path = home.join(FILE);
        let text = serde_json::to_string_pretty(&stored).expect("strings have a JSON form");
        std::fs::write(&path, text + "\n").with_context(|| path.display().to_string())?;
        let pem = home.join("demo-ca.pem");
        std::fs::write(&pem, qz_document::ca::to_pem(ca.certificate_der())?).with_context(|| pem.display().to_string())
    }

    /// Loads what [`Authority::create`] made.
    pub async fn load(
        home: &Path, storage: &Storage, encryption: &KeyEncryption, issuer_name: &str, portal_url: &str,
    ) -> anyhow::Result<Self> {
        let path = home.join(FILE);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{}: 读取失败 / cannot be read", path.display()))?;
        let stored: Stored =
            serde_json::from_str(&text).with_context(|| format!("{}: 格式错误 / malformed", path.display()))?;
        let open = async |id: &str| -> anyhow::Result<SealKey> {
            let pkcs8 = seal_keys::open(storage, encryption, &id.parse()?).await?;
            Ok(SealKey::from_pkcs8_der(&pkcs8)?)
        };
        let ca = CertificateAuthority::load(open(&stored.ca_key).await?, &hex::decode(&stored.ca_certificate)?)?;
        let services =
            Services { revocation_list_url: Some(format!("{portal_url}/{LIST_PATH}")), ..Services::default() };
        let ca = ca.with_services(services);
        let issuer = Credential {
            key: open(&stored.issuer_key).await?,
            certificate_der: hex::decode(&stored.issuer_certificate)?,
        };
        let name = issuer_name.to_owned();
        let issuer_imprint = tokio::task::spawn_blocking(move || seal::company_seal(&name, ISSUER_SEAL)).await??;
        Ok(Self { ca, issuer, issuer_imprint })
    }

    /// The root certificate, DER.
    pub fn root_der(&self) -> Vec<u8> {
        self.ca.certificate_der().to_vec()
    }

    /// Did this CA issue the certificate? It is ours by the name of its issuer.
    pub fn is_issuer_of(&self, certificate_der: &[u8]) -> bool {
        let own = summarise(self.ca.certificate_der());
        matches!((summarise(certificate_der), own), (Ok(found), Ok(own)) if found.issuer == own.subject)
    }

    /// The CA's revocation list of now; DER.
    pub async fn revocation_list(&self, storage: &Storage) -> Result<Vec<u8>, ServiceError> {
        let now = now_ms();
        let revoked = |row: RevokedCertificate| {
            let reason = row.reason.parse::<Reason>();
            let reason = reason.map_err(|_| ServiceError::Damaged(format!("reason {}", row.reason)))?;
            Ok(Revoked { serial: row.serial, since_ms: signed(row.since_ms), reason })
        };
        let revoked = revoked_certificates::all(storage).await?.into_iter().map(revoked);
        let list = RevocationList {
            number: now,
            this_update_ms: signed(now - SKEW_MS),
            next_update_ms: signed(now + LIST_MS),
            revoked: &revoked.collect::<Result<Vec<_>, ServiceError>>()?,
        };
        Ok(list.sign(self.ca.key(), self.ca.certificate_der())?)
    }

    /// Revokes a certificate of this CA; one of another CA is not ours to revoke.
    pub async fn revoke(&self, tx: &Tx, certificate_der: &[u8], reason: &str, now_ms: u64) -> Result<(), ServiceError> {
        if !self.is_issuer_of(certificate_der) {
            return Ok(());
        }
        let serial = hex::decode(summarise(certificate_der)?.serial)
            .map_err(|error| ServiceError::Damaged(error.to_string()))?;
        let revoked = RevokedCertificate { serial, since_ms: now_ms, reason: reason.to_owned() };
        Ok(revoked_certificates::insert(tx, &revoked).await?)
    }

    /// The issuer of signing certificates.
    pub fn issuer(&self) -> &Credential {
        &self.issuer
    }

    /// The issuer's seal.
    pub fn issuer_imprint(&self) -> &Imprint {
        &self.issuer_imprint
    }

    /// A certificate for this subject's key, valid for three years; DER.
    pub fn certify(&self, subject: &Subject<'_>, key: &SealKey, now_ms: u64) -> Result<Vec<u8>, ServiceError> {
        Ok(issue(&self.ca, subject, key, now_ms, 3)?)
    }
}

fn issue(
    ca: &CertificateAuthority, subject: &Subject<'_>, key: &SealKey, now_ms: u64, years: u64,
) -> Result<Vec<u8>, qz_document::ca::CaError> {
    ca.issue(&LeafRequest {
        subject: subject.clone(),
        public_key_der: &key.public_key_der()?,
        not_before_ms: signed(now_ms - SKEW_MS),
        not_after_ms: signed(now_ms + years * YEAR_MS),
        serial: random(),
    })
}

/// Random bytes of the operating system.
///
/// # Panics
/// If there are none: nothing that a gateway does is safe without.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
