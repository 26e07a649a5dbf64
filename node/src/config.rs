//! `DIR/node.json`: where this node listens and where its peers are, when that differs from what the
//! genesis says. Every member may be left out, and so may the file.
//!
//! ```json
//! {
//!   "consensus_listen": "127.0.0.1:27000",
//!   "mempool_listen": "127.0.0.1:27100",
//!   "rpc_listen": "127.0.0.1:27200",
//!   "peers": { "notary": { "consensus": "/ip4/127.0.0.1/tcp/27001", "mempool": "/ip4/127.0.0.1/tcp/27101" } },
//!   "heartbeat_ms": 5000,
//!   "propose_ms": 1000, "prevote_ms": 500, "precommit_ms": 500,
//!   "log": "info"
//! }
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use libp2p::multiaddr::{Multiaddr, Protocol};
use malachitebft_core_types::LinearTimeouts;
use qz_evidence::genesis::ValidatorCard;
use serde::Deserialize;

use crate::consensus::driver::Pace;

/// The file as written by the operator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfig {
    consensus_listen: Option<SocketAddr>,
    mempool_listen: Option<SocketAddr>,
    rpc_listen: Option<SocketAddr>,
    peers: BTreeMap<String, PeerAddresses>,
    heartbeat_ms: Option<u64>,
    propose_ms: Option<u64>,
    prevote_ms: Option<u64>,
    precommit_ms: Option<u64>,
    log: Option<String>,
}

/// Where one organisation's node really is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PeerAddresses {
    consensus: Option<Multiaddr>,
    mempool: Option<Multiaddr>,
}

/// The three ports of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen {
    pub consensus: SocketAddr,
    pub mempool: SocketAddr,
    pub rpc: SocketAddr,
}

impl NodeConfig {
    /// Reads `DIR/node.json`, or gives the defaults if there is none.
    pub(crate) fn load(home: &Path) -> anyhow::Result<Self> {
        let path = home.join("node.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not a node configuration", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Own ports: the configuration's, else those that the genesis announces.
    pub(crate) fn listen(&self, card: &ValidatorCard) -> anyhow::Result<Listen> {
        let announced = |given: Option<SocketAddr>, address: &str| match given {
            Some(given) => Ok(given),
            None => socket_of(&address.parse()?),
        };
        Ok(Listen {
            consensus: announced(self.consensus_listen, &card.consensus_address).context("own consensus address")?,
            mempool: announced(self.mempool_listen, &card.mempool_address).context("own mempool address")?,
            rpc: match self.rpc_listen {
                Some(given) => given,
                None => socket_of_url(&card.rpc_url).context("own RPC URL")?,
            },
        })
    }

    /// Consensus and mempool address of a peer organisation.
    pub(crate) fn peer(&self, organisation: &str, card: &ValidatorCard) -> anyhow::Result<(Multiaddr, Multiaddr)> {
        let given = self.peers.get(organisation).cloned().unwrap_or_default();
        let or_announced = |given: Option<Multiaddr>, announced: &str| match given {
            Some(given) => Ok(given),
            None => announced
                .parse::<Multiaddr>()
                .with_context(|| format!("address of {organisation} in the genesis: {announced}")),
        };
        Ok((
            or_announced(given.consensus, &card.consensus_address)?,
            or_announced(given.mempool, &card.mempool_address)?,
        ))
    }

    /// Timeouts and heartbeat.
    pub(crate) fn pace(&self) -> anyhow::Result<Pace> {
        let millis = |given: Option<u64>, default| {
            let value = given.unwrap_or(default);
            ensure!((50..=60_000).contains(&value), "{value} ms is not between 50 and 60000");
            Ok(Duration::from_millis(value))
        };
        let propose = millis(self.propose_ms, 1_000).context("propose_ms")?;
        let prevote = millis(self.prevote_ms, 500).context("prevote_ms")?;
        let precommit = millis(self.precommit_ms, 500).context("precommit_ms")?;
        let timeouts = LinearTimeouts {
            propose,
            prevote,
            precommit,
            rebroadcast: propose + prevote + precommit,
            ..Default::default()
        };
        Ok(Pace { timeouts, heartbeat: millis(self.heartbeat_ms, 5_000).context("heartbeat_ms")? })
    }

    /// Log filter of the configuration.
    pub(crate) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

/// Host and port of a multiaddress; a DNS name means all interfaces.
fn socket_of(address: &Multiaddr) -> anyhow::Result<SocketAddr> {
    let mut host = None;
    for protocol in address {
        match protocol {
            Protocol::Ip4(ip) => host = Some(IpAddr::V4(ip)),
            Protocol::Ip6(ip) => host = Some(IpAddr::V6(ip)),
            Protocol::Dns(_) | Protocol::Dns4(_) => host = Some(Ipv4Addr::UNSPECIFIED.into()),
            Protocol::Tcp(port) => {
                let host = host.ok_or_else(|| anyhow!("{address} names no host"))?;
                return Ok(SocketAddr::new(host, port));
            }
            _ => bail!("{address} is not a TCP address"),
        }
    }
    bail!("{address} names no TCP port")
}

/// Host and port of `https://host:port`; a DNS name means all interfaces.
fn socket_of_url(url: &str) -> anyhow::Result<SocketAddr> {
    let authority = url
        .strip_prefix("https://")
        .map(|rest| rest.trim_end_matches('/'))
        .ok_or_else(|| anyhow!("{url} does not start with https://"))?;
    if let Ok(address) = authority.parse() {
        return Ok(address);
    }
    let (_, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    let port = port.parse().with_context(|| format!("port of {url}"))?;
    Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_become_sockets() {
        let multi = |text: &str| socket_of(&text.parse().unwrap()).ok().map(|s| s.to_string());
        assert_eq!(multi("/ip4/127.0.0.1/tcp/27000").as_deref(), Some("127.0.0.1:27000"));
        assert_eq!(multi("/ip6/::1/tcp/5").as_deref(), Some("[::1]:5"));
        assert_eq!(multi("/dns4/node.example/tcp/7").as_deref(), Some("0.0.0.0:7"));
        assert_eq!(multi("/ip4/127.0.0.1/udp/7"), None);

        let url = |text: &str| socket_of_url(text).ok().map(|s| s.to_string());
        assert_eq!(url("https://127.0.0.1:27200").as_deref(), Some("127.0.0.1:27200"));
        assert_eq!(url("https://node.example:8443/").as_deref(), Some("0.0.0.0:8443"));
        assert_eq!(url("https://node.example").as_deref(), Some("0.0.0.0:443"));
        assert_eq!(url("http://127.0.0.1:1"), None);
    }

    #[test]
    fn unknown_members_and_wild_values_are_refused() {
        let parse = |text: &str| serde_json::from_str::<NodeConfig>(text);
        assert!(parse(r#"{"consensus_port": 1}"#).is_err());
        assert!(parse(r#"{"heartbeat_ms": 1}"#).unwrap().pace().is_err());
        let pace = parse("{}").unwrap().pace().unwrap();
        assert_eq!(pace.heartbeat, Duration::from_secs(5));
    }
}
