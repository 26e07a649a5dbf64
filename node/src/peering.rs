//! Keeps this node's peers in line with the members: who may connect on both networks and to the RPC, and
//! where peers are found. A member's card says where its node listens; this node's configuration may know better.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use malachitebft_app_channel::NetworkRequest;
use qz_evidence::OrgId;
use tokio::sync::{mpsc, watch};

use crate::config::NodeConfig;
use crate::consensus::gate::Gatekeeper;
use crate::members::{Members, Membership, engine_peer};
use crate::mempool::swarm::Peers;
use crate::rpc::tls::MutualTls;

/// The engine may be busy; a change of peers is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Follows the members for both networks.
pub(crate) struct Peering {
    own: PeerId,
    config: NodeConfig,
    members: Arc<Members>,
    keeper: Arc<Gatekeeper>,
    tls: MutualTls,
    submissions: watch::Sender<Peers>,
    told: BTreeSet<OrgId>,
}

/// Another member's node.
struct Peer {
    id: PeerId,
    consensus: Multiaddr,
    mempool: Multiaddr,
}

impl Peering {
    /// For the node with this network key; already in line with the members.
    pub(crate) fn new(
        own: PeerId, config: &NodeConfig, members: Arc<Members>, keeper: Arc<Gatekeeper>, tls: MutualTls,
    ) -> Self {
        let submissions = watch::Sender::default();
        let config = config.clone();
        let mut this = Self { own, config, members, keeper, tls, submissions, told: BTreeSet::new() };
        this.apply();
        this
    }

    /// The peers of the submission network.
    pub(crate) fn submissions(&self) -> watch::Receiver<Peers> {
        self.submissions.subscribe()
    }

    /// Lets exactly the members' nodes and clients speak; gives their addresses on the consensus network.
    pub(crate) fn apply(&mut self) -> BTreeSet<Multiaddr> {
        let members = self.members.now();
        let peers = self.peers(&members);
        self.tls.trust(members.organisations());
        self.keeper.set_members(peers.iter().filter_map(|peer| engine_peer(&peer.id)));
        let by_id: HashMap<_, _> = peers.iter().map(|peer| (peer.id, peer.mempool.clone())).collect();
        self.submissions.send_if_modified(|current| {
            let differs = **current != by_id;
            if differs {
                *current = Arc::new(by_id);
            }
            differs
        });
        peers.into_iter().map(|peer| peer.consensus.with(Protocol::P2p(peer.id))).collect()
    }

    /// Follows the members until the node ends. `known`: the addresses that the engine started with.
    pub(crate) async fn run(mut self, engine: mpsc::Sender<NetworkRequest>, mut known: BTreeSet<Multiaddr>) {
        let mut changes = self.members.follow();
        loop {
            let wanted = self.apply();
            let in_line = bring_in_line(&engine, &mut known, &wanted).await;
            if in_line {
                if changes.changed().await.is_err() {
                    return;
                }
            } else if engine.is_closed() {
                return;
            } else {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    fn peers(&mut self, members: &Membership) -> Vec<Peer> {
        let others = members.nodes().filter(|node| node.id != self.own);
        let peers = others.filter_map(|node| match self.config.peer(node.organisation.as_str(), node.card) {
            Ok((consensus, mempool)) => Some(Peer { id: node.id, consensus, mempool }),
            Err(error) => {
                // Consensus does not judge addresses: a member's bad one is its own loss.
                if self.told.insert(node.organisation.clone()) {
                    tracing::error!(organisation = %node.organisation, error = %format!("{error:#}"),
                        "no usable address; name one under `peers` in node.json");
                }
                None
            }
        });
        peers.collect()
    }
}

/// Tells the engine what changed; `false` if it did not take everything.
async fn bring_in_line(
    engine: &mpsc::Sender<NetworkRequest>, known: &mut BTreeSet<Multiaddr>, wanted: &BTreeSet<Multiaddr>,
) -> bool {
    let (gone, new): (Vec<_>, Vec<_>) =
        (known.difference(wanted).cloned().collect(), wanted.difference(known).cloned().collect());
    for address in gone {
        match NetworkRequest::remove_persistent_peer(engine, address.clone()).await {
            Ok(_) => {
                tracing::info!(%address, "peer removed: no member's node any more");
                known.remove(&address);
            }
            Err(_) => return false,
        }
    }
    for address in new {
        match NetworkRequest::add_persistent_peer(engine, address.clone()).await {
            Ok(_) => {
                tracing::info!(%address, "peer added: a member's node");
                known.insert(address);
            }
            Err(_) => return false,
        }
    }
    true
}
