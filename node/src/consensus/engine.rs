//! Starts and stops the engine: network restricted to members' nodes, WAL, sync, signer; and watches
//! it, because on some failures it hangs on purpose with the process alive.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytesize::ByteSize;
use eyre::WrapErr;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use malachitebft_app_channel::app::config::{ConsensusConfig, NodeConfig, ValuePayload, ValueSyncConfig};
use malachitebft_app_channel::app::types::codec::Codec;
use malachitebft_app_channel::{
    Channels, ConsensusContext, ConsensusRequest, EngineBuilder, EngineHandle, NetworkIdentity, NetworkRequest,
    RequestContext, Signer, SyncContext, WalContext,
};
use malachitebft_engine::network::NetworkRef;
use malachitebft_engine::util::events::{Event, RxEvent};
use qz_evidence::Hash32;
use qz_genesis::SecretKey;
use tokio::sync::broadcast::error::RecvError;

use super::clearance;
use super::codec::BorshCodec;
use super::conduct::Conduct;
use super::context::{Address, Ctx};
use super::engine_log::{self, EngineLog};
use super::gate::{self, Gatekeeper};
use super::journal::{Journal, JournalError};
use super::signer::GuardedSigner;
use super::verifier::StrictVerifier;
use crate::health::Health;
use crate::recovery::set_aside;

/// Largest message on a pubsub topic: the engine's default, named because blocks are chunked for it.
const PUBSUB_MAX: ByteSize = ByteSize::mib(4);
/// Name of the engine's log.
pub(crate) const WAL_FILE: &str = "consensus.wal";
/// How often peers tell each other their height.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// How often the engine must show that it answers, and how long it may take.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for the network to close its connections.
const NETWORK_SHUTDOWN: Duration = Duration::from_secs(2);
/// Longest wait for peers before the first height starts anyway.
const PEERS_TIMEOUT: Duration = Duration::from_secs(10);

/// What the engine needs to know about this node.
pub(crate) struct Setup<'a> {
    pub chain_id: Hash32,
    /// Name in peers' logs.
    pub moniker: String,
    pub listen: SocketAddr,
    /// Multiaddresses with peer ids; nobody else may connect.
    pub peers: Vec<Multiaddr>,
    /// Who may speak; follows the members.
    pub keeper: Arc<Gatekeeper>,
    pub network_key: Keypair,
    pub consensus_key: Arc<SecretKey>,
    /// Folder of the WAL; never deleted.
    pub wal: &'a Path,
    /// `None`: this node only observes.
    pub journal: Option<Arc<Mutex<Journal>>>,
    pub health: Health,
    pub conduct: &'a dyn Conduct,
}

/// A running engine.
pub(crate) struct Engine {
    pub channels: Channels<Ctx>,
    network: NetworkRef<Ctx>,
    handle: EngineHandle,
    watch: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct EngineConfig {
    moniker: String,
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl NodeConfig for EngineConfig {
    fn moniker(&self) -> &str {
        &self.moniker
    }

    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }

    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }

    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }

    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

/// The journal of this validator, and up to which height it must only observe; `None` for the
/// journal if the node may never sign until its key is rotated.
pub(crate) fn open_journal(
    path: &Path, chain_id: &Hash32, key: &SecretKey, fresh: bool,
) -> Result<Option<Arc<Mutex<Journal>>>, JournalError> {
    match Journal::open(path, &chain_id.0, &key.public().0, fresh) {
        Ok(journal) => Ok(Some(Arc::new(Mutex::new(journal)))),
        Err(JournalError::OtherKey { key: old, .. }) => {
            // Rotated: nothing was signed with the new key yet, and the old one signs no more.
            let address = qz_evidence::validators::address(&Hash32(old)).to_string();
            let aside = path.with_extension(format!("journal.{}", &address[..16]));
            std::fs::rename(path, &aside).map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
            tracing::warn!(aside = %aside.display(), "the consensus key was rotated: its old journal is set aside");
            open_journal(path, chain_id, key, true)
        }
        Err(error @ JournalError::Missing(_)) => {
            tracing::error!(%error, "this node will not vote until its consensus key is rotated");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Up to which height a node that starts at `start` must only observe, given the engine's log as the
/// last run left it; the log is set aside if it is damaged.
pub(crate) fn clearance(journal: &Mutex<Journal>, start: u64, wal: &Path) -> eyre::Result<Option<u64>> {
    let path = wal.join(WAL_FILE);
    let log = engine_log::inspect(&path).wrap_err("cannot read the consensus WAL")?;
    if let EngineLog::Damaged { offset } = log {
        let aside = set_aside(&path).wrap_err("cannot set the damaged consensus WAL aside")?;
        tracing::error!(offset, aside = %aside.display(), "the consensus WAL was damaged and is set aside");
    }
    Ok(clearance::judge(&mut journal.lock().unwrap_or_else(PoisonError::into_inner), start, &log)?)
}

/// The highest height at which this validator has signed.
pub(crate) fn newest_signed(journal: &Mutex<Journal>) -> u64 {
    journal.lock().unwrap_or_else(PoisonError::into_inner).newest()
}

/// Whether the journal is empty, so that nothing is known of earlier signatures.
pub(crate) fn knows_nothing(journal: &Mutex<Journal>) -> bool {
    journal.lock().unwrap_or_else(PoisonError::into_inner).knows_nothing()
}

/// Signs nothing up to and including a height, nor at any height that was signed already: this validator
/// has no past on this machine, but may have one elsewhere.
pub(crate) fn abstain_after_loss(journal: &Mutex<Journal>, height: u64) -> Result<(), JournalError> {
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    let height = height.max(journal.newest());
    tracing::warn!(through = height, "abstaining: this validator's past may be lost");
    journal.abstain_through(height)
}

impl Engine {
    /// Starts all of the engine's actors.
    pub(crate) async fn start(setup: Setup<'_>) -> eyre::Result<Self> {
        let Setup { chain_id, moniker, listen, peers, network_key, .. } = setup;
        let config = EngineConfig {
            moniker: moniker.clone(),
            consensus: consensus_config(&chain_id, listen, peers)?,
            sync: sync_config(),
        };
        std::fs::create_dir_all(setup.wal).wrap_err("cannot create the WAL folder")?;
        let wal = setup.wal.join(WAL_FILE);
        let verifier = Box::new(StrictVerifier { chain_id });

        let (identity, context) = match setup.journal {
            Some(journal) => {
                let signer = GuardedSigner::new(chain_id, setup.consensus_key, journal, setup.health.clone());
                let key = signer.public_key();
                let address = Address(*blake3::hash(&key.0).as_bytes());
                let peer_id = network_key.public().to_peer_id().to_bytes();
                let proof = signer
                    .sign_validator_proof(key.0.to_vec(), peer_id)
                    .await
                    .wrap_err("cannot sign the validator proof")?;
                let proof = BorshCodec.encode(&proof)?;
                let identity = NetworkIdentity::new_validator(moniker, network_key, address.to_string(), proof);
                (identity, ConsensusContext::new_validator(address, verifier, Box::new(signer)))
            }
            // No validator has the zero address, so the engine never asks for a signature.
            None => (
                NetworkIdentity::new(moniker, network_key, None),
                ConsensusContext::new_full_node(Address([0; 32]), verifier),
            ),
        };
        let (network, publish) = setup.conduct.network(identity, &config.consensus, &config.sync).await?;
        let gate = gate::install(network.clone(), setup.keeper).await?;
        let (channels, handle) = EngineBuilder::new(Ctx, config)
            .with_default_wal(WalContext::new(wal, BorshCodec))
            .with_custom_network(gate, publish)
            .with_default_sync(SyncContext::new(BorshCodec))
            .with_default_consensus(context)
            .with_default_request(RequestContext::new(100))
            .build()
            .await?;
        let watch = tokio::spawn(watch(channels.requests.clone(), channels.events.subscribe(), setup.health));
        Ok(Self { channels, network, handle, watch })
    }

    /// Stops the engine and waits until its ports are free.
    pub(crate) async fn stop(self) {
        self.watch.abort();
        // First the network, in order, so that its connections end.
        let _ = self.network.stop_and_wait(None, Some(NETWORK_SHUTDOWN)).await;
        self.handle.actor.stop(None);
        drop(self.channels);
        if tokio::time::timeout(Duration::from_secs(5), self.handle.handle).await.is_err() {
            tracing::warn!("the consensus engine did not stop in time");
        }
    }
}

fn consensus_config(chain_id: &Hash32, listen: SocketAddr, peers: Vec<Multiaddr>) -> eyre::Result<ConsensusConfig> {
    let mut config = ConsensusConfig { value_payload: ValuePayload::ProposalAndParts, ..Default::default() };
    config.p2p.listen_addr = match listen {
        SocketAddr::V4(address) => format!("/ip4/{}/tcp/{}", address.ip(), address.port()).parse()?,
        SocketAddr::V6(address) => format!("/ip6/{}/tcp/{}", address.ip(), address.port()).parse()?,
    };
    config.p2p.persistent_peers = peers;
    config.p2p.persistent_peers_only = true;
    config.p2p.pubsub_max_size = PUBSUB_MAX;
    // Nodes of different chains on one machine never understand each other.
    let chain = &chain_id.to_string()[..16];
    let names = &mut config.p2p.protocol_names;
    names.consensus = format!("/qz/{chain}/consensus/1");
    names.discovery_kad = format!("/qz/{chain}/discovery-kad/1");
    names.discovery_regres = format!("/qz/{chain}/discovery-reqres/1");
    names.sync = format!("/qz/{chain}/sync/1");
    names.validator_proof = format!("/qz/{chain}/validator-proof/1");
    Ok(config)
}

fn sync_config() -> ValueSyncConfig {
    ValueSyncConfig { status_update_interval: STATUS_INTERVAL, ..Default::default() }
}

/// Turns engine failures that leave the process alive into a failed node.
async fn watch(requests: tokio::sync::mpsc::Sender<ConsensusRequest<Ctx>>, mut events: RxEvent<Ctx>, health: Health) {
    let mut probe = tokio::time::interval(PROBE_INTERVAL);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::WalCorrupted(error)) => health.fail(format!("consensus WAL: {error}")),
                Ok(Event::WalReplayError(error)) => health.fail(format!("consensus WAL replay: {error}")),
                Ok(Event::WalResetError(error)) => health.fail(format!("consensus WAL reset: {error}")),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return health.fail("the consensus engine has stopped".to_owned()),
            },
            _ = probe.tick() => {
                let answer = ConsensusRequest::dump_state(&requests);
                match tokio::time::timeout(PROBE_TIMEOUT, answer).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return health.fail(format!("the consensus engine is gone: {error}")),
                    Err(_) => return health.fail("the consensus engine no longer answers".to_owned()),
                }
            }
        }
    }
}

/// Waits until the gossip mesh holds `wanted` peers, so that the first round is not lost, or until
/// waiting any longer would only delay serving others.
pub(crate) async fn await_peers(channels: &Channels<Ctx>, wanted: usize) {
    let meshed = async {
        loop {
            if let Ok(Some(dump)) = NetworkRequest::dump_state(&channels.net_requests).await {
                let ready = dump.peers.values().filter(|peer| !peer.topics.is_empty()).count();
                if ready >= wanted {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(PEERS_TIMEOUT, meshed).await.is_err() {
        tracing::warn!(wanted, "starting consensus without a quorum of connected peers");
    }
}
