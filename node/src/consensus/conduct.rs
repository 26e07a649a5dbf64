//! What a validator does of its own will: which block it proposes and what it lets onto the network.
//!
//! [`Honest`] is the only conduct in this crate and the only one that `qz-node` can have. The trait is a
//! seam for tests: their adversaries are this same node, built as a program of its own that brings
//! another conduct, so that no misbehaviour is ever compiled into what is shipped.

use async_trait::async_trait;
use malachitebft_app_channel::NetworkIdentity;
use malachitebft_app_channel::NetworkMsg;
use malachitebft_app_channel::app::config::{ConsensusConfig, ValueSyncConfig};
use malachitebft_app_channel::app::metrics::SharedRegistry;
use malachitebft_app_channel::spawn::spawn_network_actor;
use malachitebft_engine::network::NetworkRef;
use qz_evidence::Hash32;
use tokio::sync::mpsc;

use super::codec::CountingCodec;
use super::context::Ctx;
use crate::ledger::{Built, Ledger, LedgerError};
use crate::mempool::pool::Waiting;
use crate::peers;

/// The engine's network, and where the parts of own proposals go.
pub type Network = (NetworkRef<Ctx>, mpsc::Sender<NetworkMsg<Ctx>>);

/// The choices of a validator. What is provided here is how honest validators choose.
#[async_trait]
pub trait Conduct: Send + Sync + 'static {
    /// The block to propose on the head of `ledger`, of the submissions that wait.
    fn propose(
        &self, ledger: &Ledger, waiting: &[Waiting], now_ms: u64, proposer: Hash32,
    ) -> Result<Built, LedgerError> {
        ledger.propose(waiting, now_ms, proposer)
    }

    /// Starts the network that the engine speaks through.
    async fn network(
        &self, identity: NetworkIdentity, consensus: &ConsensusConfig, sync: &ValueSyncConfig,
    ) -> eyre::Result<Network> {
        let registry = SharedRegistry::global().with_moniker(&identity.moniker);
        spawn_network_actor(identity, consensus, sync, &registry, CountingCodec(peers::stats())).await
    }
}

/// Proposes what waits and says what the engine says.
#[derive(Clone, Copy, Debug)]
pub struct Honest;

impl Conduct for Honest {}
