//! Submissions on their way into a block: checked on entry against the current state, queued with
//! bounds, gossiped, offered to the block builder, and followed until they are final or refused.
//! Nothing that was let in disappears without its submitter being able to learn why.

mod early;
pub(crate) mod pool;
pub(crate) mod swarm;
pub mod tip_message;
pub(crate) mod tips;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use qz_chain::Reject;
use qz_evidence::hash::sha256;
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
/// How often, at most, submissions that still wait after a block are checked again, and how many.
const RECHECK_INTERVAL: Duration = Duration::from_secs(2);
const RECHECK_COUNT: usize = 512;
/// Requests wait before their submissions are checked while more submissions than this wait for a block: about two
/// blocks of a busy network.
const ROOM: usize = 2048;
/// How long they wait at most: less than clients allow for an answer beyond the wait that they ask for.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

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

/// Submissions to be gossiped.
type Outgoing = mpsc::Receiver<Vec<Arc<[u8]>>>;

/// Queue, refusals and waiters.
#[derive(Debug)]
pub(crate) struct Mempool {
    ledger: Arc<Ledger>,
    inner: Mutex<Inner>,
    work: Notify,
    /// A block took submissions out of the queue.
    left: Notify,
    /// [`ROOM`]; less in tests.
    room: usize,
    outgoing: mpsc::Sender<Vec<Arc<[u8]>>>,
    refusals: broadcast::Sender<Refused>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool,
    early: Early,
    refused: HashMap<Hash32, Refusal>,
    refused_order: VecDeque<Hash32>,
    waiters: HashMap<Hash32, Vec<oneshot::Sender<Fate>>>,
    /// When what waits was last checked again.
    rechecked: Option<Instant>,
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

/// A submission, the digest of its body, and whether it was queued.
type Outcome = (Arc<[u8]>, Hash32, Result<Entry, Refusal>);

impl Mempool {
    /// An empty mempool, and the submissions that the swarm is to spread.
    pub(crate) fn new(ledger: Arc<Ledger>, limits: Limits) -> (Arc<Self>, Outgoing) {
        let (outgoing, spread) = mpsc::channel(1024);
        let inner = Inner {
            pool: Pool::new(limits),
            early: Early::default(),
            refused: HashMap::new(),
            refused_order: VecDeque::new(),
            waiters: HashMap::new(),
            rechecked: None,
            sweep_at: SWEEP_WAITERS,
        };
        let (refusals, _) = broadcast::channel(1024);
        let mempool = Self {
            ledger,
            inner: Mutex::new(inner),
            work: Notify::new(),
            left: Notify::new(),
            room: ROOM,
            outgoing,
            refusals,
        };
        (Arc::new(mempool), spread)
    }

    #[cfg(test)]
    pub(crate) fn submit(&self, bytes: &[u8]) -> Result<Taken, SubmitError> {
        self.submit_parsed(bytes, Parsed::without_relay_check(bytes).map_err(Refusal::from)?)
    }

    /// Takes a client's submission and what it says: checked now, refused with a reason or queued and
    /// spread. A body that is final already or waits already is no error.
    pub(crate) fn submit_parsed(&self, bytes: &[u8], parsed: Parsed) -> Result<Taken, SubmitError> {
        let mut results = self.submit_all(vec![(bytes.into(), parsed)])?;
        Ok(results.pop().expect("one result for one submission")?)
    }

    /// The same for many at once, each standing alone; results in their order.
    pub(crate) fn submit_all(
        &self, submissions: Vec<(Arc<[u8]>, Parsed)>,
    ) -> Result<Vec<Result<Taken, Refusal>>, LedgerError> {
        let mut spread = vec![];
        let mut results = vec![];
        for (bytes, digest, entered) in self.enter_all(submissions)? {
            results.push(match entered {
                Ok(Entry::New) => {
                    spread.push(bytes);
                    Ok(Taken::Waits)
                }
                Ok(Entry::Already) => Ok(Taken::Waits),
                // What is recorded is recorded, even if the rules would refuse a repetition for another reason.
                Err(refusal) => match self.ledger.record_of_body(&digest)? {
                    Some(stored) => Ok(Taken::Final(stored.height.0)),
                    None => {
                        crate::metrics::get().rejected(refusal.text().0);
                        Err(refusal)
                    }
                },
            });
        }
        if !spread.is_empty() {
            // A full channel only delays: what waits is told again.
            let _ = self.outgoing.try_send(spread);
        }
        Ok(results)
    }

    /// Takes a submission that this peer gossips.
    #[cfg(test)]
    pub(crate) fn receive(&self, from: &PeerId, bytes: &[u8]) -> GossipVerdict {
        self.receive_all(from, &[bytes])
    }

    /// Takes the submissions of one gossip message. One that no honest peer sends spoils the message.
    pub(crate) fn receive_all<B: AsRef<[u8]>>(&self, from: &PeerId, submissions: &[B]) -> GossipVerdict {
        let mut unknown = vec![];
        for bytes in submissions {
            let bytes = bytes.as_ref();
            let Ok(parsed) = Parsed::without_relay_check(bytes) else { return GossipVerdict::Malformed };
            // The same body may come with other, valid signatures: what waits here is known by its bytes.
            let hash = parsed.envelope_digest();
            let mut inner = self.lock();
            if inner.pool.get(&parsed.digest()).is_none() && inner.early.is_worth_a_check(from, &hash, Instant::now()) {
                unknown.push((Arc::from(bytes), parsed));
            }
        }
        let Ok(entered) = self.enter_all(unknown) else { return GossipVerdict::Useless };
        let mut verdict = GossipVerdict::Useless;
        for (bytes, _, entered) in entered {
            match entered {
                Ok(Entry::New) => verdict = GossipVerdict::Useful,
                Err(Refusal::Malformed(_)) => return GossipVerdict::Malformed,
                // Told late: it is on the ledger, which is nobody's fault.
                Err(Refusal::Rules(Reject::Duplicate { .. })) => {}
                Err(Refusal::Rules(_)) => {
                    let hash = sha256(&[&bytes]);
                    self.lock().early.refused(*from, hash, bytes, Instant::now());
                }
                Ok(Entry::Already) | Err(Refusal::Pool(_)) => {}
            }
        }
        verdict
    }

    /// Checks submissions on one state and queues those that it admits; results in their order.
    fn enter_all(&self, submissions: Vec<(Arc<[u8]>, Parsed)>) -> Result<Vec<Outcome>, LedgerError> {
        let height = self.ledger.head().height;
        let verdicts: Vec<Option<Result<(), Reject>>> = {
            let waits = |(_, parsed): &(_, Parsed)| self.contains(&parsed.digest());
            let waits: Vec<bool> = submissions.iter().map(waits).collect();
            let unknown: Vec<&Parsed> =
                submissions.iter().zip(&waits).filter(|(_, waits)| !**waits).map(|((_, parsed), _)| parsed).collect();
            let mut verdicts = self.ledger.admit_all(&unknown)?.into_iter();
            waits.iter().map(|waits| if *waits { None } else { verdicts.next() }).collect()
        };
        let mut entered = vec![];
        for ((bytes, parsed), verdict) in submissions.into_iter().zip(verdicts) {
            let digest = parsed.digest();
            let outcome = match verdict {
                None => Ok(Entry::Already),
                Some(Err(reject)) => Err(Refusal::Rules(reject)),
                Some(Ok(())) => self.queue(&bytes, parsed),
            };
            entered.push((bytes, digest, outcome));
        }
        // A block may have been committed meanwhile, with some of these in it.
        if self.ledger.head().height != height {
            self.recheck(entered.iter().filter(|(_, _, outcome)| matches!(outcome, Ok(Entry::New))).map(|e| e.1))?;
        }
        Ok(entered)
    }

    fn queue(&self, bytes: &Arc<[u8]>, parsed: Parsed) -> Result<Entry, Refusal> {
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

    /// Takes out what the committed state refuses by now.
    fn recheck(&self, digests: impl Iterator<Item = Hash32>) -> Result<(), LedgerError> {
        let waiting: Vec<Waiting> = {
            let inner = self.lock();
            digests.filter_map(|digest| inner.pool.get(&digest).cloned()).collect()
        };
        let parsed: Vec<&Parsed> = waiting.iter().map(|waiting| waiting.parsed.as_ref()).collect();
        let verdicts = self.ledger.admit_all(&parsed)?;
        let refused =
            waiting.iter().zip(verdicts).filter_map(|(waiting, verdict)| Some((waiting.digest(), verdict.err()?)));
        self.refuse(refused.collect());
        Ok(())
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

    /// Resolves when the queue is short enough for a request's submissions to be checked, at the latest after
    /// [`ROOM_PATIENCE`]: what was begun is finished first. Whatever is offered, checking what cannot be in one of
    /// the next blocks then takes no time from the blocks; what waits longer is for the queue's limits to refuse.
    pub(crate) async fn has_room(&self) {
        if self.len() <= self.room {
            return;
        }
        crate::metrics::get().delayed();
        let short_enough = async {
            loop {
                // Asked for before looking, so that no block falls between.
                let left = self.left.notified();
                if self.len() <= self.room {
                    return;
                }
                left.await;
            }
        };
        let _ = tokio::time::timeout(ROOM_PATIENCE, short_enough).await;
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
            let due = inner.rechecked.is_none_or(|at| at.elapsed() >= RECHECK_INTERVAL);
            let count = if due { RECHECK_COUNT } else { 0 };
            if due {
                inner.rechecked = Some(Instant::now());
            }
            let waiting: Vec<_> = inner.pool.iter().take(count).map(Waiting::digest).collect();
            (waiting, early)
        };
        self.left.notify_waiters();
        if let Err(error) = self.recheck(waiting.into_iter()) {
            tracing::warn!(%error, "waiting submissions were not checked again");
        }
        for early in early {
            let Ok(parsed) = Parsed::without_relay_check(&early.bytes) else { continue };
            let Ok(mut entered) = self.enter_all(vec![(early.bytes.clone(), parsed)]) else { continue };
            if let Some((_, _, Err(Refusal::Rules(reject)))) = entered.pop()
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
