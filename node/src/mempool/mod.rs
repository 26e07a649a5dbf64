//! Submissions on their way into a block: checked on entry against the current state, queued with
//! bounds, gossiped, offered to the block builder, and followed until they are final or refused.
//! Nothing that was let in disappears without its submitter being able to learn why.

mod early;
pub(crate) mod pool;
pub(crate) mod swarm;
pub(crate) mod tips;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use qz_chain::Reject;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, OrgId};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use crate::ledger::{Committed, Ledger, LedgerError};
use crate::refusal::Refusal;
use early::Early;
use pool::{Entry, Limits, Pool, Waiting};

/// Recent refusals that are remembered for those who ask later.
const MAX_REFUSED: usize = 16_384;
/// Fewest bodies waited for at which those who gave up are looked for.
const SWEEP_WAITERS: usize = 1024;
/// Waiting submissions that are checked again after each block.
const RECHECK_PER_BLOCK: usize = 256;

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on the ledger, in the block of this height.
    Final(u64),
    /// It never will be.
    Refused(Refusal),
}

/// A submission that was queued here and refused later.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Digest of the body.
    pub digest: Hash32,
    /// Who relayed it.
    pub relay: OrgId,
    /// Why.
    pub refusal: Refusal,
}

/// What a gossiped message was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GossipVerdict {
    /// Pass it on.
    Useful,
    /// Known, out of date or not for now.
    Useless,
    /// No honest peer sends this.
    Malformed,
}

/// A submission could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    /// The submitter's business.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This node's.
    #[error("ledger")]
    Ledger(#[from] LedgerError),
}

/// Queue, refusals and waiters.
#[derive(Debug)]
pub(crate) struct Mempool {
    ledger: Arc<Ledger>,
    inner: Mutex<Inner>,
    work: Notify,
    outgoing: mpsc::Sender<Arc<[u8]>>,
    refusals: broadcast::Sender<Refused>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool,
    early: Early,
    refused: HashMap<Hash32, Refusal>,
    refused_order: VecDeque<Hash32>,
    waiters: HashMap<Hash32, Vec<oneshot::Sender<Fate>>>,
    /// Waiters that have given up are swept out when there are so many bodies waited for.
    sweep_at: usize,
}

/// What became of a submission at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It waits for a block, now or since earlier.
    Waits,
    /// It is on the ledger already, in the block of this height.
    Final(u64),
}

impl Mempool {
    /// An empty mempool, and the submissions that the swarm is to spread.
    pub(crate) fn new(ledger: Arc<Ledger>, limits: Limits) -> (Arc<Self>, mpsc::Receiver<Arc<[u8]>>) {
        let (outgoing, spread) = mpsc::channel(1024);
        let inner = Inner {
            pool: Pool::new(limits),
            early: Early::default(),
            refused: HashMap::new(),
            refused_order: VecDeque::new(),
            waiters: HashMap::new(),
            sweep_at: SWEEP_WAITERS,
        };
        let (refusals, _) = broadcast::channel(1024);
        let mempool = Self { ledger, inner: Mutex::new(inner), work: Notify::new(), outgoing, refusals };
        (Arc::new(mempool), spread)
    }

    #[cfg(test)]
    pub(crate) fn submit(&self, bytes: &[u8]) -> Result<Taken, SubmitError> {
        self.submit_parsed(bytes, Parsed::without_relay_check(bytes).map_err(Refusal::from)?)
    }

    /// Takes a client's submission and what it says: checked now, refused with a reason or queued and
    /// spread. A body that is final already or waits already is no error.
    pub(crate) fn submit_parsed(&self, bytes: &[u8], parsed: Parsed) -> Result<Taken, SubmitError> {
        self.take(bytes, parsed).inspect_err(count_refusal)
    }

    fn take(&self, bytes: &[u8], parsed: Parsed) -> Result<Taken, SubmitError> {
        let digest = parsed.digest();
        if let Some(stored) = self.ledger.record_of_body(&digest)? {
            return Ok(Taken::Final(stored.height.0));
        }
        if self.lock().pool.get(&digest).is_some() {
            return Ok(Taken::Waits);
        }
        let bytes: Arc<[u8]> = bytes.into();
        match self.enter(&bytes, parsed) {
            Ok(Entry::New) => {
                // A full channel only delays: what waits is told again.
                let _ = self.outgoing.try_send(bytes);
                Ok(Taken::Waits)
            }
            Ok(Entry::Already) => Ok(Taken::Waits),
            Err(SubmitError::Refused(Refusal::Rules(Reject::Duplicate { recorded }))) => Ok(Taken::Final(recorded.0)),
            Err(error) => Err(error),
        }
    }

    /// Takes a submission that this peer gossips.
    pub(crate) fn receive(&self, from: &PeerId, bytes: &[u8]) -> GossipVerdict {
        let Ok(parsed) = Parsed::without_relay_check(bytes) else {
            return GossipVerdict::Malformed;
        };
        let digest = parsed.digest();
        if self.lock().pool.get(&digest).is_some() || !matches!(self.ledger.record_of_body(&digest), Ok(None)) {
            return GossipVerdict::Useless;
        }
        // The same body may come with other, valid signatures: what waits here is known by its bytes.
        let hash = Hash32(*blake3::hash(bytes).as_bytes());
        if !self.lock().early.is_worth_a_check(from, &hash, Instant::now()) {
            return GossipVerdict::Useless;
        }
        let bytes: Arc<[u8]> = bytes.into();
        match self.enter(&bytes, parsed) {
            Ok(Entry::New) => GossipVerdict::Useful,
            Ok(Entry::Already) => GossipVerdict::Useless,
            Err(SubmitError::Refused(Refusal::Malformed(_))) => GossipVerdict::Malformed,
            Err(SubmitError::Refused(Refusal::Rules(_))) => {
                self.lock().early.refused(*from, hash, bytes, Instant::now());
                GossipVerdict::Useless
            }
            Err(SubmitError::Refused(Refusal::Pool(_)) | SubmitError::Ledger(_)) => GossipVerdict::Useless,
        }
    }

    fn enter(&self, bytes: &Arc<[u8]>, parsed: Parsed) -> Result<Entry, SubmitError> {
        self.ledger.admit(&parsed)?.map_err(Refusal::Rules)?;
        let waiting = Waiting { bytes: bytes.clone(), parsed: Arc::new(parsed), since: Instant::now() };
        let digest = waiting.digest();
        let mut inner = self.lock();
        let entry = inner.pool.insert(waiting).map_err(Refusal::Pool)?;
        if entry == Entry::New {
            inner.refused.remove(&digest);
            drop(inner);
            self.work.notify_one();
        }
        Ok(entry)
    }

    /// Submissions for a block, in order, up to this many bytes.
    pub(crate) fn candidates(&self, max_bytes: usize) -> Vec<Waiting> {
        let mut room = max_bytes;
        let inner = self.lock();
        let fitting = inner.pool.iter().take_while(|waiting| {
            let fits = waiting.bytes.len() <= room;
            room = room.saturating_sub(waiting.bytes.len());
            fits
        });
        fitting.cloned().collect()
    }

    /// Submissions that have waited at least `age`, oldest first.
    pub(crate) fn waiting_since(&self, age: Duration, count: usize) -> Vec<Arc<[u8]>> {
        let inner = self.lock();
        let old = inner.pool.iter().take_while(|waiting| waiting.since.elapsed() >= age);
        old.take(count).map(|waiting| waiting.bytes.clone()).collect()
    }

    /// Resolves as soon as something waits. For one waiter.
    pub(crate) async fn has_work(&self) {
        while self.lock().pool.is_empty() {
            self.work.notified().await;
        }
    }

    /// Takes out what the rules refuse on the committed state, and tells those who wait for it.
    pub(crate) fn refuse(&self, refused: Vec<(Hash32, Reject)>) {
        let mut inner = self.lock();
        for (digest, reject) in refused {
            if let Some(refused) = inner.resolve_refused(digest, Refusal::Rules(reject)) {
                // Nobody may be listening.
                let _ = self.refusals.send(refused);
            }
        }
    }

    /// Takes out what a block recorded, tells those who wait, and looks again at the rest: the new
    /// state may refuse what waits, or allow what came too early.
    pub(crate) fn committed(&self, block: &Committed) {
        let (waiting, early) = {
            let mut inner = self.lock();
            for digest in &block.bodies {
                inner.resolve_final(digest, block.height);
            }
            let early = inner.early.take(Instant::now());
            let waiting: Vec<_> = inner.pool.iter().take(RECHECK_PER_BLOCK).cloned().collect();
            (waiting, early)
        };
        let refused = waiting.into_iter().filter_map(|waiting| {
            let verdict = self.ledger.admit(&waiting.parsed).ok()?;
            Some((waiting.digest(), verdict.err()?))
        });
        self.refuse(refused.collect());
        for early in early {
            let Ok(parsed) = Parsed::without_relay_check(&early.bytes) else { continue };
            if let Err(SubmitError::Refused(Refusal::Rules(reject))) = self.enter(&early.bytes, parsed)
                && !matches!(reject, Reject::Duplicate { .. })
            {
                self.lock().early.put_back(early);
            }
        }
    }

    /// A notice when the fate of this body is decided. Ask for it before looking at the ledger, so
    /// that no block falls between.
    pub(crate) fn fate(&self, digest: Hash32) -> oneshot::Receiver<Fate> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if inner.waiters.len() >= inner.sweep_at {
            inner.waiters.retain(|_, waiters| {
                waiters.retain(|waiter| !waiter.is_closed());
                !waiters.is_empty()
            });
            // Twice what is left, so that sweeping costs each waiter a constant.
            inner.sweep_at = SWEEP_WAITERS.max(2 * inner.waiters.len());
        }
        inner.waiters.entry(digest).or_default().push(sender);
        receiver
    }

    /// Why this body was refused, if it was, lately.
    pub(crate) fn refusal(&self, digest: &Hash32) -> Option<Refusal> {
        self.lock().refused.get(digest).cloned()
    }

    /// Submissions that are refused from now on after they were queued.
    pub(crate) fn refused(&self) -> broadcast::Receiver<Refused> {
        self.refusals.subscribe()
    }

    /// Whether this body waits.
    pub(crate) fn contains(&self, digest: &Hash32) -> bool {
        self.lock().pool.get(digest).is_some()
    }

    /// How many submissions wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().pool.len()
    }

    /// How many submissions wait, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.pool.len(), inner.pool.bytes())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what a submitter is refused for.
fn count_refusal(error: &SubmitError) {
    if let SubmitError::Refused(refusal) = error {
        crate::metrics::get().rejected(refusal.text().0);
    }
}

impl Inner {
    fn resolve_final(&mut self, digest: &Hash32, height: u64) {
        if let Some(waited) = self.pool.remove(digest) {
            crate::metrics::get().finalised(waited.since);
        }
        self.refused.remove(digest);
        for waiter in self.waiters.remove(digest).unwrap_or_default() {
            let _ = waiter.send(Fate::Final(height));
        }
    }

    fn resolve_refused(&mut self, digest: Hash32, refusal: Refusal) -> Option<Refused> {
        let waited = self.pool.remove(&digest)?;
        if let Refusal::Rules(Reject::Duplicate { recorded }) = &refusal {
            self.resolve_final(&digest, recorded.0);
            return None;
        }
        tracing::info!(%digest, %refusal, "submission refused after it was queued");
        crate::metrics::get().rejected(refusal.text().0);
        for waiter in self.waiters.remove(&digest).unwrap_or_default() {
            let _ = waiter.send(Fate::Refused(refusal.clone()));
        }
        if self.refused_order.len() == MAX_REFUSED
            && let Some(oldest) = self.refused_order.pop_front()
        {
            self.refused.remove(&oldest);
        }
        self.refused_order.push_back(digest);
        self.refused.insert(digest, refusal.clone());
        Some(Refused { digest, relay: waited.parsed.submission().relay.clone(), refusal })
    }
}

#[cfg(test)]
mod tests;
