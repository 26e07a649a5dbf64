//! Operations: composing them, showing them, and taking actors' signatures.

use crate::app::App;
use crate::change::changed;
use crate::clock::{now_ms, rfc3339};
use crate::error::ServiceError;
use crate::server::Caller;
use crate::signing::Plan;
use crate::{authority, worker};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_domain::Refusal;
use qz_domain::compose::{Content, Envelope};
use qz_domain::operation::{self, Command, RequiredActor, Status};
use qz_evidence::codec::Bytes;
use qz_evidence::commitment::Opening;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::Payload;
use qz_evidence::submission::Body;
use qz_evidence::{Hash32, SubjectId, SubmissionId, decode_strict, encode};
use qz_storage::audit::{self, AuditLine};
use qz_storage::keys::{self, KeyStatus};
use qz_storage::operations::{self, ActorSignature, FollowupStatus, Operation, OperationStatus};
use qz_storage::{ContractId, OperationId, contracts, jobs};
use serde_json::{Map, Value, json};

/// How long an operation waits for signatures.
const SIGNING_TIME_MS: u64 = 24 * 3_600_000;
/// How long a prepared signature of a contract waits, since it keeps others from signing.
pub const PREPARED_TIME_MS: u64 = 15 * 60_000;
/// A reservation that only its operation ends.
const UNTIL_SETTLED_MS: u64 = 10 * 365 * 24 * 3_600_000;
/// Kind of the operation that prepares a PDF revision.
pub const CONTRACT_SIGNED: &str = "contract.signed";

/// Composes an operation. Nothing is written yet.
pub async fn compose(
    app: &App, content: Content, contract: Option<ContractId>, payload: Value,
) -> Result<Operation, ServiceError> {
    compose_as(app, OperationId::random(), content, contract, payload).await
}

/// The same under a given id.
pub async fn compose_as(
    app: &App, id: OperationId, content: Content, contract: Option<ContractId>, payload: Value,
) -> Result<Operation, ServiceError> {
    let now = now_ms();
    let envelope = Envelope {
        chain_id: app.ledger.chain_id(),
        id: SubmissionId(authority::random()),
        expiry: app.ledger.expiry().await?,
        claimed_time_ms: now,
    };
    let draft = content.draft(envelope, authority::random)?;
    let openings = draft
        .openings
        .iter()
        .map(|opening| json!({"name": opening.name, "salt": opening.salt, "value": BASE64.encode(&opening.value.0)}));
    let openings = operations::seal_openings(&app.encryption, &id, &Value::Array(openings.collect()));
    let status = if draft.actors.is_empty() { OperationStatus::Queued } else { OperationStatus::AwaitingSignatures };
    let required = draft
        .actors
        .into_iter()
        .map(|RequiredActor { subject, why }| operations::RequiredActor { subject: subject.0.0, why });
    Ok(Operation {
        kind: draft.body.payload.kind().name.to_owned(),
        digest: draft.body.digest().0,
        body: encode(&draft.body),
        created_subject: draft.created.map(|subject| subject.0.0),
        contract,
        openings,
        required: required.collect(),
        signatures: vec![],
        status,
        error: None,
        record: None,
        payload,
        followup: FollowupStatus::None,
        followup_detail: None,
        created_ms: now,
        updated_ms: now,
        id,
    })
}

/// When an operation that is not signed by then expires.
pub fn deadline(operation: &Operation) -> u64 {
    let time = if operation.kind == CONTRACT_SIGNED { PREPARED_TIME_MS } else { SIGNING_TIME_MS };
    operation.created_ms.saturating_add(time)
}

/// The job that expires it, or submits it if it needs no signature.
pub fn job(operation: &Operation) -> (&'static str, String, u64) {
    let id = operation.id.to_string();
    match operation.status {
        OperationStatus::Queued => (worker::SUBMIT, id, operation.created_ms),
        _ => (worker::EXPIRE, id, deadline(operation)),
    }
}

/// Its body, decoded.
pub fn body(operation: &Operation) -> Result<Body, ServiceError> {
    decode_strict(&operation.body)
        .map_err(|error| ServiceError::Damaged(format!("body of operation {}: {error}", operation.id)))
}

/// What opens its commitments.
pub fn openings(app: &App, operation: &Operation) -> Result<Vec<Opening>, ServiceError> {
    let damaged = || ServiceError::Damaged(format!("openings of operation {}", operation.id));
    let value = operation.openings(&app.encryption)?;
    let list = value.as_array().ok_or_else(damaged)?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(damaged);
    list.iter()
        .map(|opening| {
            Ok(Opening {
                name: text(opening, "name")?,
                salt: Hash32::from_hex(&text(opening, "salt")?).ok_or_else(damaged)?,
                value: Bytes(BASE64.decode(text(opening, "value")?).map_err(|_| damaged())?),
            })
        })
        .collect()
}

/// What the API shows.
pub fn view(app: &App, operation: &Operation) -> Result<Value, ServiceError> {
    let subject = |bytes: &[u8; 32]| SubjectId(Hash32(*bytes)).to_string();
    let required: Vec<Value> =
        operation.required.iter().map(|actor| json!({"subject": subject(&actor.subject), "why": actor.why})).collect();
    let signed: Vec<String> = operation.signatures.iter().map(|signature| subject(&signature.subject)).collect();
    let record = operation.record.map(|record| {
        json!({
            "hash": hex::encode(record.hash), "height": record.height, "index": record.index,
            "time_ms": record.time_ms, "time": rfc3339(record.time_ms),
        })
    });
    let mut view = json!({
        "id": operation.id.as_str(),
        "kind": operation.kind,
        "body": BASE64.encode(&operation.body),
        "digest": hex::encode(operation.digest),
        "created_subject": operation.created_subject.as_ref().map(subject),
        "openings": operation.openings(&app.encryption)?,
        "required_actors": required,
        "signed_by": signed,
        "status": operation.status.as_str(),
        "error": operation.error,
        "record": record,
        "followup": {"status": operation.followup.as_str(), "detail": operation.followup_detail},
        "deadline_ms": deadline(operation),
        "deadline": rfc3339(deadline(operation)),
    });
    let shown = ["version_document_sha256", "to_be_signed_sha256", "slot"];
    let members: &mut Map<String, Value> = view.as_object_mut().expect("built as an object above");
    for name in shown {
        if let Some(value) = operation.payload.get(name) {
            members.insert(name.to_owned(), value.clone());
        }
    }
    Ok(view)
}

/// Is there nothing more to wait for?
pub fn is_settled(operation: &Operation) -> bool {
    match operation.status {
        OperationStatus::Rejected | OperationStatus::Expired => true,
        OperationStatus::Final => operation.followup != FollowupStatus::Pending,
        OperationStatus::AwaitingSignatures | OperationStatus::Queued => false,
    }
}

/// Takes an actor's signature; the last one queues the operation.
pub async fn sign(
    app: &App, caller: &Caller, id: &OperationId, subject: SubjectId, signature: Vec<u8>,
) -> Result<Operation, ServiceError> {
    let operation = operations::get(&app.storage, id).await?;
    let given = ActorSignature { subject: subject.0.0, signature };
    if operation.signatures.contains(&given) {
        return Ok(operation);
    }
    let now = now_ms();
    let mut status = status(&operation)?;
    if status == Status::AwaitingSignatures && now > deadline(&operation) {
        status = Status::Expired;
    }
    let key = actor_key(app, &operation, &subject).await?;
    let required: Vec<RequiredActor> = operation
        .required
        .iter()
        .map(|actor| RequiredActor { subject: SubjectId(Hash32(actor.subject)), why: actor.why.clone() })
        .collect();
    let signed: Vec<SubjectId> = operation.signatures.iter().map(|s| SubjectId(Hash32(s.subject))).collect();
    // The state first: an expired operation is expired whatever the signature.
    operation::next(status, Command::SignOne)?;
    operation::check_signature(&required, &signed, &subject, &key, &Hash32(operation.digest), &given.signature)?;

    let tx = app.storage.begin().await?;
    let operation = operations::add_signature(&tx, id, given, now).await?;
    let complete =
        operation.required.iter().all(|actor| operation.signatures.iter().any(|s| s.subject == actor.subject));
    if complete {
        if let (CONTRACT_SIGNED, Some(contract)) = (operation.kind.as_str(), &operation.contract) {
            // From here on only the ledger's answer frees the contract.
            contracts::acquire_busy(&tx, contract, id, now.saturating_add(UNTIL_SETTLED_MS), now).await?;
            let row = contracts::get(&tx, contract).await?;
            let base = row.current_revision.as_ref().unwrap_or(&row.document);
            if Plan::of(&operation.payload)?.base != base.as_str() {
                return Err(changed().into());
            }
        }
        operations::mark_queued(&tx, id, now).await?;
        jobs::enqueue(&tx, worker::SUBMIT, id.as_str(), now).await?;
    }
    audit::append(&tx, &caller.audit(now, "operation.signed", Some(id.as_str()), &subject.to_string())).await?;
    tx.commit().await?;
    app.changed();
    Ok(operations::get(&app.storage, id).await?)
}

/// The domain's status of a row.
pub fn status(operation: &Operation) -> Result<Status, ServiceError> {
    Status::parse(operation.status.as_str())
        .ok_or_else(|| ServiceError::Damaged(format!("status of operation {}", operation.id)))
}

/// The key with which this subject has to sign this operation.
async fn actor_key(app: &App, operation: &Operation, subject: &SubjectId) -> Result<PublicKey, ServiceError> {
    if operation.created_subject == Some(subject.0.0)
        && let Payload::KeyRegistered(fields) = body(operation)?.payload
    {
        return Ok(fields.key);
    }
    let genesis = app.ledger.genesis();
    let office = genesis
        .organisations()
        .iter()
        .find(|organisation| SubjectId::of_organisation(&genesis.chain_id(), &organisation.id) == *subject);
    if let Some(organisation) = office {
        return Ok(PublicKey::ed25519(organisation.office_key.0));
    }
    match keys::find(&app.storage, &subject.0.0).await? {
        Some(row) if row.status == KeyStatus::Active => public_key(&row),
        _ => Err(Refusal::missing("key.unknown", "没有此有效密钥", "there is no such active key").into()),
    }
}

/// The public key of a row.
pub fn public_key(row: &keys::PartyKey) -> Result<PublicKey, ServiceError> {
    match (row.algorithm.as_str(), <[u8; 32]>::try_from(row.public_key.as_slice())) {
        ("ed25519", Ok(bytes)) => Ok(PublicKey::ed25519(bytes)),
        _ => Err(ServiceError::Damaged(format!("public key of {}", hex::encode(row.subject)))),
    }
}

/// An audit line about a composed operation.
pub fn composed(caller: &Caller, operation: &Operation) -> AuditLine {
    caller.audit(operation.created_ms, "operation.composed", Some(operation.id.as_str()), &operation.kind)
}
