//! Examines a PDF that somebody brings, and says whether this platform knows it.
//!
//! Signers are checked against this platform's CA; timestamps against the roots of the portal's trust inputs.

use crate::app::App;
use crate::clock::now_ms;
use crate::error::{ServiceError, blocking};
use qz_evidence::hash::sha256;
use qz_evidence_pdf::{TrustedRoots, examine};
use qz_storage::{contracts, documents};
use serde_json::{Value, json};

/// The report, and the platform's record of a file with this digest (null if there is none).
pub async fn verify(app: &App, pdf: Vec<u8>) -> Result<Value, ServiceError> {
    let digest = sha256(&[&pdf]).0;
    let (roots, stamps) = (app.authority.root_der(), app.trust.tsa_roots.clone().unwrap_or_default());
    let report = blocking(move || {
        let trusted = TrustedRoots::parse(&roots, stamps.as_bytes(), now_ms())
            .map_err(|error| ServiceError::Damaged(error.to_string()))?;
        Ok::<_, ServiceError>(examine(&pdf, &trusted))
    })
    .await?;
    Ok(json!({ "report": report, "platform": record(app, &digest).await? }))
}

async fn record(app: &App, digest: &[u8; 32]) -> Result<Value, ServiceError> {
    let Some(document) = documents::find_by_sha256(&app.storage, digest).await? else { return Ok(Value::Null) };
    let contract = contracts::find_by_document(&app.storage, &document.id).await?;
    Ok(json!({
        "document": document.id.as_str(),
        "file_name": document.file_name,
        "since_ms": document.created_ms,
        "contract": contract.as_ref().and_then(|contract| contract.subject).map(hex::encode),
        "is_final": contract.is_some_and(|contract| contract.final_document.as_ref() == Some(&document.id)),
    }))
}
