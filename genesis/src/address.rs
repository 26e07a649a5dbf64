//! Addresses of a validator: libp2p multiaddresses and the URL of its RPC. Only their form; nothing
//! is resolved or dialled.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use qz_evidence::genesis::ValidatorCard;
use std::net::{IpAddr, Ipv6Addr};
use thiserror::Error;

/// An address of wrong form.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Not host and TCP port.
    #[error("`{0}` is not a TCP multiaddress such as /ip4/127.0.0.1/tcp/27000")]
    Multiaddress(String),
    /// Not an https URL of host and port.
    #[error("`{0}` is not a URL such as https://127.0.0.1:27200 (https, host, port, no path)")]
    Url(String),
}

/// A host and a TCP port, nothing else, as libp2p writes them.
pub fn tcp_multiaddress(text: &str) -> Result<Multiaddr, AddressError> {
    let bad = || AddressError::Multiaddress(text.chars().take(256).collect());
    let address: Multiaddr = text.parse().map_err(|_| bad())?;
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    let host = |p: &Protocol<'_>| {
        matches!(p, Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
    };
    match &parts[..] {
        [first, Protocol::Tcp(port)] if host(first) && *port != 0 => Ok(address),
        _ => Err(bad()),
    }
}

/// Host and port of an RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcAddress {
    /// A DNS name, or an IP address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Parses `https://HOST:PORT`.
pub fn rpc_url(text: &str) -> Result<RpcAddress, AddressError> {
    let bad = || AddressError::Url(text.chars().take(256).collect());
    let rest = text.strip_prefix("https://").ok_or_else(bad)?;
    let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
    let canonical_port = port.parse::<u16>().ok().filter(|p| *p != 0 && p.to_string() == port).ok_or_else(bad)?;
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().map(|_| inner).map_err(|_| bad())?,
        None if is_dns_name(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => host,
        None => return Err(bad()),
    };
    Ok(RpcAddress { host: host.to_owned(), port: canonical_port })
}

fn is_dns_name(host: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let last_is_number = host.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && !last_is_number && host.split('.').all(label)
}

/// Checks the three addresses of a validator.
pub fn check(card: &ValidatorCard) -> Result<(), AddressError> {
    tcp_multiaddress(&card.consensus_address)?;
    tcp_multiaddress(&card.mempool_address)?;
    rpc_url(&card.rpc_url)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls() {
        let good = [
            ("https://127.0.0.1:27200", "127.0.0.1", 27200),
            ("https://localhost:443", "localhost", 443),
            ("https://[::1]:9", "::1", 9),
            ("https://node-1.court.example:8443", "node-1.court.example", 8443),
        ];
        for (text, host, port) in good {
            assert_eq!(rpc_url(text), Ok(RpcAddress { host: host.into(), port }), "{text}");
        }
        let bad = [
            "http://127.0.0.1:1",
            "https://127.0.0.1",
            "https://127.0.0.1:0",
            "https://127.0.0.1:65536",
            "https://:1",
            "https://host:1/",
            "https://host:1/path",
            "https://user@host:1",
            "https://host:01",
            "https://host:+1",
            "https://::1:9",
            "https://-a:1",
            "https://1.2.3:4",
            "",
            "https://a..b:1",
            "https://[::1:9",
        ];
        for text in bad {
            assert!(rpc_url(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn multiaddresses() {
        for text in ["/ip4/127.0.0.1/tcp/27000", "/ip6/::1/tcp/1", "/dns4/node.example/tcp/27000"] {
            assert!(tcp_multiaddress(text).is_ok(), "{text}");
        }
        let bad =
            ["", "127.0.0.1:27000", "/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1", "/ip4/127.0.0.1/tcp/0", "/tcp/1/tcp/2"];
        for text in bad {
            assert!(tcp_multiaddress(text).is_err(), "{text} was accepted");
        }
    }
}
