//! Building and executing blocks.
//!
//! [`propose`] chooses among submissions and makes a block; [`execute`] takes somebody's block, runs it
//! again and compares every field of the header; [`admit`] asks whether one submission would apply to the
//! next block. All three go through the same `Execution`, so they cannot disagree.

use crate::block::Block;
use crate::changes::{ChangeSet, NewRecord, ReplayEntry};
use crate::governance::{Consortium, Member, Upgrade, check_protocol};
use crate::overlay::Overlay;
pub use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::rules::{self, Outcome};
use crate::state::Subject;
use crate::verified::{Verified, verification_id};
use crate::view::{View, ViewError};
use qz_evidence::codec::{Bytes, encoded_len};
use qz_evidence::genesis::Params;
use qz_evidence::header::{Header, HeaderTag, block_id};
use qz_evidence::history::leaf_hash;
use qz_evidence::keys::{PublicKey, Signatures};
use qz_evidence::record::{Link, Record, RecordTag};
use qz_evidence::records_tree::{RecordsTree, record_hash};
use qz_evidence::submission::{Parsed, SubmissionError, actor_message};
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{CodecError, Hash32, Height, encode};
use thiserror::Error;

/// Bytes of a block besides its submissions: tag, header (≤ 512) and CBOR framing, rounded up.
const BLOCK_OVERHEAD: usize = 1024;
/// CBOR framing of one submission, at most.
const SUBMISSION_OVERHEAD: usize = 5;

/// A submission that would apply to the next block.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// For [`Verified::insert`]: its signatures were verified.
    pub verification: Hash32,
}

/// A proposed block with what it changes, so that its proposer need not execute it again.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The block.
    pub block: Block,
    /// What it changes.
    pub changes: ChangeSet,
    /// Submissions that do not apply, by body digest, with the reason. Those for which merely no room was
    /// left are neither here nor in the block.
    pub rejected: Vec<(Hash32, Reject)>,
}

/// Why a block is invalid, for everybody alike.
#[derive(Debug, Error)]
pub enum BlockError {
    /// Larger than the parameters allow.
    #[error("the block has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its encoded size.
        size: usize,
        /// The parameters' limit.
        limit: u32,
    },
    /// More records than the parameters allow.
    #[error("the block has {found} submissions, at most {limit} are allowed")]
    TooManyRecords {
        /// Submissions in it.
        found: usize,
        /// The parameters' limit.
        limit: u32,
    },
    /// The time is beyond what any clock will show.
    #[error("the block's time {0} ms is after the year 9999")]
    TimeBound(u64),
    /// The header's bytes are no header.
    #[error("the block's header is malformed")]
    Header(#[source] CodecError),
    /// A submission's bytes are no submission.
    #[error("submission {index} of the block is malformed")]
    Submission {
        /// Its index.
        index: usize,
        /// Why.
        #[source]
        source: SubmissionError,
    },
    /// A submission does not apply.
    #[error("submission {index} of the block is refused by the rules")]
    Rejected {
        /// Its index.
        index: usize,
        /// Why.
        #[source]
        source: Reject,
    },
    /// The proposer is no validator.
    #[error("the proposer {0} is not a validator of this height")]
    Proposer(Hash32),
    /// The time does not grow.
    #[error("the block's time {found} is not after its parent's {parent}")]
    Time {
        /// The block's.
        found: u64,
        /// The parent's.
        parent: u64,
    },
    /// A header field is not what execution gives.
    #[error("header field {field} is {found}, execution gives {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// In the header.
        found: String,
        /// From execution.
        expected: String,
    },
}

/// Why execution gave no changes.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// The block is invalid.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// This machine cannot read its state; says nothing about the block.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Would this submission apply to the next block? Its signatures, the relay's included, are verified
/// unless `verified` knows them.
pub fn admit<V: View>(view: &V, parsed: &Parsed, verified: &Verified) -> Result<Admitted, Refusal> {
    Admission::new(view)?.admit(&[parsed], verified).pop().expect("one answer for one submission")
}

/// [`admit`] for many submissions, each by itself on the same state, which is read once for all.
pub struct Admission<'v, V>(Execution<'v, V>);

impl<'v, V: View> Admission<'v, V> {
    /// On the state of this view.
    pub fn new(view: &'v V) -> Result<Self, ViewError> {
        Execution::new(view).map(Self)
    }

    /// See [`admit`]; signatures are verified together, each with its own verdict.
    pub fn admit(&self, submissions: &[&Parsed], verified: &Verified) -> Vec<Result<Admitted, Refusal>> {
        let mut signatures = Signatures::default();
        let claimed: Vec<Result<Claimed<'_>, Refusal>> = submissions
            .iter()
            .map(|parsed| {
                let outcome = rules::apply(&self.0.overlay, self.0.height, &self.0.params, parsed)?;
                Ok(Claimed::new(parsed, &outcome.actor_keys, verified, &mut signatures))
            })
            .collect();
        let mut verdicts = signatures.verdicts().into_iter();
        let mut judged = |claimed: Claimed<'_>| Ok(Admitted { verification: claimed.judged(&mut verdicts)? });
        claimed.into_iter().map(|claimed| claimed.and_then(&mut judged)).collect()
    }
}

/// Makes the next block of the submissions that apply, in their order, up to the parameters' limits.
/// Its time is the later of `now_ms` and one millisecond after the parent's.
pub fn propose<'p, V: View>(
    view: &V, submissions: impl IntoIterator<Item = &'p Parsed>, now_ms: u64, proposer: Hash32, verified: &Verified,
) -> Result<Proposed, ViewError> {
    let mut execution = Execution::new(view)?;
    let mut chosen: Vec<Vec<u8>> = vec![];
    let mut rejected = vec![];
    let mut room =
        usize::try_from(execution.params.max_block_bytes).unwrap_or(usize::MAX).saturating_sub(BLOCK_OVERHEAD);
    let most = usize::try_from(execution.params.max_block_records).unwrap_or(usize::MAX);
    for parsed in submissions {
        if chosen.len() >= most {
            break;
        }
        let bytes = encode(parsed.submission());
        let needed = bytes.len() + SUBMISSION_OVERHEAD;
        if needed > room {
            continue;
        }
        match execution.apply(parsed, &bytes, verified) {
            Ok(()) => {
                room -= needed;
                chosen.push(bytes);
            }
            Err(Refusal::Rejected(reject)) => rejected.push((parsed.digest(), reject)),
            Err(Refusal::View(error)) => return Err(error),
        }
    }
    let time_ms = now_ms.max(execution.parent.time_ms.saturating_add(1)).min(MAX_TIME_MS);
    let (header, changes) = execution.finish(time_ms, proposer)?;
    Ok(Proposed { block: Block::new(&header, chosen), changes, rejected })
}

/// End of the year 9999: no header may make the next block's time impossible.
const MAX_TIME_MS: u64 = 253_402_300_799_000;

/// Executes a block on top of the view's tip: every submission must apply, and every header field must be
/// what execution gives. Whether its time is near the clock is for the node to judge.
pub fn execute<V: View>(view: &V, block: &Block, verified: &Verified) -> Result<ChangeSet, ExecuteError> {
    let mut execution = Execution::new(view)?;
    let header = block.header().map_err(BlockError::Header)?;
    check_limits(block, &execution.params)?;
    if header.time_ms <= execution.parent.time_ms {
        return Err(BlockError::Time { found: header.time_ms, parent: execution.parent.time_ms }.into());
    }
    if header.time_ms > MAX_TIME_MS {
        return Err(BlockError::TimeBound(header.time_ms).into());
    }
    if execution.validators.by_address(&header.proposer).is_none() {
        return Err(BlockError::Proposer(header.proposer).into());
    }
    // Cheap and telling: a block for another place fails here, not in its submissions.
    same("height", &header.height, &execution.height)?;
    same("previous", &header.previous, &execution.parent.block_id())?;
    for (index, bytes) in block.submissions.iter().enumerate() {
        let parsed = Parsed::without_relay_check(bytes).map_err(|source| BlockError::Submission { index, source })?;
        match execution.apply(&parsed, bytes, verified) {
            Ok(()) => {}
            Err(Refusal::Rejected(source)) => return Err(BlockError::Rejected { index, source }.into()),
            Err(Refusal::View(error)) => return Err(error.into()),
        }
    }
    let (expected, changes) = execution.finish(header.time_ms, header.proposer)?;
    compare(&header, &expected)?;
    Ok(changes)
}

fn check_limits(block: &Block, params: &Params) -> Result<(), BlockError> {
    let size = encoded_len(block);
    if usize::try_from(params.max_block_bytes).is_ok_and(|limit| size > limit) {
        return Err(BlockError::TooLarge { size, limit: params.max_block_bytes });
    }
    let found = block.submissions.len();
    if usize::try_from(params.max_block_records).is_ok_and(|limit| found > limit) {
        return Err(BlockError::TooManyRecords { found, limit: params.max_block_records });
    }
    Ok(())
}

fn same<T: PartialEq + ToString>(field: &'static str, found: &T, expected: &T) -> Result<(), BlockError> {
    if found == expected {
        return Ok(());
    }
    Err(BlockError::Field { field, found: found.to_string(), expected: expected.to_string() })
}

fn compare(found: &Header, expected: &Header) -> Result<(), BlockError> {
    // Destructured, so that a new field cannot be forgotten here.
    let Header {
        tag: _,
        chain_id,
        height,
        epoch,
        time_ms,
        previous,
        record_count,
        records_root,
        state_root,
        history_size,
        history_root,
        validators_hash,
        next_validators_hash,
        params_hash,
        proposer,
    } = found;
    same("chain_id", chain_id, &expected.chain_id)?;
    same("height", height, &expected.height)?;
    same("epoch", epoch, &expected.epoch)?;
    same("time_ms", time_ms, &expected.time_ms)?;
    same("previous", previous, &expected.previous)?;
    same("record_count", record_count, &expected.record_count)?;
    same("records_root", records_root, &expected.records_root)?;
    same("state_root", state_root, &expected.state_root)?;
    same("history_size", history_size, &expected.history_size)?;
    same("history_root", history_root, &expected.history_root)?;
    same("validators_hash", validators_hash, &expected.validators_hash)?;
    same("next_validators_hash", next_validators_hash, &expected.next_validators_hash)?;
    same("params_hash", params_hash, &expected.params_hash)?;
    same("proposer", proposer, &expected.proposer)
}

/// A block under construction.
struct Execution<'v, V> {
    overlay: Overlay<'v, V>,
    parent: Header,
    height: Height,
    params: Params,
    validators: ValidatorSet,
    records: Vec<NewRecord>,
    replay: Vec<ReplayEntry>,
}

impl<'v, V: View> Execution<'v, V> {
    fn new(view: &'v V) -> Result<Self, ViewError> {
        let parent = view.tip()?;
        let height = parent.height.next();
        let (params, validators) = (view.params()?, view.validators()?);
        check_protocol(params.protocol, height).map_err(ViewError::new)?;
        if validators.hash() != parent.next_validators_hash {
            return Err(ViewError::new(format!(
                "the validators of height {height} are not those of its parent's header"
            )));
        }
        Ok(Self { overlay: Overlay::new(view)?, height, parent, params, validators, records: vec![], replay: vec![] })
    }

    /// Adds one submission, or leaves everything as it was.
    fn apply(&mut self, parsed: &Parsed, bytes: &[u8], verified: &Verified) -> Result<(), Refusal> {
        let outcome = rules::apply(&self.overlay, self.height, &self.params, parsed)?;
        verify_signatures(parsed, &outcome, verified)?;
        let links = self.links(&outcome)?;
        let record = Record {
            tag: RecordTag,
            submission: Bytes(bytes.to_vec()),
            height: self.height,
            index: u32::try_from(self.records.len()).expect("the parameters cap records far below 2^32"),
            actor_keys: outcome.actor_keys,
            links: links.clone(),
        };
        let record_bytes = encode(&record);
        let hash = record_hash(&record_bytes);
        if let Some(consortium) = outcome.consortium {
            self.overlay.put_consortium(consortium);
        }
        let created = if outcome.creates { links.first().map(|link| link.subject) } else { None };
        for ((subject, state), link) in outcome.touched.into_iter().zip(&links) {
            self.overlay.put(subject, Subject::new(link.sequence + 1, hash, state));
        }
        let (digest, relay, id) = (parsed.digest(), parsed.submission().relay.clone(), parsed.body().id);
        self.overlay.remember(digest, relay.clone(), id);
        self.replay.push(ReplayEntry { body_digest: digest, relay, id });
        self.records.push(NewRecord { bytes: record_bytes, hash, body_digest: digest, created, links });
        Ok(())
    }

    fn links(&self, outcome: &Outcome) -> Result<Vec<Link>, ViewError> {
        let link = |(subject, _): &(_, _)| {
            let (sequence, previous) = match self.overlay.find(subject)? {
                Some(existing) => (existing.records, existing.last_record),
                None => (0, Hash32::ZERO),
            };
            Ok(Link { subject: *subject, sequence, previous })
        };
        outcome.touched.iter().map(link).collect()
    }

    fn finish(self, time_ms: u64, proposer: Hash32) -> Result<(Header, ChangeSet), ViewError> {
        let Self { overlay, parent, height, params, validators, records, replay } = self;
        let view = overlay.view;
        let chain_id = overlay.chain_id;
        let upgrade = overlay.upgrade;
        let (subjects, consortium) = overlay.into_parts();
        let next = Next::new(height, &validators, &params, consortium, upgrade);
        let heads: Vec<_> = subjects.iter().map(|(id, subject)| (*id, subject.head())).collect();
        let (state_root, tree) = crate::tree::put(view, height, &heads)?;
        let hashes: Vec<_> = records.iter().map(|record| record.hash).collect();
        let mut frontier = view.frontier()?;
        if frontier.size() != height.0 {
            return Err(ViewError::new(format!("the history has {} leaves at height {height}", frontier.size())));
        }
        let header = Header {
            tag: HeaderTag,
            chain_id,
            height,
            // The parent's set is not this height's: the parent was the last block of its epoch.
            epoch: parent.epoch + u64::from(parent.next_validators_hash != parent.validators_hash),
            time_ms,
            previous: parent.block_id(),
            record_count: u32::try_from(records.len()).expect("the parameters cap records far below 2^32"),
            records_root: RecordsTree::new(&hashes).root(),
            state_root,
            history_size: frontier.size(),
            history_root: frontier.root(),
            validators_hash: validators.hash(),
            next_validators_hash: next.validators.as_ref().unwrap_or(&validators).hash(),
            params_hash: params.hash(),
            proposer,
        };
        let bytes = encode(&header);
        let leaf = leaf_hash(&bytes);
        let inner = frontier.append(leaf);
        let changes = ChangeSet {
            height,
            block_id: block_id(&bytes),
            header: bytes,
            state_root,
            records,
            subjects,
            tree,
            history_nodes: std::iter::once((0, height.0, leaf)).chain(inner).collect(),
            frontier,
            replay,
            epoch: header.epoch + u64::from(next.validators.is_some()),
            params: next.params,
            validators: next.validators,
            organisations: next.organisations,
            pending_upgrade: next.pending_upgrade,
        };
        Ok((header, changes))
    }
}

/// What is in force from the next height on, where it is something else.
struct Next {
    validators: Option<ValidatorSet>,
    params: Option<Params>,
    organisations: Vec<Member>,
    pending_upgrade: Option<Upgrade>,
}

impl Next {
    fn new(
        height: Height, validators: &ValidatorSet, params: &Params, consortium: Option<Consortium>,
        upgrade: Option<Upgrade>,
    ) -> Self {
        let (mut organisations, next_validators, mut next_params, upgrade) = match consortium {
            Some(Consortium { members, validators, params, upgrade, replay: _ }) => {
                (members, Some(validators), params, upgrade)
            }
            None => (vec![], None, params.clone(), upgrade),
        };
        if let Some(upgrade) = upgrade.filter(|upgrade| upgrade.height == height.next()) {
            next_params.protocol = upgrade.version;
        }
        organisations.retain(|member| member.since == height);
        Self {
            validators: next_validators.filter(|next| next != validators),
            params: Some(next_params).filter(|next| next != params),
            organisations,
            pending_upgrade: upgrade.filter(|upgrade| upgrade.height > height.next()),
        }
    }
}

/// A submission whose signatures are among those that are verified together.
struct Claimed<'p> {
    parsed: &'p Parsed,
    verification: Hash32,
    /// How many of them; none if exactly these bytes with exactly these keys were verified before.
    signatures: usize,
}

impl<'p> Claimed<'p> {
    /// Adds the signatures of relay and actors, in this order, unless `verified` knows them.
    fn new(parsed: &'p Parsed, actor_keys: &[PublicKey], verified: &Verified, signatures: &mut Signatures) -> Self {
        let verification = verification_id(&parsed.envelope_digest(), actor_keys);
        if verified.contains(&verification) {
            return Self { parsed, verification, signatures: 0 };
        }
        parsed.claim_relay_signature(signatures);
        let message = actor_message(&parsed.digest());
        let mut added = 1;
        for (actor, key) in parsed.submission().actors.iter().zip(actor_keys) {
            signatures.add(key, &message, &actor.signature);
            added += 1;
        }
        Self { parsed, verification, signatures: added }
    }

    /// Takes as many verdicts as it added signatures.
    fn judged(&self, verdicts: &mut impl Iterator<Item = bool>) -> Result<Hash32, Reject> {
        let submission = self.parsed.submission();
        let verdicts: Vec<bool> = verdicts.take(self.signatures).collect();
        match verdicts.iter().position(|holds| !holds) {
            None => Ok(self.verification),
            Some(0) => Err(Reject::RelaySignature { relay: submission.relay.clone() }),
            Some(bad) => Err(Reject::ActorSignature { subject: submission.actors[bad - 1].subject }),
        }
    }
}

/// Verifies relay and actors, unless exactly these bytes with exactly these keys were verified before.
fn verify_signatures(parsed: &Parsed, outcome: &Outcome, verified: &Verified) -> Result<Hash32, Reject> {
    let mut signatures = Signatures::default();
    let claimed = Claimed::new(parsed, &outcome.actor_keys, verified, &mut signatures);
    claimed.judged(&mut signatures.verdicts().into_iter())
}
