//! Why a submission is not accepted by this node, in one type from entry to HTTP status.

use qz_chain::Reject;
use qz_evidence::submission::SubmissionError;

use crate::mempool::pool::PoolRefusal;

/// A refusal that the submitter must hear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not a well-formed submission, or its relay signature fails.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The rules of the ledger refuse it.
    #[error("refused: {0}")]
    Rules(Reject),
    /// The pool of waiting submissions refuses it.
    #[error("not queued: {0}")]
    Pool(#[from] PoolRefusal),
}

impl From<SubmissionError> for Refusal {
    fn from(error: SubmissionError) -> Self {
        Refusal::Malformed(error.to_string())
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Refusal::Rules(reject)
    }
}

impl Refusal {
    /// HTTP status: who is to blame and whether trying again helps.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Refusal::Malformed(_) => 400,
            Refusal::Rules(Reject::IdReused { .. }) | Refusal::Pool(PoolRefusal::SameId(_)) => 409,
            Refusal::Rules(_) => 422,
            Refusal::Pool(PoolRefusal::Quota(_)) => 429,
            Refusal::Pool(PoolRefusal::Full) => 503,
        }
    }

    /// Stable code, Chinese and English.
    pub(crate) fn text(&self) -> (&'static str, String, String) {
        match self {
            Refusal::Malformed(reason) => (
                "submission.malformed",
                format!("提交内容不符合格式：{reason}"),
                format!("the submission is malformed: {reason}"),
            ),
            Refusal::Rules(reject) => {
                let text = reject.text();
                (text.code, text.zh, text.en)
            }
            Refusal::Pool(PoolRefusal::SameId(id)) => (
                "submission.id_reused",
                format!("编号 {id} 已有内容不同的提交在等待；请换一个新的随机编号"),
                format!("another submission with id {id} is waiting; take a new random id"),
            ),
            Refusal::Pool(PoolRefusal::Quota(organisation)) => (
                "node.quota",
                format!("{organisation} 等待上链的提交过多；请稍后再试"),
                format!("{organisation} has too many submissions waiting; try again later"),
            ),
            Refusal::Pool(PoolRefusal::Full) => (
                "node.busy",
                "节点等待队列已满；请稍后再试或改用其他成员的节点".to_owned(),
                "this node's queue is full; try again later or another member's node".to_owned(),
            ),
        }
    }
}
