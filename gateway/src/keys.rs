//! Keys of parties: proposed here, attested by another organisation, recorded on the ledger.

use crate::app::App;
use crate::change::Change;
use crate::error::ServiceError;
use crate::operations;
use crate::server::{Caller, Outcome};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_domain::Refusal;
use qz_domain::compose::{self, Holder};
use qz_domain::{identity, refusal};
use qz_evidence::keys::PublicKey;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::keys::{self, KeyStatus, PartyKey};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Prefix of every identity check, since there is no official source behind it.
const DEMO_CHECK: &str = "演示核验";

/// `POST /v1/keys`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    algorithm: String,
    public_key: String,
    name: String,
    id_code: String,
    identity_check: String,
}

/// Proposes a key.
pub async fn register(app: &App, caller: &Caller, new: NewKey) -> Result<Outcome, ServiceError> {
    if new.algorithm != "ed25519" {
        return Err(Refusal::invalid("key.algorithm", "算法须为 ed25519", "the algorithm must be ed25519").into());
    }
    let malformed = || Refusal::invalid("key.malformed", "公钥无效", "the public key is not valid");
    let bytes = BASE64.decode(&new.public_key).map_err(|_| malformed())?;
    let key = PublicKey::ed25519(<[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| malformed())?);
    if !key.is_well_formed() {
        return Err(malformed().into());
    }
    let check = refusal::text("identity_check", &new.identity_check, 200)?;
    let holder = Holder {
        name: refusal::text("name", &new.name, 60)?,
        id_code: identity::mask(&new.id_code)?,
        identity_check: if check.contains(DEMO_CHECK) { check } else { format!("{DEMO_CHECK}：{check}") },
        capture: caller.capture(),
    };
    let content = compose::key_registered(&app.ledger.chain_id(), key, app.ledger.attestor().clone(), &holder);
    let operation = operations::compose(app, content, None, Value::Null).await?;
    let subject = operation.created_subject.ok_or_else(|| ServiceError::Damaged("a key without subject".into()))?;
    let row = PartyKey {
        subject,
        algorithm: new.algorithm,
        public_key: bytes,
        name: holder.name,
        id_code: holder.id_code,
        identity_check: holder.identity_check,
        status: KeyStatus::Pending,
        operation: operation.id.clone(),
    };
    let body = operations::view(app, &operation)?;
    let change = Change {
        jobs: vec![operations::job(&operation)],
        audit: vec![operations::composed(caller, &operation)],
        operations: vec![operation],
        keys: vec![row],
        ..Change::default()
    };
    Ok(Outcome::created(body, change))
}

/// A key that is in force.
pub async fn active(app: &App, subject: &SubjectId) -> Result<PartyKey, ServiceError> {
    match keys::find(&app.storage, &subject.0.0).await? {
        Some(row) if row.status == KeyStatus::Active => Ok(row),
        Some(_) => Err(Refusal::state("key.inactive", "该密钥未生效或已失效", "the key is not in force").into()),
        None => Err(Refusal::missing("key.unknown", "没有此密钥", "there is no such key").into()),
    }
}

/// `GET /v1/keys/{subject}`
pub async fn show(app: &App, subject: &SubjectId) -> Result<Value, ServiceError> {
    let row = keys::get(&app.storage, &subject.0.0).await?;
    Ok(json!({
        "subject": SubjectId(Hash32(row.subject)),
        "algorithm": row.algorithm,
        "public_key": BASE64.encode(&row.public_key),
        "name": row.name,
        "id_code": row.id_code,
        "identity_check": row.identity_check,
        "status": row.status.as_str(),
        "operation": row.operation.as_str(),
    }))
}
