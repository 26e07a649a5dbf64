//! How often one visitor may ask what costs something: proofs that a node computes, numbers that could be
//! guessed, and the large download. Static pages are bounded by the number of connections alone.

use crate::server::connections::Peer;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// State proofs a minute for one visitor; as many at once.
const PROOFS: NonZeroU32 = NonZeroU32::new(120).expect("not zero");
/// Look-ups by number a minute for one visitor; as many at once. A number has 40 random bits.
const LOOK_UPS: NonZeroU32 = NonZeroU32::new(30).expect("not zero");
/// Downloads of the verifier a minute for one visitor; as many at once.
const DOWNLOADS: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// After so many checks visitors that have been quiet are forgotten, so that memory stays bounded.
const FORGET_EVERY: u32 = 1024;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// `GET /api/subjects/{id}/proof`
    Proof,
    /// `GET /api/certificates/{number}`
    LookUp,
    /// `GET /verifier.html`
    Download,
}

/// The limits of a portal.
#[derive(Debug)]
pub struct Limits {
    proofs: DefaultKeyedRateLimiter<IpAddr>,
    look_ups: DefaultKeyedRateLimiter<IpAddr>,
    downloads: DefaultKeyedRateLimiter<IpAddr>,
    trusted_proxies: Vec<IpAddr>,
    checks: AtomicU32,
}

impl Limits {
    /// With the reverse proxies that say truthfully for whom they ask.
    pub fn new(trusted_proxies: &[IpAddr]) -> Self {
        let limiter = |quota| RateLimiter::keyed(Quota::per_minute(quota));
        Self {
            proofs: limiter(PROOFS),
            look_ups: limiter(LOOK_UPS),
            downloads: limiter(DOWNLOADS),
            trusted_proxies: trusted_proxies.to_vec(),
            checks: AtomicU32::new(0),
        }
    }

    /// Who asks: the peer, or whom a trusted proxy names last; an IPv6 visitor by its /64.
    pub fn visitor(&self, peer: Option<Peer>, forwarded_for: Option<&str>) -> IpAddr {
        let Some(Peer(address)) = peer else { return IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let peer = address.ip().to_canonical();
        let named = forwarded_for.filter(|_| self.trusted_proxies.contains(&peer));
        let last = named.and_then(|list| list.rsplit(',').next()).and_then(|text| text.trim().parse().ok());
        match last.unwrap_or(peer).to_canonical() {
            IpAddr::V6(address) => {
                let prefix = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(prefix))
            }
            v4 => v4,
        }
    }

    /// May this visitor ask now? If not, after how long.
    pub fn check(&self, what: Limited, visitor: IpAddr) -> Result<(), Duration> {
        let limiter = match what {
            Limited::Proof => &self.proofs,
            Limited::LookUp => &self.look_ups,
            Limited::Download => &self.downloads,
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            for limiter in [&self.proofs, &self.look_ups, &self.downloads] {
                limiter.retain_recent();
            }
        }
        limiter.check_key(&visitor).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer(address.parse().unwrap()))
    }

    #[test]
    fn a_visitor_is_cut_off_and_others_are_not() {
        let limits = Limits::new(&[]);
        let (first, second) = (limits.visitor(peer("192.0.2.1:1"), None), limits.visitor(peer("192.0.2.2:1"), None));
        let allowed = (0..1000).filter(|_| limits.check(Limited::LookUp, first).is_ok()).count();
        assert!((30..40).contains(&allowed), "{allowed}");
        let wait = limits.check(Limited::LookUp, first).unwrap_err();
        assert!(wait <= Duration::from_secs(2), "{wait:?}");
        assert!(limits.check(Limited::LookUp, second).is_ok());
        assert!(limits.check(Limited::Proof, first).is_ok(), "each kind has its own limit");
    }

    #[test]
    fn who_asks() {
        let limits = Limits::new(&["192.0.2.9".parse().unwrap()]);
        let check = |from: &str, header: Option<&str>, expected: &str| {
            assert_eq!(limits.visitor(peer(from), header), expected.parse::<IpAddr>().unwrap(), "{from} {header:?}");
        };
        check("192.0.2.1:1", None, "192.0.2.1");
        check("192.0.2.1:1", Some("198.51.100.7"), "192.0.2.1");
        check("192.0.2.9:1", Some("198.51.100.7"), "198.51.100.7");
        check("192.0.2.9:1", Some("203.0.113.1, 198.51.100.7"), "198.51.100.7");
        check("192.0.2.9:1", Some("nonsense"), "192.0.2.9");
        check("[::ffff:192.0.2.1]:1", None, "192.0.2.1");
        check("[2001:db8:1:2:3:4:5:6]:1", None, "2001:db8:1:2::");
    }
}
