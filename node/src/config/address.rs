//! From the addresses that the genesis announces to sockets to listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, anyhow, bail};
use libp2p::multiaddr::{Multiaddr, Protocol};

/// Host and port of a multiaddress; a DNS name means all interfaces.
pub(super) fn socket_of(address: &Multiaddr) -> anyhow::Result<SocketAddr> {
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
pub(super) fn socket_of_url(url: &str) -> anyhow::Result<SocketAddr> {
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
}
