//! What is inside a proof bundle, as JSON for people: nothing here is verified.

use qz_evidence::bundle::Bundle;
use qz_evidence::codec::decode_strict;
use qz_evidence::commit::CommitCertificate;
use qz_evidence::header::Header;
use qz_evidence::record::Record;
use qz_evidence::submission::Parsed;
use serde_json::{Value, json};

/// A bundle as JSON, or why it is none.
pub fn bundle(bytes: &[u8]) -> Result<Value, String> {
    let bundle: Bundle = decode_strict(bytes).map_err(|e| e.to_string())?;
    let head: Header = decode_strict(&bundle.head).map_err(|e| e.to_string())?;
    let commit: CommitCertificate = decode_strict(&bundle.commit).map_err(|e| e.to_string())?;
    let entries: Result<Vec<_>, String> = bundle.entries.iter().map(entry).collect();
    let signature = |s: &qz_evidence::commit::CommitSignature| json!({"address": s.address, "signature": hex::encode(&s.signature.0)});
    let state = |s: &qz_evidence::state_proof::StateProof| json!({"subject": s.subject, "head": s.head.as_ref().map(|h| hex::encode(&h.0)), "siblings": s.siblings});
    Ok(json!({
        "format": "qz/proof/v1",
        "size": bytes.len(),
        "genesis_sha256": qz_evidence::hash::sha256(&[&bundle.genesis]),
        "hand_overs": bundle.hand_overs.len(),
        "head": header(&head),
        "commit": {"height": commit.height, "round": commit.round, "block_id": commit.block_id,
            "signatures": commit.signatures.iter().map(signature).collect::<Vec<_>>()},
        "entries": entries?,
        "states": bundle.states.iter().map(state).collect::<Vec<_>>(),
        "certificates": bundle.certificates.iter().map(|c| json!({"entry": c.entry, "length": c.chain.len()})).collect::<Vec<_>>(),
    }))
}

fn header(h: &Header) -> Value {
    json!({
        "height": h.height, "epoch": h.epoch, "time_ms": h.time_ms, "previous": h.previous,
        "record_count": h.record_count, "records_root": h.records_root, "state_root": h.state_root,
        "history_root": h.history_root, "validators_hash": h.validators_hash, "params_hash": h.params_hash,
        "proposer": h.proposer,
    })
}

fn entry(entry: &qz_evidence::bundle::Entry) -> Result<Value, String> {
    let record: Record = decode_strict(&entry.record).map_err(|e| e.to_string())?;
    let parsed = Parsed::without_relay_check(&record.submission).map_err(|e| e.to_string())?;
    let block: Header = decode_strict(&entry.header).map_err(|e| e.to_string())?;
    let opening = |o: &qz_evidence::commitment::Opening| {
        let value = std::str::from_utf8(&o.value).map_or_else(|_| hex::encode(&o.value.0), str::to_owned);
        json!({"name": o.name, "salt": o.salt, "value": value})
    };
    let link =
        |l: &qz_evidence::record::Link| json!({"subject": l.subject, "sequence": l.sequence, "previous": l.previous});
    let actor = |a: &qz_evidence::submission::Actor| a.subject.to_string();
    Ok(json!({
        "kind": parsed.body().payload.kind().name,
        "height": record.height, "index": record.index,
        "record_hash": qz_evidence::records_tree::record_hash(&entry.record),
        "body_digest": parsed.digest(),
        "relay": parsed.submission().relay,
        "actors": parsed.submission().actors.iter().map(actor).collect::<Vec<_>>(),
        "links": record.links.iter().map(link).collect::<Vec<_>>(),
        "commitments": parsed.body().commitments.iter().map(|c| json!({"name": c.name, "hash": c.hash})).collect::<Vec<_>>(),
        "openings": entry.openings.iter().map(opening).collect::<Vec<_>>(),
        "block": header(&block),
        "records_path": entry.records_path, "history_path": entry.history_path,
    }))
}
