//! Seals whose key is outside of the gateway: on a USB key or in a company's own system, certified by whichever CA.
//! The bytes to be signed are given out, and the signature is taken, only after the record that allows it is final.

use crate::app::App;
use crate::clock::{now_ms, signed};
use crate::error::{ServiceError, blocking};
use crate::server::Caller;
use crate::{key_service, worker};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_document::ca::{Standing, chain_from_pem, check_signer};
use qz_document::key::HashFunction;
use qz_domain::Refusal;
use qz_evidence::hash::sha256;
use qz_storage::operations::{self as rows, FollowupStatus, Operation};
use qz_storage::{audit, contracts, external_signatures, jobs};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// `POST /v1/operations/{id}/external-signature`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Brought {
    /// Base64: ECDSA and SM2 as DER, RSA as bytes.
    signature: String,
}

/// A certificate chain from a request, leaf first, DER; the leaf must be able to sign now.
pub async fn chain(pem: String, owner: &str) -> Result<(Vec<u8>, Vec<Vec<u8>>), ServiceError> {
    let owner = owner.to_owned();
    blocking(move || {
        let invalid = |error: &dyn std::fmt::Display| {
            ServiceError::from(Refusal::invalid(
                "certificate.chain",
                "数字证书链无效：须为 PEM，签名证书在前、各级颁发者在后",
                format!("the certificate chain is invalid (PEM, the signer's first, then its issuers): {error}"),
            ))
        };
        let mut chain = chain_from_pem(&pem).map_err(|error| invalid(&error))?;
        if chain.len() < 2 {
            return Err(invalid(&"it has no issuer"));
        }
        let leaf = chain.remove(0);
        let standing = check_signer(&leaf, &chain, signed(now_ms())).map_err(|error| invalid(&error))?;
        if standing != Standing::Good {
            return Err(Refusal::invalid("certificate.unusable", standing.words().0, standing.words().1).into());
        }
        let subject = qz_document::ca::summarise(&leaf)?.subject;
        if !subject.contains(&owner) {
            return Err(Refusal::invalid(
                "certificate.owner",
                format!("数字证书主体“{subject}”不含所有人登记名称“{owner}”"),
                format!("the certificate is for {subject}, not for {owner}"),
            )
            .into());
        }
        Ok((leaf, chain))
    })
    .await
}

/// `GET /v1/operations/{id}/to-be-signed`
pub async fn to_be_signed(app: &App, operation: &Operation) -> Result<Value, ServiceError> {
    let contract = waiting(app, operation).await?;
    let (message, hash) = key_service::to_be_signed(app, operation, &contract).await?;
    let hash = match hash {
        HashFunction::Sha256 => "SHA-256",
        HashFunction::Sm3 => "SM3",
    };
    Ok(json!({
        "operation": operation.id.as_str(),
        "to_be_signed": BASE64.encode(&message),
        "hash": hash,
        "sha256": sha256(&[&message]),
    }))
}

/// Takes the signature; the file is completed by a job.
pub async fn bring(app: &App, caller: &Caller, operation: &Operation, brought: Brought) -> Result<(), ServiceError> {
    let contract = waiting(app, operation).await?;
    let signature = BASE64.decode(&brought.signature).map_err(|_| {
        Refusal::invalid("signature.invalid", "签名不是有效的 Base64", "the signature is not valid base64")
    })?;
    key_service::check_brought(app, operation, &contract, signature.clone()).await?;
    let now = now_ms();
    let tx = app.storage.begin().await?;
    if external_signatures::find(&tx, &operation.id).await?.is_none() {
        external_signatures::insert(&tx, &operation.id, &signature, now).await?;
        jobs::enqueue(&tx, worker::FOLLOW_UP, operation.id.as_str(), now).await?;
        let line = caller.audit(now, "signature.brought", Some(operation.id.as_str()), "");
        audit::append(&tx, &line).await?;
    }
    tx.commit().await?;
    app.changed();
    Ok(())
}

/// The contract of an operation that is final and whose file is not completed.
async fn waiting(app: &App, operation: &Operation) -> Result<contracts::Contract, ServiceError> {
    let operation = rows::get(&app.storage, &operation.id).await?;
    match (&operation.contract, operation.followup) {
        (Some(contract), FollowupStatus::Pending) => Ok(contracts::get(&app.storage, contract).await?),
        _ => Err(Refusal::state(
            "signature.not_awaited",
            "该操作尚未上链确认，或不需要外部签名",
            "the operation is not final yet, or no signature is to be brought for it",
        )
        .into()),
    }
}
