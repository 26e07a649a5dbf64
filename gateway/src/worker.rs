//! Jobs: submitting operations until they are final or refused, the work that follows finality, and the
//! expiry of what nobody signed. Every job may run twice: each step looks at what is already done.
//!
//! A crash leaves: before `settle` commits, the operation queued (submitted again, same digest); after
//! it, the follow-up job; during the follow-up, a final record and the stored revision, from which the
//! same signed PDF is made again.

use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::error::{AWAITS_SIGNATURE, NO_TIMESTAMP, REFUSED_ONCE, STATUS_UNKNOWN, ServiceError};
use crate::ledger::Submitted;
use crate::signing::Plan;
use crate::{archive, contracts, court, documents, following, issuance, key_service, operations, pades, seal_data};
use qz_client::Rejection;
use qz_domain::compose::contract_completed;
use qz_domain::contract::{Event, Status as ContractStatus};
use qz_domain::operation::{self, Command, Status};
use qz_domain::proven::ProvenRecord;
use qz_evidence::codec::Bytes;
use qz_evidence::payload::Payload;
use qz_evidence::submission::Actor;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::archives;
use qz_storage::audit::{self, AuditLine};
use qz_storage::contracts::SignatureLevel;
use qz_storage::jobs::{self, BackOff, Claim};
use qz_storage::keys::{self, KeyStatus};
use qz_storage::operations::{FollowupStatus, Operation, OperationError, OperationStatus, RecordRef};
use qz_storage::retrievals;
use qz_storage::seals::{self, SealStatus};
use qz_storage::{OperationId, StorageError, Tx, contracts as contract_rows, operations as rows};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Submits an operation whose actors have all signed.
pub const SUBMIT: &str = "submit";
/// What follows a final record.
pub const FOLLOW_UP: &str = "follow_up";
/// Kind of the operation that ends the signing of a contract.
const CONTRACT_COMPLETED: &str = "contract.completed";
/// Gives up an operation that nobody signed.
pub const EXPIRE: &str = "expire";

/// Looks whether what we gave up was recorded after all.
pub const RECHECK: &str = "recheck";

/// Composes the completion of a contract again, after this one ended without a record.
pub const COMPLETE: &str = "complete";

/// Makes the package of a court's retrieval; refers to the digest of its body.
pub const PACKAGE: &str = "package";

/// Looks where a contract stands on the ledger; refers to its subject and a height.
pub const FOLLOW: &str = "follow";

/// Makes a signing certificate that was ordered; refers to its number.
pub const CERTIFICATE: &str = "certificate";

/// Timestamps the archived file of a contract; refers to the contract.
pub const ARCHIVE: &str = "archive";

/// Signs the final file of a contract with the seal data of its seals; refers to the contract.
pub const SEAL_SIGNATURES: &str = "seal_signatures";

/// How often that is.
const RECHECK_MS: u64 = 10 * 60_000;
/// Jobs at the same time.
const PARALLEL: usize = 8;
/// After a crash a job waits at most this long; while it runs its lease is renewed.
const LEASE_MS: u64 = 8_000;
/// How often that is.
const RENEW: Duration = Duration::from_secs(2);
/// How often the queue is looked at when nobody rings.
const POLL: Duration = Duration::from_millis(500);
/// Retries: quick at first, since a node that was killed is soon replaced by another.
const BACK_OFF: BackOff = BackOff { first_ms: 500, max_ms: 60_000, max_attempts: 200 };
/// Between completions that the ledger refused.
const COMPLETE_AGAIN: BackOff = BackOff { first_ms: 5_000, max_ms: 600_000, max_attempts: u32::MAX };
/// A submission is tried until it is recorded or refused; after its expiry height the ledger refuses it.
const UNTIL_ANSWERED: BackOff = BackOff { max_attempts: u32::MAX, ..BACK_OFF };

/// Runs jobs until `stop` resolves, then lets those in progress end.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(PARALLEL));
    tokio::pin!(stop);
    loop {
        let place = tokio::select! {
            () = &mut stop => break,
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        match jobs::claim(&app.storage, now_ms(), LEASE_MS, &UNTIL_ANSWERED).await {
            Ok(Some(claim)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    attempt(&app, &claim).await;
                    app.changed();
                    drop(place);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the job queue cannot be read"),
        }
        drop(place);
        tokio::select! {
            () = &mut stop => break,
            () = app.work.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    let _ = places.acquire_many(PARALLEL as u32).await;
}

async fn attempt(app: &App, claim: &Claim) {
    let job = &claim.job;
    // A final record's file is completed whenever the timestamp authority or the certificate's CA is back, or the
    // signature is brought.
    let waits = |error: &str| [NO_TIMESTAMP, AWAITS_SIGNATURE, STATUS_UNKNOWN].iter().any(|why| error.starts_with(why));
    let waiting = job.last_error.as_deref().is_some_and(waits);
    // What waits for others, witnesses and timestamp authorities among them, waits without end.
    let mut back_off = match job.kind.as_str() {
        SUBMIT | CERTIFICATE | PACKAGE | ARCHIVE => UNTIL_ANSWERED,
        _ if waiting => UNTIL_ANSWERED,
        _ => BACK_OFF,
    };
    let outcome = if job.attempts > back_off.max_attempts {
        Err(ServiceError::Damaged("the worker died or hung on every attempt".into()))
    } else {
        tokio::select! {
            outcome = work(app, claim) => outcome,
            () = keep_lease(app, claim) => return,
        }
    };
    let Err(error) = outcome else { return };
    let text = error.to_string();
    if waits(&text) {
        back_off = UNTIL_ANSWERED;
    }
    let outcome = async {
        let tx = app.storage.begin().await?;
        let now = now_ms();
        let hopeless = match job.kind.as_str() {
            SUBMIT => matches!(error, ServiceError::Damaged(_)),
            _ => !error.is_temporary(),
        };
        let gave_up = if !hopeless {
            tracing::warn!(kind = %job.kind, reference = %job.ref_id, error = %text, "job will be tried again");
            if job.kind == FOLLOW_UP
                && let Ok(id) = job.ref_id.parse::<OperationId>()
            {
                // Shown with the operation: what its file waits for.
                rows::set_followup(&tx, &id, FollowupStatus::Pending, Some(&text), now).await?;
            }
            jobs::fail(&tx, claim, &text, now, &back_off).await? == jobs::Failed::GaveUp
        } else {
            jobs::fail_for_good(&tx, claim, &text, now).await?;
            true
        };
        if gave_up {
            tracing::error!(kind = %job.kind, reference = %job.ref_id, error = %text, "job failed for good");
            if job.kind == FOLLOW_UP
                && let Ok(id) = job.ref_id.parse::<OperationId>()
            {
                rows::set_followup(&tx, &id, FollowupStatus::Failed, Some(&text), now).await?;
            }
        }
        if job.kind == PACKAGE
            && let Some(digest) = Hash32::from_hex(&job.ref_id)
        {
            let status = if gave_up { retrievals::PackageStatus::Failed } else { court::waits_for(&error) };
            retrievals::set_package(&tx, &digest.0, status, None, Some(&text), now).await?;
        }
        if job.kind == ARCHIVE {
            archives::set_error(&tx, &job.ref_id, &text, now).await?;
        }
        if job.kind == CERTIFICATE {
            issuance::note(&tx, &job.ref_id, &error, gave_up, now).await?;
        }
        tx.commit().await
    };
    match outcome.await {
        Ok(()) => {}
        Err(StorageError::LeaseLost { .. }) => tracing::warn!(reference = %job.ref_id, "another worker has the job"),
        Err(error) => tracing::error!(%error, "the outcome of a job cannot be written"),
    }
}

/// Renews the lease until it is lost.
async fn keep_lease(app: &App, claim: &Claim) {
    let mut lease = claim.clone();
    loop {
        tokio::time::sleep(RENEW).await;
        let renewed = async {
            let tx = app.storage.begin().await?;
            jobs::renew(&tx, &mut lease, now_ms().saturating_add(LEASE_MS)).await?;
            tx.commit().await
        };
        match renewed.await {
            Ok(()) => {}
            Err(StorageError::LeaseLost { .. }) => return,
            Err(error) => tracing::warn!(%error, "a lease cannot be renewed"),
        }
    }
}

async fn work(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    if claim.job.kind == PACKAGE {
        return court::make(app, claim).await;
    }
    if claim.job.kind == CERTIFICATE {
        return issuance::make(app, claim).await;
    }
    if claim.job.kind == ARCHIVE {
        return archive::keep(app, claim).await;
    }
    if claim.job.kind == SEAL_SIGNATURES {
        return seal_data::signatures::make(app, claim).await;
    }
    if claim.job.kind == FOLLOW {
        return following::follow(app, claim).await;
    }
    let id: OperationId =
        claim.job.ref_id.parse().map_err(|_| ServiceError::Damaged(format!("reference {}", claim.job.ref_id)))?;
    let operation = rows::get(&app.storage, &id).await?;
    match claim.job.kind.as_str() {
        SUBMIT => submit(app, claim, &operation).await,
        FOLLOW_UP => follow_up(app, claim, &operation).await,
        EXPIRE => expire(app, claim, &operation).await,
        RECHECK => recheck(app, claim, &operation).await,
        COMPLETE => complete(app, claim, &operation).await,
        other => Err(ServiceError::Damaged(format!("unknown kind of job {other}"))),
    }
}

async fn done(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    let tx = app.storage.begin().await?;
    jobs::finish(&tx, claim, now_ms()).await?;
    Ok(tx.commit().await?)
}

async fn submit(app: &App, claim: &Claim, operation: &Operation) -> Result<(), ServiceError> {
    if operation.status != OperationStatus::Queued {
        return done(app, claim).await;
    }
    let submitted = app.ledger.submit(operation.body.clone(), actors(operation)).await;
    app.metrics.submitted(match &submitted {
        Ok(Submitted::Final { .. }) => "final",
        Ok(Submitted::Rejected(_)) => "rejected",
        Err(_) => "unanswered",
    });
    match submitted? {
        Submitted::Final { record } => settle(app, claim, operation, &record).await,
        Submitted::Rejected(rejection) if !was_refused(claim) => Err(ServiceError::RefusedOnce(rejection.to_string())),
        Submitted::Rejected(rejection) => reject(app, claim, operation, &rejection).await,
    }
}

/// A refusal counts when the attempt before was refused too.
fn was_refused(claim: &Claim) -> bool {
    claim.job.last_error.as_ref().is_some_and(|error| error.starts_with(REFUSED_ONCE))
}

/// The signatures in the order in which the ledger wants them.
fn actors(operation: &Operation) -> Vec<Actor> {
    let of = |subject: &[u8; 32]| operation.signatures.iter().find(|signature| signature.subject == *subject);
    let signatures = operation.required.iter().filter_map(|actor| of(&actor.subject));
    signatures
        .map(|given| Actor { subject: SubjectId(Hash32(given.subject)), signature: Bytes(given.signature.clone()) })
        .collect()
}

/// Notes a final record, after verifying its proof, with all that it changes.
async fn settle(app: &App, claim: &Claim, operation: &Operation, record: &Hash32) -> Result<(), ServiceError> {
    let proven = app.ledger.proven_record(record).await?;
    if proven.parsed.digest().0 != operation.digest {
        return Err(ServiceError::Proof(format!("record {record} is not of operation {}", operation.id)));
    }
    let now = now_ms();
    let place = RecordRef {
        hash: record.0,
        height: proven.record.height.0,
        index: proven.record.index,
        time_ms: proven.time_ms,
    };
    let tx = app.storage.begin().await?;
    let current = rows::get(&tx, &operation.id).await?;
    if current.record.is_some_and(|noted| noted.hash == place.hash) {
        // Another job noted it, with all that it changes.
        jobs::finish(&tx, claim, now).await?;
        return Ok(tx.commit().await?);
    }
    operation::next(operations::status(&current)?, Command::Finalise)?;
    rows::mark_final(&tx, &operation.id, place, now).await?;
    apply(app, &tx, operation, &proven, now).await?;
    let detail = format!("{} {record} @ {}", operation.kind, place.height);
    audit::append(&tx, &line(now, "operation.final", operation, detail)).await?;
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

/// What a final record changes in our rows.
async fn apply(app: &App, tx: &Tx, operation: &Operation, proven: &ProvenRecord, now: u64) -> Result<(), ServiceError> {
    let event = match proven.payload() {
        Payload::KeyRegistered(_) => {
            let subject =
                operation.created_subject.ok_or_else(|| ServiceError::Damaged("a key without subject".into()))?;
            return Ok(keys::set_status(tx, &subject, KeyStatus::Active).await?);
        }
        Payload::SealMade(_) => return Ok(seals::set_status(tx, &operation.id, SealStatus::Active).await?),
        Payload::SealSuspended(fields) => return set_seal(tx, &fields.seal, SealStatus::Suspended).await,
        Payload::SealResumed(fields) => return set_seal(tx, &fields.seal, SealStatus::Active).await,
        Payload::SealDestroyed(fields) => {
            if let Some(seal) = seals::find(tx, &fields.seal.0.0).await? {
                seal_data::revoke(app, tx, &seal, now).await?;
                app.authority.revoke(tx, &seal.certificate_der, "cessation_of_operation", now).await?;
            }
            return set_seal(tx, &fields.seal, SealStatus::Destroyed).await;
        }
        Payload::ContractOpened(_) => Event::Opened,
        Payload::ContractVersionFixed(fields) => {
            let commitment = proven.parsed.body().commitment(qz_evidence::commitment::name::DOCUMENT);
            let commitment = *commitment.ok_or_else(|| ServiceError::Proof("a version without document".into()))?;
            Event::VersionFixed { version: fields.version, commitment }
        }
        Payload::ContractSigned(fields) => {
            Event::Signed { slot: fields.slot, operation: operation.id.to_string(), record: proven.hash }
        }
        Payload::ContractDeclined(_) => Event::Declined,
        Payload::ContractCompleted(_) => Event::Completed,
        Payload::ContractDisputed(fields) => {
            following::look(tx, &fields.contract, proven.record.height.0).await?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    let follows = matches!(event, Event::Signed { .. });
    let completes = event == Event::Completed;
    let mut row = contract_rows::get(tx, contract_of(operation)?).await?;
    let contract = match contracts::domain(&row)?.apply(event) {
        Ok(contract) => contract,
        // The operation is final all the same: the ledger is the truth, an operator must look.
        Err(refusal) => {
            tracing::error!(operation = %operation.id, %refusal, "a record does not fit our rows");
            audit::append(tx, &line(now, "contract.diverged", operation, refusal.en)).await?;
            return Ok(contract_rows::release_busy(tx, &row.id, &operation.id).await?);
        }
    };
    contracts::put(&mut row, &contract)?;
    if completes {
        row.final_document.clone_from(&row.current_revision);
    }
    contract_rows::update(tx, &mut row, now).await?;
    if completes && row.final_document.is_some() {
        archive::begin(app, tx, &row.id, now).await?;
        seal_data::signatures::begin(app, tx, &row.id, now).await?;
    }
    if follows {
        rows::set_followup(tx, &operation.id, FollowupStatus::Pending, None, now).await?;
        jobs::enqueue(tx, FOLLOW_UP, operation.id.as_str(), now).await?;
    }
    Ok(())
}

/// Jobs settle in parallel, so what was recorded first may come last: a destroyed seal stays so.
async fn set_seal(tx: &Tx, subject: &SubjectId, status: SealStatus) -> Result<(), ServiceError> {
    match seals::find(tx, &subject.0.0).await? {
        Some(seal) if seal.status != SealStatus::Destroyed => Ok(seals::set_status(tx, &seal.operation, status).await?),
        _ => Ok(()),
    }
}

fn contract_of(operation: &Operation) -> Result<&qz_storage::ContractId, ServiceError> {
    let contract = operation.contract.as_ref();
    contract.ok_or_else(|| ServiceError::Damaged(format!("operation {} has no contract", operation.id)))
}

async fn reject(app: &App, claim: &Claim, operation: &Operation, rejection: &Rejection) -> Result<(), ServiceError> {
    operation::next(operations::status(operation)?, Command::Reject)?;
    let now = now_ms();
    let error = OperationError {
        code: rejection.code.clone(),
        message_zh: rejection.message_zh.clone(),
        message_en: rejection.message_en.clone(),
    };
    let tx = app.storage.begin().await?;
    rows::mark_rejected(&tx, &operation.id, error, now).await?;
    abandon(&tx, operation, now).await?;
    let detail = format!("{}: {}", operation.kind, rejection.code);
    audit::append(&tx, &line(now, "operation.rejected", operation, detail)).await?;
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

/// What the end of an operation without a record changes. It may be recorded all the same until its
/// expiry height has passed, so it is looked for again.
async fn abandon(tx: &Tx, operation: &Operation, now: u64) -> Result<(), ServiceError> {
    jobs::enqueue(tx, RECHECK, operation.id.as_str(), now.saturating_add(RECHECK_MS)).await?;
    match operations::body(operation)?.payload {
        Payload::KeyRegistered(_) => {
            if let Some(subject) = &operation.created_subject {
                keys::set_status(tx, subject, KeyStatus::Rejected).await?;
            }
        }
        Payload::SealMade(_) => seals::set_status(tx, &operation.id, SealStatus::Rejected).await?,
        Payload::ContractOpened(_) => {
            let mut row = contract_rows::get(tx, contract_of(operation)?).await?;
            let contract = contracts::domain(&row)?.apply(Event::NotOpened)?;
            contracts::put(&mut row, &contract)?;
            contract_rows::update(tx, &mut row, now).await?;
        }
        Payload::ContractSigned(_) => {
            contract_rows::release_busy(tx, contract_of(operation)?, &operation.id).await?;
        }
        Payload::ContractCompleted(_) => {
            let tried = completions(&rows::for_contract(tx, contract_of(operation)?).await?).count();
            let delay = COMPLETE_AGAIN.delay_ms(u32::try_from(tried).unwrap_or(u32::MAX));
            jobs::enqueue(tx, COMPLETE, operation.id.as_str(), now.saturating_add(delay)).await?;
        }
        _ => {}
    }
    Ok(())
}

fn completions(operations: &[Operation]) -> impl Iterator<Item = &Operation> {
    operations.iter().filter(|operation| operation.kind == CONTRACT_COMPLETED)
}

/// A contract that all have signed is completed, if need be by a new operation with a fresh expiry.
async fn complete(app: &App, claim: &Claim, given_up: &Operation) -> Result<(), ServiceError> {
    let row = contract_rows::get(&app.storage, contract_of(given_up)?).await?;
    let contract = contracts::domain(&row)?;
    let Some(revision) = row.current_revision.as_ref().filter(|_| contract.status == ContractStatus::Signed) else {
        return done(app, claim).await;
    };
    let sha256 = Hash32(documents::get(app, revision).await?.sha256);
    let content = contract_completed(contract.subject, &sha256);
    let completion = operations::compose(app, content, Some(row.id.clone()), Value::Null).await?;
    let now = now_ms();
    let tx = app.storage.begin().await?;
    let known = rows::for_contract(&tx, &row.id).await?;
    if !completions(&known).any(|other| matches!(other.status, OperationStatus::Queued | OperationStatus::Final)) {
        let change =
            Change { jobs: vec![operations::job(&completion)], operations: vec![completion], ..Change::default() };
        change.write(app, &tx, now).await?;
    }
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

/// Nobody signed in time here; but the actor may have taken the body to another member.
async fn expire(app: &App, claim: &Claim, operation: &Operation) -> Result<(), ServiceError> {
    if operations::status(operation)? != Status::AwaitingSignatures {
        return done(app, claim).await;
    }
    if let Some(record) = app.ledger.find(&Hash32(operation.digest)).await? {
        return settle(app, claim, operation, &record).await;
    }
    operation::next(Status::AwaitingSignatures, Command::Expire)?;
    let now = now_ms();
    let tx = app.storage.begin().await?;
    // A signature that came in meanwhile has queued it.
    if rows::get(&tx, &operation.id).await?.status == OperationStatus::AwaitingSignatures {
        rows::mark_expired(&tx, &operation.id, now).await?;
        abandon(&tx, operation, now).await?;
        audit::append(&tx, &line(now, "operation.expired", operation, operation.kind.clone())).await?;
    }
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

async fn recheck(app: &App, claim: &Claim, operation: &Operation) -> Result<(), ServiceError> {
    if operation.status == OperationStatus::Final {
        return done(app, claim).await;
    }
    if let Some(record) = app.ledger.find(&Hash32(operation.digest)).await? {
        return settle(app, claim, operation, &record).await;
    }
    let over = app.ledger.status().await?.height > operations::body(operation)?.expiry.0;
    let now = now_ms();
    let tx = app.storage.begin().await?;
    if !over {
        jobs::enqueue(&tx, RECHECK, operation.id.as_str(), now.saturating_add(RECHECK_MS)).await?;
    }
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

/// After `contract.signed`: the key service completes the PDF; the last signature completes the contract.
async fn follow_up(app: &App, claim: &Claim, operation: &Operation) -> Result<(), ServiceError> {
    if operation.followup != FollowupStatus::Pending {
        return done(app, claim).await;
    }
    let contract = contract_rows::get(&app.storage, contract_of(operation)?).await?;
    let plan = Plan::of(&operation.payload)?;
    let base = contract.current_revision.as_ref().unwrap_or(&contract.document);
    if base.as_str() != plan.base {
        return Err(ServiceError::Damaged(format!("operation {} was prepared on another revision", operation.id)));
    }
    let pdf = key_service::sign_after_finality(app, operation, &contract).await?;
    let mut signed = contracts::domain(&contract)?;
    let slot = signed.slots.get_mut(usize::from(plan.slot)).and_then(|slot| slot.signed.as_mut());
    slot.ok_or_else(|| ServiceError::Damaged(format!("slot {} is not signed", plan.slot)))?.in_document = true;
    let completes = signed.status == ContractStatus::Signed && signed.document_is_current();
    let mut level = pades::level(pdf.clone()).await?;
    let mut pdf = pdf;
    if completes && level == SignatureLevel::Timestamped {
        // Before the final digest is recorded, so that the ledger commits to these data too.
        pdf = pades::long_term(app, pdf).await?;
        level = SignatureLevel::LongTerm;
    }
    let name = format!("{}-{}.pdf", contract.title, contract.number);
    let revision = documents::store_pdf(app, pdf, Some(name)).await?;
    let completion = match completes {
        true => {
            let content = contract_completed(signed.subject, &Hash32(revision.sha256));
            Some(operations::compose(app, content, Some(contract.id.clone()), Value::Null).await?)
        }
        false => None,
    };

    let now = now_ms();
    let mut row = contract;
    row.current_revision = Some(revision.id.clone());
    row.signature_level = Some(level);
    contracts::put(&mut row, &signed)?;
    let mut change = Change { documents: vec![revision], ..Change::default() };
    change.audit.push(line(now, "document.sealed", operation, format!("slot {}", plan.slot)));
    if let Some(completion) = completion {
        change.jobs.push(operations::job(&completion));
        change.operations.push(completion);
    }
    let tx = app.storage.begin().await?;
    change.write(app, &tx, now).await?;
    contract_rows::update(&tx, &mut row, now).await?;
    contract_rows::release_busy(&tx, &row.id, &operation.id).await?;
    rows::set_followup(&tx, &operation.id, FollowupStatus::Done, None, now).await?;
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

fn line(time_ms: u64, action: &str, operation: &Operation, detail: String) -> AuditLine {
    AuditLine {
        time_ms,
        actor: "worker".into(),
        ip: None,
        action: action.into(),
        subject: Some(operation.id.to_string()),
        detail,
    }
}
