//! What a contract's parties make public to whoever has the number of its certificate: their signed
//! consents, and who the parties are.

use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::contracts;
use crate::error::ServiceError;
use crate::server::Caller;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_domain::Refusal;
use qz_domain::publication::{self as rules, Consent, PublicField};
use qz_evidence::keys::PublicKey;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::contracts::Contract;
use qz_storage::keys::{self, PartyKey};
use qz_storage::publications::{self, PublicationConsent};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// `PUT /v1/contracts/{subject}/publication`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: SubjectId,
    #[schema(value_type = Vec<String>, example = json!(["status", "title"]))]
    fields: BTreeSet<PublicField>,
    time_ms: u64,
    signature: String,
}

/// Keys of the parties: whoever holds a slot, or owns the seal of one.
async fn parties(app: &App, row: &Contract) -> Result<BTreeSet<SubjectId>, ServiceError> {
    let mut parties = BTreeSet::new();
    for slot in &contracts::domain(row)?.slots {
        parties.insert(contracts::holder(app, slot).await?);
    }
    Ok(parties)
}

/// Names of the parties.
pub async fn party_names(app: &App, row: &Contract) -> Result<Vec<String>, ServiceError> {
    let mut names = vec![];
    for party in parties(app, row).await? {
        names.push(keys::get(&app.storage, &party.0.0).await?.name);
    }
    Ok(names)
}

async fn consents(app: &App, row: &Contract) -> Result<Vec<(Consent, PublicationConsent)>, ServiceError> {
    let contract = row.subject.ok_or_else(|| ServiceError::Damaged("a contract without subject".into()))?;
    let stored = publications::for_contract(&app.storage, &row.id).await?;
    let consent = |stored: PublicationConsent| {
        let field = |word: &String| serde_json::from_value(json!(word));
        let fields = stored.fields.iter().map(field).collect::<Result<_, _>>();
        let fields =
            fields.map_err(|error| ServiceError::Damaged(format!("a consent of contract {}: {error}", row.id)))?;
        let key = SubjectId(Hash32(stored.key));
        Ok((Consent { contract: SubjectId(Hash32(contract)), key, fields, time_ms: stored.time_ms }, stored))
    };
    stored.into_iter().map(consent).collect()
}

/// What may be shown. Every consent's signature is checked again: a database that somebody altered makes
/// nothing public.
pub async fn public_fields(app: &App, row: &Contract) -> Result<BTreeSet<PublicField>, ServiceError> {
    let mut signed = vec![];
    for (consent, stored) in consents(app, row).await? {
        let key = public_key(&keys::get(&app.storage, &stored.key).await?)?;
        if !key.verify(&consent.message(&app.ledger.chain_id()), &stored.signature) {
            return Err(ServiceError::Damaged(format!("a consent of contract {} is not signed", row.id)));
        }
        signed.push(consent);
    }
    Ok(rules::public_fields(&parties(app, row).await?, &signed))
}

fn public_key(row: &PartyKey) -> Result<PublicKey, ServiceError> {
    let damaged = || ServiceError::Damaged(format!("key {}", hex::encode(row.subject)));
    let bytes: [u8; 32] = row.public_key.as_slice().try_into().map_err(|_| damaged())?;
    if row.algorithm == "ed25519" { Ok(PublicKey::ed25519(bytes)) } else { Err(damaged()) }
}

/// Takes a party's consent.
pub async fn consent(app: &App, caller: &Caller, row: &Contract, new: NewConsent) -> Result<Value, ServiceError> {
    let contract = contracts::domain(row)?.subject;
    if !parties(app, row).await?.contains(&new.key) {
        return Err(Refusal::not_entitled("party.foreign", "该密钥不属于合同任何一方", "the key is no party's").into());
    }
    let key = public_key(&crate::keys::active(app, &new.key).await?)?;
    let malformed =
        || Refusal::invalid("signature.invalid", "签名不是有效的 Base64", "the signature is not valid base64");
    let signature = BASE64.decode(&new.signature).map_err(|_| malformed())?;
    let consent = Consent { contract, key: new.key, fields: new.fields, time_ms: new.time_ms };
    let last = consents(app, row).await?.into_iter().find(|(before, _)| before.key == consent.key);
    let now = now_ms();
    consent.check(&app.ledger.chain_id(), &key, &signature, last.map(|(before, _)| before.time_ms), now)?;
    let fields: Vec<String> = consent.fields.iter().map(|field| field.as_str().to_owned()).collect();
    let audit = caller.audit(now, "publication.consented", Some(&contract.to_string()), &fields.join(","));
    let stored = PublicationConsent {
        contract: row.id.clone(),
        key: consent.key.0.0,
        fields,
        time_ms: consent.time_ms,
        signature,
    };
    let change = Change { publications: vec![stored], audit: vec![audit], ..Change::default() };
    let tx = app.storage.begin().await?;
    change.write(app, &tx, now).await?;
    tx.commit().await?;
    view(app, row).await
}

/// `GET /v1/contracts/{subject}/publication`
pub async fn view(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let consents = consents(app, row).await?;
    let consents = consents
        .iter()
        .map(|(consent, _)| json!({"key": consent.key, "fields": consent.fields, "time_ms": consent.time_ms}));
    Ok(json!({
        "contract": contracts::domain(row)?.subject,
        "chain_id": app.ledger.chain_id(),
        "parties": parties(app, row).await?,
        "consents": consents.collect::<Vec<_>>(),
        "public": public_fields(app, row).await?,
        "possible": PublicField::ALL,
    }))
}
