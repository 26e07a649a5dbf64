//! What execution reads. The node's store implements it over RocksDB, [`crate::MemoryView`] over maps.

use crate::governance::Member;
use crate::state::Subject;
use jmt::storage::TreeReader;
use qz_evidence::genesis::Params;
use qz_evidence::header::Header;
use qz_evidence::history::Frontier;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use std::error::Error;
use std::sync::Arc;
use thiserror::Error;

/// The state could not be read. It never means that something is absent, and it never makes a block
/// invalid: it is this machine's fault, not the block's.
#[derive(Debug, Error)]
#[error("the ledger's state cannot be read")]
pub struct ViewError(#[source] Box<dyn Error + Send + Sync>);

impl ViewError {
    /// Wraps the cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// The ledger as of its last block, the *tip*. All answers of one view are of the same height.
///
/// As a [`TreeReader`] it gives the nodes of the state tree; the version of a node is a height.
pub trait View: TreeReader {
    /// The ledger's id.
    fn chain_id(&self) -> Hash32;
    /// Header of the tip.
    fn tip(&self) -> Result<Header, ViewError>;
    /// The history frontier over all headers up to *and including* the tip: its size is tip height + 1.
    fn frontier(&self) -> Result<Frontier, ViewError>;
    /// The validators that decide the height after the tip.
    fn validators(&self) -> Result<ValidatorSet, ViewError>;
    /// The parameters in force at the height after the tip.
    fn params(&self) -> Result<Params, ViewError>;
    /// Present and former members, ascending by id, as of the tip.
    fn organisations(&self) -> Result<Vec<Member>, ViewError>;
    /// A subject as of the tip, shared with whoever keeps it in memory.
    fn subject(&self, id: &SubjectId) -> Result<Option<Arc<Subject>>, ViewError>;
    /// The height at which the body of this digest was recorded last. A view may forget what does not count
    /// any more ([`crate::governance::replay`]); execution judges the height, so forgetting late is no fork.
    fn recorded_body(&self, digest: &Hash32) -> Result<Option<Height>, ViewError>;
    /// The height at which this member last relayed a submission of this number; see above.
    fn recorded_id(&self, relay: &OrgId, id: &SubmissionId) -> Result<Option<Height>, ViewError>;
}
