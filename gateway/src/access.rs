//! Who sees what. An operator's token sees everything. A token of an account sees what the account brought,
//! and the contracts in which one of the account's keys is the initiator, a party, or the owner of a party's
//! seal. Whatever else there is does not exist for it: 404, never 403, so that nobody learns of it.
//!
//! An account that is called like a member of the ledger also sees the operations that its office has to
//! sign. What the ledger itself shows to members is not protected here.

use crate::app::App;
use crate::contracts;
use crate::error::ServiceError;
use crate::server::Caller;
use qz_domain::Refusal;
use qz_evidence::{Hash32, OrgId, SubjectId};
use qz_storage::contracts::Contract;
use qz_storage::documents::Document;
use qz_storage::operations::Operation;
use qz_storage::ownership::{self, Owned};
use qz_storage::{DocumentId, StorageError};

/// The contract of this subject, if the caller may see it.
pub async fn contract(app: &App, caller: &Caller, subject: &SubjectId) -> Result<Contract, ServiceError> {
    let row = contracts::get(app, subject).await?;
    match sees_contract(app, caller, &row).await? {
        true => Ok(row),
        false => Err(Refusal::missing("contract.unknown", "没有此合同", "there is no such contract").into()),
    }
}

/// May the caller see this contract?
pub async fn sees_contract(app: &App, caller: &Caller, row: &Contract) -> Result<bool, ServiceError> {
    let Some(account) = &caller.account else { return Ok(true) };
    if owns(app, account, Owned::Contract, row.id.as_str()).await? {
        return Ok(true);
    }
    let contract = contracts::domain(row)?;
    if owns_key(app, account, &contract.initiator).await? {
        return Ok(true);
    }
    for slot in &contract.slots {
        if owns_key(app, account, &contracts::holder(app, slot).await?).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The document of this id, if the caller may see it by itself; that of a contract is reached through the
/// contract.
pub async fn document(app: &App, caller: &Caller, id: &DocumentId) -> Result<Document, ServiceError> {
    let unknown = || Refusal::missing("document.unknown", "没有此文件", "there is no such document");
    if let Some(account) = &caller.account
        && !owns(app, account, Owned::Document, id.as_str()).await?
    {
        return Err(unknown().into());
    }
    match crate::documents::get(app, id).await {
        Err(ServiceError::Storage(StorageError::NotFound { .. })) => Err(unknown().into()),
        other => other,
    }
}

/// May the caller see and sign this operation?
pub async fn sees_operation(app: &App, caller: &Caller, operation: &Operation) -> Result<bool, ServiceError> {
    let Some(account) = &caller.account else { return Ok(true) };
    if owns(app, account, Owned::Operation, operation.id.as_str()).await? {
        return Ok(true);
    }
    let office = OrgId::new(account).map(|org| SubjectId::of_organisation(&app.ledger.chain_id(), &org));
    for actor in &operation.required {
        let subject = SubjectId(Hash32(actor.subject));
        if office == Some(subject) || owns_key(app, account, &subject).await? {
            return Ok(true);
        }
    }
    match &operation.contract {
        Some(id) => {
            let row = qz_storage::contracts::get(&app.storage, id).await?;
            sees_contract(app, caller, &row).await
        }
        None => Ok(false),
    }
}

/// Refuses a key that is not the caller's.
pub async fn key(app: &App, caller: &Caller, subject: &SubjectId) -> Result<(), ServiceError> {
    match &caller.account {
        Some(account) if !owns_key(app, account, subject).await? => {
            Err(StorageError::NotFound { table: "party_keys", key: subject.to_string() }.into())
        }
        _ => Ok(()),
    }
}

/// Refuses a seal whose owner is not the caller's key.
pub async fn seal(app: &App, caller: &Caller, subject: &SubjectId) -> Result<(), ServiceError> {
    match &caller.account {
        Some(_) => {
            let seal = qz_storage::seals::get(&app.storage, &subject.0.0).await?;
            key(app, caller, &SubjectId(Hash32(seal.owner))).await
        }
        None => Ok(()),
    }
}

/// Refuses whoever is no operator.
pub fn operator(caller: &Caller) -> Result<(), Refusal> {
    match &caller.account {
        None => Ok(()),
        Some(_) => {
            Err(Refusal::not_entitled("operator.only", "仅限运营方令牌", "only an operator's token may do this"))
        }
    }
}

async fn owns(app: &App, account: &str, kind: Owned, reference: &str) -> Result<bool, ServiceError> {
    Ok(ownership::of(&app.storage, kind, reference).await?.is_some_and(|owner| owner == account))
}

async fn owns_key(app: &App, account: &str, subject: &SubjectId) -> Result<bool, ServiceError> {
    owns(app, account, Owned::Key, &subject.to_string()).await
}
