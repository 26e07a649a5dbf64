//! Signing certificates as they are asked for: a request notes the order, a job makes the certificate, and
//! meanwhile everybody sees what it waits for. A witness or timestamp authority that is away is waited for,
//! with growing pauses and without end; no local clock takes its place.
//!
//! The job may run twice: what it writes, and that the order is issued, is one transaction.

use crate::app::App;
use crate::certificate;
use crate::change::Change;
use crate::clock::{now_ms, rfc3339};
use crate::contracts;
use crate::error::ServiceError;
use crate::server::{Caller, Outcome};
use crate::worker;
use qz_client::AnchorError;
use qz_domain::Refusal;
use qz_domain::contract::Request;
use qz_storage::audit::AuditLine;
use qz_storage::contracts::Contract;
use qz_storage::jobs::{self, Claim};
use qz_storage::orders::{self, Order, OrderStatus};
use qz_storage::{StorageError, Tx, certificates, contracts as contract_rows, documents};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How often a waiting request looks even if nobody rings.
const LOOK: Duration = Duration::from_millis(500);

/// `POST /v1/contracts/{subject}/certificates`: notes the order and the job.
pub fn order(caller: &Caller, row: &Contract) -> Result<Outcome, ServiceError> {
    let contract = contracts::domain(row)?;
    contract.admit(Request::Certify)?;
    if row.final_document.is_none() {
        return Err(Refusal::state(
            "contract.not_completed",
            "合同尚未签署完成，不能出具签署证明",
            "the contract was never completed; there is nothing to certify",
        )
        .into());
    }
    let now = now_ms();
    let number = certificate::number(now);
    let order = Order {
        number: number.clone(),
        contract: row.id.clone(),
        status: OrderStatus::Preparing,
        error: None,
        created_ms: now,
        updated_ms: now,
    };
    let change = Change {
        orders: vec![order],
        jobs: vec![(worker::CERTIFICATE, number.clone(), now)],
        audit: vec![caller.audit(now, "certificate.ordered", Some(&number), &contract.subject.to_string())],
        ..Change::default()
    };
    Ok(Outcome::accepted(json!({"number": number}), change))
}

/// The job: makes the certificate of an order.
pub async fn make(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    let number = &claim.job.ref_id;
    let order = orders::find(&app.storage, number).await?;
    let order = order.ok_or_else(|| ServiceError::Damaged(format!("no order {number}")))?;
    if order.status != OrderStatus::Issued {
        let row = contract_rows::get(&app.storage, &order.contract).await?;
        let mut change = certificate::issue(app, &row, number).await?;
        let now = now_ms();
        change.audit.push(AuditLine {
            time_ms: now,
            actor: "worker".into(),
            ip: None,
            action: "certificate.issued".into(),
            subject: Some(number.clone()),
            detail: row.subject.map(hex::encode).unwrap_or_default(),
        });
        let tx = app.storage.begin().await?;
        change.write(app, &tx, now).await?;
        orders::set(&tx, number, OrderStatus::Issued, None, now).await?;
        jobs::finish(&tx, claim, now).await?;
        return Ok(tx.commit().await?);
    }
    let tx = app.storage.begin().await?;
    jobs::finish(&tx, claim, now_ms()).await?;
    Ok(tx.commit().await?)
}

/// Notes what an order waits for after an attempt that failed.
pub async fn note(tx: &Tx, number: &str, error: &ServiceError, gave_up: bool, now: u64) -> Result<(), StorageError> {
    let status = if gave_up { OrderStatus::Failed } else { waits_for(error) };
    orders::set(tx, number, status, Some(&error.to_string()), now).await
}

/// What a job that failed with this waits for.
pub fn waits_for(error: &ServiceError) -> OrderStatus {
    match error {
        ServiceError::Anchor(error) => match **error {
            AnchorError::Witness { .. } => OrderStatus::WaitingForWitness,
            AnchorError::Tsa(_) => OrderStatus::WaitingForTimestamp,
            _ => OrderStatus::WaitingForLedger,
        },
        ServiceError::Ledger(_) | ServiceError::NotYet(_) | ServiceError::Proof(_) => OrderStatus::WaitingForLedger,
        _ => OrderStatus::Preparing,
    }
}

/// In Chinese and English.
pub fn words(status: OrderStatus) -> (&'static str, &'static str) {
    match status {
        OrderStatus::Preparing => ("正在制作", "being made"),
        OrderStatus::WaitingForLedger => ("等待节点给出证明", "waiting for a proof from the nodes"),
        OrderStatus::WaitingForWitness => ("等待外部见证人副署", "waiting for an outside witness"),
        OrderStatus::WaitingForTimestamp => ("等待时间戳机构签发时间戳", "waiting for the timestamp authority"),
        OrderStatus::Issued => ("已出具", "issued"),
        OrderStatus::Failed => ("未能出具，请联系运营方", "could not be issued; contact the operator"),
    }
}

/// The order of this number, after waiting until it is settled, `patience` at most.
pub async fn settled(app: &App, number: &str, patience: Duration) -> Result<Option<Order>, ServiceError> {
    let end = Instant::now() + patience;
    loop {
        // Listen before looking, so that nothing falls in between.
        let progress = app.progress.notified();
        let Some(order) = orders::find(&app.storage, number).await? else { return Ok(None) };
        let left = end.saturating_duration_since(Instant::now());
        if order.status.is_settled() || left.is_zero() {
            return Ok(Some(order));
        }
        let _ = tokio::time::timeout(left.min(LOOK), progress).await;
    }
}

/// What the API shows of an order.
pub async fn view(app: &App, order: &Order) -> Result<Value, ServiceError> {
    let (zh, en) = words(order.status);
    let mut view = json!({
        "number": order.number,
        "status": order.status.as_str(),
        "status_zh": zh,
        "status_en": en,
        "error": order.error,
        "status_url": format!("/v1/certificates/{}/status", order.number),
        "created_ms": order.created_ms,
        "created": rfc3339(order.created_ms),
        "updated_ms": order.updated_ms,
    });
    if let Some(certificate) = certificates::find(&app.storage, &order.number).await? {
        let document = documents::get(&app.storage, &certificate.document).await?;
        view["pdf_url"] = format!("/v1/certificates/{}", order.number).into();
        view["sha256"] = hex::encode(document.sha256).into();
    }
    Ok(view)
}
