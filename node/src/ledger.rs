//! The ledger of this node: the store, and the rules applied to it. Consensus, mempool and RPC reach
//! blocks and state only through here.
//!
//! Calls block. A block is executed at most once per process in the usual case: changes of proposed
//! and checked blocks are kept until one of them is decided.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use qz_chain::execute::{Admitted, BlockError, ExecuteError, Refusal};
use qz_chain::governance::{UnsupportedProtocol, Upgrade, check_protocol};
use qz_chain::{Admission, Block, ChangeSet, Reject, Subject, Verified, View, ViewError};
use qz_evidence::bundle::{HandOver, MAX_ENTRIES};
use qz_evidence::codec::{CodecError, decode_strict, encode};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::history;
use qz_evidence::submission::Parsed;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use qz_store::{HistoryRange, Store, StoreError, StoredRecord, failpoint};

use crate::high_water::{HighWater, Mark, MarkError};
use crate::members::Membership;
use crate::mempool::pool::Waiting;

/// Sizes by which a proof is estimated before it is made: a hash in a path, an encoded header, the proof
/// of a small state (about twenty siblings), and a commit certificate with what holds it all together.
const HASH_BYTES: usize = 34;
const HEADER_BYTES: usize = 420;
const STATE_PROOF_BYTES: usize = 1024;
const FIXED_PROOF_BYTES: usize = 4096;
/// Executed blocks that are kept for the decision.
const MAX_EXECUTED: usize = 4;

/// This machine cannot read or write its ledger, or the ledger is not what it must be.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Storage.
    #[error("store")]
    Store(#[from] StoreError),
    /// State.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Consensus scratch bytes do not decode.
    #[error("the store holds a damaged proposal")]
    Scratch {
        /// What the decoder says.
        #[source]
        source: std::io::Error,
    },
    /// The high-water mark cannot be used.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// This node has had another block of this height: somebody exchanged the database.
    #[error("block {height} is {found} in the database, but this node has had {had}")]
    OtherHistory {
        /// The height.
        height: u64,
        /// The block in the database.
        found: Hash32,
        /// The block that was here.
        had: Hash32,
    },
    /// The ledger is shorter than it was, so that what it says of later blocks would be wrong.
    #[error("the ledger is at height {head}, but this node has had {had}: it is catching up")]
    Behind {
        /// Where the ledger ends.
        head: u64,
        /// The highest block that was here.
        had: u64,
    },
    /// A header that must be stored is not.
    #[error("the store lacks the header of height {0}")]
    MissingHeader(u64),
    /// The network decided on a block that does not execute here.
    #[error("block {height} was decided by the network but is invalid here: this node has diverged")]
    Diverged {
        /// Height of the block.
        height: u64,
        /// What this node finds wrong.
        #[source]
        source: BlockRefusal,
    },
    /// A proof is not made, because it would be larger than a proof may be.
    #[error("the proof would be larger than {limit} bytes: ask for fewer records or subjects at a time")]
    ProofTooLarge {
        /// Largest proof in bytes.
        limit: usize,
    },
    /// A stored record holds no submission.
    #[error("record {hash} holds no submission: {reason}")]
    Record {
        /// The record.
        hash: Hash32,
        /// What it holds instead.
        reason: String,
    },
    /// Certificate and block do not belong together.
    #[error("the certificate of height {height} is for block {certified}, not {executed}")]
    OtherBlock {
        /// Height of both.
        height: u64,
        /// Block that was certified.
        certified: Hash32,
        /// Block that was executed.
        executed: Hash32,
    },
}

/// Why a block is not valid; the same on every node.
#[derive(Debug, thiserror::Error)]
pub enum BlockRefusal {
    /// Not the canonical bytes of a block.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Breaks a rule.
    #[error("{0}")]
    Rules(BlockError),
}

/// Where the ledger stands.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its height.
    pub height: u64,
    /// Its id.
    pub block_id: Hash32,
    /// Its header.
    pub header: Header,
}

/// A block made here.
#[derive(Debug)]
pub struct Built {
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// Its id.
    pub id: Hash32,
    /// Submissions that do not apply, by body digest.
    pub refused: Vec<(Hash32, Reject)>,
}

/// The history up to a block, for a transparency log's clients.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// Root over the headers up to and including the block's.
    pub root: Hash32,
    pub header: Vec<u8>,
    /// None for the genesis.
    pub commit: Option<Vec<u8>>,
    /// Inclusion path of the block's header under `root`.
    pub path: Vec<Hash32>,
    /// From the validators of the genesis to the block's, within its history.
    pub hand_overs: Vec<HandOver>,
}

/// That one history continues another.
#[derive(Debug)]
pub(crate) struct Consistency {
    pub from_root: Hash32,
    pub to_root: Hash32,
    pub path: Vec<Hash32>,
}

/// What a commit recorded.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The block's height.
    pub height: u64,
    /// Digests of the bodies, in order.
    pub bodies: Vec<Hash32>,
    /// Members, validators or parameters are others from the next height on.
    pub governance: bool,
}

/// Key and value of the consensus scratch area.
pub(crate) type ScratchEntry = (Vec<u8>, Vec<u8>);

/// Store, rules and caches.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    /// Length of the genesis document, which every proof carries.
    genesis_bytes: usize,
    head: RwLock<Head>,
    high_water: Mutex<HighWater>,
    /// The highest block that this node is known to have had.
    had: AtomicU64,
    verified: Verified,
    executed: Mutex<VecDeque<(Hash32, ChangeSet)>>,
}

impl Ledger {
    /// Opens the ledger in this folder, starting it from the genesis if it is new. Its high-water mark stands
    /// beside the folder.
    pub(crate) fn open(folder: &Path, genesis: &Genesis) -> Result<Self, LedgerError> {
        let store = Store::open(folder, genesis)?;
        let head = head_of(store.view()?.tip_header()?);
        let mut high_water = HighWater::open(&HighWater::path_of(folder), genesis.chain_id())?;
        if let Some(Mark { height, block_id: had }) = high_water.mark()
            && let Some(header) = store.header(Height(height))?
            && header.block_id() != had
        {
            return Err(LedgerError::OtherHistory { height, found: header.block_id(), had });
        }
        let had = high_water.mark().map_or(0, |mark| mark.height);
        high_water.raise(Mark { height: head.height, block_id: head.block_id })?;
        Ok(Self {
            store,
            genesis_bytes: genesis.bytes().len(),
            had: AtomicU64::new(had.max(head.height)),
            head: RwLock::new(head),
            high_water: Mutex::new(high_water),
            verified: Verified::default(),
            executed: Mutex::new(VecDeque::new()),
        })
    }

    /// Has this node never had a block?
    pub(crate) fn is_fresh(&self) -> bool {
        self.had.load(Ordering::Relaxed) == 0
    }

    /// Something else than the mark shows that this node has had a block of this height.
    pub(crate) fn has_had(&self, height: u64) {
        self.had.fetch_max(height, Ordering::Relaxed);
    }

    /// The highest block that this node has had, if its ledger ends before.
    pub(crate) fn behind(&self) -> Option<u64> {
        let had = self.had.load(Ordering::Relaxed);
        (self.head().height < had).then_some(had)
    }

    /// An error while the ledger is shorter than it was: absent is then not the same as never recorded.
    pub(crate) fn whole(&self) -> Result<(), LedgerError> {
        match self.behind() {
            None => Ok(()),
            Some(had) => Err(LedgerError::Behind { head: self.head().height, had }),
        }
    }

    /// The last committed block.
    pub fn head(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Largest block that any parameters allow.
    pub(crate) fn max_block_bytes(&self) -> usize {
        <Block as qz_evidence::codec::Format>::MAX_BYTES
    }

    /// Would these submissions apply to the next block, each by itself? Signatures are verified once.
    pub(crate) fn admit_all(&self, submissions: &[&Parsed]) -> Result<Vec<Result<(), Reject>>, LedgerError> {
        let view = self.store.view()?;
        let admission = Admission::new(&view)?;
        let settle = |admitted| match admitted {
            Ok(Admitted { verification }) => {
                self.verified.insert(verification);
                Ok(Ok(()))
            }
            Err(Refusal::Rejected(reject)) => Ok(Err(reject)),
            Err(Refusal::View(error)) => Err(error.into()),
        };
        admission.admit(submissions, &self.verified).into_iter().map(settle).collect()
    }

    /// Makes the next block of what applies.
    pub fn propose(&self, waiting: &[Waiting], now_ms: u64, proposer: Hash32) -> Result<Built, LedgerError> {
        let view = self.store.view()?;
        let submissions = waiting.iter().map(|waiting| waiting.parsed.as_ref());
        let proposed = qz_chain::propose(&view, submissions, now_ms, proposer, &self.verified)?;
        let bytes = encode(&proposed.block);
        let id = proposed.block.id();
        self.keep(&bytes, proposed.changes);
        Ok(Built { bytes, id, refused: proposed.rejected })
    }

    /// Header of a block's bytes; nothing is executed.
    pub(crate) fn header_of(&self, bytes: &[u8]) -> Result<Header, BlockRefusal> {
        Ok(decode_strict::<Block>(bytes)?.header()?)
    }

    /// Executes a block on the head and compares everything that its header says. Gives the block id.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<Result<Hash32, BlockRefusal>, LedgerError> {
        let key = Hash32(*blake3::hash(bytes).as_bytes());
        if let Some((_, changes)) = self.kept().iter().find(|(kept, _)| *kept == key) {
            return Ok(Ok(changes.block_id));
        }
        let changes = match self.execute(bytes)? {
            Ok(changes) => changes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = changes.block_id;
        self.keep(bytes, changes);
        Ok(Ok(id))
    }

    fn execute(&self, bytes: &[u8]) -> Result<Result<ChangeSet, BlockRefusal>, LedgerError> {
        let block: Block = match decode_strict(bytes) {
            Ok(block) => block,
            Err(error) => return Ok(Err(error.into())),
        };
        let view = self.store.view()?;
        match qz_chain::execute(&view, &block, &self.verified) {
            Ok(changes) => Ok(Ok(changes)),
            Err(ExecuteError::Block(error)) => Ok(Err(BlockRefusal::Rules(error))),
            Err(ExecuteError::View(error)) => Err(error.into()),
        }
    }

    fn keep(&self, bytes: &[u8], changes: ChangeSet) {
        let mut kept = self.kept();
        if kept.len() == MAX_EXECUTED {
            kept.pop_front();
        }
        kept.push_back((Hash32(*blake3::hash(bytes).as_bytes()), changes));
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, VecDeque<(Hash32, ChangeSet)>> {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the decided block on top of the head, in one synced batch, then raises the high-water mark. A
    /// crash before the batch leaves the old head, after it the new one; there is nothing between. A crash
    /// before the mark leaves it one block low, until the ledger is opened.
    pub(crate) fn commit(&self, bytes: &[u8], certificate: &CommitCertificate) -> Result<Committed, LedgerError> {
        let height = certificate.height.0;
        let key = Hash32(*blake3::hash(bytes).as_bytes());
        let kept = {
            let mut kept = self.kept();
            let found = kept.iter().position(|(other, _)| *other == key);
            found.and_then(|index| kept.remove(index))
        };
        let changes = match kept {
            Some((_, changes)) => changes,
            None => self.execute(bytes)?.map_err(|source| LedgerError::Diverged { height, source })?,
        };
        if changes.block_id != certificate.block_id || changes.height != certificate.height {
            return Err(LedgerError::OtherBlock {
                height,
                certified: certificate.block_id,
                executed: changes.block_id,
            });
        }
        let begun = Instant::now();
        self.store.commit(&changes, certificate)?;
        let took = begun.elapsed();
        let header = self.store.view()?.tip_header()?;
        let interval_ms = header.time_ms.saturating_sub(self.head().header.time_ms);
        crate::metrics::get().committed(changes.records.len(), interval_ms, took);
        let head = head_of(header);
        let mark = Mark { height: head.height, block_id: head.block_id };
        self.high_water.lock().unwrap_or_else(PoisonError::into_inner).raise(mark)?;
        failpoint::reached("commit.marked");
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        self.kept().clear();
        Ok(Committed {
            height,
            bodies: changes.records.iter().map(|record| record.body_digest).collect(),
            governance: changes.validators.is_some() || changes.params.is_some() || !changes.organisations.is_empty(),
        })
    }

    /// The members as of the head, and the validators that decide the height after it.
    pub(crate) fn membership(&self) -> Result<Membership, LedgerError> {
        let view = self.store.view()?;
        let (active, former): (Vec<_>, Vec<_>) = view.members()?.into_iter().partition(|member| member.is_active());
        Ok(Membership::new(
            active.into_iter().map(|member| member.organisation).collect(),
            former.into_iter().map(|member| member.organisation.id).collect(),
            view.validators()?,
        ))
    }

    /// Whether this program has the rules of the height after the head, and the upgrade that is pending
    /// behind it, if its rules are missing here.
    pub(crate) fn protocol(&self) -> Result<Result<Option<Upgrade>, UnsupportedProtocol>, LedgerError> {
        let view = self.store.view()?;
        let next = Height(view.tip_height().0 + 1);
        if let Err(unsupported) = check_protocol(view.params()?.protocol, next) {
            return Ok(Err(unsupported));
        }
        let pending = view.pending_upgrade()?;
        Ok(Ok(pending.filter(|upgrade| check_protocol(upgrade.version, upgrade.height).is_err())))
    }

    /// The validators that decide the height after the head.
    pub(crate) fn next_validators(&self) -> Result<ValidatorSet, LedgerError> {
        Ok(self.store.view()?.validators()?)
    }

    /// A committed block with its certificate; none for the genesis and above the head.
    pub fn block(&self, height: u64) -> Result<Option<(Vec<u8>, CommitCertificate)>, LedgerError> {
        let view = self.store.view()?;
        let block = view.block_bytes(Height(height))?;
        Ok(block.zip(view.commit_certificate(Height(height))?))
    }

    /// Encoded header of a height.
    pub(crate) fn header(&self, height: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.store.view()?.header_bytes(Height(height))?)
    }

    /// Header of a height that is committed.
    pub(crate) fn decoded_header(&self, height: u64) -> Result<Header, LedgerError> {
        self.store.header(Height(height))?.ok_or(LedgerError::MissingHeader(height))
    }

    /// The checkpoint of a block; none above the head.
    pub(crate) fn checkpoint(&self, height: u64) -> Result<Option<Checkpoint>, LedgerError> {
        let view = self.store.view()?;
        let Some(header) = view.header_bytes(Height(height))? else { return Ok(None) };
        let commit = view.commit_bytes(Height(height))?;
        let mut node = |level, index| view.history_node(level, index);
        let size = height + 1;
        let root = history::root(size, &mut node)?;
        let path = history::inclusion_path(height, size, &mut node)?;
        let hand_overs = view.hand_overs(0, Height(height))?;
        Ok(Some(Checkpoint { root, header, commit, path, hand_overs }))
    }

    /// That the history of `to` headers continues that of `from`; both at most the head's height + 1.
    pub(crate) fn consistency(&self, from: u64, to: u64) -> Result<Consistency, LedgerError> {
        let view = self.store.view()?;
        let mut node = |level, index| view.history_node(level, index);
        Ok(Consistency {
            from_root: history::root(from, &mut node)?,
            to_root: history::root(to, &mut node)?,
            path: history::consistency_path(from, to, &mut node)?,
        })
    }

    /// Path of the header at `height` in the history of `size` headers, `height` < `size` ≤ head's height + 1.
    pub(crate) fn inclusion(&self, height: u64, size: u64) -> Result<Vec<Hash32>, LedgerError> {
        let view = self.store.view()?;
        Ok(history::inclusion_path(height, size, &mut |level, index| view.history_node(level, index))?)
    }

    /// Time of a committed block.
    pub(crate) fn time_of(&self, height: u64) -> Result<u64, LedgerError> {
        Ok(self.decoded_header(height)?.time_ms)
    }

    /// Encoded commit certificate of a height; none for the genesis.
    pub(crate) fn certificate(&self, height: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.store.view()?.commit_bytes(Height(height))?)
    }

    /// A block's records, in order.
    pub(crate) fn records_of_block(&self, height: u64) -> Result<Vec<StoredRecord>, LedgerError> {
        Ok(self.store.view()?.records_of_block(Height(height))?)
    }

    /// A record with its place.
    pub(crate) fn record(&self, hash: &Hash32) -> Result<Option<StoredRecord>, LedgerError> {
        Ok(self.store.record(hash)?)
    }

    /// The record of a body, if it is on the ledger.
    pub(crate) fn record_of_body(&self, digest: &Hash32) -> Result<Option<StoredRecord>, LedgerError> {
        Ok(self.store.record_of_submission(digest)?)
    }

    /// The height at which this member last relayed a submission of this number, within the window.
    pub(crate) fn height_of_id(&self, relay: &OrgId, id: &SubmissionId) -> Result<Option<u64>, LedgerError> {
        Ok(self.store.view()?.recorded_id(relay, id)?.map(|height| height.0))
    }

    /// A subject, and the height as of which.
    pub(crate) fn subject(&self, id: &SubjectId) -> Result<(Option<Arc<Subject>>, u64), LedgerError> {
        let view = self.store.view()?;
        Ok((view.subject(id)?, view.tip_height().0))
    }

    /// Records of a subject from a sequence number on.
    pub(crate) fn subject_records(
        &self, id: &SubjectId, from: u64, limit: usize,
    ) -> Result<Vec<(u64, Hash32)>, LedgerError> {
        Ok(self.store.view()?.records_of_subject(id, from, limit)?)
    }

    /// A proof bundle of these records, of the subjects that they touch and of these subjects, under
    /// the block `head`, else under the last one. Refused before anything is built if it would be larger
    /// than `max_bytes`.
    pub(crate) fn proof(
        &self, records: &[Hash32], subjects: &[SubjectId], head: Option<u64>, max_bytes: usize,
    ) -> Result<Vec<u8>, LedgerError> {
        if records.len() > MAX_ENTRIES {
            return Err(StoreError::TooManyRecords { found: records.len(), limit: MAX_ENTRIES }.into());
        }
        let view = self.store.view()?;
        let tree_depth = |leaves: u64| u64::BITS - leaves.leading_zeros();
        let history_bytes = HASH_BYTES * tree_depth(view.tip_height().0) as usize;
        let mut size = FIXED_PROOF_BYTES + self.genesis_bytes;
        let grow = |size: &mut usize, bytes: usize| {
            *size = size.saturating_add(bytes);
            if *size > max_bytes { Err(LedgerError::ProofTooLarge { limit: max_bytes }) } else { Ok(()) }
        };
        let wanted: BTreeSet<_> = records.iter().copied().collect();
        let mut touched: BTreeSet<_> = subjects.iter().copied().collect();
        grow(&mut size, touched.len().saturating_mul(STATE_PROOF_BYTES))?;
        // One after the other, so that no more is held than a proof may be large.
        let mut add = |hash: &Hash32| -> Result<(), LedgerError> {
            let record = view.record(hash)?.ok_or(StoreError::UnknownRecord(*hash))?;
            let count = view.header(record.height)?.map_or(0, |header| header.record_count);
            let paths = history_bytes + HASH_BYTES * tree_depth(count.into()) as usize;
            grow(&mut size, record.bytes.len() + HEADER_BYTES + paths)?;
            for link in record.decode()?.links {
                if touched.insert(link.subject) {
                    grow(&mut size, STATE_PROOF_BYTES)?;
                }
            }
            Ok(())
        };
        wanted.iter().try_for_each(&mut add)?;
        // With the changes of the consortium that the relays' keys come from.
        let records = view.records_to_prove(&wanted.iter().copied().collect::<Vec<_>>())?;
        records.iter().filter(|hash| !wanted.contains(*hash)).try_for_each(&mut add)?;
        let touched: Vec<_> = touched.into_iter().collect();
        let bytes = encode(&view.proof(&records, &touched, head.map(Height))?);
        // The estimate knows neither large states nor hand-overs.
        if bytes.len() > max_bytes {
            return Err(LedgerError::ProofTooLarge { limit: max_bytes });
        }
        Ok(bytes)
    }

    /// A proof bundle of the history of a subject, or of a part of it.
    pub(crate) fn history(&self, id: &SubjectId, range: HistoryRange) -> Result<Vec<u8>, LedgerError> {
        Ok(encode(&self.store.history(id, range)?))
    }

    /// Writes to the consensus scratch area; synced on return.
    pub(crate) fn scratch_put(&self, pairs: &[ScratchEntry]) -> Result<(), LedgerError> {
        let begun = Instant::now();
        self.store.consensus_put(pairs)?;
        crate::metrics::get().fsync("proposals", begun.elapsed());
        Ok(())
    }

    /// Reads from the consensus scratch area.
    pub(crate) fn scratch_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.store.consensus_get(key)?)
    }

    /// Everything in the scratch area under a prefix.
    pub(crate) fn scratch_scan(&self, prefix: &[u8]) -> Result<Vec<ScratchEntry>, LedgerError> {
        Ok(self.store.consensus_scan(prefix)?)
    }

    /// Drops the keys `from ≤ key < to` of the scratch area.
    pub(crate) fn scratch_delete(&self, from: &[u8], to: &[u8]) -> Result<(), LedgerError> {
        Ok(self.store.consensus_delete_range(from, to)?)
    }
}

fn head_of(header: Header) -> Head {
    Head { height: header.height.0, block_id: header.block_id(), header }
}
