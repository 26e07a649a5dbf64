//! The JSON shapes of the RPC. Hashes are 64 lower-case hexadecimal digits, byte strings are standard
//! base64, times are milliseconds since 1970-01-01T00:00Z. Unknown members are ignored, so that a node
//! may say more than an older client understands.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qz_evidence::state_proof::SubjectType;
use qz_evidence::{Hash32, OrgId, SubjectId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Why a node refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// A stable code such as `seal_suspended`.
    pub code: String,
    /// In Chinese, for people.
    pub message_zh: String,
    /// In English, for people.
    pub message_en: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.code, self.message_zh, self.message_en)
    }
}

/// The error body of every endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: Rejection,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whose node answers.
    pub organisation: OrgId,
    /// The ledger.
    pub chain_id: Hash32,
    /// Its tip.
    pub height: u64,
    /// Hash of the tip's header (the block id).
    pub header_hash: Hash32,
    /// State root in the tip's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_root: Option<Hash32>,
    /// Time of the tip.
    pub time_ms: u64,
    /// Epoch of the tip.
    pub epoch: u64,
    /// Is it catching up?
    pub syncing: bool,
    /// Is it well?
    pub healthy: bool,
    /// Connected peers.
    pub peers: u32,
    /// Submissions waiting.
    pub mempool: u32,
}

/// Where a submission was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalised {
    /// Digest of the submission's body.
    pub digest: Hash32,
    /// Hash of the record.
    pub record_hash: Hash32,
    /// Height of its block.
    pub height: u64,
    /// Its index there.
    pub index: u32,
    /// Time of the block.
    pub time_ms: u64,
    /// The subjects that it touches.
    #[serde(default)]
    pub subjects: Vec<SubjectId>,
}

/// Answer of `POST /v1/submissions` and `GET /v1/submissions/{digest}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum SubmissionState {
    /// Recorded in a finalised block.
    Final(Finalised),
    /// Accepted, waiting for a block.
    Pending {
        /// Digest of the body.
        digest: Hash32,
    },
    /// Refused by the rules after it had been accepted.
    Rejected {
        /// Digest of the body.
        digest: Hash32,
        /// Why.
        error: Rejection,
    },
}

impl SubmissionState {
    /// The submission's digest.
    pub fn digest(&self) -> Hash32 {
        match self {
            Self::Final(at) => at.digest,
            Self::Pending { digest } | Self::Rejected { digest, .. } => *digest,
        }
    }
}

/// What became of one submission of `POST /v1/submissions/batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum BatchResult {
    /// Recorded in the block of this height.
    Final {
        /// Digest of the body.
        digest: Hash32,
        /// Height of the block.
        height: u64,
    },
    /// Accepted, waiting for a block.
    Pending {
        /// Digest of the body.
        digest: Hash32,
    },
    /// Refused.
    Rejected {
        /// Digest of the body, if the bytes are a submission.
        digest: Option<Hash32>,
        /// The HTTP status that it would have got alone: 429 and 503 mean "try again or elsewhere".
        status: u16,
        /// Why.
        error: Rejection,
    },
}

/// Answer of `POST /v1/submissions/batch`, in the order of the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResults {
    /// One for each submission.
    pub results: Vec<BatchResult>,
}

/// `GET /v1/records/{hash}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAt {
    /// Its hash.
    pub hash: Hash32,
    /// Height of its block.
    pub height: u64,
    /// Its index there.
    pub index: u32,
    /// Time of the block.
    pub time_ms: u64,
    /// Encoded `qz_evidence::record::Record`.
    #[serde(with = "base64_bytes")]
    pub record: Vec<u8>,
}

/// `GET /v1/subjects/{id}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its id.
    pub subject: SubjectId,
    /// What it is.
    pub kind: SubjectType,
    /// Where its state machine stands.
    pub status: qz_evidence::state_proof::Status,
    /// Number of its last record; none for an organisation of the genesis without records yet.
    pub seq: Option<u64>,
    /// Hash of its last record.
    pub last_record: Hash32,
    /// Digest of its state.
    pub state_digest: Hash32,
    /// The height as of which this holds.
    pub height: u64,
    /// Its state, for people; the proof has the bytes.
    pub state: serde_json::Value,
}

/// One record of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRecord {
    /// Its number within the subject.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash32,
    /// Height of its block.
    pub height: u64,
    /// Its index there.
    pub index: u32,
    /// Kind, such as `contract.signed`.
    pub kind: String,
    /// Time of the block.
    pub time_ms: u64,
}

/// `GET /v1/subjects/{id}/records?after=SEQ&limit=N`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRecords {
    /// In order of their numbers.
    pub records: Vec<SubjectRecord>,
    /// `after` of the next page, if there is one.
    pub next: Option<u64>,
}

/// Body of `POST /v1/proof`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRequest {
    /// The records to prove, by hash.
    pub records: Vec<Hash32>,
    /// Subjects whose state to prove, besides those of the records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SubjectId>,
    /// The head block; the node's tip if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
}

/// `GET /v1/blocks/{height}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its height.
    pub height: u64,
    /// Hash of its header.
    pub header_hash: Hash32,
    /// Encoded header.
    #[serde(with = "base64_bytes")]
    pub header: Vec<u8>,
    /// Encoded commit certificate; none for height 0.
    #[serde(with = "optional_base64_bytes")]
    pub commit: Option<Vec<u8>>,
    /// Hashes of its records in order.
    pub records: Vec<Hash32>,
}

pub(crate) mod base64_bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

pub(crate) mod optional_base64_bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|b| STANDARD.encode(b)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|t| STANDARD.decode(t).map_err(serde::de::Error::custom)).transpose()
    }
}
