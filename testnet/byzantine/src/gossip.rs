//! A second voice in the submission network: a gossip client of its own with the same network key, which
//! floods or lies while the node beside it behaves.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, tcp, yamux};
use qz_evidence::{Hash32, SubjectId};
use qz_genesis::{Home, Purpose, peer};
use qz_node::seam::tip_message;

use crate::adversary::{FALSE_LEAD, misdeed};
use crate::hand::{Hand, random};
use crate::misconduct::Misconduct;

/// How long it goes on at most.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it speaks.
const FLOOD_PAUSE: Duration = Duration::from_millis(20);
const LIE_PAUSE: Duration = Duration::from_millis(300);
/// Messages of each sort in a burst.
const BURST: u32 = 20;
/// Longer than any peer accepts.
const OVERSIZED: usize = 4 * 1024 * 1024;
/// Far enough ahead for any submission that is to stay valid, near enough for the window.
const EXPIRY: u64 = 100;

/// The running client; it ends with this.
pub(crate) struct Gossiper {
    runtime: tokio::runtime::Runtime,
}

impl Drop for Gossiper {
    fn drop(&mut self) {
        tracing::debug!(tasks = self.runtime.metrics().num_alive_tasks(), "gossip client ends");
    }
}

struct Client {
    swarm: Swarm<gossipsub::Behaviour>,
    key: Keypair,
    peers: Vec<(PeerId, Multiaddr)>,
    submissions: IdentTopic,
    tips: IdentTopic,
    hand: Hand,
}

/// Starts the client of this folder's organisation on a thread of its own.
pub(crate) fn start(path: &Path, misconduct: Misconduct) -> anyhow::Result<Gossiper> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client = {
        let _inside = runtime.enter();
        Client::new(path)?
    };
    runtime.spawn(async move {
        let speak = client.run(misconduct);
        // Running out of time is how it is meant to end.
        let _ = tokio::time::timeout(LIMIT, speak).await;
    });
    Ok(Gossiper { runtime })
}

impl Client {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let home = Home::open(path)?;
        let genesis = home.genesis()?;
        let key = peer::keypair(&home.key(Purpose::Network)?)?;
        let chain = genesis.chain_id().to_string()[..16].to_owned();
        let config = gossipsub::ConfigBuilder::default()
            .protocol_id_prefix(format!("/qz/{chain}/mempool/2"))
            .validation_mode(ValidationMode::Anonymous)
            .max_transmit_size(2 * OVERSIZED)
            .flood_publish(true)
            .message_id_fn(|message| blake3::hash(&message.data).as_bytes().to_vec().into())
            .build()
            .map_err(|error| anyhow!("{error}"))?;
        let mut gossip =
            gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(|error| anyhow!("{error}"))?;
        let submissions = IdentTopic::new(format!("/qz/{chain}/submissions/1"));
        let tips = IdentTopic::new(format!("/qz/{chain}/tips/1"));
        for topic in [&submissions, &tips] {
            gossip.subscribe(topic)?;
        }
        let swarm = SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
            .with_behaviour(|_| gossip)?
            .build();
        let own = &home.organisation().id;
        let others = genesis.organisations().iter().filter(|organisation| organisation.id != *own);
        let peers = others
            .filter_map(|organisation| organisation.validator.as_ref())
            .map(|card| {
                let address = card.mempool_address.parse().context("an address in the genesis")?;
                Ok((peer::peer_id(&card.network_key)?, address))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { swarm, key, peers, submissions, tips, hand: Hand::of(&home, &genesis)? })
    }

    async fn run(mut self, misconduct: Misconduct) {
        let lying = misconduct == Misconduct::FalseTip;
        let mut speak = tokio::time::interval(if lying { LIE_PAUSE } else { FLOOD_PAUSE });
        let mut dial = tokio::time::interval(Duration::from_secs(1));
        let mut burst = 0u32;
        loop {
            tokio::select! {
                _ = self.swarm.select_next_some() => {}
                _ = dial.tick() => self.dial(),
                _ = speak.tick() => {
                    burst = burst.wrapping_add(1);
                    if lying {
                        misdeed(misconduct, "claims a higher chain");
                        let height = FALSE_LEAD + u64::from(burst);
                        if let Ok(tip) = tip_message::encode(&self.key, &self.hand.chain_id, height, height) {
                            self.say(self.tips.clone(), tip);
                        }
                    } else {
                        if burst.is_multiple_of(50) {
                            misdeed(misconduct, "floods the submission network");
                        }
                        self.flood(burst);
                    }
                }
            }
        }
    }

    fn dial(&mut self) {
        for (peer, address) in &self.peers {
            let options = DialOpts::peer_id(*peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![address.clone()])
                .build();
            // An error only says that the peer is connected or being called already.
            let _ = self.swarm.dial(options);
        }
    }

    /// Refused, malformed, valid and oversized submissions, and tips of no form.
    fn flood(&mut self, burst: u32) {
        let topic = self.submissions.clone();
        for _ in 0..BURST {
            let refused = self.hand.deposit(random(), EXPIRY, Some(SubjectId(Hash32(random()))));
            self.say(topic.clone(), message(burst, &refused));
            self.say(topic.clone(), message(burst, &random::<600>()));
            self.say(self.tips.clone(), random::<64>().to_vec());
        }
        let valid = self.hand.deposit(random(), EXPIRY, None);
        self.say(topic.clone(), message(burst, &valid));
        if burst.is_multiple_of(100) {
            self.say(topic, vec![0; OVERSIZED]);
        }
    }

    fn say(&mut self, topic: IdentTopic, message: Vec<u8>) {
        // Nobody to hear it yet, or full queues: the next burst comes.
        let _ = self.swarm.behaviour_mut().publish(topic, message);
    }
}

/// A gossiped submission: the number of the attempt and its bytes.
fn message(attempt: u32, submission: &[u8]) -> Vec<u8> {
    [&attempt.to_be_bytes(), submission].concat()
}
