//! Who is connected, and who must go when there is no room.
//!
//! A newcomer is never turned away for the sake of one that does nothing: in the handshake the oldest of
//! the busiest address goes, among members the one that has been idle longest. Only when everybody is
//! being served is a newcomer refused.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qz_evidence::OrgId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::RpcLimits;

/// All connections of the RPC.
#[derive(Debug)]
pub(super) struct Connections {
    limits: RpcLimits,
    inner: Mutex<Inner>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// By number, so that the first is the oldest.
    open: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    state: State,
    /// Told to go; no longer counted.
    leaving: bool,
    end: Arc<Notify>,
}

#[derive(Debug)]
enum State {
    Handshaking,
    Member { organisation: OrgId, requests: usize, idle_since: Instant },
}

/// There is no room, and nobody who could make some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRoom {
    /// All places are being served.
    #[error("all connections are busy")]
    All,
    /// All of this organisation's.
    #[error("all connections of this organisation are busy")]
    Organisation,
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    end: Arc<Notify>,
}

/// A request in progress, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Connections {
    /// Nobody is connected.
    pub(super) fn new(limits: RpcLimits) -> Arc<Self> {
        Arc::new(Self { limits, inner: Mutex::default(), emptied: Notify::new() })
    }

    /// A new connection, before its handshake.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let end = Arc::new(Notify::new());
        let mut inner = self.lock();
        let handshaking: Vec<_> = inner.handshaking().collect();
        if handshaking.len() >= self.limits.handshakes {
            let busiest = most_frequent(handshaking.iter().map(|(_, address)| *address));
            let oldest = handshaking.iter().find(|(_, address)| Some(*address) == busiest);
            if let Some((number, _)) = oldest.copied() {
                inner.evict(number);
                crate::metrics::get().refused("handshake_evicted");
            }
        }
        let number = inner.next;
        inner.next += 1;
        inner.open.insert(number, Entry { address, state: State::Handshaking, leaving: false, end: end.clone() });
        Place { connections: self.clone(), number, end }
    }

    /// Resolves when nobody is connected.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.lock().open.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Connections of members.
    pub(super) fn members(&self) -> usize {
        self.lock().members().count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn handshaking(&self) -> impl Iterator<Item = (u64, IpAddr)> {
        let staying = self.open.iter().filter(|(_, entry)| !entry.leaving);
        staying.filter(|(_, entry)| matches!(entry.state, State::Handshaking)).map(|(n, entry)| (*n, entry.address))
    }

    fn members(&self) -> impl Iterator<Item = (u64, &OrgId, Option<Instant>)> {
        let staying = self.open.iter().filter(|(_, entry)| !entry.leaving);
        staying.filter_map(|(number, entry)| match &entry.state {
            State::Handshaking => None,
            State::Member { organisation, requests, idle_since } => {
                Some((*number, organisation, (*requests == 0).then_some(*idle_since)))
            }
        })
    }

    /// The member connection that has been idle longest, of this organisation.
    fn longest_idle(&self, of: &OrgId) -> Option<u64> {
        let own = self.members().filter(|(_, organisation, _)| *organisation == of);
        let idle = own.filter_map(|(number, _, idle)| Some((idle?, number)));
        idle.min().map(|(_, number)| number)
    }

    fn evict(&mut self, number: u64) {
        if let Some(entry) = self.open.get_mut(&number) {
            entry.leaving = true;
            entry.end.notify_one();
        }
    }
}

impl Place {
    /// The handshake has shown whose connection it is.
    pub(super) fn identify(&self, organisation: &OrgId) -> Result<(), NoRoom> {
        let limits = self.connections.limits;
        let mut inner = self.connections.lock();
        let own = inner.members().filter(|(_, other, _)| *other == organisation).count();
        if own >= limits.connections_per_organisation {
            let idle = inner.longest_idle(organisation).ok_or(NoRoom::Organisation)?;
            inner.evict(idle);
        } else if inner.members().count() >= limits.connections {
            let busiest = most_frequent(inner.members().map(|(_, other, _)| other.clone()));
            let idle = busiest.and_then(|busiest| inner.longest_idle(&busiest)).ok_or(NoRoom::All)?;
            inner.evict(idle);
        }
        if let Some(entry) = inner.open.get_mut(&self.number) {
            entry.state = State::Member { organisation: organisation.clone(), requests: 0, idle_since: Instant::now() };
        }
        Ok(())
    }

    /// Resolves when this connection must make room.
    pub(super) async fn told_to_go(&self) {
        self.end.notified().await;
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        let inner = self.connections.lock();
        let entry = inner.open.get(&self.number);
        matches!(entry, Some(Entry { state: State::Member { requests: 1.., .. }, .. }))
    }

    fn count(&self, change: impl FnOnce(&mut usize)) {
        let mut inner = self.connections.lock();
        if let Some(Entry { state: State::Member { requests, idle_since, .. }, .. }) = inner.open.get_mut(&self.number)
        {
            change(requests);
            *idle_since = Instant::now();
        }
    }
}

impl Busy {
    /// A request begins.
    pub(super) fn begin(place: &Arc<Place>) -> Self {
        place.count(|requests| *requests += 1);
        Self(place.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.count(|requests| *requests = requests.saturating_sub(1));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.connections.lock();
        inner.open.remove(&self.number);
        if inner.open.is_empty() {
            self.connections.emptied.notify_waiters();
        }
    }
}

fn most_frequent<T: Hash + Eq>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts = HashMap::new();
    for one in all {
        *counts.entry(one).or_insert(0usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(one, _)| one)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn member(connections: &Arc<Connections>, name: &str) -> Result<Arc<Place>, NoRoom> {
        let place = Arc::new(connections.enter(address(9)));
        place.identify(&OrgId::new(name).unwrap()).map(|()| place)
    }

    fn must_go(place: &Place) -> bool {
        place.told_to_go().now_or_never().is_some()
    }

    #[test]
    fn a_flood_of_handshakes_drives_out_its_own_oldest() {
        let limits = RpcLimits { handshakes: 4, ..Default::default() };
        let connections = Connections::new(limits);
        let honest = connections.enter(address(1));
        let flood: Vec<_> = (0..10).map(|_| connections.enter(address(2))).collect();
        assert!(!must_go(&honest));
        assert_eq!(flood.iter().filter(|place| must_go(place)).count(), 7);
        assert!(!must_go(&flood[0]), "a notice is given once");
        assert!(!must_go(&flood[9]));
        assert!(honest.identify(&OrgId::new("court").unwrap()).is_ok());
        assert_eq!(connections.members(), 1);
    }

    #[test]
    fn the_longest_idle_makes_room_and_the_busy_stay() {
        let limits = RpcLimits { connections: 4, connections_per_organisation: 2, ..Default::default() };
        let connections = Connections::new(limits);
        let first = member(&connections, "court").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let second = member(&connections, "court").unwrap();
        let busy = Busy::begin(&first);
        let third = member(&connections, "court").unwrap();
        assert!(must_go(&second) && !must_go(&first), "the idle one goes, not the older busy one");
        let _also_busy = Busy::begin(&third);
        assert_eq!(member(&connections, "court").unwrap_err(), NoRoom::Organisation);
        assert!(first.is_busy());
        drop(busy);
        assert!(!first.is_busy());
        assert!(member(&connections, "court").is_ok() && must_go(&first));

        // Another organisation fills what is left; then the one with the most gives way.
        drop((first, second));
        let _others: Vec<_> = ["notary", "notary", "platform"].map(|name| member(&connections, name).unwrap()).into();
        assert_eq!(connections.members(), 4);
        let newcomer = member(&connections, "arbitration").unwrap();
        assert_eq!(connections.members(), 4);
        drop(newcomer);
    }

    #[tokio::test]
    async fn the_last_one_out_is_noticed() {
        let connections = Connections::new(RpcLimits::default());
        connections.empty().await;
        let place = connections.enter(address(1));
        assert!(connections.empty().now_or_never().is_none());
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.empty().await }
        });
        tokio::task::yield_now().await;
        drop(place);
        waiting.await.unwrap();
    }
}
