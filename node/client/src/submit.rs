//! Submitting until final. A submission is identified by its body's digest, so sending the same bytes
//! again, to whichever node, is always safe; that is what every retry here does.

use crate::client::{Client, MAX_JSON_BYTES, submission_state};
use crate::error::{Attempt, ClientError, Failure};
use crate::transport::{Answer, Node, Request};
use crate::wire::{BatchResult, BatchResults, Finalised, Rejection, SubmissionState};
use qz_evidence::batch::SubmissionBatch;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, encode};
use std::time::Duration;
use tokio::time::Instant;

/// Longest time that a node is asked to hold its answer. Short, because a node that hangs costs it.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Time for the answer itself.
const GRACE: Duration = Duration::from_secs(3);
/// First and longest pause between rounds.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What one round over the nodes gave.
enum Round {
    Final(Finalised),
    Pending,
    Rejected(ClientError),
    Nobody(Vec<Attempt>),
}

impl Client {
    /// Sends a submission once (to the first node that answers) without waiting for finality.
    pub async fn submit(&self, submission: &[u8]) -> Result<SubmissionState, ClientError> {
        let digest = Parsed::new(submission)?.digest();
        match self.round(submission, &digest, Duration::ZERO, LONGEST_WAIT + GRACE).await {
            Round::Final(at) => Ok(SubmissionState::Final(at)),
            Round::Pending => Ok(SubmissionState::Pending { digest }),
            Round::Rejected(error) => Err(error),
            Round::Nobody(tried) => Err(ClientError::Unreachable { tried }),
        }
    }

    /// Sends a submission and waits until it is final, at most `timeout`, going from node to node and
    /// resuming at another one when a node fails in between.
    pub async fn submit_and_wait(&self, submission: &[u8], timeout: Duration) -> Result<Finalised, ClientError> {
        let digest = Parsed::new(submission)?.digest();
        let start = Instant::now();
        let mut accepted = false;
        let mut pause = PAUSES.0;
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            let wait = Duration::from_secs(left.min(LONGEST_WAIT).as_secs());
            let budget = (wait + GRACE).min(left.max(GRACE));
            let tried = match self.round(submission, &digest, wait, budget).await {
                Round::Final(at) => return Ok(at),
                Round::Rejected(error) => return Err(error),
                Round::Pending => {
                    accepted = true;
                    pause = PAUSES.0;
                    vec![]
                }
                Round::Nobody(tried) => tried,
            };
            let waited = start.elapsed();
            if waited + pause >= timeout {
                return Err(match accepted {
                    true => ClientError::Pending { digest, waited, tried },
                    false => ClientError::Unreachable { tried },
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Sends many submissions at once to the first node that answers, which holds its answer until all
    /// are final or refused, at most `wait`. Those that a node could not judge (it catches up, say) are sent
    /// again within that time. Results are in the order of the batch. Sending the same batch again, to
    /// whichever node, is safe.
    pub async fn submit_batch(&self, batch: &SubmissionBatch, wait: Duration) -> Result<Vec<BatchResult>, ClientError> {
        let start = Instant::now();
        let mut results = self.send_batch(batch, wait).await?;
        let mut pause = PAUSES.0;
        loop {
            let unjudged: Vec<usize> = (0..results.len()).filter(|at| is_unjudged(&results[*at])).collect();
            let left = wait.saturating_sub(start.elapsed());
            if unjudged.is_empty() || left <= pause {
                return Ok(results);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            let submissions = unjudged.iter().map(|at| batch.submissions[*at].clone()).collect();
            let again = SubmissionBatch { tag: batch.tag, submissions };
            // What this attempt fails with is no verdict on the others: they keep the answer that they have.
            let Ok(answers) = self.send_batch(&again, left - pause.min(left)).await else { continue };
            for (at, answer) in unjudged.into_iter().zip(answers) {
                results[at] = answer;
            }
        }
    }

    async fn send_batch(&self, batch: &SubmissionBatch, wait: Duration) -> Result<Vec<BatchResult>, ClientError> {
        let request = Request {
            path: format!("/v1/submissions/batch?wait={}", wait.as_secs()),
            body: Some(("application/cbor", encode(batch))),
            timeout: wait + GRACE,
            max_bytes: MAX_JSON_BYTES,
        };
        let parse = |_: &Node, bytes: &[u8]| {
            let BatchResults { results } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
            if results.len() != batch.submissions.len() {
                return Err(format!("{} results for {} submissions", results.len(), batch.submissions.len()));
            }
            Ok(results)
        };
        Ok(self.inner.nodes.first_answer(&request, parse).await?.1)
    }

    /// One walk over the nodes until one takes or refuses the submission.
    async fn round(&self, submission: &[u8], digest: &Hash32, wait: Duration, timeout: Duration) -> Round {
        let request = Request {
            path: format!("/v1/submissions?wait={}", wait.as_secs()),
            body: Some(("application/cbor", submission.to_vec())),
            timeout,
            max_bytes: MAX_JSON_BYTES,
        };
        let mut tried = vec![];
        for node in self.inner.nodes.in_order() {
            match node.ask(&request).await {
                Ok(Answer::Success(bytes)) => match submission_state(&bytes, digest) {
                    Ok(SubmissionState::Final(at)) => return Round::Final(at),
                    Ok(SubmissionState::Pending { .. }) => {
                        // A node that is cut off takes everything and finalises nothing.
                        if wait > Duration::ZERO {
                            node.ask_later();
                        }
                        return Round::Pending;
                    }
                    Ok(SubmissionState::Rejected { error, .. }) => return refused(node, 422, error),
                    Err(reason) => tried.push(node.attempt(Failure::Nonsense(reason))),
                },
                Ok(Answer::Refused(status, rejection)) => {
                    return self.after_refusal(node, digest, status, rejection).await;
                }
                Err(failure) => tried.push(node.attempt(failure)),
            }
        }
        Round::Nobody(tried)
    }

    /// A refusal may be the echo of an earlier attempt that went through (its answer was lost): ask the
    /// node that refused what became of this digest before believing it.
    async fn after_refusal(&self, node: &Node, digest: &Hash32, status: u16, rejection: Rejection) -> Round {
        let request = Request::get(format!("/v1/submissions/{digest}"), MAX_JSON_BYTES);
        let state = match node.ask(&request).await {
            Ok(Answer::Success(bytes)) => submission_state(&bytes, digest).ok(),
            _ => None,
        };
        match state {
            Some(SubmissionState::Final(at)) => Round::Final(at),
            Some(SubmissionState::Pending { .. }) => Round::Pending,
            Some(SubmissionState::Rejected { .. }) | None => refused(node, status, rejection),
        }
    }
}

/// 503: the node that answered could not judge it now; it said nothing about the submission.
fn is_unjudged(result: &BatchResult) -> bool {
    matches!(result, BatchResult::Rejected { status: 503, .. })
}

fn refused(node: &Node, status: u16, rejection: Rejection) -> Round {
    Round::Rejected(ClientError::Rejected { node: node.org.clone(), status, rejection })
}
