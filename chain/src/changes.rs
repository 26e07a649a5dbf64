//! What one block changes: all that a store must write, in one atomic batch.

use crate::governance::{Member, Upgrade};
use crate::state::Subject;
use jmt::storage::TreeUpdateBatch;
use qz_evidence::genesis::Params;
use qz_evidence::history::Frontier;
use qz_evidence::record::Link;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};

/// A record that the block adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Encoded [`qz_evidence::record::Record`].
    pub bytes: Vec<u8>,
    /// Its hash, which is its leaf in the records tree.
    pub hash: Hash32,
    /// Digest of the submission's body.
    pub body_digest: Hash32,
    /// The subject that it created, if it did.
    pub created: Option<SubjectId>,
    /// Its places in the sequences of the subjects it touches.
    pub links: Vec<Link>,
}

/// What keeps a submission from being recorded twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayEntry {
    /// Digest of the body.
    pub body_digest: Hash32,
    /// The member that relayed it.
    pub relay: OrgId,
    /// The author's number of it.
    pub id: SubmissionId,
}

/// All changes of one block. Views of the height before it become views of its height by applying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The height.
    pub height: Height,
    /// Encoded header.
    pub header: Vec<u8>,
    /// The block id: SHA-256 of the header's bytes.
    pub block_id: Hash32,
    /// Root of the state tree after this block.
    pub state_root: Hash32,
    /// The records, in order.
    pub records: Vec<NewRecord>,
    /// New states of the subjects touched, ascending by subject.
    pub subjects: Vec<(SubjectId, Subject)>,
    /// New and stale nodes and new values of the state tree, at version = height.
    pub tree: TreeUpdateBatch,
    /// New perfect nodes of the history tree, (level, index, hash); level 0 is this header's leaf.
    pub history_nodes: Vec<(u32, u64, Hash32)>,
    /// The history frontier including this header.
    pub frontier: Frontier,
    /// Additions to the replay window.
    pub replay: Vec<ReplayEntry>,
    /// The parameters from the next height on, if they are others (an upgrade included; height 0 always).
    pub params: Option<Params>,
    /// The validators from the next height on, if this block changed them (height 0 always does).
    pub validators: Option<ValidatorSet>,
    /// The epoch of the next height.
    pub epoch: u64,
    /// Members admitted, replaced or removed, ascending by id (height 0: all).
    pub organisations: Vec<Member>,
    /// The upgrade that is pending after this block. One that takes effect at the next height is not: it
    /// stands in `params`.
    pub pending_upgrade: Option<Upgrade>,
}
