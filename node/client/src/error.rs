//! What can go wrong, with blame: the node refused, nobody could be reached, or it is not final yet.

use crate::relay::RelayError;
use crate::wire::Rejection;
use qz_evidence::submission::SubmissionError;
use qz_evidence::{Hash32, OrgId};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Why one node gave no usable answer. Another node is asked then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// No connection: refused, no route, or TLS did not accept the node (or the node us).
    #[error("no connection: {0}")]
    Connect(String),
    /// Too slow.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Busy, not ready or broken by its own words.
    #[error("status {status}: {message}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// It does not know what was asked for; another node may.
    #[error("not known there")]
    NotFound,
    /// The answer is larger than any honest one.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Not an answer of this protocol.
    #[error("not an answer of a node: {0}")]
    Nonsense(String),
}

/// One node asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whose node.
    pub node: OrgId,
    /// Its URL.
    pub url: String,
    /// Why in vain.
    pub failure: Failure,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.node, self.url, self.failure)
    }
}

/// Why a call failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A node refused, by the rules or because the request was wrong. Another node was not asked.
    #[error("{node} refused ({status} {rejection})")]
    Rejected {
        /// Whose node.
        node: OrgId,
        /// HTTP status.
        status: u16,
        /// Why.
        rejection: Rejection,
    },
    /// No node gave a usable answer. After a submission this does *not* mean that it was not accepted:
    /// send the same bytes again.
    #[error("no node can be reached: {}", join(.tried))]
    Unreachable {
        /// Every node with the reason.
        tried: Vec<Attempt>,
    },
    /// Accepted by a node, not final in time. Send the same bytes again to go on waiting.
    #[error("submission {digest} is accepted but not final after {waited:?}")]
    Pending {
        /// The submission.
        digest: Hash32,
        /// How long we waited.
        waited: Duration,
        /// What the last round of attempts met.
        tried: Vec<Attempt>,
    },
    /// The bytes are no submission; nothing was sent.
    #[error("not a submission: {0}")]
    Submission(#[from] SubmissionError),
    /// The body cannot be relayed; nothing was sent.
    #[error("cannot relay: {0}")]
    Relay(#[from] RelayError),
    /// The configuration names no node of this organisation.
    #[error("no node of organisation {0} is configured")]
    UnknownNode(OrgId),
}

fn join(tried: &[Attempt]) -> String {
    tried.iter().map(Attempt::to_string).collect::<Vec<_>>().join("; ")
}

impl ClientError {
    /// Would the same call perhaps succeed later?
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Pending { .. })
    }
}
