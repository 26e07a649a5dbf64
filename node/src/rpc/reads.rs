//! Reading: status, records, subjects, blocks, proofs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, OrgId, SubjectId};
use qz_store::StoreError;
use serde::Deserialize;
use serde_json::{Value, json};
use warp::reply::Response;

use super::Api;
use super::answer::{Problem, bytes_answer, json_answer, settle};
use super::subject_json::state_json;
use crate::ledger::LedgerError;

/// Largest page of a subject's records.
const MAX_PAGE: usize = 1000;
/// Page unless asked for another.
const DEFAULT_PAGE: usize = 100;

/// Body of `POST /v1/proof`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofRequest {
    #[serde(default)]
    records: Vec<Hash32>,
    #[serde(default)]
    subjects: Vec<SubjectId>,
    /// One more record; for callers that want only one.
    record: Option<Hash32>,
    head: Option<u64>,
}

/// `GET /v1/status`.
pub(super) fn status(caller: &OrgId, api: &Api) -> Response {
    let head = api.ledger.head();
    let members = api.members.now();
    let validators = members.validators().validators().iter().map(|validator| {
        json!({ "organisation": validator.organisation, "address": validator.address(), "power": validator.power })
    });
    // What was counted about peers' conduct; empty as long as all behave.
    let seen = api.stats.snapshot().into_iter().filter(|(_, _, value)| *value > 0);
    let conduct: serde_json::Map<_, _> =
        seen.map(|(name, network, value)| (format!("{name}{{{network}}}"), value.into())).collect();
    let body = json!({
        "organisation": api.organisation,
        "role": members.standing(&api.own).as_str(),
        "validators": validators.collect::<Vec<_>>(),
        "validators_hash": members.validators().hash(),
        "params_hash": head.header.params_hash,
        "peer_conduct": conduct,
        "caller": caller,
        "chain_id": api.genesis.chain_id(),
        "height": head.height,
        "header_hash": head.block_id,
        "block_id": head.block_id,
        "time_ms": head.header.time_ms,
        "epoch": head.header.epoch,
        "state_root": head.header.state_root,
        "syncing": api.standing().is_syncing,
        "healthy": api.health.is_healthy(),
        "peers": api.tips.count(),
        "mempool": api.mempool.len(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    json_answer(200, &body)
}

/// `GET /v1/records/{hash}`.
pub(super) fn record(api: &Api, hash: &str) -> Response {
    settle(blocking(|| {
        api.ledger.whole()?;
        let hash = hash32(hash)?;
        let stored = api.ledger.record(&hash)?.ok_or_else(|| Problem::not_found("记录", "record"))?;
        let body = json!({
            "hash": hash,
            "height": stored.height,
            "index": stored.index,
            "time_ms": api.ledger.time_of(stored.height.0)?,
            "record": BASE64.encode(stored.bytes),
        });
        Ok(json_answer(200, &body))
    }))
}

/// `GET /v1/subjects/{id}`.
pub(super) fn subject(api: &Api, id: &str) -> Response {
    settle(blocking(|| {
        api.ledger.whole()?;
        let id = SubjectId(hash32(id)?);
        let (subject, height) = api.ledger.subject(&id)?;
        let subject = subject.ok_or_else(|| Problem::not_found("对象", "subject"))?;
        let body = json!({
            "subject": id,
            "kind": subject.state.subject_type(),
            "status": subject.state.status(),
            "seq": subject.records.checked_sub(1),
            "records": subject.records,
            "last_record": subject.last_record,
            "state_digest": subject.state.digest(),
            "height": height,
            "state": state_json(&subject.state),
            "cbor": BASE64.encode(subject.to_bytes()),
        });
        Ok(json_answer(200, &body))
    }))
}

/// `GET /v1/subjects/{id}/records`.
pub(super) fn subject_records(api: &Api, id: &str, after: Option<u64>, limit: Option<usize>) -> Response {
    settle(blocking(|| {
        api.ledger.whole()?;
        let id = SubjectId(hash32(id)?);
        let limit = limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let from = after.map_or(0, |after| after.saturating_add(1));
        if api.ledger.subject(&id)?.0.is_none() {
            return Err(Problem::not_found("对象", "subject"));
        }
        // One more than the page tells whether there is another.
        let mut found = api.ledger.subject_records(&id, from, limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(|(sequence, _)| *sequence) } else { None };
        let records = found
            .into_iter()
            .map(|(sequence, hash)| record_summary(api, sequence, &hash))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(json_answer(200, &json!({ "records": records, "next": next })))
    }))
}

fn record_summary(api: &Api, sequence: u64, hash: &Hash32) -> Result<Value, LedgerError> {
    let stored = api.ledger.record(hash)?.ok_or(StoreError::UnknownRecord(*hash))?;
    let record = stored.decode()?;
    // Execution parsed the same bytes, so a name is always found.
    let kind =
        Parsed::without_relay_check(&record.submission).map_or("unknown", |parsed| parsed.body().payload.kind().name);
    Ok(json!({
        "seq": sequence,
        "hash": hash,
        "height": stored.height,
        "index": stored.index,
        "kind": kind,
        "time_ms": api.ledger.time_of(stored.height.0)?,
    }))
}

/// `POST /v1/proof`.
pub(super) fn proof(api: &Api, request: &ProofRequest) -> Response {
    settle(blocking(|| {
        api.ledger.whole()?;
        let records: Vec<_> = request.records.iter().chain(&request.record).copied().collect();
        if records.is_empty() && request.subjects.is_empty() {
            return Err(Problem::malformed("name at least one record or subject"));
        }
        let bundle = api.ledger.proof(&records, &request.subjects, request.head, api.limits.proof_bytes)?;
        Ok(bytes_answer(200, "application/cbor", bundle))
    }))
}

/// `GET /v1/blocks/{height}`.
pub(super) fn block(api: &Api, height: u64) -> Response {
    settle(blocking(|| {
        api.ledger.whole()?;
        let header = api.ledger.header(height)?.ok_or_else(|| Problem::not_found("区块", "block"))?;
        let commit = api.ledger.certificate(height)?;
        let records = api.ledger.records_of_block(height)?;
        let body = json!({
            "height": height,
            "header_hash": qz_evidence::header::block_id(&header),
            "header": BASE64.encode(&header),
            "commit": commit.map(|commit| BASE64.encode(commit)),
            "records": records.iter().map(|record| record.hash).collect::<Vec<_>>(),
        });
        Ok(json_answer(200, &body))
    }))
}

/// `GET /v1/genesis`.
pub(super) fn genesis(api: &Api) -> Response {
    bytes_answer(200, "application/cbor", api.genesis.bytes().to_vec())
}

fn hash32(text: &str) -> Result<Hash32, Problem> {
    Hash32::from_hex(text).ok_or_else(|| Problem::malformed("expected 64 hexadecimal digits"))
}

fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
