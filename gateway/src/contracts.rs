//! Contracts: from a plan to operations, and from rows to what the API shows.

use crate::anchors::Words;
use crate::app::App;
use crate::change::Change;
use crate::clock::{now_ms, rfc3339};
use crate::error::ServiceError;
use crate::server::{Caller, Outcome};
use crate::{access, anchors, archive, documents, keys, operations, seals};
use qz_document::inspect::MAX_BYTES;
use qz_document::seal::NAME_SEAL_MM;
use qz_domain::compose;
use qz_domain::contract::straddle::Straddle;
use qz_domain::contract::{self as rules, Contract as Domain, Field, Request, Rule, Size, Slot, Status};
use qz_domain::{Refusal, refusal};
use qz_evidence::genesis::Role;
use qz_evidence::payload::SlotKind;
use qz_evidence::{Hash32, OrgId, SubjectId};
use qz_storage::contracts::{self, Contract, SignatureLevel};
use qz_storage::operations::Operation;
use qz_storage::{ContractId, DocumentId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a signature may add to the PDF: imprint, certificates and revision data.
const BYTES_PER_SIGNATURE: u64 = 1 << 20;

/// `POST /v1/contracts`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContract {
    title: String,
    number: String,
    document: String,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    initiator: SubjectId,
    #[schema(inline)]
    slots: Vec<NewSlot>,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    rules: Vec<Rule>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    amends: Option<SubjectId>,
    /// The initiator signs first and certifies the file (DocMDP, P = 2): all places are reserved before, and from then
    /// on nothing but the other signatures may be added; each of those locks its own place.
    #[serde(default)]
    certify: bool,
}

/// A slot as it is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSlot {
    role: u8,
    #[schema(value_type = String, example = "seal")]
    kind: SlotKind,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    subject: SubjectId,
    group: u8,
    /// Page, and middle of the imprint from the lower left corner.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"page": 1, "x_mm": 50.0, "y_mm": 40.0}))]
    field: Option<Field>,
    /// In place of `field`: words of the document 关键字定位, which of several, and the way from their middle to the imprint's.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"text": "甲方（盖章）", "occurrence": 1, "dx_mm": 25.0, "dy_mm": 0.0}))]
    anchor: Option<Words>,
    /// A cross-page seal 骑缝章 with this slot's imprint; `{}` for the usual one at the right edge.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"edge": "right", "group": 10, "sides": "single"}))]
    straddle: Option<Straddle>,
    /// Where the date of signing is stamped 日期章, 46 × 9 mm around this place.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"page": 1, "x_mm": 60.0, "y_mm": 30.0}))]
    date: Option<Field>,
    /// Does a caption below the imprint say who signs, with which seal and when? Where nothing is said: for seals in
    /// contracts from templates, if there is room. It takes 40 × 9.5 mm.
    #[serde(default)]
    caption: Option<bool>,
}

/// `POST /v1/contracts/{subject}/decline`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    slot: u8,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: SubjectId,
    reason: String,
}

/// `POST /v1/contracts/{subject}/amendments`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    amendment: SubjectId,
}

/// `POST /v1/contracts/{subject}/disputes`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: SubjectId,
    /// The court or arbitration body, by its id on the ledger.
    #[schema(value_type = String, example = "court")]
    forum: OrgId,
    reason: String,
}

/// `POST /v1/contracts/{subject}/fulfilments`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fulfilment {
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: SubjectId,
    obligation: u16,
    step: String,
    description: String,
    #[serde(default)]
    receipt_document: Option<String>,
}

/// The row of a contract.
pub async fn get(app: &App, subject: &SubjectId) -> Result<Contract, ServiceError> {
    match contracts::find_by_subject(&app.storage, &subject.0.0).await? {
        Some(row) => Ok(row),
        None => Err(Refusal::missing("contract.unknown", "没有此合同", "there is no such contract").into()),
    }
}

/// The domain's view of a row.
pub fn domain(row: &Contract) -> Result<Domain, ServiceError> {
    let damaged = |what: &str| ServiceError::Damaged(format!("{what} of contract {}", row.id));
    Ok(Domain {
        subject: SubjectId(Hash32(row.subject.ok_or_else(|| damaged("subject"))?)),
        status: Status::parse(row.status.as_str()).ok_or_else(|| damaged("status"))?,
        initiator: SubjectId(Hash32(row.initiator)),
        slots: serde_json::from_value(row.slots.clone()).map_err(|_| damaged("slots"))?,
        rules: serde_json::from_value(row.rules.clone()).map_err(|_| damaged("rules"))?,
        version: row.version,
        version_commitment: row.version_commitment.map(Hash32),
    })
}

/// Puts the domain's view back into a row.
pub fn put(row: &mut Contract, domain: &Domain) -> Result<(), ServiceError> {
    row.status = domain
        .status
        .as_str()
        .parse()
        .map_err(|error: qz_storage::UnknownText| ServiceError::Damaged(error.to_string()))?;
    row.slots = json!(domain.slots);
    row.version = domain.version;
    row.version_commitment = domain.version_commitment.map(|hash| hash.0);
    Ok(())
}

fn document_id(text: &str) -> Result<DocumentId, ServiceError> {
    let unknown = || Refusal::missing("document.unknown", "没有此文件", "there is no such document");
    Ok(text.parse().map_err(|_| unknown())?)
}

async fn document(app: &App, caller: &Caller, text: &str) -> Result<qz_storage::documents::Document, ServiceError> {
    access::document(app, caller, &document_id(text)?).await
}

/// Opens a contract.
pub async fn open(app: &App, caller: &Caller, new: NewContract) -> Result<Outcome, ServiceError> {
    let (title, number) = rules::heading(&new.title, &new.number)?;
    let document = document(app, caller, &new.document).await?;
    keys::active(app, &new.initiator).await?;
    if let Some(amended) = &new.amends {
        // Only a completed contract can be amended.
        domain(&access::contract(app, caller, amended).await?)?.admit(Request::Amend)?;
    }
    let captions: Vec<Option<bool>> = new.slots.iter().map(|slot| slot.caption).collect();
    let wanted = new.slots.iter().map(|slot| (slot.field, slot.anchor.clone())).collect();
    let fields = anchors::places(app, &document, wanted).await?;
    let slot = |(slot, field): (NewSlot, Field)| Slot {
        role: slot.role,
        kind: slot.kind,
        subject: slot.subject,
        group: slot.group,
        field,
        straddle: slot.straddle,
        date: slot.date,
        caption: slot.caption == Some(true),
        signed: None,
    };
    let mut slots: Vec<Slot> = new.slots.into_iter().zip(fields).map(slot).collect();
    let signed_size = document.size.saturating_add(BYTES_PER_SIGNATURE.saturating_mul(slots.len() as u64));
    if signed_size > MAX_BYTES as u64 {
        return Err(documents::too_large_to_sign().into());
    }
    let mut sizes = BTreeMap::new();
    for slot in slots.iter().take(rules::MAX_SLOTS) {
        check_usable(app, slot).await?;
        sizes.insert(slot.subject, imprint_size(app, slot).await?);
    }
    if new.certify {
        check_first_signer(app, &new.initiator, &slots).await?;
    }
    let none = Size { width_mm: 0.0, height_mm: 0.0 };
    let pages = documents::page_sizes(&document)?;
    // The usual caption: not where there is no room for it.
    for (slot, wanted) in slots.iter_mut().zip(captions).take(rules::MAX_SLOTS) {
        let imprint = sizes.get(&slot.subject).copied().unwrap_or(none);
        let is_usual = slot.kind == SlotKind::Seal && document.template.is_some();
        slot.caption |= wanted.is_none() && is_usual && rules::has_room_for_caption(&slot.field, &pages, imprint);
    }
    let fields = rules::plan(new.initiator, &slots, &new.rules, new.amends, &pages, |slot| {
        sizes.get(&slot.subject).copied().unwrap_or(none)
    })?;
    let content = compose::contract_opened(fields, &title, &number);
    let id = ContractId::random();
    let operation = operations::compose(app, content, Some(id.clone()), Value::Null).await?;
    let row = Contract {
        id,
        subject: operation.created_subject,
        title,
        number,
        document: document.id,
        initiator: new.initiator.0.0,
        amends: new.amends.map(|subject| subject.0.0),
        status: qz_storage::contracts::ContractStatus::Pending,
        slots: json!(slots),
        rules: json!(new.rules),
        version: 0,
        version_commitment: None,
        current_revision: None,
        final_document: None,
        signature_level: None,
        certified: new.certify,
        busy: None,
        created_ms: operation.created_ms,
        updated_ms: operation.created_ms,
        row_version: 0,
    };
    let body = json!({
        "contract": view_with(app, &row, std::slice::from_ref(&operation)).await?,
        "operation": operations::view(app, &operation)?,
    });
    let change = Change { contracts: vec![row], ..of_operation(caller, operation) };
    Ok(Outcome::created(body, change))
}

/// A certification is the first signature, and the initiator's.
async fn check_first_signer(app: &App, initiator: &SubjectId, slots: &[Slot]) -> Result<(), ServiceError> {
    let first = slots.iter().map(|slot| slot.group).min();
    for slot in slots.iter().filter(|slot| Some(slot.group) == first) {
        if holder(app, slot).await? != *initiator {
            return Err(Refusal::invalid(
                "certification.initiator",
                "认证签名须由发起方首先签署：最先的签署组只能有发起方自己的签署位",
                "the initiator certifies by signing first: the first group may have the initiator's own slots only",
            )
            .into());
        }
    }
    Ok(())
}

/// Only a key or seal in use can be asked for.
async fn check_usable(app: &App, slot: &Slot) -> Result<(), ServiceError> {
    match slot.kind {
        SlotKind::Key => keys::active(app, &slot.subject).await.map(drop),
        SlotKind::Seal => match qz_storage::seals::find(&app.storage, &slot.subject.0.0).await? {
            Some(seal) if seal.status == qz_storage::seals::SealStatus::Active => Ok(()),
            Some(seal) => Err(seals::wrong_state(seal.status).into()),
            None => Err(Refusal::missing("seal.unknown", "没有此印章", "there is no such seal").into()),
        },
    }
}

/// How large the imprint is with which a slot will be signed.
pub async fn imprint_size(app: &App, slot: &Slot) -> Result<Size, ServiceError> {
    match slot.kind {
        SlotKind::Key => Ok(Size { width_mm: NAME_SEAL_MM, height_mm: NAME_SEAL_MM }),
        SlotKind::Seal => {
            let seal = qz_storage::seals::get(&app.storage, &slot.subject.0.0).await?;
            seals::imprint_size(app, &seal).await
        }
    }
}

/// Fixes the document as the version to be signed.
pub async fn fix(app: &App, caller: &Caller, row: Contract) -> Result<Outcome, ServiceError> {
    let contract = domain(&row)?;
    contract.admit(Request::FixVersion)?;
    let document = documents::get(app, &row.document).await?;
    let sha256 = Hash32(document.sha256);
    let content = compose::version_fixed(contract.subject, contract.version + 1, contract.initiator, &sha256);
    propose(app, caller, &row, content).await
}

/// Declines to sign.
pub async fn decline(app: &App, caller: &Caller, row: Contract, request: Decline) -> Result<Outcome, ServiceError> {
    let contract = domain(&row)?;
    contract.admit(Request::Decline { slot: request.slot })?;
    check_entitled(app, contract.slot(request.slot)?, &request.key).await?;
    let reason = refusal::text("reason", &request.reason, 200)?;
    let content = compose::contract_declined(contract.subject, request.slot, request.key, &reason);
    propose(app, caller, &row, content).await
}

/// Lets a completed amendment take effect.
pub async fn amend(app: &App, caller: &Caller, row: Contract, request: Amendment) -> Result<Outcome, ServiceError> {
    let contract = domain(&row)?;
    contract.admit(Request::Amend)?;
    let amendment = access::contract(app, caller, &request.amendment).await?;
    if amendment.amends != row.subject {
        return Err(Refusal::invalid(
            "amendment.other",
            "该补充协议不是针对本合同的",
            "that contract does not amend this one",
        )
        .into());
    }
    domain(&amendment)?.admit(Request::Amend)?;
    let content = compose::contract_amended(contract.subject, request.amendment, contract.initiator);
    propose(app, caller, &row, content).await
}

/// Records a step of fulfilment.
pub async fn fulfil(app: &App, caller: &Caller, row: Contract, request: Fulfilment) -> Result<Outcome, ServiceError> {
    let contract = domain(&row)?;
    contract.admit(Request::Fulfil)?;
    check_party(app, &contract, &request.key).await?;
    let step = rules::fulfilment_step(&request.step)?;
    let description = refusal::text("description", &request.description, 500)?;
    let receipt = match &request.receipt_document {
        Some(id) => Some(Hash32(document(app, caller, id).await?.sha256)),
        None => None,
    };
    let (obligation, key) = (request.obligation, request.key);
    let content = compose::contract_fulfilment(contract.subject, obligation, step, key, &description, receipt.as_ref());
    propose(app, caller, &row, content).await
}

/// Brings the contract before a court or arbitration body.
pub async fn dispute(app: &App, caller: &Caller, row: Contract, request: Dispute) -> Result<Outcome, ServiceError> {
    let contract = domain(&row)?;
    contract.admit(Request::Dispute)?;
    check_party(app, &contract, &request.key).await?;
    let Dispute { key, forum, reason } = request;
    // One that joined after the genesis is not known here; the ledger decides.
    if let Some(member) = app.ledger.genesis().organisation(&forum)
        && !member.has(Role::Court)
        && !member.has(Role::Arbitration)
    {
        return Err(Refusal::invalid(
            "dispute.forum",
            format!("{} 不是法院或仲裁机构", member.name_zh),
            format!("{forum} is neither a court nor an arbitration body"),
        )
        .into());
    }
    let reason = refusal::text("reason", &reason, 500)?;
    propose(app, caller, &row, compose::contract_disputed(contract.subject, forum, key, &reason)).await
}

/// Is this the key of a party, or of the owner of a party's seal?
async fn check_party(app: &App, contract: &Domain, key: &SubjectId) -> Result<(), ServiceError> {
    keys::active(app, key).await?;
    for slot in &contract.slots {
        if holder(app, slot).await? == *key {
            return Ok(());
        }
    }
    Err(Refusal::not_entitled("party.foreign", "该密钥不属于合同任何一方", "the key is no party's").into())
}

/// Who answers for a slot: its key, or its seal's owner.
pub async fn holder(app: &App, slot: &Slot) -> Result<SubjectId, ServiceError> {
    match slot.kind {
        SlotKind::Key => Ok(slot.subject),
        SlotKind::Seal => Ok(SubjectId(Hash32(qz_storage::seals::get(&app.storage, &slot.subject.0.0).await?.owner))),
    }
}

/// May this key act for this slot? The ledger decides; this refuses early, in words.
pub async fn check_entitled(app: &App, slot: &Slot, key: &SubjectId) -> Result<(), ServiceError> {
    keys::active(app, key).await?;
    if holder(app, slot).await? == *key {
        return Ok(());
    }
    if slot.kind == SlotKind::Seal && app.ledger.may_use_seal(&slot.subject, key).await? {
        return Ok(());
    }
    Err(Refusal::not_entitled("slot.foreign", "该密钥无权在此签署位签署", "the key may not sign this slot").into())
}

async fn propose(
    app: &App, caller: &Caller, row: &Contract, content: compose::Content,
) -> Result<Outcome, ServiceError> {
    let operation = operations::compose(app, content, Some(row.id.clone()), Value::Null).await?;
    let body = operations::view(app, &operation)?;
    Ok(Outcome::created(body, of_operation(caller, operation)))
}

/// The change that a composed operation makes.
pub fn of_operation(caller: &Caller, operation: Operation) -> Change {
    Change {
        jobs: vec![operations::job(&operation)],
        audit: vec![operations::composed(caller, &operation)],
        operations: vec![operation],
        ..Change::default()
    }
}

/// What the API shows.
pub async fn view(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let operations = qz_storage::operations::for_contract(&app.storage, &row.id).await?;
    view_with(app, row, &operations).await
}

async fn view_with(app: &App, row: &Contract, operations: &[Operation]) -> Result<Value, ServiceError> {
    let contract = domain(row)?;
    let slots = contract.slots.iter().enumerate().map(|(index, slot)| {
        json!({
            "index": index, "role": slot.role, "role_name": rules::role_words(slot.role), "kind": slot.kind,
            "subject": slot.subject, "group": slot.group, "field": slot.field,
            "straddle": slot.straddle, "date": slot.date, "caption": slot.caption,
            "signed": slot.signed.is_some(),
            "in_document": slot.signed.as_ref().is_some_and(|signed| signed.in_document),
            "record": slot.signed.as_ref().map(|signed| signed.record),
        })
    });
    let of_kind = |kind: &str| operations.iter().rev().find(|operation| operation.kind == kind);
    let document = documents::get(app, &row.document).await?;
    let signed = match row.final_document.as_ref().or(row.current_revision.as_ref()) {
        Some(id) => Some(hex::encode(documents::get(app, id).await?.sha256)),
        None => None,
    };
    let opening = match of_kind("contract.version_fixed") {
        Some(operation) => Some(operation.openings(&app.encryption)?),
        None => None,
    };
    let ledger = qz_storage::ledger_states::find(&app.storage, &row.id).await?;
    let orders = qz_storage::orders::for_contract(&app.storage, &row.id).await?;
    let now = now_ms();
    let busy = row.busy.as_ref().filter(|busy| busy.until_ms > now);
    Ok(json!({
        "id": row.id.as_str(),
        "subject": contract.subject,
        "title": row.title,
        "number": row.number,
        "status": row.status.as_str(),
        "status_zh": contract.status.words().0,
        "ledger": ledger.map(|state| json!({
            "status": state.status, "status_zh": Status::parse(&state.status).map(|status| status.words().0),
            "records": state.records, "height": state.height, "time_ms": state.time_ms, "time": rfc3339(state.time_ms),
        })),
        "initiator": contract.initiator,
        "amends": row.amends.map(|subject| SubjectId(Hash32(subject))),
        "document": {"id": document.id.as_str(), "sha256": hex::encode(document.sha256)},
        "version": row.version,
        "version_commitment": contract.version_commitment,
        "opening": opening,
        "slots": slots.collect::<Vec<_>>(),
        "rules": contract.rules,
        "signed_document_sha256": signed,
        "signature_level": row.signature_level.map(SignatureLevel::as_str),
        "certified": row.certified,
        "archive": archive::view(app, row).await?,
        "completion_operation": of_kind("contract.completed").map(|operation| operation.id.as_str()),
        "certificates": orders.iter().map(|order| json!({
            "number": order.number, "status": order.status.as_str(),
        })).collect::<Vec<_>>(),
        "operations": operations.iter().map(|operation| json!({
            "id": operation.id.as_str(), "kind": operation.kind, "status": operation.status.as_str(),
        })).collect::<Vec<_>>(),
        "busy": busy.map(|busy| json!({"operation": busy.operation.as_str(), "until_ms": busy.until_ms})),
        "created_ms": row.created_ms,
    }))
}
