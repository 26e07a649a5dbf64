//! The gate between the engine and its network: hands on what members' nodes send, within bounds, and
//! nothing else.
//!
//! The engine admits peers when they have introduced themselves (Identify), but a connection that never
//! does is served all the same: it could read blocks by sync and flood the topics. So every event passes
//! here with the peer that delivered it. Events of keys that no member has, or of a member that is
//! refused for a while, end here, and the connection is closed. What the engine sends is not looked at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use malachitebft_app_channel::app::types::PeerId;
use malachitebft_engine::network::{NetworkEvent, NetworkMsg, NetworkRef, Subscriber};
use malachitebft_engine::util::output_port::{OutputPort, OutputPortSubscriberTrait};
use malachitebft_network::validator_proof::ProofVerificationResult;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::codec::Undecodable;
use super::context::Ctx;
use crate::peers::{Network, Offence, PeerStats, Rate, Roster};

/// Far more than consensus at full speed needs, and few enough to stay ahead of.
const RATE: Rate = Rate { per_second: 5_000, burst: 20_000 };

/// Who may speak on the consensus network. Shared by the gate, the driver and whoever follows the
/// members.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    roster: Mutex<Roster<PeerId>>,
    network: Mutex<Option<NetworkRef<Ctx>>>,
}

impl Gatekeeper {
    /// Nobody may speak yet.
    pub(crate) fn new(stats: Arc<PeerStats>) -> Self {
        let roster = Roster::new(Network::Consensus, RATE, stats);
        Self { roster: Mutex::new(roster), network: Mutex::new(None) }
    }

    /// From now on these are the members' nodes.
    pub(crate) fn set_members(&self, members: impl IntoIterator<Item = PeerId>) {
        self.lock().set_members(members, Instant::now());
    }

    /// A peer did what no honest one does; it is disconnected once that is enough.
    pub(crate) fn offend(&self, peer: PeerId, offence: Offence) {
        if self.lock().offend(&peer, offence, Instant::now()) {
            tracing::warn!(%peer, ?offence, "peer refused on the consensus network");
            self.disconnect(peer);
        }
    }

    fn admits(&self, peer: &PeerId) -> bool {
        self.lock().admits(peer, Instant::now())
    }

    /// Accounts for an event, once.
    fn account(&self, event: &NetworkEvent<Ctx>) {
        if let Some(author) = author_of_undecodable(event) {
            self.offend(author, Offence::Malformed);
        }
        let Some(peer) = sender(event) else { return };
        let now = Instant::now();
        let disconnect = {
            let mut roster = self.lock();
            if !roster.is_member(&peer) {
                roster.offend(&peer, Offence::Unlisted, now)
            } else if roster.admits(&peer, now) {
                !roster.message(&peer, now) && !roster.admits(&peer, now)
            } else {
                // Refused for a while, and back.
                matches!(event, NetworkEvent::PeerConnected(_))
            }
        };
        if disconnect {
            tracing::debug!(%peer, "disconnected from the consensus network");
            self.disconnect(peer);
        }
    }

    /// The engine's network has one way to end a connection from outside: the word that the proof of
    /// being a validator is invalid.
    fn disconnect(&self, peer_id: PeerId) {
        let network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = network.as_ref() {
            let verdict = ProofVerificationResult::Invalid;
            let _ = network.cast(NetworkMsg::ValidatorProofVerified { peer_id, result: verdict, public_key: None });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Roster<PeerId>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The peer that delivered this event; none for events of this node's own.
fn sender(event: &NetworkEvent<Ctx>) -> Option<PeerId> {
    match event {
        NetworkEvent::PeerConnected(peer)
        | NetworkEvent::PeerSubscribed(peer, _)
        | NetworkEvent::Vote(peer, _)
        | NetworkEvent::Proposal(peer, _)
        | NetworkEvent::ProposalPart(peer, _, _)
        | NetworkEvent::PolkaCertificate(peer, _)
        | NetworkEvent::RoundCertificate(peer, _)
        | NetworkEvent::ValidatorProofReceived { peer_id: peer, .. }
        | NetworkEvent::Status(peer, _)
        | NetworkEvent::SyncRequest(_, peer, _)
        | NetworkEvent::SyncResponse(_, peer, _) => Some(*peer),
        NetworkEvent::Listening(_)
        | NetworkEvent::PeerDisconnected(_)
        | NetworkEvent::SyncRequestFailed(..)
        | NetworkEvent::SyncInboundRequestFailed(..) => None,
    }
}

/// Who wrote what did not decode and came as this event; see [`Undecodable`].
fn author_of_undecodable(event: &NetworkEvent<Ctx>) -> Option<PeerId> {
    match event {
        NetworkEvent::ProposalPart(_, publisher, part) if is_stand_in(part) => *publisher,
        NetworkEvent::SyncRequest(_, peer, request) if is_stand_in(request) => Some(*peer),
        NetworkEvent::SyncResponse(_, peer, None) => Some(*peer),
        _ => None,
    }
}

/// Is this event nothing but the word that something did not decode? (A response that did not decode is news for
/// the engine: its request is over.)
fn is_only_a_word(event: &NetworkEvent<Ctx>) -> bool {
    match event {
        NetworkEvent::ProposalPart(_, _, part) => is_stand_in(part),
        NetworkEvent::SyncRequest(_, _, request) => is_stand_in(request),
        _ => false,
    }
}

fn is_stand_in<T: Undecodable + PartialEq>(message: &T) -> bool {
    T::stand_in().is_some_and(|stand_in| stand_in == *message)
}

/// The actor that the engine takes for its network.
struct Gate {
    network: NetworkRef<Ctx>,
    keeper: Arc<Gatekeeper>,
}

/// Puts the gate in front of the engine's network.
pub(super) async fn install(network: NetworkRef<Ctx>, keeper: Arc<Gatekeeper>) -> eyre::Result<NetworkRef<Ctx>> {
    *keeper.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network.clone());
    let gate = Gate { network: network.clone(), keeper };
    let (gate, _) = Actor::spawn(None, gate, ()).await?;
    // The network ends with its gate, and its failure is the gate's.
    network.link(gate.get_cell());
    Ok(gate)
}

#[async_trait]
impl Actor for Gate {
    type Msg = NetworkMsg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        let accountant = Listener { gate: myself, keeper: self.keeper.clone(), to: None };
        Ok(self.network.cast(NetworkMsg::Subscribe(Box::new(accountant)))?)
    }

    async fn handle(
        &self, myself: ActorRef<Self::Msg>, message: Self::Msg, (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let message = match message {
            NetworkMsg::Subscribe(to) => {
                let to = Some(Arc::new(Mutex::new(to)));
                NetworkMsg::Subscribe(Box::new(Listener { gate: myself, keeper: self.keeper.clone(), to }))
            }
            other => other,
        };
        Ok(self.network.cast(message)?)
    }
}

type Downstream = Arc<Mutex<Box<dyn Subscriber<NetworkEvent<Ctx>>>>>;

/// Listens to the network for a part of the engine, or only to keep account.
struct Listener {
    gate: ActorRef<NetworkMsg<Ctx>>,
    keeper: Arc<Gatekeeper>,
    to: Option<Downstream>,
}

fn pass(keeper: &Gatekeeper, to: Option<&Downstream>, event: NetworkEvent<Ctx>) {
    match to {
        None => keeper.account(&event),
        Some(to) if !is_only_a_word(&event) && sender(&event).is_none_or(|peer| keeper.admits(&peer)) => {
            to.lock().unwrap_or_else(PoisonError::into_inner).send(event);
        }
        Some(_) => {}
    }
}

impl OutputPortSubscriberTrait<NetworkEvent<Ctx>> for Listener {
    fn subscribe_to_port(&self, port: &OutputPort<NetworkEvent<Ctx>>) {
        let (keeper, to) = (self.keeper.clone(), self.to.clone());
        // Events are handed on from within the conversion; nothing is left for the gate's own mailbox.
        port.subscribe(self.gate.clone(), move |event| {
            pass(&keeper, to.as_ref(), event);
            None
        });
    }
}

impl Subscriber<NetworkEvent<Ctx>> for Listener {
    fn send(&self, event: NetworkEvent<Ctx>) {
        pass(&self.keeper, self.to.as_ref(), event);
    }
}
