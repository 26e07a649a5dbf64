//! Prepares a signature: the PDF revision with an empty place for it, and the operation that commits to
//! its digest. No key is touched here.

use crate::app::App;
use crate::change::{Change, Reservation};
use crate::contracts::{check_entitled, domain, of_operation};
use crate::error::{ServiceError, blocking};
use crate::operations::PREPARED_TIME_MS;
use crate::reservation::{self, Layout, Place};
use crate::seals::Personal;
use crate::server::{Caller, Outcome};
use crate::{clock, documents, imprints, key_service, keys, operations, seals};
use qz_document::ca::{Standing, summarise};
use qz_document::inspect::MAX_BYTES;
use qz_document::seal::{Caption, Form, Imprint, Ink};
use qz_document::sign::{self, FieldRequest, Mark, Policy, Prepared};
use qz_domain::compose::{self, Intent};
use qz_domain::contract::{Request, Size, Slot};
use qz_domain::{Refusal, refusal};
use qz_evidence::hash::sha256;
use qz_evidence::payload::{ContractSigned, SlotKind};
use qz_evidence::{Hash32, SubjectId};
use qz_storage::contracts::Contract;
use qz_storage::seals::{Seal, SealStatus};
use qz_storage::{BlobKey, SealKeyId, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// What every name says that a demonstration CA writes.
const DEMONSTRATION: &str = "演示";

/// `POST /v1/contracts/{subject}/signatures`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSignature {
    slot: u8,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: SubjectId,
    intent: String,
    #[serde(default)]
    handler: Option<String>,
    #[serde(default)]
    authority: Option<String>,
}

/// What the key service needs after finality; stands in the operation's payload.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The slot.
    pub slot: u8,
    /// The document that the revision was appended to.
    pub base: String,
    /// Blob with the prepared revision.
    pub prepared: String,
    /// Offsets in it.
    pub contents: (usize, usize),
    /// Offset and length of both covered parts.
    pub byte_range: [usize; 4],
    /// SHA-256 of the version that the signer saw.
    pub version_document_sha256: Hash32,
    /// Digest to be signed.
    pub to_be_signed_sha256: Hash32,
}

impl Plan {
    /// Reads it from an operation's payload.
    pub fn of(payload: &Value) -> Result<Self, ServiceError> {
        serde_json::from_value(payload.clone())
            .map_err(|error| ServiceError::Damaged(format!("a prepared signature: {error}")))
    }

    /// The prepared revision as it was stored.
    pub async fn prepared(&self, app: &App) -> Result<Prepared, ServiceError> {
        let blob: BlobKey =
            self.prepared.parse().map_err(|_| ServiceError::Damaged("the name of a prepared revision".into()))?;
        Ok(Prepared {
            bytes: app.blobs.get(&blob).await?,
            contents: self.contents.0..self.contents.1,
            byte_range: self.byte_range,
            digest: self.to_be_signed_sha256.0,
        })
    }
}

/// With what a slot is signed.
struct Instrument {
    imprint: Imprint,
    signer_name: String,
    /// What the caption says, if there is one.
    caption: Caption,
    /// Rows of a person's seal, which is made for this signature alone.
    personal: Option<Personal>,
}

/// Prepares the signature of a slot and composes `contract.signed`.
pub async fn prepare(
    app: &App, caller: &Caller, row: Contract, request: NewSignature,
) -> Result<Outcome, ServiceError> {
    let contract = domain(&row)?;
    contract.admit(Request::Sign { slot: request.slot })?;
    if let Some(busy) = row.busy.as_ref().filter(|busy| busy.until_ms > clock::now_ms()) {
        return Err(StorageError::Busy { operation: busy.operation.clone(), until_ms: busy.until_ms }.into());
    }
    let slot = contract.slot(request.slot)?.clone();
    check_entitled(app, &slot, &request.key).await?;
    let intent = Intent {
        words: refusal::text("intent", &request.intent, 200)?,
        capture: caller.capture(),
        handler: request.handler.map(|text| refusal::text("handler", &text, 60)).transpose()?,
        authority: request.authority.map(|text| refusal::text("authority", &text, 120)).transpose()?,
    };
    let version = contract.version_commitment.ok_or_else(|| ServiceError::Damaged("no fixed version".into()))?;
    let instrument = instrument(app, &slot).await?;

    let original = documents::get(app, &row.document).await?;
    let layout = Layout::of(app, &contract, &original, row.certified).await?;
    let place = layout.place(request.slot)?;
    let (base, pdf) = match &row.current_revision {
        Some(revision) => {
            let base = documents::get(app, revision).await?;
            let pdf = documents::bytes(app, &base).await?;
            (base, pdf)
        }
        None => {
            let pdf = documents::bytes(app, &original).await?;
            (original.clone(), layout.reserve(&contract, pdf).await?)
        }
    };
    let policy = match row.certified && row.current_revision.is_none() {
        true => Policy::Certification,
        false => Policy::Approval,
    };
    let prepared = prepare_revision(pdf, place, &slot, &instrument, intent.words.clone(), policy).await?;
    if prepared.bytes.len() > MAX_BYTES {
        return Err(documents::too_large_to_sign().into());
    }
    let blob = app.blobs.put(&prepared.bytes).await?;
    let plan = Plan {
        slot: request.slot,
        base: base.id.to_string(),
        prepared: blob.to_string(),
        contents: (prepared.contents.start, prepared.contents.end),
        byte_range: prepared.byte_range,
        version_document_sha256: Hash32(original.sha256),
        to_be_signed_sha256: Hash32(prepared.digest),
    };
    let fields = ContractSigned {
        contract: contract.subject,
        slot: request.slot,
        version,
        seal: (slot.kind == SlotKind::Seal).then_some(slot.subject),
    };
    let certificate = instrument.personal.as_ref().map(|personal| sha256(&[&personal.certificate_der]));
    let to_be_signed = Hash32(prepared.digest);
    let positions = reservation::positions(&slot, place).to_string();
    let content =
        compose::contract_signed(fields, request.key, &to_be_signed, certificate.as_ref(), &intent, &positions);
    let operation = operations::compose(app, content, Some(row.id.clone()), json!(plan)).await?;
    let body = operations::view(app, &operation)?;
    let mut change = Change {
        busy: Some(Reservation {
            contract: row.id,
            row_version: row.row_version,
            operation: operation.id.clone(),
            until_ms: operation.created_ms.saturating_add(PREPARED_TIME_MS),
        }),
        ..of_operation(caller, operation)
    };
    if let Some(personal) = instrument.personal {
        add_personal_seal(app, &mut change, &slot, &instrument.signer_name, personal)?;
    }
    Ok(Outcome::created(body, change))
}

async fn instrument(app: &App, slot: &Slot) -> Result<Instrument, ServiceError> {
    match slot.kind {
        SlotKind::Seal => {
            let seal = qz_storage::seals::get(&app.storage, &slot.subject.0.0).await?;
            if seal.status != SealStatus::Active {
                return Err(seals::wrong_state(seal.status).into());
            }
            // Refused before the ledger is asked; the key service looks again when it signs.
            let standing = key_service::standing(app, &seal).await?;
            // A CA that is away now may be back when it counts: the signature waits for it then.
            let may_wait = standing == Standing::Unknown && key_service::names_revocation_data(&seal);
            if standing != Standing::Good && !may_wait {
                return Err(Refusal::state("certificate.unusable", standing.words().0, standing.words().1).into());
            }
            let Size { width_mm, height_mm } = seals::imprint_size(app, &seal).await?;
            let pdf = documents::bytes(app, &documents::get(app, &seal.imprint).await?).await?;
            let imprint = Imprint { pdf, width_mm, height_mm };
            let caption = Caption {
                signer: seal.company_name.clone(),
                seal: Some(seal.name.clone()),
                is_demonstration: is_demonstration(&seal.certificate_der, &seal.chain)?,
            };
            let signer_name = format!("{} {}", seal.company_name, seal.name);
            Ok(Instrument { imprint, signer_name, caption, personal: None })
        }
        SlotKind::Key => {
            let holder = keys::active(app, &slot.subject).await?;
            let personal = seals::personal(app, &holder).await?;
            let caption = Caption {
                signer: holder.name.clone(),
                seal: None,
                is_demonstration: is_demonstration(&personal.certificate_der, &[app.authority.root_der()])?,
            };
            let imprint = personal.imprint.clone();
            Ok(Instrument { imprint, signer_name: holder.name, caption, personal: Some(personal) })
        }
    }
}

/// Is a certificate of the path one of a demonstration, by the name that it gives itself or its issuer?
fn is_demonstration(certificate_der: &[u8], chain: &[Vec<u8>]) -> Result<bool, ServiceError> {
    for der in std::iter::once(certificate_der).chain(chain.iter().map(Vec::as_slice)) {
        let found = summarise(der)?;
        if found.subject.contains(DEMONSTRATION) || found.issuer.contains(DEMONSTRATION) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn prepare_revision(
    pdf: Vec<u8>, place: &Place, slot: &Slot, instrument: &Instrument, reason: String, policy: Policy,
) -> Result<Prepared, ServiceError> {
    let (imprint, signer_name) = (instrument.imprint.clone(), instrument.signer_name.clone());
    let (field_name, straddling, date) = (place.field_name.clone(), place.straddling.clone(), place.date.clone());
    let (field, caption) = (slot.field, slot.caption.then(|| instrument.caption.clone()));
    let now_ms = clock::now_ms();
    let time_ms = clock::signed(now_ms);
    let stamp = match &date {
        Some(_) => Some(imprints::drawn(Form::Date { date: clock::day_in_china(now_ms), ink: Ink::Red }).await?),
        None => None,
    };
    blocking(move || {
        let request = FieldRequest {
            field_name: &field_name,
            page: field.page,
            x_mm: field.x_mm - imprint.width_mm / 2.0,
            y_mm: field.y_mm - imprint.height_mm / 2.0,
            imprint: &imprint,
            caption: caption.as_ref(),
            signer_name: &signer_name,
            reason: &reason,
            time_ms,
            policy,
        };
        let across = straddling.iter().map(|places| Mark { places, imprint: None });
        let dated = date.iter().map(|places| Mark { places, imprint: stamp.as_ref() });
        sign::prepare_marked(&pdf, &request, &across.chain(dated).collect::<Vec<_>>())
    })
    .await
}

/// A person's slot is signed with a key and certificate of their own for this one signature.
fn add_personal_seal(
    app: &App, change: &mut Change, slot: &Slot, name: &str, personal: Personal,
) -> Result<(), ServiceError> {
    let key = SealKeyId::random();
    let operation = change.operations.first().ok_or_else(|| ServiceError::Damaged("no operation".into()))?;
    change.seals.push(Seal {
        operation: operation.id.clone(),
        subject: None,
        name: "个人签名".into(),
        kind: "personal".into(),
        owner: slot.subject.0.0,
        company_name: name.to_owned(),
        bottom_text: String::new(),
        imprint: personal.document.id.clone(),
        certificate_der: personal.certificate_der,
        chain: vec![app.authority.root_der()],
        key: key.clone(),
        status: SealStatus::Active,
        created_ms: operation.created_ms,
    });
    change.seal_keys.push((key, personal.key.row));
    change.documents.push(personal.document);
    Ok(())
}
