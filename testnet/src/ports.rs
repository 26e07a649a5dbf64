//! TCP ports of a test network, all on loopback, all checked before anything starts.
//!
//! Automatic ports lie below the kernel's ephemeral range: a port inside it can be taken by somebody's
//! outgoing connection while a killed node is down, and the node could not come back.

use anyhow::{Result, bail};
use std::net::{Ipv4Addr, TcpListener};

/// Nodes of the network.
pub const NODES: u16 = 4;
/// Ports in a row: three per node, one each for the gateway, the timestamp authority and the witness.
const COUNT: u16 = 3 * NODES + 3;
/// Where automatic ports may lie.
const RANGE: (u16, u16) = (20_000, 32_000);
/// Where the search starts unless told otherwise.
pub const DEFAULT_START: u16 = 27_000;

/// The ports of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

/// The three ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePorts {
    /// Consensus.
    pub consensus: u16,
    /// Submissions between nodes.
    pub mempool: u16,
    /// RPC.
    pub rpc: u16,
}

impl Ports {
    /// Exactly these ports; refuses if any is busy.
    pub fn at(base: u16) -> Result<Self> {
        if base < 1024 || base.checked_add(COUNT).is_none() {
            bail!("端口 {base} 不可用，请选 1024–{} · base port out of range", u16::MAX - COUNT);
        }
        let ports = Self { base };
        let busy = ports.busy();
        if !busy.is_empty() {
            let list = busy.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            bail!(
                "端口 {list} 已被占用，请换 --base-port 或不指定 · port {list} is busy: choose another --base-port, or none"
            );
        }
        Ok(ports)
    }

    /// The ports of a network that runs already.
    pub fn of_running(base: u16) -> Self {
        Self { base }
    }

    /// The first free row of ports at or after `start`, around the whole range.
    pub fn find(start: u16) -> Result<Self> {
        let rows = (RANGE.1 - RANGE.0) / COUNT;
        let first = start.clamp(RANGE.0, RANGE.1 - COUNT).saturating_sub(RANGE.0) / COUNT;
        let mut candidates = (0..rows).map(|i| RANGE.0 + (first + i) % rows * COUNT);
        match candidates.find(|base| Self { base: *base }.busy().is_empty()) {
            Some(base) => Ok(Self { base }),
            None => bail!("{}–{} 之间没有 {COUNT} 个连续空闲端口 · no {COUNT} free ports in a row", RANGE.0, RANGE.1),
        }
    }

    /// A row that other test networks of this machine hardly choose at the same moment.
    pub fn find_apart() -> Result<Self> {
        let spread = std::process::id() % u32::from(RANGE.1 - RANGE.0);
        Self::find(RANGE.0 + u16::try_from(spread).unwrap_or(0))
    }

    /// The first port of the row.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// Ports of node `index`, from 0.
    pub fn node(&self, index: u16) -> NodePorts {
        let first = self.base + 3 * index;
        NodePorts { consensus: first, mempool: first + 1, rpc: first + 2 }
    }

    /// The gateway's port.
    pub fn gateway(&self) -> u16 {
        self.base + 3 * NODES
    }

    /// The timestamp authority's port.
    pub fn tsa(&self) -> u16 {
        self.gateway() + 1
    }

    /// The outside witness' port.
    pub fn witness(&self) -> u16 {
        self.gateway() + 2
    }

    fn busy(&self) -> Vec<u16> {
        (self.base..self.base + COUNT).filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_busy_port_is_named_and_avoided() {
        let ports = Ports::find_apart().unwrap();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.node(1).rpc)).unwrap();
        let refusal = Ports::at(ports.base()).unwrap_err().to_string();
        assert!(refusal.contains(&ports.node(1).rpc.to_string()), "{refusal}");
        assert_ne!(Ports::find(ports.base()).unwrap(), ports);
        drop(held);
    }

    #[test]
    fn ports_are_distinct() {
        let ports = Ports { base: 20_000 };
        let mut all: Vec<u16> =
            (0..NODES).map(|i| ports.node(i)).flat_map(|n| [n.consensus, n.mempool, n.rpc]).collect();
        all.extend([ports.gateway(), ports.tsa(), ports.witness()]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), usize::from(COUNT));
    }
}
