//! Stands between the engine and its network: everything that the engine wants to say passes through the
//! adversary first. What arrives is not touched.

use std::sync::Arc;

use async_trait::async_trait;
use malachitebft_app_channel::NetworkMsg as PartsMsg;
use malachitebft_engine::network::{NetworkMsg, NetworkRef};
use qz_node::seam::{Ctx, Network};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

use crate::adversary::Adversary;

/// The actor that the engine takes for its network.
struct Proxy {
    real: NetworkRef<Ctx>,
    adversary: Arc<Adversary>,
}

#[async_trait]
impl Actor for Proxy {
    type Msg = NetworkMsg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, _arguments: ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self, _myself: ActorRef<Self::Msg>, message: Self::Msg, _state: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        for said in self.adversary.outgoing(message) {
            self.real.cast(said)?;
        }
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<Self::Msg>, _state: &mut ()) -> Result<(), ActorProcessingErr> {
        self.real.stop(None);
        Ok(())
    }
}

/// Puts the adversary in front of a network.
pub(crate) async fn interpose(real: NetworkRef<Ctx>, adversary: Arc<Adversary>) -> eyre::Result<Network> {
    let (proxy, _) = Actor::spawn(None, Proxy { real, adversary }, ()).await?;
    let (parts, mut own_parts) = mpsc::channel::<PartsMsg<Ctx>>(1);
    let outgoing = proxy.clone();
    tokio::spawn(async move {
        while let Some(part) = own_parts.recv().await {
            if outgoing.cast(part.into()).is_err() {
                return;
            }
        }
    });
    Ok((proxy, parts))
}
