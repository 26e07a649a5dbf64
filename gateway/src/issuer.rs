//! The issuer's X.509 certificate on the ledger: deposited once by the platform, so that a verifier can
//! tell who sealed a signing certificate. Anybody can sign a PDF with a key of their own.

use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::error::ServiceError;
use crate::operations;
use qz_domain::compose::issuer_deposited;
use qz_evidence::Hash32;
use qz_evidence::hash::sha256;
use qz_storage::jobs::BackOff;
use qz_storage::operations::{self as rows, Operation, OperationStatus};
use qz_storage::{OperationId, StorageError};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Pause while no node answers.
const PAUSE_MS: u64 = 1_000;
/// Pause until we look what became of an attempt: longer after each that the ledger refused.
const BETWEEN_ATTEMPTS: BackOff = BackOff { first_ms: 5_000, max_ms: 600_000, max_attempts: MAX_ATTEMPTS as u32 };
/// Attempts that the ledger may have refused before.
const MAX_ATTEMPTS: u8 = 32;

/// The record that deposits the issuer's certificate.
pub async fn deposit(app: &App) -> Result<Hash32, ServiceError> {
    match latest(app).await? {
        (_, Some(Operation { record: Some(record), .. })) => Ok(Hash32(record.hash)),
        _ => Err(ServiceError::NotYet("the issuer's X.509 certificate".into())),
    }
}

/// Sees to it that the deposit exists: proposes it, and proposes it again when the ledger refused it.
pub async fn keep_deposited(app: Arc<App>, stop: impl Future<Output = ()>) {
    let work = async {
        loop {
            let pause = match propose(&app).await {
                Ok(None) => break,
                Ok(Some(attempt)) => BETWEEN_ATTEMPTS.delay_ms(u32::from(attempt) + 1),
                Err(error) => {
                    tracing::warn!(%error, "the issuer's certificate is not deposited yet");
                    if error.is_temporary() { PAUSE_MS } else { BETWEEN_ATTEMPTS.max_ms }
                }
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
}

/// Proposes it unless that is under way; gives the attempt, or nothing once it is recorded.
async fn propose(app: &App) -> Result<Option<u8>, ServiceError> {
    let (attempt, found) = latest(app).await?;
    if let Some(operation) = found {
        return Ok((operation.status != OperationStatus::Final).then_some(attempt));
    }
    let certificate = sha256(&[&app.authority.issuer().certificate_der]);
    let id = operation_id(&certificate, attempt)?;
    let operation = operations::compose_as(app, id, issuer_deposited(&certificate), None, Value::Null).await?;
    let change = Change { jobs: vec![operations::job(&operation)], operations: vec![operation], ..Change::default() };
    let tx = app.storage.begin().await?;
    change.write(app, &tx, now_ms()).await?;
    tx.commit().await?;
    app.changed();
    Ok(Some(attempt))
}

/// The attempt that counts: the first that was not given up; its operation, if it exists.
async fn latest(app: &App) -> Result<(u8, Option<Operation>), ServiceError> {
    let certificate = sha256(&[&app.authority.issuer().certificate_der]);
    for attempt in 0..MAX_ATTEMPTS {
        match rows::get(&app.storage, &operation_id(&certificate, attempt)?).await {
            Err(StorageError::NotFound { .. }) => return Ok((attempt, None)),
            Ok(given_up) if matches!(given_up.status, OperationStatus::Rejected | OperationStatus::Expired) => {}
            Ok(operation) => return Ok((attempt, Some(operation))),
            Err(error) => return Err(error.into()),
        }
    }
    Err(ServiceError::Damaged("the ledger refuses the issuer's certificate".into()))
}

/// The same id for the same certificate and attempt, so that two starts do not deposit twice.
fn operation_id(certificate: &Hash32, attempt: u8) -> Result<OperationId, ServiceError> {
    let hash = sha256(&[b"issuer deposit", &certificate.0, &[attempt]]).to_string();
    // Shaped as a version 4 UUID.
    let text = format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32]);
    text.parse().map_err(|_| ServiceError::Damaged("an id of an operation".into()))
}
