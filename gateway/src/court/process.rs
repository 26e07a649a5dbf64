//! The process record: what this gateway noted before and beside the ledger. Everything in it is the
//! platform's word, except where it says that a commitment on the ledger covers it.

use crate::app::App;
use crate::clock::{now_ms, rfc3339};
use crate::error::ServiceError;
use crate::operations;
use qz_evidence::commitment::name;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::contracts::Contract;
use qz_storage::operations::{self as rows, Operation};
use qz_storage::{audit, keys, seals, tokens};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most audit lines of one contract.
const MAX_LINES: u64 = 10_000;
/// Name and version of this program.
pub const SOFTWARE: &str = concat!("qz-gateway/", env!("CARGO_PKG_VERSION"));

/// The process record of a contract, as JSON.
pub async fn record(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let mut known = rows::for_contract(&app.storage, &row.id).await?;
    let people = people(app, row, &mut known).await?;
    let mut steps = vec![];
    for operation in &known {
        steps.push(step(app, operation)?);
    }
    let names: BTreeMap<String, String> =
        tokens::list(&app.storage).await?.into_iter().map(|token| (token.id.to_string(), token.name)).collect();
    let lines = audit::about(&app.storage, &about(row, &known), MAX_LINES).await?;
    let lines = lines.into_iter().map(|(number, line)| {
        json!({
            "line": number, "time": rfc3339(line.time_ms), "action": line.action, "subject": line.subject,
            "by": names.get(&line.actor).map_or(line.actor.as_str(), String::as_str),
            "ip": line.ip, "detail": line.detail,
        })
    });
    Ok(json!({
        "format": "qz/process-record/v1",
        "note_zh": "本文件是平台的陈述。committed 为 true 的项目，其加盐承诺已在链上，可由证据包校验；其余仅由平台签章保证未被改动。",
        "note_en": "This is the platform's statement. What says committed: true is committed on the ledger with a salt and verified by the proof; all else is covered by the platform's seal only.",
        "contract": row.subject.map(hex::encode),
        "made": rfc3339(now_ms()),
        "software": SOFTWARE,
        "clock": {
            "zone": "Asia/Shanghai (UTC+08:00)",
            "source_zh": "网关所在主机的系统时钟；区块时间由各验证节点以 5 秒以内偏差共同确认",
            "source_en": "the system clock of the gateway's host; block times are agreed by the validators within 5 s",
        },
        "people": people,
        "steps": steps,
        "audit": lines.collect::<Vec<_>>(),
    }))
}

/// Keys and seals that the contract names, how their holders were identified, and their operations.
async fn people(app: &App, row: &Contract, known: &mut Vec<Operation>) -> Result<Vec<Value>, ServiceError> {
    let contract = crate::contracts::domain(row)?;
    let mut subjects = BTreeSet::from([row.initiator]);
    let mut making = vec![];
    for operation in known.iter() {
        subjects.extend(operation.signatures.iter().map(|signature| signature.subject));
    }
    for slot in &contract.slots {
        subjects.insert(slot.subject.0.0);
        if let Some(seal) = seals::find(&app.storage, &slot.subject.0.0).await? {
            subjects.insert(seal.owner);
            making.push(seal.operation);
        }
    }
    let mut people = vec![];
    for subject in subjects {
        let Some(key) = keys::find(&app.storage, &subject).await? else { continue };
        let registration = rows::get(&app.storage, &key.operation).await?;
        let committed = registration.record.is_some();
        people.push(json!({
            "subject": SubjectId(Hash32(subject)), "name": key.name, "id_code": key.id_code,
            "identity_check": key.identity_check, "algorithm": key.algorithm, "public_key": hex::encode(&key.public_key),
            "status": key.status.as_str(), "asked": rfc3339(registration.created_ms), "committed": committed,
        }));
        making.push(key.operation);
    }
    for id in making {
        if !known.iter().any(|operation| operation.id == id) {
            known.push(rows::get(&app.storage, &id).await?);
        }
    }
    known.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    Ok(people)
}

fn step(app: &App, operation: &Operation) -> Result<Value, ServiceError> {
    let subject = |bytes: &[u8; 32]| SubjectId(Hash32(*bytes));
    let capture = operations::openings(app, operation)?.into_iter().find(|opening| opening.name == name::CAPTURE);
    let capture: Option<Value> = capture.and_then(|opening| serde_json::from_slice(&opening.value.0).ok());
    let required = operation.required.iter().map(|actor| json!({"subject": subject(&actor.subject), "why": actor.why}));
    let signed: Vec<SubjectId> = operation.signatures.iter().map(|signature| subject(&signature.subject)).collect();
    Ok(json!({
        "operation": operation.id.as_str(), "kind": operation.kind, "body_digest": hex::encode(operation.digest),
        "composed": rfc3339(operation.created_ms), "status": operation.status.as_str(),
        "needs": required.collect::<Vec<_>>(), "signed_by": signed,
        "asked_with": capture, "committed": operation.record.is_some(),
        "recorded": operation.record.map(|record| json!({
            "record": hex::encode(record.hash), "height": record.height, "index": record.index,
            "block_time": rfc3339(record.time_ms),
        })),
        "error": operation.error,
    }))
}

/// What audit lines may be about.
fn about(row: &Contract, known: &[Operation]) -> Vec<String> {
    let mut about: Vec<String> = known.iter().map(|operation| operation.id.to_string()).collect();
    about.push(row.id.to_string());
    about.extend(row.subject.map(hex::encode));
    about.push(row.document.to_string());
    about.extend(row.current_revision.iter().chain(&row.final_document).map(ToString::to_string));
    about
}
