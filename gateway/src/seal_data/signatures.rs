//! Seal signatures 电子签章 designed toward GB/T 38540-2020 over the final file of a contract, if the settings ask for
//! them: one with each seal that has seal data and whose keys this gateway keeps. A job asks the key service for
//! them once the completion is final; the PDF stays as it is.

use crate::app::App;
use crate::clock::{now_ms, rfc3339};
use crate::error::ServiceError;
use crate::{contracts, documents, key_service, worker};
use qz_domain::Refusal;
use qz_evidence::payload::SlotKind;
use qz_storage::audit::{self, AuditLine};
use qz_storage::contracts::Contract;
use qz_storage::jobs::{self, Claim};
use qz_storage::seal_signatures::{self as rows, SealSignature};
use qz_storage::{ContractId, Tx};
use serde_json::{Value, json};

/// Orders them for a contract that was just completed, in the same transaction.
pub async fn begin(app: &App, tx: &Tx, contract: &ContractId, now_ms: u64) -> Result<(), ServiceError> {
    match &app.config.seal_data {
        Some(config) if config.sign_contracts => {
            Ok(jobs::enqueue(tx, worker::SEAL_SIGNATURES, contract.as_str(), now_ms).await.map(|_| ())?)
        }
        _ => Ok(()),
    }
}

/// The job: signatures with the seals of all slots that have none yet.
pub async fn make(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    let id: ContractId =
        claim.job.ref_id.parse().map_err(|_| ServiceError::Damaged(format!("reference {}", claim.job.ref_id)))?;
    let row = qz_storage::contracts::get(&app.storage, &id).await?;
    let file = row.final_document.as_ref();
    let file = file.ok_or_else(|| ServiceError::Damaged(format!("contract {id} has no final file")))?;
    let document = documents::get(app, file).await?;
    let pdf = documents::bytes(app, &document).await?;
    let have = rows::of_contract(&app.storage, &id).await?;
    let contract = contracts::domain(&row)?;
    let mut made = Vec::new();
    for (slot, of) in (0..).zip(&contract.slots) {
        if of.kind != SlotKind::Seal || of.signed.is_none() || have.iter().any(|one| one.slot == slot) {
            continue;
        }
        if let Some(signature) = key_service::sign_with_seal_data(app, &row, slot, &pdf).await? {
            let (contract, document_sha256, signed_ms) = (id.clone(), document.sha256, now_ms());
            made.push(SealSignature { contract, slot, signature, document_sha256, signed_ms });
        }
    }
    let tx = app.storage.begin().await?;
    for signature in &made {
        rows::insert(&tx, signature).await?;
        let line = AuditLine {
            time_ms: signature.signed_ms,
            actor: "worker".into(),
            ip: None,
            action: "document.seal_signature".into(),
            subject: Some(id.to_string()),
            detail: format!("slot {}, sha256 {}", signature.slot, hex::encode(document.sha256)),
        };
        audit::append(&tx, &line).await?;
    }
    jobs::finish(&tx, claim, now_ms()).await?;
    Ok(tx.commit().await?)
}

/// `GET /v1/contracts/{subject}/seal-signatures`
pub async fn list(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let found = rows::of_contract(&app.storage, &row.id).await?;
    let view = |one: &SealSignature| {
        json!({
            "slot": one.slot,
            "document_sha256": hex::encode(one.document_sha256),
            "signed_ms": one.signed_ms,
            "signed": rfc3339(one.signed_ms),
            "bytes": one.signature.len(),
        })
    };
    Ok(json!({ "signatures": found.iter().map(view).collect::<Vec<_>>() }))
}

/// `GET /v1/contracts/{subject}/seal-signatures/{slot}`: SES_Signature, DER.
pub async fn file(app: &App, row: &Contract, slot: u64) -> Result<Vec<u8>, ServiceError> {
    let mut found = rows::of_contract(&app.storage, &row.id).await?.into_iter();
    let found = found.find(|one| u64::from(one.slot) == slot).ok_or_else(|| {
        Refusal::missing(
            "seal_signature.none",
            "没有此签署位的电子签章数据（未启用、尚未签署完成、印章没有电子印章数据，或其密钥不由平台保管）",
            "there is no seal signature for this slot: not switched on, the contract is not completed, the seal has \
             no seal data, or its key is not kept here",
        )
    })?;
    Ok(found.signature)
}
