//! Seal data designed toward GB/T 38540-2020, if the settings ask for them: this gateway's seal maker 制章人 signs, for
//! every new seal, its name, validity and imprint and the SM2 certificate that may sign with it: the seal's own if its
//! key is of that kind, else one for a second key beside the one for PDFs.

pub mod signatures;
pub mod verify;

use crate::app::App;
use crate::authority::{Authority, Credential};
use crate::clock::signed;
use crate::config::IssuerConfig;
use crate::documents;
use crate::error::{ServiceError, blocking};
use crate::private_file::write_private;
use anyhow::Context;
use qz_document::ca::{KeyAlgorithm, SealKey, Subject, summarise};
use qz_document::cms::SignerCertificate;
use qz_document::key::HashFunction;
use qz_document::seal::{self, Imprint};
use qz_document::ses::{self, NewSeal, Picture, Signers};
use qz_domain::Refusal;
use qz_evidence::payload::SealKind;
use qz_storage::documents::Document;
use qz_storage::seal_data::{self, SealData};
use qz_storage::seals::Seal;
use qz_storage::{KeyEncryption, SealKeyId, Storage, Tx, seal_keys};
use serde::{Deserialize, Serialize};
use std::path::Path;
use zeroize::Zeroizing;

const FILE: &str = "seal-maker.json";
/// A maker's certificate is renewed at a start when it ends within a quarter of a year.
const RENEW_BEFORE_MS: i64 = 92 * 24 * 3_600_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    key: String,
    certificate: String,
}

/// The seal maker: made at the first start, its certificate renewed when it nears its end. Seals made before keep the
/// certificate of their time.
pub async fn maker(
    home: &Path, storage: &Storage, encryption: &KeyEncryption, authority: &Authority, issuer: &IssuerConfig,
) -> anyhow::Result<Credential> {
    let path = home.join(FILE);
    let now = crate::clock::now_ms();
    let subject = Subject::Maker { organisation: &issuer.name, credit_code: &issuer.id_code };
    let (id, key) = if path.exists() {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let stored: Stored =
            serde_json::from_str(&text).with_context(|| format!("{}: 格式错误 / malformed", path.display()))?;
        let id: SealKeyId = stored.key.parse()?;
        let key = SealKey::from_pkcs8_der(&seal_keys::open(storage, encryption, &id).await?)?;
        let certificate_der = hex::decode(&stored.certificate)?;
        if summarise(&certificate_der)?.not_after_ms > signed(now) + RENEW_BEFORE_MS {
            return Ok(Credential { key, certificate_der });
        }
        (id, key)
    } else {
        let (id, key) = (SealKeyId::random(), SealKey::generate_for(KeyAlgorithm::Sm2)?);
        let tx = storage.begin().await?;
        seal_keys::insert(&tx, encryption, &id, &key.to_pkcs8_der()?, now).await?;
        tx.commit().await?;
        (id, key)
    };
    let certificate_der = authority.certify(&subject, &key, now)?;
    let stored = Stored { key: id.to_string(), certificate: hex::encode(&certificate_der) };
    let text = serde_json::to_string_pretty(&stored).expect("strings have a JSON form");
    // Beside it first: a crash leaves the old file, never none.
    let new = home.join(format!("{FILE}.new"));
    let _ = std::fs::remove_file(&new);
    write_private(&new, (text + "\n").as_bytes())?;
    std::fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    Ok(Credential { key, certificate_der })
}

/// Data of a new seal, and the private key of the certificate that they name.
pub struct Made {
    /// For the seal's row.
    pub data: SealData,
    /// For the key's row; nothing if it is the seal's own.
    pub key: Option<Zeroizing<Vec<u8>>>,
}

/// Makes the data of a new seal, if the settings ask for them.
pub async fn make(
    app: &App, seal: &Seal, kind: SealKind, subject: &Subject<'_>, imprint: &Document, now_ms: u64,
) -> Result<Option<Made>, ServiceError> {
    let (Some(config), Some(maker)) = (&app.config.seal_data, &app.maker) else { return Ok(None) };
    let own = SignerCertificate { certificate_der: &seal.certificate_der, chain_ders: &[] };
    let (certificate_der, key, row) = match own.hash()? {
        HashFunction::Sm3 => (seal.certificate_der.clone(), seal.key.clone(), None),
        HashFunction::Sha256 => {
            let key = blocking(|| Ok::<_, ServiceError>(SealKey::generate_for(KeyAlgorithm::Sm2)?)).await?;
            (app.authority.certify(subject, &key, now_ms)?, SealKeyId::random(), Some(key.to_pkcs8_der()?))
        }
    };
    // Whole seconds: the first one must not lie before the certificate's.
    let summary = summarise(&certificate_der)?;
    let id = seal.subject.map_or_else(|| seal.operation.to_string(), hex::encode);
    let signers = [certificate_der.clone()];
    let new = NewSeal {
        id: &id,
        vendor: &config.vendor,
        kind: kind_number(kind),
        name: &format!("{}{}", seal.company_name, seal.name),
        signers: Signers::Certificates(&signers),
        created_ms: signed(now_ms),
        valid_from_ms: summary.not_before_ms,
        valid_until_ms: summary.not_after_ms,
        picture: picture(app, imprint).await?,
    };
    let data = SealData {
        operation: seal.operation.clone(),
        esl: ses::make_seal(&new, &maker.key, &maker.certificate_der)?,
        certificate_der,
        key,
        created_ms: now_ms,
    };
    Ok(Some(Made { data, key: row }))
}

/// Revokes the certificate that a destroyed seal's data name, unless it is the seal's own.
pub async fn revoke(app: &App, tx: &Tx, seal: &Seal, now_ms: u64) -> Result<(), ServiceError> {
    match seal_data::find(tx, &seal.operation).await? {
        Some(data) if data.certificate_der != seal.certificate_der => {
            app.authority.revoke(tx, &data.certificate_der, "cessation_of_operation", now_ms).await
        }
        _ => Ok(()),
    }
}

/// The imprint as a picture of points.
async fn picture(app: &App, imprint: &Document) -> Result<Picture, ServiceError> {
    let size = documents::page_sizes(imprint)?.first().copied();
    let size = size.ok_or_else(|| ServiceError::Damaged(format!("imprint {} has no page", imprint.id)))?;
    let millimetres = |side: f64| side.round().clamp(1.0, 500.0) as u32;
    let pdf = documents::bytes(app, imprint).await?;
    let drawn = Imprint { pdf, width_mm: size.width_mm, height_mm: size.height_mm };
    Ok(Picture {
        format: "PNG".into(),
        data: blocking(move || seal::png(&drawn)).await?,
        width_mm: millimetres(size.width_mm),
        height_mm: millimetres(size.height_mm),
    })
}

/// Kinds by this maker's list (docs/SIGNED-PDF.md).
fn kind_number(kind: SealKind) -> u32 {
    match kind {
        SealKind::Official => 1,
        SealKind::Contract => 2,
        SealKind::Finance => 3,
        SealKind::Invoice => 4,
        SealKind::LegalRepresentative => 5,
        SealKind::Personal => 6,
    }
}

/// The data of a seal.
pub async fn of(app: &App, seal: &Seal) -> Result<SealData, ServiceError> {
    let found = seal_data::find(&app.storage, &seal.operation).await?;
    found.ok_or_else(|| {
        Refusal::missing(
            "seal.no_data",
            "该印章没有 GB/T 38540 电子印章数据（gateway.json 的 seal_data 未启用）",
            "this seal has no seal data of GB/T 38540: seal_data in gateway.json was not set when it was made",
        )
        .into()
    })
}
