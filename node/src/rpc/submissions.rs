//! Taking submissions, and saying what became of them.

use std::time::{Duration, Instant};

use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, OrgId, SubmissionId};
use qz_store::StoredRecord;
use serde_json::{Value, json};
use warp::reply::Response;

use super::Api;
use super::answer::{Problem, json_answer, settle};
use crate::ledger::LedgerError;
use crate::mempool::{Fate, SubmitError};
use crate::refusal::Refusal;

/// Longest wait for finality in one request.
pub(super) const MAX_WAIT_SECONDS: u64 = 60;
/// How long a refusal by the rules waits for the peers to say where they are, which they do every second.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(1_500);
const POLL: Duration = Duration::from_millis(20);

/// `POST /v1/submissions`.
pub(super) async fn submit(api: &Api, bytes: &[u8], wait_seconds: u64) -> Response {
    settle(try_submit(api, bytes, wait_seconds).await)
}

async fn try_submit(api: &Api, bytes: &[u8], wait_seconds: u64) -> Result<Response, Problem> {
    api.ledger.whole()?;
    let parsed = Parsed::without_relay_check(bytes).map_err(Refusal::from)?;
    let digest = parsed.digest();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wait_seconds.min(MAX_WAIT_SECONDS));
    api.mempool.has_room().await;
    let fate = api.mempool.fate(digest);
    take(api, bytes, parsed).await?;
    if let Some(stored) = api.ledger.record_of_body(&digest)? {
        return finality(api, &digest, &stored);
    }
    match tokio::time::timeout_at(deadline, fate).await {
        Ok(Ok(Fate::Refused(refusal))) => Err(unless_behind(api, refusal)),
        Ok(Ok(Fate::Final(_)) | Err(_)) | Err(_) => match api.ledger.record_of_body(&digest)? {
            Some(stored) => finality(api, &digest, &stored),
            None => Ok(json_answer(202, &pending(&digest))),
        },
    }
}

/// Queues a submission, or refuses it. A refusal by the rules is final for the submitter, so it must not
/// come from an old state: it waits until the peers have said, after the submission came, that this node
/// is not behind them; if they are ahead, or too few are heard, another node is to be asked.
async fn take(api: &Api, bytes: &[u8], parsed: Parsed) -> Result<(), Problem> {
    let asked = Instant::now();
    loop {
        let height = api.ledger.head().height;
        let refusal = match tokio::task::block_in_place(|| api.mempool.submit_parsed(bytes, parsed.clone())) {
            Err(SubmitError::Refused(refusal @ Refusal::Rules(_))) => refusal,
            outcome => return outcome.map(drop).map_err(Problem::from),
        };
        if !has_heard_of_nothing_newer(api, asked).await {
            return Err(Problem::behind());
        }
        if api.ledger.head().height == height {
            return Err(refusal.into());
        }
    }
}

/// Waits until every connected peer has spoken since `asked` and nobody is ahead, or for so long that at
/// least a quorum has and at most the faulty ones claim to be.
async fn has_heard_of_nothing_newer(api: &Api, asked: Instant) -> bool {
    let (faulty, others) = {
        let members = api.members.now();
        // With this node, more than two thirds.
        (members.faulty(), 2 * members.validators().validators().len() / 3)
    };
    loop {
        let head = api.ledger.head().height;
        let claims = api.tips.claimed_since(asked);
        let ahead = claims.iter().filter(|height| **height > head).count();
        let enough = claims.len() >= others;
        if enough && claims.len() >= api.tips.count() && ahead == 0 {
            return true;
        }
        if asked.elapsed() >= REFUSAL_PATIENCE {
            return enough && ahead <= faulty;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A node that is behind refuses by an old state: the client is to ask another one, or later.
pub(super) fn unless_behind(api: &Api, refusal: Refusal) -> Problem {
    let faulty = api.members.now().faulty();
    if matches!(refusal, Refusal::Rules(_)) && api.tips.ahead_of(api.ledger.head().height) > faulty {
        return Problem::behind();
    }
    refusal.into()
}

/// `GET /v1/submissions/{digest or own id}`.
pub(super) fn find(api: &Api, caller: &OrgId, name: &str) -> Response {
    settle(tokio::task::block_in_place(|| try_find(api, caller, name)))
}

fn try_find(api: &Api, caller: &OrgId, name: &str) -> Result<Response, Problem> {
    api.ledger.whole()?;
    let digest = if name.len() == 32 {
        match digest_of_id(api, caller, name)? {
            Some(digest) => digest,
            None => return Err(Problem::not_found("提交", "submission")),
        }
    } else {
        Hash32::from_hex(name).ok_or_else(|| Problem::malformed("expected 64 hexadecimal digits, or 32 of an id"))?
    };
    if let Some(stored) = api.ledger.record_of_body(&digest)? {
        return finality(api, &digest, &stored);
    }
    if api.mempool.contains(&digest) {
        return Ok(json_answer(200, &pending(&digest)));
    }
    match api.mempool.refusal(&digest) {
        Some(refusal) => {
            let error = Problem::from(refusal).body();
            let body = json!({ "state": "rejected", "digest": digest.to_string(), "error": error });
            Ok(json_answer(200, &body))
        }
        None => Err(Problem::not_found("提交", "submission")),
    }
}

/// The body that this member relayed under this id, among the records of the height that the replay
/// window names.
fn digest_of_id(api: &Api, relay: &OrgId, id: &str) -> Result<Option<Hash32>, Problem> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(id, &mut bytes).map_err(|_| Problem::malformed("a submission id is 32 hexadecimal digits"))?;
    let id = SubmissionId(bytes);
    let Some(height) = api.ledger.height_of_id(relay, &id)? else {
        return Ok(None);
    };
    for stored in api.ledger.records_of_block(height)? {
        let record = stored.decode().map_err(LedgerError::from)?;
        if let Ok(parsed) = Parsed::without_relay_check(&record.submission)
            && parsed.body().id == id
            && parsed.submission().relay == *relay
        {
            return Ok(Some(parsed.digest()));
        }
    }
    Ok(None)
}

fn pending(digest: &Hash32) -> Value {
    json!({ "state": "pending", "digest": digest.to_string() })
}

fn finality(api: &Api, digest: &Hash32, stored: &StoredRecord) -> Result<Response, Problem> {
    let record = stored.decode().map_err(LedgerError::from)?;
    let subjects: Vec<_> = record.links.iter().map(|link| link.subject).collect();
    let body = json!({
        "state": "final",
        "digest": digest,
        "record_hash": stored.hash,
        "height": stored.height,
        "index": stored.index,
        "time_ms": api.ledger.time_of(stored.height.0)?,
        "subjects": subjects,
    });
    Ok(json_answer(200, &body))
}
