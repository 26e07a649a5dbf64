//! Taking many submissions in one request, for members that relay for many parties. Each stands or falls
//! alone: the answer has one result per submission, in order, and says nothing about the batch.

use std::sync::Arc;
use std::time::Duration;

use qz_evidence::Hash32;
use qz_evidence::batch::SubmissionBatch;
use qz_evidence::decode_strict;
use qz_evidence::submission::Parsed;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;
use warp::reply::Response;

use super::Api;
use super::answer::{Problem, json_answer, settle};
use super::submissions::{MAX_WAIT_SECONDS, unless_behind};
use crate::ledger::LedgerError;
use crate::mempool::{Fate, Taken};
use crate::refusal::Refusal;

/// A submission of the batch after its first look.
enum Entered {
    /// Its result stands.
    Settled(Value),
    /// It waits for a block.
    Waits { digest: Hash32, fate: oneshot::Receiver<Fate> },
}

/// `POST /v1/submissions/batch`.
pub(super) async fn submit(api: &Api, bytes: &[u8], wait_seconds: u64) -> Response {
    settle(try_submit(api, bytes, wait_seconds).await)
}

async fn try_submit(api: &Api, bytes: &[u8], wait_seconds: u64) -> Result<Response, Problem> {
    let batch: SubmissionBatch = decode_strict(bytes).map_err(|error| Problem::malformed(&error.to_string()))?;
    if !(1..=SubmissionBatch::MAX_SUBMISSIONS).contains(&batch.submissions.len()) {
        return Err(Problem::malformed("a batch has 1 to 256 submissions"));
    }
    let deadline = Instant::now() + Duration::from_secs(wait_seconds.min(MAX_WAIT_SECONDS));
    api.mempool.has_room().await;
    let entered = tokio::task::block_in_place(|| enter(api, &batch))?;
    let mut results = Vec::with_capacity(entered.len());
    for entry in entered {
        results.push(match entry {
            Entered::Settled(result) => result,
            Entered::Waits { digest, fate } => match tokio::time::timeout_at(deadline, fate).await {
                Ok(Ok(Fate::Final(height))) => finalised(&digest, height),
                Ok(Ok(Fate::Refused(refusal))) => rejected(Some(&digest), unless_behind(api, refusal)),
                Ok(Err(_)) | Err(_) => json!({ "state": "pending", "digest": digest }),
            },
        });
    }
    Ok(json_answer(200, &json!({ "results": results })))
}

/// All submissions at the door, results in their order.
fn enter(api: &Api, batch: &SubmissionBatch) -> Result<Vec<Entered>, LedgerError> {
    let mut fates = vec![];
    let mut submissions = vec![];
    for bytes in &batch.submissions {
        fates.push(Parsed::without_relay_check(bytes).map(|parsed| {
            let digest = parsed.digest();
            // Asked for before the submission is taken, so that no block falls between.
            let fate = api.mempool.fate(digest);
            submissions.push((Arc::from(bytes.0.as_slice()), parsed));
            (digest, fate)
        }));
    }
    let mut taken = api.mempool.submit_all(submissions)?.into_iter();
    let entered = fates.into_iter().map(|parsed| match parsed {
        Err(error) => Entered::Settled(rejected(None, Refusal::from(error).into())),
        Ok((digest, fate)) => match taken.next().expect("a result for every submission that was taken") {
            Ok(Taken::Waits) => Entered::Waits { digest, fate },
            Ok(Taken::Final(height)) => Entered::Settled(finalised(&digest, height)),
            Err(refusal) => Entered::Settled(rejected(Some(&digest), unless_behind(api, refusal))),
        },
    });
    Ok(entered.collect())
}

fn finalised(digest: &Hash32, height: u64) -> Value {
    json!({ "state": "final", "digest": digest, "height": height })
}

fn rejected(digest: Option<&Hash32>, problem: Problem) -> Value {
    json!({ "state": "rejected", "digest": digest, "status": problem.status(), "error": problem.body() })
}
