//! The bounded queue of submissions that wait for a block: first come, first served, each body once,
//! with a share for every organisation so that one member cannot crowd out the others.
//!
//! The pool knows no rules of the ledger; what enters has been checked by the caller.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, OrgId, SubmissionId};

/// Bounds of the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most submissions.
    pub count: usize,
    /// Most bytes.
    pub bytes: usize,
    /// Most submissions relayed by one organisation.
    pub per_organisation: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { count: 20_000, bytes: 64 * 1024 * 1024, per_organisation: 10_000 }
    }
}

/// A submission that was checked on entry.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The submission's bytes.
    pub bytes: Arc<[u8]>,
    /// What they say.
    pub parsed: Arc<Parsed>,
    /// When it entered.
    pub since: Instant,
}

impl Waiting {
    /// Digest of the body: the submission's identity.
    pub(crate) fn digest(&self) -> Hash32 {
        self.parsed.digest()
    }

    fn id(&self) -> (OrgId, SubmissionId) {
        (self.parsed.submission().relay.clone(), self.parsed.body().id)
    }
}

/// Why a submission does not get in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolRefusal {
    /// The pool has no room.
    #[error("the pool of waiting submissions is full")]
    Full,
    /// The relaying organisation has used up its share.
    #[error("{0} already has as many waiting submissions as one organisation may have")]
    Quota(OrgId),
    /// The same organisation and id with another body.
    #[error("submission id {0} already waits with another body")]
    SameId(SubmissionId),
}

/// What happened to a submission that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It is new.
    New,
    /// The same body waits already.
    Already,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Pool {
    limits: Limits,
    next: u64,
    bytes: usize,
    queue: BTreeMap<u64, Waiting>,
    places: HashMap<Hash32, u64>,
    ids: HashMap<(OrgId, SubmissionId), Hash32>,
    shares: HashMap<OrgId, usize>,
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 0,
            bytes: 0,
            queue: BTreeMap::new(),
            places: HashMap::new(),
            ids: HashMap::new(),
            shares: HashMap::new(),
        }
    }

    /// Puts a submission at the end of the queue.
    pub(crate) fn insert(&mut self, waiting: Waiting) -> Result<Entry, PoolRefusal> {
        let digest = waiting.digest();
        if self.places.contains_key(&digest) {
            return Ok(Entry::Already);
        }
        let id = waiting.id();
        if self.ids.contains_key(&id) {
            return Err(PoolRefusal::SameId(id.1));
        }
        if self.queue.len() >= self.limits.count || self.bytes + waiting.bytes.len() > self.limits.bytes {
            return Err(PoolRefusal::Full);
        }
        let share = self.shares.entry(id.0.clone()).or_default();
        if *share >= self.limits.per_organisation {
            return Err(PoolRefusal::Quota(id.0));
        }
        *share += 1;
        self.bytes += waiting.bytes.len();
        self.places.insert(digest, self.next);
        self.ids.insert(id, digest);
        self.queue.insert(self.next, waiting);
        self.next += 1;
        Ok(Entry::New)
    }

    /// Takes a submission out, whatever its fate.
    pub(crate) fn remove(&mut self, digest: &Hash32) -> Option<Waiting> {
        let place = self.places.remove(digest)?;
        let waiting = self.queue.remove(&place)?;
        let id = waiting.id();
        self.bytes -= waiting.bytes.len();
        if let Some(share) = self.shares.get_mut(&id.0) {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(&id.0);
            }
        }
        self.ids.remove(&id);
        Some(waiting)
    }

    /// The submission with this body, if it waits.
    pub(crate) fn get(&self, digest: &Hash32) -> Option<&Waiting> {
        self.queue.get(self.places.get(digest)?)
    }

    /// The queue from its head.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.values()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of all that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ed25519_dalek::{Signer, SigningKey};
    use qz_evidence::commitment::Commitment;
    use qz_evidence::submission::{Body, UnsignedSubmission};
    use qz_evidence::{Height, encode};

    use super::*;

    fn submission(organisation: &str, id: u8, claimed_time_ms: u64) -> Waiting {
        let key = SigningKey::from_bytes(&[7; 32]);
        let payload =
            qz_evidence::payload::Payload::EvidenceDeposited(qz_evidence::payload::EvidenceDeposited { about: None });
        let commitments: Vec<Commitment> = Vec::new();
        let body =
            Body::new(Hash32([1; 32]), SubmissionId([id; 16]), Height(100), payload, commitments, claimed_time_ms);
        let relay = OrgId::new(organisation).unwrap();
        let unsigned = UnsignedSubmission::new(&body, Vec::new(), relay, key.verifying_key().to_bytes());
        let signature = key.sign(&unsigned.relay_message()).to_bytes();
        let bytes = encode(&unsigned.signed(signature));
        let parsed = Parsed::new(&bytes).unwrap();
        Waiting { bytes: bytes.into(), parsed: Arc::new(parsed), since: Instant::now() }
    }

    fn pool(count: usize, per_organisation: usize) -> Pool {
        Pool::new(Limits { count, bytes: 1 << 20, per_organisation })
    }

    #[test]
    fn bodies_enter_once_and_ids_are_not_reused() {
        let mut pool = pool(10, 10);
        assert_eq!(pool.insert(submission("platform", 1, 0)), Ok(Entry::New));
        assert_eq!(pool.insert(submission("platform", 1, 0)), Ok(Entry::Already));
        assert_eq!(
            pool.insert(submission("notary", 1, 0)),
            Ok(Entry::Already),
            "another relay of the same body is the same submission"
        );
        assert_eq!(pool.insert(submission("platform", 1, 5)), Err(PoolRefusal::SameId(SubmissionId([1; 16]))));
        assert_eq!(pool.len(), 1);
        let digest = submission("platform", 1, 0).digest();
        assert!(pool.get(&digest).is_some());
        assert!(pool.remove(&digest).is_some());
        assert!(pool.remove(&digest).is_none());
        assert_eq!(pool.insert(submission("platform", 1, 5)), Ok(Entry::New));
    }

    #[test]
    fn count_bytes_and_shares_are_bounded() {
        let mut pool = pool(4, 2);
        for id in 0..2 {
            pool.insert(submission("platform", id, 0)).unwrap();
        }
        let platform = OrgId::new("platform").unwrap();
        assert_eq!(pool.insert(submission("platform", 2, 0)), Err(PoolRefusal::Quota(platform)));
        for id in 3..5 {
            pool.insert(submission("notary", id, 0)).unwrap();
        }
        assert_eq!(pool.insert(submission("court", 5, 0)), Err(PoolRefusal::Full));
        let size = submission("court", 9, 0).bytes.len();
        let mut small = Pool::new(Limits { count: 9, bytes: size, per_organisation: 9 });
        small.insert(submission("court", 8, 0)).unwrap();
        assert_eq!(small.insert(submission("court", 9, 0)), Err(PoolRefusal::Full));
    }

    #[test]
    fn the_queue_keeps_its_order_and_removal_frees_everything() {
        let mut pool = pool(100, 100);
        let all: Vec<_> = (0..20).map(|id| submission("court", id, 0)).collect();
        for waiting in &all {
            pool.insert(waiting.clone()).unwrap();
        }
        pool.remove(&all[7].digest()).unwrap();
        let order: Vec<_> = pool.iter().map(Waiting::digest).collect();
        let expected: Vec<_> = all.iter().enumerate().filter(|(i, _)| *i != 7).map(|(_, w)| w.digest()).collect();
        assert_eq!(order, expected);
        for waiting in &all {
            pool.remove(&waiting.digest());
        }
        assert!(pool.is_empty());
        assert_eq!((pool.bytes, pool.shares.len(), pool.ids.len()), (0, 0, 0));
    }
}
