//! The submission network: a gossip swarm of its own, next to the engine's, restricted to the nodes of
//! active members. It spreads submissions, so that the next proposer and a quorum know that
//! there is work, and tells the peers every second how far this node is.
//!
//! Nothing that arrives here is trusted: submissions pass the same checks as those from clients.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::allow_block_list::{self, AllowedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentTopic, MessageAcceptance, MessageAuthenticity, MessageId, PublishError, ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ListenError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, tcp, yamux};
use qz_evidence::batch::SubmissionBatch;
use qz_evidence::codec::Format;
use qz_evidence::{Hash32, decode_strict, encode};

use tokio::sync::{mpsc, watch};

use super::tips::Tips;
use super::{GossipVerdict, Mempool, tip_message};
use crate::peers::{Network, Offence, PeerStats, Rate, Roster};

/// A gossip message: a batch of submissions and its attempt number.
const MAX_MESSAGE_BYTES: usize = <SubmissionBatch as Format>::MAX_BYTES + 1024;
/// Submissions that enter within so long after a message go out together: every message has a cost of its own, on
/// every peer each time that it arrives.
const LINGER: Duration = Duration::from_millis(50);
/// Submissions that wait to be told; what is beyond is told again later.
const MAX_UNTOLD: usize = 8192;
/// How often peers that are not connected are called.
const DIAL_INTERVAL: Duration = Duration::from_secs(2);
/// How often this node says how far it is.
const TIP_INTERVAL: Duration = Duration::from_secs(1);
/// How often submissions that still wait are told again.
const RETELL_INTERVAL: Duration = Duration::from_secs(3);
/// How many of them at most.
const RETELL_COUNT: usize = 512;

/// Messages of one peer; far more than gossip at full speed needs.
const RATE: Rate = Rate { per_second: 5_000, burst: 20_000 };
/// Nodes of all members that there can be, each connected twice for a moment.
const MAX_CONNECTIONS: u32 = 160;

/// Peers that may connect, and where they listen.
pub(crate) type Peers = Arc<HashMap<PeerId, Multiaddr>>;

/// What a swarm needs.
pub(crate) struct Setup {
    pub chain_id: Hash32,
    pub key: Keypair,
    pub listen: SocketAddr,
    /// Everybody who may connect, and where they listen; follows the members.
    pub peers: watch::Receiver<Peers>,
    pub stats: Arc<PeerStats>,
    pub mempool: Arc<Mempool>,
    pub tips: Arc<Tips>,
    /// Submissions that entered here and that the peers should have.
    pub outgoing: mpsc::Receiver<Vec<Arc<[u8]>>>,
}

/// Why the swarm cannot start.
#[derive(Debug, thiserror::Error)]
#[error("the submission network cannot start: {0}")]
pub(crate) struct SwarmError(String);

impl SwarmError {
    fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    allowed: allow_block_list::Behaviour<AllowedPeers>,
    limits: connection_limits::Behaviour,
    gossip: gossipsub::Behaviour,
}

/// The running swarm.
pub(crate) struct SubmissionSwarm {
    swarm: Swarm<Behaviour>,
    chain_id: Hash32,
    /// Signs what this node says of itself.
    key: Keypair,
    submissions: IdentTopic,
    tip_topic: IdentTopic,
    peers: watch::Receiver<Peers>,
    allowed: Peers,
    roster: Roster<PeerId>,
    stats: Arc<PeerStats>,
    mempool: Arc<Mempool>,
    tips: Arc<Tips>,
    outgoing: mpsc::Receiver<Vec<Arc<[u8]>>>,
    /// Submissions that were not told yet, and when the last ones were.
    untold: VecDeque<Arc<[u8]>>,
    told: Instant,
    attempt: u32,
}

impl SubmissionSwarm {
    /// Binds the port and prepares everything; [`SubmissionSwarm::run`] does the work.
    pub(crate) fn start(setup: Setup) -> Result<Self, SwarmError> {
        let Setup { chain_id, key, listen, peers, stats, mempool, tips, outgoing } = setup;
        let chain = chain_id.to_string()[..16].to_owned();
        let submissions = IdentTopic::new(format!("/qz/{chain}/submissions/1"));
        let tip_topic = IdentTopic::new(format!("/qz/{chain}/tips/1"));
        let gossip = gossip(&chain, &submissions, &tip_topic)?;

        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_CONNECTIONS))
            .with_max_pending_outgoing(Some(MAX_CONNECTIONS))
            .with_max_established_per_peer(Some(2))
            .with_max_established(Some(MAX_CONNECTIONS));
        let allowed = allow_block_list::Behaviour::<AllowedPeers>::default();
        let behaviour = Behaviour { allowed, limits: connection_limits::Behaviour::new(limits), gossip };

        let mut swarm = SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .map_err(SwarmError::new)?
            .with_behaviour(|_| behaviour)
            .map_err(SwarmError::new)?
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
            .build();
        let address = match listen {
            SocketAddr::V4(v4) => format!("/ip4/{}/tcp/{}", v4.ip(), v4.port()),
            SocketAddr::V6(v6) => format!("/ip6/{}/tcp/{}", v6.ip(), v6.port()),
        };
        let address: Multiaddr = address.parse().map_err(SwarmError::new)?;
        swarm.listen_on(address).map_err(SwarmError::new)?;
        let roster = Roster::new(Network::Submissions, RATE, stats.clone());
        let allowed = Peers::default();
        let mut this = Self {
            swarm,
            chain_id,
            key,
            submissions,
            tip_topic,
            peers,
            allowed,
            roster,
            stats,
            mempool,
            tips,
            outgoing,
            untold: VecDeque::new(),
            told: Instant::now(),
            attempt: 0,
        };
        this.follow_members();
        Ok(this)
    }

    /// Gossips until the mempool is dropped.
    pub(crate) async fn run(mut self) {
        let mut own = self.tips.own();
        let mut dial = tokio::time::interval(DIAL_INTERVAL);
        let mut tell_tip = tokio::time::interval(TIP_INTERVAL);
        let mut retell = tokio::time::interval(RETELL_INTERVAL);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                outgoing = self.outgoing.recv() => match outgoing {
                    Some(submissions) => {
                        let room = MAX_UNTOLD.saturating_sub(self.untold.len());
                        self.untold.extend(submissions.into_iter().take(room));
                    }
                    None => return,
                },
                () = tokio::time::sleep_until((self.told + LINGER).into()), if !self.untold.is_empty() => {
                    let untold = std::mem::take(&mut self.untold);
                    self.told = Instant::now();
                    self.tell_submissions(0, untold);
                }
                changed = own.changed() => match changed {
                    Ok(()) => self.tell_tip(*own.borrow_and_update()),
                    Err(_) => return,
                },
                _ = tell_tip.tick() => {
                    let height = *own.borrow();
                    self.tell_tip(height);
                }
                changed = self.peers.changed() => match changed {
                    Ok(()) => self.follow_members(),
                    Err(_) => return,
                },
                _ = dial.tick() => {
                    self.readmit();
                    self.dial_missing();
                }
                _ = retell.tick() => {
                    self.attempt = self.attempt.wrapping_add(1).max(1);
                    let waiting = self.mempool.waiting_since(RETELL_INTERVAL, RETELL_COUNT);
                    self.tell_submissions(self.attempt, waiting.into());
                }
            }
        }
    }

    /// Allows exactly the nodes of the members; the connections of others end.
    fn follow_members(&mut self) {
        let peers = self.peers.borrow_and_update().clone();
        let now = Instant::now();
        self.roster.set_members(peers.keys().copied(), now);
        for gone in self.allowed.keys().filter(|peer| !peers.contains_key(peer)) {
            self.swarm.behaviour_mut().allowed.disallow_peer(*gone);
            self.tips.lost(gone);
        }
        for peer in peers.keys().filter(|peer| self.roster.admits(peer, now)) {
            self.swarm.behaviour_mut().allowed.allow_peer(*peer);
        }
        self.allowed = peers;
    }

    /// A peer whose refusal is over may connect again.
    fn readmit(&mut self) {
        for peer in self.roster.released(Instant::now()) {
            self.swarm.behaviour_mut().allowed.allow_peer(peer);
        }
    }

    fn dial_missing(&mut self) {
        let now = Instant::now();
        for (peer, address) in self.allowed.iter().filter(|(peer, _)| self.roster.admits(peer, now)) {
            let options = DialOpts::peer_id(*peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![address.clone()])
                .build();
            // An error only says that the peer is connected or being called already.
            let _ = self.swarm.dial(options);
        }
    }

    fn tell_submissions(&mut self, attempt: u32, mut submissions: VecDeque<Arc<[u8]>>) {
        while let Some(batch) = SubmissionBatch::take_from(&mut submissions) {
            let message = [&attempt.to_be_bytes()[..], &encode(&batch)].concat();
            let topic = self.submissions.clone();
            self.publish(topic, message);
        }
    }

    fn tell_tip(&mut self, height: u64) {
        let topic = self.tip_topic.clone();
        match tip_message::encode(&self.key, &self.chain_id, height, crate::clock::now_ms()) {
            Ok(message) => self.publish(topic, message),
            Err(error) => tracing::error!(%error, "the network key does not sign"),
        }
    }

    fn publish(&mut self, topic: IdentTopic, message: Vec<u8>) {
        match self.swarm.behaviour_mut().gossip.publish(topic, message) {
            // Without peers nobody can be told; what waits is told again later.
            Ok(_) | Err(PublishError::Duplicate | PublishError::NoPeersSubscribedToTopic) => {}
            Err(error) => tracing::warn!(%error, "gossip message not sent"),
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => {
                let acceptance = self.on_message(&propagation_source, &message);
                self.swarm.behaviour_mut().gossip.report_message_validation_result(
                    &message_id,
                    &propagation_source,
                    acceptance,
                );
            }
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "submission peer connected");
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                tracing::info!(peer = %peer_id, "submission peer disconnected");
                self.tips.lost(&peer_id);
            }
            SwarmEvent::IncomingConnectionError {
                peer_id, error: ListenError::Denied { .. }, send_back_addr, ..
            } if peer_id.is_none_or(|peer| !self.roster.is_member(&peer)) => {
                // A member that is refused for a while was counted when that began.
                self.stats.count(Network::Submissions, Offence::Unlisted);
                tracing::debug!(peer = ?peer_id, address = %send_back_addr, "not a member's node");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "submission network listens");
            }
            _ => {}
        }
    }

    /// Takes a message within the bounds of the peer that delivered it. Messages are checked before they
    /// are passed on, so what is wrong with one is the fault of who delivered it.
    fn on_message(&mut self, from: &PeerId, message: &gossipsub::Message) -> MessageAcceptance {
        let now = Instant::now();
        let acceptance = if !self.roster.message(from, now) {
            MessageAcceptance::Ignore
        } else if message.data.len() > MAX_MESSAGE_BYTES {
            self.roster.offend(from, Offence::Oversized, now);
            MessageAcceptance::Reject
        } else {
            let acceptance = if message.topic == self.submissions.hash() {
                self.on_submissions(from, &message.data, now)
            } else {
                self.on_tip(&message.data)
            };
            if matches!(acceptance, MessageAcceptance::Reject) {
                self.roster.offend(from, Offence::Malformed, now);
            }
            acceptance
        };
        if !self.roster.admits(from, now) {
            tracing::warn!(peer = %from, "peer refused on the submission network");
            self.swarm.behaviour_mut().allowed.disallow_peer(*from);
        }
        acceptance
    }

    /// Each submission counts as a message of the peer, because each costs as much.
    fn on_submissions(&mut self, from: &PeerId, message: &[u8], now: Instant) -> MessageAcceptance {
        let Some((_attempt, batch)) = message.split_at_checked(4) else {
            return MessageAcceptance::Reject;
        };
        let Ok(SubmissionBatch { submissions, .. }) = decode_strict(batch) else {
            return MessageAcceptance::Reject;
        };
        if !(1..=SubmissionBatch::MAX_SUBMISSIONS).contains(&submissions.len()) {
            return MessageAcceptance::Reject;
        }
        if !submissions.iter().skip(1).all(|_| self.roster.message(from, now)) {
            return MessageAcceptance::Ignore;
        }
        match tokio::task::block_in_place(|| self.mempool.receive_all(from, &submissions)) {
            GossipVerdict::Useful => MessageAcceptance::Accept,
            GossipVerdict::Useless => MessageAcceptance::Ignore,
            GossipVerdict::Malformed => MessageAcceptance::Reject,
        }
    }

    fn on_tip(&self, message: &[u8]) -> MessageAcceptance {
        match tip_message::decode(message, &self.chain_id) {
            Some((peer, height)) if self.allowed.contains_key(&peer) => {
                self.tips.heard(peer, height);
                MessageAcceptance::Accept
            }
            // Perhaps of a member that was admitted in a block that is not here yet.
            Some(_) => MessageAcceptance::Ignore,
            None => MessageAcceptance::Reject,
        }
    }
}

/// Unsigned: a signature would be checked by every peer each time that a message arrives, which is about three times.
/// Submissions carry the signatures that count, and tips their own.
fn gossip(chain: &str, submissions: &IdentTopic, tips: &IdentTopic) -> Result<gossipsub::Behaviour, SwarmError> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(format!("/qz/{chain}/mempool/2"))
        .heartbeat_interval(Duration::from_millis(700))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        // Twice, so that what is too large is seen and counted; beyond this the stream is closed unread.
        .max_transmit_size(2 * MAX_MESSAGE_BYTES)
        .flood_publish(true)
        .message_id_fn(|message| MessageId::from(blake3::hash(&message.data).as_bytes().as_slice()))
        .build()
        .map_err(SwarmError::new)?;
    let mut behaviour = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(SwarmError::new)?;
    for topic in [submissions, tips] {
        behaviour.subscribe(topic).map_err(SwarmError::new)?;
    }
    Ok(behaviour)
}
