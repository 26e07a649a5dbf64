//! Archived files of completed contracts (PAdES B-LTA, ETSI EN 319 142-1), if the settings ask for them: validation
//! data and a timestamp over the whole file, and both again before the certificate of that timestamp's authority
//! ends. The final file that the ledger commits to stays as it is; the archived one continues it.
//!
//! A job does it, again and again with growing pauses while the authority is away; a contract's view says how its
//! archive stands.

use crate::app::App;
use crate::change::Change;
use crate::clock::{now_ms, rfc3339};
use crate::error::{ServiceError, blocking};
use crate::{documents, pades, worker};
use qz_document::{ca, cms, sign};
use qz_domain::Refusal;
use qz_evidence::Hash32;
use qz_storage::archives::{self, Archive};
use qz_storage::audit::AuditLine;
use qz_storage::contracts::Contract;
use qz_storage::documents::Document;
use qz_storage::jobs::{self, Claim};
use qz_storage::{ContractId, Tx};
use serde_json::{Value, json};

const DAY_MS: u64 = 24 * 3_600_000;

/// Begins the archive of a contract that was just completed, in the same transaction.
pub async fn begin(app: &App, tx: &Tx, contract: &ContractId, now_ms: u64) -> Result<(), ServiceError> {
    if app.config.archiving.is_none() || archives::find(tx, contract).await?.is_some() {
        return Ok(());
    }
    let archive = Archive {
        contract: contract.clone(),
        document: None,
        timestamps: 0,
        due_ms: now_ms,
        stamped_ms: None,
        authority_end_ms: None,
        error: None,
        updated_ms: now_ms,
    };
    archives::insert(tx, &archive).await?;
    Ok(jobs::enqueue(tx, worker::ARCHIVE, contract.as_str(), now_ms).await.map(|_| ())?)
}

/// Begins those of contracts that were completed before archiving was switched on.
pub async fn catch_up(app: &App) -> Result<(), ServiceError> {
    if app.config.archiving.is_none() {
        return Ok(());
    }
    let now = now_ms();
    let tx = app.storage.begin().await?;
    for contract in archives::missing(&tx).await? {
        begin(app, &tx, &contract, now).await?;
    }
    Ok(tx.commit().await?)
}

/// The job: one more timestamp, if it is due; then the job for the next.
pub async fn keep(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    let id: ContractId =
        claim.job.ref_id.parse().map_err(|_| ServiceError::Damaged(format!("reference {}", claim.job.ref_id)))?;
    let row = qz_storage::contracts::get(&app.storage, &id).await?;
    let archive = archives::find(&app.storage, &id).await?;
    let archive = archive.ok_or_else(|| ServiceError::Damaged(format!("contract {id} has no archive")))?;
    let now = now_ms();
    let Some(config) = &app.config.archiving else {
        // Switched off: looked at again, since it may be switched on.
        let tx = app.storage.begin().await?;
        jobs::enqueue(&tx, worker::ARCHIVE, id.as_str(), now + DAY_MS).await?;
        jobs::finish(&tx, claim, now).await?;
        return Ok(tx.commit().await?);
    };
    if now < archive.due_ms {
        let tx = app.storage.begin().await?;
        jobs::enqueue(&tx, worker::ARCHIVE, id.as_str(), archive.due_ms).await?;
        jobs::finish(&tx, claim, now).await?;
        return Ok(tx.commit().await?);
    }
    let base = archive.document.as_ref().or(row.final_document.as_ref());
    let base = base.ok_or_else(|| ServiceError::Damaged(format!("contract {id} has no final file")))?;
    let pdf = documents::bytes(app, &documents::get(app, base).await?).await?;
    let number = archive.timestamps + 1;
    let Stamped { pdf, authority_end_ms } = stamped(app, pdf, format!("qz-archive-{number}")).await?;
    let name = format!("{}-{}-存档.pdf", row.title, row.number);
    let document = documents::store_pdf(app, pdf, Some(name)).await?;

    let now = now_ms();
    let notice = u64::from(config.renew_before_days).saturating_mul(DAY_MS);
    // An authority that ends sooner than the notice: halfway, so that it does not go on without a pause.
    let halfway = now + authority_end_ms.saturating_sub(now) / 2;
    let next = Archive {
        document: Some(document.id.clone()),
        timestamps: number,
        due_ms: authority_end_ms.saturating_sub(notice).max(halfway),
        stamped_ms: Some(now),
        authority_end_ms: Some(authority_end_ms),
        error: None,
        updated_ms: now,
        ..archive
    };
    let line = AuditLine {
        time_ms: now,
        actor: "worker".into(),
        ip: None,
        action: "document.archived".into(),
        subject: Some(id.to_string()),
        detail: format!("timestamp {number}, sha256 {}", hex::encode(document.sha256)),
    };
    let change = Change { documents: vec![document], audit: vec![line], ..Change::default() };
    let tx = app.storage.begin().await?;
    change.write(app, &tx, now).await?;
    archives::update(&tx, &next).await?;
    jobs::enqueue(&tx, worker::ARCHIVE, id.as_str(), next.due_ms).await?;
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

struct Stamped {
    pdf: Vec<u8>,
    /// When the first certificate of the authority's chain ends.
    authority_end_ms: u64,
}

/// Validation data of all that the file has, then a timestamp over all of it.
async fn stamped(app: &App, pdf: Vec<u8>, field: String) -> Result<Stamped, ServiceError> {
    let Some(authority) = &app.anchoring.authority else {
        return Err(ServiceError::Damaged("archiving without a timestamp authority".into()));
    };
    let pdf = pades::long_term(app, pdf).await?;
    let prepared = blocking(move || sign::prepare_timestamp(&pdf, &field)).await?;
    let stamp = authority.stamp(&Hash32(prepared.digest)).await;
    let stamp = stamp.map_err(|error| ServiceError::Timestamp(Box::new(error)))?;
    let mut end_ms = i64::MAX;
    for certificate in cms::certificates(&stamp.token)? {
        end_ms = end_ms.min(ca::summarise(&certificate)?.not_after_ms);
    }
    let pdf = blocking(move || sign::complete_timestamp(&prepared, &stamp.token)).await?;
    Ok(Stamped { pdf, authority_end_ms: u64::try_from(end_ms).unwrap_or_default() })
}

/// For a contract's view.
pub async fn view(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let Some(archive) = archives::find(&app.storage, &row.id).await? else { return Ok(Value::Null) };
    Ok(json!({
        "level": archive.document.as_ref().map(|_| "B-LTA"),
        "timestamps": archive.timestamps,
        "stamped": archive.stamped_ms.map(rfc3339),
        "authority_ends": archive.authority_end_ms.map(rfc3339),
        "next": rfc3339(archive.due_ms),
        "waiting_for": archive.error,
    }))
}

/// The newest archived file.
pub async fn file(app: &App, row: &Contract) -> Result<(Document, Vec<u8>), ServiceError> {
    let archive = archives::find(&app.storage, &row.id).await?;
    let Some(id) = archive.and_then(|archive| archive.document) else {
        return Err(Refusal::missing(
            "archive.none",
            "该合同没有存档文件（未启用存档，或尚未完成）",
            "this contract has no archived file: archiving is off, or the first timestamp is not made yet",
        )
        .into());
    };
    let document = documents::get(app, &id).await?;
    let bytes = documents::bytes(app, &document).await?;
    Ok((document, bytes))
}
