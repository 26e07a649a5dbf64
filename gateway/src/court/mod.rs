//! Courts: a court presents a retrieval that is on the ledger, a job makes the package, the court fetches
//! it (`docs/SPEC.md` §13).
//!
//! What entitles a court is the record, which this gateway proves to itself, the openings, which only the
//! court has, and a fresh signature by its office. No token of this gateway does.

mod events;
mod package;
mod process;
mod report;

pub use process::SOFTWARE;

pub use events::events;
pub use package::make;

use crate::app::App;
use crate::clock::now_ms;
use crate::error::ServiceError;
use crate::{issuance, worker};
use qz_client::Membership;
use qz_domain::Refusal;
use qz_domain::proven::ProvenRecord;
use qz_evidence::genesis::{Organisation, Role};
use qz_evidence::payload::Payload;
use qz_evidence::retrieval::{RetrievalError, RetrievalRequest};
use qz_evidence::{Hash32, OrgId, SubjectId};
use qz_storage::audit::{self, AuditLine};
use qz_storage::orders::OrderStatus;
use qz_storage::retrievals::{self, PackageStatus, Retrieval};
use qz_storage::{StorageError, contracts, documents, jobs};
use serde_json::{Value, json};

/// A request that was presented and holds.
struct Presented {
    request: RetrievalRequest,
    record: ProvenRecord,
    court: OrgId,
}

/// `POST /v1/retrievals`: notes the retrieval and has its package made; says how far it is.
pub async fn present(app: &App, ip: Option<String>, body: &[u8]) -> Result<Value, ServiceError> {
    let Presented { request, record, court } = check(app, body).await?;
    let digest = request.digest().0;
    if let Some(known) = retrievals::find(&app.storage, &app.encryption, &digest).await? {
        return view(app, &known).await;
    }
    for contract in &request.contracts {
        if contracts::find_by_subject(&app.storage, &contract.0.0).await?.is_none() {
            return Err(Refusal::missing(
                "contract.unknown",
                format!("本平台没有合同 {contract}，请向办理该合同的平台领取"),
                format!("this platform does not have contract {contract}; ask the one that keeps it"),
            )
            .into());
        }
    }
    let now = now_ms();
    let retrieval = Retrieval {
        digest,
        record: record.hash.0,
        court: court.to_string(),
        request: RetrievalRequest { release: None, ..request.clone() }.to_json(),
        notice_after: request.notice_after.clone(),
        status: PackageStatus::Preparing,
        document: None,
        error: None,
        created_ms: now,
        updated_ms: now,
    };
    let tx = app.storage.begin().await?;
    match retrievals::insert(&tx, &app.encryption, &retrieval).await {
        // Presented twice at once: the other request has noted it.
        Err(StorageError::Conflict { .. }) => return view(app, &retrieval).await,
        other => other?,
    }
    jobs::enqueue(&tx, worker::PACKAGE, &hex::encode(digest), now).await?;
    audit::append(&tx, &line(&court, ip, "retrieval.presented", &digest)).await?;
    tx.commit().await?;
    app.changed();
    view(app, &retrieval).await
}

/// `POST /v1/retrievals/package`: the package with its digest, if it is ready.
pub async fn package(app: &App, ip: Option<String>, body: &[u8]) -> Result<(Vec<u8>, [u8; 32], String), ServiceError> {
    let Presented { request, court, .. } = check(app, body).await?;
    let digest = request.digest().0;
    let known = retrievals::find(&app.storage, &app.encryption, &digest).await?;
    let document = known.and_then(|known| known.document).ok_or_else(|| {
        Refusal::state("retrieval.not_ready", "调取包尚未制作完成，请稍后再领取", "the package is not ready yet")
    })?;
    let document = documents::get(&app.storage, &document).await?;
    let bytes = crate::documents::bytes(app, &document).await?;
    let tx = app.storage.begin().await?;
    audit::append(&tx, &line(&court, ip, "package.released", &digest)).await?;
    tx.commit().await?;
    Ok((bytes, document.sha256, document.file_name.unwrap_or_default()))
}

/// Is it recorded, by a court, and asked for by that court's office now?
async fn check(app: &App, body: &[u8]) -> Result<Presented, ServiceError> {
    let request = RetrievalRequest::parse(body).map_err(refused)?;
    let digest = request.digest();
    let record = app.ledger.find(&digest).await?.ok_or_else(|| {
        Refusal::state(
            "retrieval.not_recorded",
            "该调取尚未上链，不能领取；请先提交上链",
            "this retrieval is not on the ledger; record it first",
        )
    })?;
    let record = app.ledger.proven_record(&record).await?;
    if record.parsed.digest() != digest || !matches!(record.payload(), Payload::RetrievalMade(_)) {
        return Err(ServiceError::Proof(format!("record {} is not this retrieval", record.hash)));
    }
    let [actor] = record.parsed.submission().actors.as_slice() else {
        return Err(ServiceError::Proof("a retrieval without exactly one office".into()));
    };
    // The ledger let the key of that time make the record. Released is to the office's key of today: after a
    // rotation the old one, which may be in strange hands, opens nothing any more.
    let members = app.ledger.members().await?;
    let court = court_of(&members, &app.ledger.chain_id(), &actor.subject).ok_or_else(|| {
        Refusal::not_entitled(
            "retrieval.no_court",
            "签署该调取的机构现已不是联盟中的法院",
            "the office that made this retrieval is no court of the consortium any more",
        )
    })?;
    request.check_release(&court.office_key, now_ms()).map_err(refused)?;
    let court = court.id.clone();
    Ok(Presented { request, record, court })
}

/// The member whose office this is, if it is a court.
fn court_of<'a>(members: &'a Membership, chain_id: &Hash32, office: &SubjectId) -> Option<&'a Organisation> {
    let mut courts = members.organisations().filter(|member| member.has(Role::Court));
    courts.find(|court| SubjectId::of_organisation(chain_id, &court.id) == *office)
}

fn refused(error: RetrievalError) -> ServiceError {
    let text = error.to_string();
    let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
    match error {
        RetrievalError::Stale | RetrievalError::Signature => Refusal::not_entitled("retrieval.signature", zh, en),
        _ => Refusal::invalid("retrieval.request", zh, en),
    }
    .into()
}

/// What a package waits for whose making failed with this, to be tried again.
pub fn waits_for(error: &ServiceError) -> PackageStatus {
    match issuance::waits_for(error) {
        OrderStatus::WaitingForLedger => PackageStatus::WaitingForLedger,
        OrderStatus::WaitingForWitness => PackageStatus::WaitingForWitness,
        OrderStatus::WaitingForTimestamp => PackageStatus::WaitingForTimestamp,
        _ => PackageStatus::Preparing,
    }
}

/// In Chinese and English.
fn words(status: PackageStatus) -> (&'static str, &'static str) {
    match status {
        PackageStatus::Preparing => issuance::words(OrderStatus::Preparing),
        PackageStatus::WaitingForLedger => issuance::words(OrderStatus::WaitingForLedger),
        PackageStatus::WaitingForWitness => issuance::words(OrderStatus::WaitingForWitness),
        PackageStatus::WaitingForTimestamp => issuance::words(OrderStatus::WaitingForTimestamp),
        PackageStatus::Ready => ("可领取", "ready to be fetched"),
        PackageStatus::Failed => ("未能制作，请联系运营方", "could not be made; contact the operator"),
    }
}

async fn view(app: &App, retrieval: &Retrieval) -> Result<Value, ServiceError> {
    let package = match &retrieval.document {
        Some(id) => {
            let document = documents::get(&app.storage, id).await?;
            json!({"sha256": hex::encode(document.sha256), "bytes": document.size, "file_name": document.file_name})
        }
        None => Value::Null,
    };
    Ok(json!({
        "digest": hex::encode(retrieval.digest),
        "record": hex::encode(retrieval.record),
        "court": retrieval.court,
        "status": retrieval.status.as_str(),
        "status_zh": words(retrieval.status).0,
        "status_en": words(retrieval.status).1,
        "error": retrieval.error,
        "package": package,
    }))
}

/// An audit line about a retrieval.
fn line(actor: &OrgId, ip: Option<String>, action: &str, digest: &[u8; 32]) -> AuditLine {
    AuditLine {
        time_ms: now_ms(),
        actor: format!("court:{actor}"),
        ip,
        action: action.to_owned(),
        subject: Some(hex::encode(digest)),
        detail: String::new(),
    }
}
