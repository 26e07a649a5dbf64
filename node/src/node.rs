//! Puts a node together from its home folder and keeps it running until it is told to stop or can no
//! longer be trusted to go on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use qz_evidence::genesis::{Genesis, ValidatorCard};
use qz_evidence::validators;
use qz_genesis::{Home, Purpose, SecretKey, peer};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::{Listen, NodeConfig};
use crate::consensus::conduct::Conduct;
use crate::consensus::context::Address;
use crate::consensus::driver::{Driver, DriverError, Parts, Stopped};
use crate::consensus::engine::{self, Engine};
use crate::consensus::gate::Gatekeeper;
use crate::consensus::journal::Journal;
use crate::health::Health;
use crate::home_lock::HomeLock;
use crate::ledger::Ledger;
use crate::members::{Members, OwnNode, Standing};
use crate::mempool::Mempool;
use crate::mempool::swarm::{self, SubmissionSwarm};
use crate::mempool::tips::Tips;
use crate::paths;
use crate::peering::Peering;
use crate::peers::{self, PeerStats};
use crate::recovery;
use crate::rpc;
use crate::snapshot;

/// How long a failed node still answers `/health` before the process ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Time for the engine to stop.
const SHUTDOWN: Duration = Duration::from_secs(8);
/// A validator without any past listens so long for what its peers have decided.
const LISTEN_FIRST: Duration = Duration::from_secs(3);

/// Bytes that the kernel keeps for a client of the RPC.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// A node that is no validator yet waits so long for a quorum of those that it knows.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(10);

/// How a node ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By a signal, in good order.
    Stopped,
    /// It failed; the reason was logged.
    Failed,
    /// It only observed and may vote from now on, or lost what its log leads to: the process is to start again. (The engine cannot
    /// be started twice in one process, its network outlives it.)
    Restart,
}

/// A port is taken by somebody else.
#[derive(Debug, thiserror::Error)]
#[error("端口 {address} 已被占用（{purpose}） · port {address} for {purpose} is in use")]
pub(crate) struct PortBusy {
    address: SocketAddr,
    purpose: &'static str,
}

/// The key that signs checkpoints. A node whose key cannot be used goes on without: outside witnesses do
/// not depend on it.
fn witness_key(home: &Home) -> Option<Arc<SecretKey>> {
    let key = home.key(Purpose::Witness);
    key.map(Arc::new)
        .inspect_err(|error| tracing::warn!(%error, "the witness key cannot be used: checkpoints go unsigned"))
        .ok()
}

/// Runs a node until a signal or a failure.
pub(crate) async fn run(home_path: &Path, config: &NodeConfig, conduct: Arc<dyn Conduct>) -> anyhow::Result<Ending> {
    // First, so that no command works on the folder meanwhile; held until this returns.
    let _lock = HomeLock::take(home_path)?;
    let home = Home::open(home_path).context("cannot open the organisation's folder")?;
    // The organisation may have joined, or changed its keys, after the genesis.
    let genesis = home.genesis_document().context("cannot use the genesis")?;
    let organisation = home.organisation();
    let card = organisation
        .validator
        .as_ref()
        .ok_or_else(|| anyhow!("{} runs no node: its organisation.json names no validator", organisation.id))?;
    let listen = config.listen(card)?;
    let ports = bind(&listen)?;
    let network_key = peer::keypair(&home.key(Purpose::Network)?)?;
    let consensus_key = Arc::new(home.key(Purpose::Consensus)?);

    let health = Health::new();
    let ledger = Ledger::open(&paths::data(home_path), &genesis).context("cannot open the ledger")?;
    let ledger = Arc::new(ledger);
    let head = ledger.head();
    tracing::info!(
        organisation = %organisation.id, chain = %genesis.chain_id(), height = head.height,
        "ledger opened"
    );
    let (mempool, outgoing) = Mempool::new(ledger.clone(), config.mempool());
    let tips = Arc::new(Tips::new(head.height));
    let wal = paths::wal(home_path);
    let fresh = (ledger.is_fresh() || snapshot::is_as_imported(home_path, head.height))
        && !paths::engine_log(home_path).exists();
    let journal = engine::open_journal(&paths::journal(home_path), &genesis.chain_id(), &consensus_key, fresh)?;
    if let Some(journal) = &journal {
        // A validator signs at a height only when it has the block before.
        ledger.has_had(engine::newest_signed(journal).saturating_sub(1));
    }
    if let Some(had) = ledger.behind() {
        tracing::warn!(
            height = head.height,
            had,
            "the ledger is shorter than it was: catching up from the peers; reads are refused until then"
        );
    }

    let stats = peers::stats();
    let keeper = Arc::new(Gatekeeper::new(stats.clone()));
    let members = Arc::new(Members::new(ledger.membership()?));
    let own = OwnNode {
        organisation: organisation.id.clone(),
        id: network_key.public().to_peer_id(),
        consensus_key: card.consensus_key,
    };
    let tls_identity = home.tls_server()?;
    let tls = rpc::tls::MutualTls::new(organisation, &tls_identity.certificate_pem, &tls_identity.key_pem)?;
    let peering = Peering::new(own.id, config, members.clone(), keeper.clone(), tls.clone());

    let swarm = SubmissionSwarm::start(swarm::Setup {
        chain_id: genesis.chain_id(),
        key: network_key.clone(),
        listen: listen.mempool,
        peers: peering.submissions(),
        stats: stats.clone(),
        mempool: mempool.clone(),
        tips: tips.clone(),
        outgoing,
    })?;
    let swarm = tokio::spawn(swarm.run());

    let (stop, stopped) = watch::channel(false);
    let api = rpc::Api::new(rpc::Parts {
        organisation: organisation.id.clone(),
        genesis: genesis.clone(),
        ledger: ledger.clone(),
        mempool: mempool.clone(),
        tips: tips.clone(),
        members: members.clone(),
        own: Arc::new(own.clone()),
        stats: stats.clone(),
        health: health.clone(),
        data: paths::data(home_path),
        witness: witness_key(&home),
        limits: config.rpc(),
        closing: stopped.clone(),
    });
    let monitor = ports.monitor.map(|listener| tokio::spawn(rpc::monitor::serve(listener, api.clone())));
    let rpc = tokio::spawn(rpc::serve(ports.rpc, tls, api, until(stopped.clone())));

    let consensus = Consensus {
        genesis: &genesis,
        moniker: organisation.id.to_string(),
        card,
        own,
        listen: listen.consensus,
        members,
        keeper,
        stats,
        peering: Mutex::new(Some(peering)),
        network_key,
        consensus_key,
        wal: &wal,
        journal,
        config,
        ledger: ledger.clone(),
        mempool,
        tips: tips.clone(),
        health: health.clone(),
        conduct,
    };
    let consensus = consensus.run(until(stopped));
    tokio::pin!(consensus);
    let mut ended = false;
    let ending = tokio::select! {
        outcome = &mut consensus => { ended = true; match outcome {
            Ok(Some(Stopped::MaySign)) => {
                tracing::info!("caught up: starting again to vote");
                Ending::Restart
            }
            Ok(Some(Stopped::BlockLost)) => Ending::Restart,
            // It goes on answering its own organisation from what it has, and is quiet.
            Ok(Some(Stopped::Removed)) => {
                tracing::error!(organisation = %organisation.id, height = ledger.head().height,
                    "治理已移出本节点，不再参与账本 · governance has removed this node: it takes no part in the ledger any more");
                swarm.abort();
                tips.lost_all();
                tokio::select! {
                    signal = terminated() => {
                        tracing::info!(signal = signal?, "stopping");
                        Ending::Stopped
                    }
                    reason = health.failed() => {
                        tracing::error!(%reason, "stopping");
                        Ending::Failed
                    }
                }
            }
            Ok(None) => Ending::Stopped,
            Err(error) => {
                let advice = recovery::advice(error.as_ref(), home_path);
                health.fail(advice.map_or(format!("consensus: {error:#}"), |advice| format!("{advice} ({error:#})")));
                Ending::Failed
            }
        }},
        signal = terminated() => {
            tracing::info!(signal = signal?, "stopping");
            Ending::Stopped
        }
        // The reason was logged where it was found.
        _ = health.failed() => Ending::Failed,
    };
    if ending == Ending::Failed {
        if let Some(advice) = recovery::full_disk_advice(home_path) {
            tracing::error!("{advice}");
        }
        tokio::time::sleep(LAST_WORDS).await;
    }
    stop.send_replace(true);
    if ending == Ending::Stopped && !ended {
        let _ = tokio::time::timeout(SHUTDOWN, consensus).await;
    }
    let _ = rpc.await;
    if let Some(monitor) = monitor {
        monitor.abort();
    }
    swarm.abort();
    Ok(ending)
}

/// What consensus needs each time that its engine is started.
struct Consensus<'a> {
    genesis: &'a Genesis,
    moniker: String,
    card: &'a ValidatorCard,
    own: OwnNode,
    listen: SocketAddr,
    members: Arc<Members>,
    keeper: Arc<Gatekeeper>,
    stats: Arc<PeerStats>,
    peering: Mutex<Option<Peering>>,
    network_key: libp2p::identity::Keypair,
    consensus_key: Arc<SecretKey>,
    wal: &'a Path,
    /// `None`: this node never votes until its key is rotated.
    journal: Option<Arc<Mutex<Journal>>>,
    config: &'a NodeConfig,
    ledger: Arc<Ledger>,
    mempool: Arc<Mempool>,
    tips: Arc<Tips>,
    health: Health,
    conduct: Arc<dyn Conduct>,
}

impl Consensus<'_> {
    /// Votes until `stop`, or observes until it may vote.
    async fn run(&self, stop: impl Future<Output = ()>) -> anyhow::Result<Option<Stopped>> {
        tokio::pin!(stop);
        tokio::select! {
            listened = self.listen_first() => listened?,
            () = &mut stop => return Ok(None),
        }
        let start = self.ledger.head().height + 1;
        let observe = match &self.journal {
            None => Some(u64::MAX),
            Some(journal) => engine::clearance(journal, start, self.wal)
                .map_err(|error| anyhow!("cannot tell what may be signed: {error:#}"))?,
        };
        self.health.observe_through(observe);
        if let Some(height) = observe {
            tracing::warn!(through = height, "observing without a vote");
        }
        let mut peering = self
            .peering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| anyhow!("consensus was started twice"))?;
        let peers = peering.apply();
        let mut engine = Engine::start(engine::Setup {
            chain_id: self.genesis.chain_id(),
            moniker: self.moniker.clone(),
            listen: self.listen,
            peers: peers.iter().cloned().collect(),
            keeper: self.keeper.clone(),
            network_key: self.network_key.clone(),
            consensus_key: self.consensus_key.clone(),
            wal: self.wal,
            journal: if observe.is_some() { None } else { self.journal.clone() },
            health: self.health.clone(),
            conduct: self.conduct.as_ref(),
        })
        .await
        .map_err(|error| anyhow!("cannot start the consensus engine: {error:#}"))?;
        let following = tokio::spawn(peering.run(engine.channels.net_requests.clone(), peers));
        let driver = Driver::new(Parts {
            ledger: self.ledger.clone(),
            mempool: self.mempool.clone(),
            tips: self.tips.clone(),
            pace: self.config.pace(),
            chain_id: self.genesis.chain_id(),
            me: Address(validators::address(&self.card.consensus_key).0),
            conduct: self.conduct.clone(),
            own: self.own.clone(),
            members: self.members.clone(),
            keeper: self.keeper.clone(),
            stats: self.stats.clone(),
            observe_through: observe,
            health: self.health.clone(),
        });
        let outcome = tokio::select! {
            outcome = driver.run(&mut engine.channels) => match outcome {
                Err(DriverError::DecidedUnknown { height, id }) => {
                    tracing::warn!(%height, %id, "the engine's log leads to a block that the ledger has lost");
                    Ok(Some(Stopped::BlockLost))
                }
                outcome => outcome.map(Some),
            },
            () = &mut stop => Ok(None),
        };
        following.abort();
        engine.stop().await;
        if matches!(outcome, Ok(Some(Stopped::BlockLost))) {
            // Without its log, the node sits this height out and gets the block from its peers.
            let aside = recovery::set_aside(&self.wal.join(engine::WAL_FILE)).context("cannot set the WAL aside")?;
            tracing::warn!(aside = %aside.display(), "the consensus WAL is set aside");
        }
        Ok(outcome?)
    }

    /// A validator with an empty journal may have lost its disk, and with it what it signed. If the
    /// peers are ahead, it abstains through the height that they are deciding now.
    async fn listen_first(&self) -> anyhow::Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        if !engine::knows_nothing(journal) {
            return Ok(());
        }
        let members = self.members.now();
        let own = |key| key == &self.card.consensus_key;
        let others = members.validators().validators().iter().filter(|validator| !own(&validator.key)).count();
        let faulty = members.faulty();
        let heard = |enough: usize| async move {
            while self.tips.count() < enough {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // Nothing can be decided before a quorum is here; the others get a moment more.
        let quorum = heard(others.saturating_sub(faulty));
        if members.standing(&self.own) == Standing::Validator {
            quorum.await;
        } else {
            tracing::info!("waiting for the members' nodes; they answer when governance has admitted this one");
            // Of the validators that it knows, several may be members no more.
            heard(faulty + 1).await;
            let _ = tokio::time::timeout(NEWCOMER_PATIENCE, quorum).await;
        }
        let _ = tokio::time::timeout(LISTEN_FIRST, heard(others)).await;
        let highest = self.tips.reached_by_more_than(faulty);
        if highest > 0 {
            engine::abstain_after_loss(journal, highest.saturating_add(1))?;
        }
        Ok(())
    }
}

/// Ports that are kept from the start.
struct Ports {
    rpc: tokio::net::TcpListener,
    monitor: Option<tokio::net::TcpListener>,
}

/// Tries all ports, so that a busy one, or one that is given twice, gives one clear line; keeps those of the
/// RPC and the monitor.
fn bind(listen: &Listen) -> anyhow::Result<Ports> {
    let try_bind = |address: SocketAddr, purpose| match TcpListener::bind(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(PortBusy { address, purpose }.into()),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address} for {purpose}")),
    };
    // Held until all are tried: the engine would only log that it cannot listen, and go on alone.
    let _consensus = try_bind(listen.consensus, "consensus")?;
    let _submissions = try_bind(listen.mempool, "submissions")?;
    let keep = |address: SocketAddr, purpose| match rpc_socket(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(anyhow::Error::from(PortBusy { address, purpose }))
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address} for {purpose}")),
    };
    let rpc = keep(listen.rpc, "RPC")?;
    let monitor = listen.monitor.map(|address| keep(address, "metrics and health")).transpose()?;
    Ok(Ports { rpc, monitor })
}

/// A listener whose connections keep little in the kernel, so that a client which does not read its answer
/// or events is noticed before megabytes have been written for it.
fn rpc_socket(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as the node; without it there is nothing to wait for either.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn terminated() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
