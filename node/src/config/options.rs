//! Every option of a node, once: its name, what it may be, and what it is unless somebody says otherwise.
//! `docs/OPERATIONS.md` lists the same; a test compares.

use std::net::SocketAddr;

/// What an option may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `HOST:PORT`.
    Socket,
    /// `HOST:PORT` of a loopback address.
    Loopback,
    /// A whole number within this range, both ends included.
    Number { unit: &'static str, from: u64, to: u64 },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A log filter such as `info,libp2p=warn`.
    Filter,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// Its name in the file; in upper case after `QZ_NODE_` that of its variable.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is if nobody sets it; nothing for what the genesis says, or for off.
    pub default: Option<&'static str>,
}

const fn millis(key: &'static str, from: u64, to: u64, default: &'static str) -> Spec {
    Spec { key, kind: Kind::Number { unit: "ms", from, to }, default: Some(default) }
}

const fn count(key: &'static str, from: u64, to: u64, default: &'static str) -> Spec {
    Spec { key, kind: Kind::Number { unit: "", from, to }, default: Some(default) }
}

const fn bytes(key: &'static str, from: u64, to: u64, default: &'static str) -> Spec {
    Spec { key, kind: Kind::Number { unit: "bytes", from, to }, default: Some(default) }
}

const fn socket(key: &'static str) -> Spec {
    Spec { key, kind: Kind::Socket, default: None }
}

/// What is logged unless somebody says otherwise. The engine is talkative, and its network logs every
/// failed call of a peer that is down; the submission network says that once. Its vote keeper prints every
/// conflicting vote whole, its codec a line for every message that cannot be decoded, its handlers one for every
/// vote of nobody's; no peer may fill the log. The driver says once a height who equivocated, and the metrics count
/// the rest.
const DEFAULT_LOG: &str = "info,arc_malachitebft=warn,arc_malachitebft_network=off,arc_malachitebft_discovery=off,\
    arc_malachitebft_engine::network=off,\
    arc_malachitebft_core_votekeeper=error,arc_malachitebft_core_consensus::handle::vote=error,\
    arc_malachitebft_core_consensus::handle::proposal=error,arc_malachitebft_core_consensus::handle::liveness=error,\
    ractor=warn,libp2p=warn,libp2p_gossipsub=error";

/// All options that are one value; `peers` is the only other one.
pub(crate) const OPTIONS: &[Spec] = &[
    socket("consensus_listen"),
    socket("mempool_listen"),
    socket("rpc_listen"),
    Spec { key: "monitor_listen", kind: Kind::Loopback, default: None },
    Spec { key: "log", kind: Kind::Filter, default: Some(DEFAULT_LOG) },
    Spec { key: "log_format", kind: Kind::Word(&["text", "json"]), default: Some("text") },
    millis("heartbeat_ms", 50, 60_000, "5000"),
    millis("propose_ms", 50, 60_000, "1000"),
    millis("prevote_ms", 50, 60_000, "500"),
    millis("precommit_ms", 50, 60_000, "500"),
    count("mempool_submissions", 100, 1_000_000, "20000"),
    bytes("mempool_bytes", 1 << 20, 4 << 30, "67108864"),
    count("mempool_per_organisation", 10, 1_000_000, "10000"),
    count("rpc_connections", 16, 65_536, "512"),
    count("rpc_connections_per_organisation", 4, 65_536, "128"),
    count("rpc_handshakes", 16, 65_536, "128"),
    millis("rpc_handshake_ms", 1_000, 60_000, "10000"),
    millis("rpc_header_ms", 10_000, 600_000, "10000"),
    millis("rpc_body_ms", 1_000, 600_000, "10000"),
    millis("rpc_write_ms", 1_000, 600_000, "20000"),
    millis("rpc_request_ms", 65_000, 600_000, "90000"),
    count("rpc_requests_per_second", 10, 1_000_000, "5000"),
    count("rpc_request_burst", 10, 1_000_000, "10000"),
    count("rpc_proofs", 1, 256, "8"),
    bytes("rpc_proof_bytes", 1 << 16, 16 << 20, "16777216"),
    count("rpc_streams_per_organisation", 1, 1_024, "16"),
    count("rpc_stream_buffer", 16, 65_536, "256"),
    millis("rpc_stream_patience_ms", 1_000, 600_000, "10000"),
    millis("rpc_stream_heartbeat_ms", 500, 60_000, "10000"),
    millis("rpc_drain_ms", 0, 60_000, "5000"),
];

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionError {
    /// There is no such option.
    #[error("there is no option `{0}`{hint}", hint = .1.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown(String, Option<&'static str>),
    /// The value is not one that the option may have.
    #[error("{key} = {value:?}: {must}")]
    Value {
        /// The option.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it must be.
        must: String,
    },
}

/// The option of this name.
pub(crate) fn spec(key: &str) -> Result<&'static Spec, OptionError> {
    OPTIONS.iter().find(|spec| spec.key == key).ok_or_else(|| OptionError::Unknown(key.to_owned(), nearest(key)))
}

impl Spec {
    /// Whether the option may have this value.
    pub(crate) fn check(&self, value: &str) -> Result<(), OptionError> {
        if self.accepts(value) {
            return Ok(());
        }
        Err(OptionError::Value { key: self.key, value: value.to_owned(), must: format!("expected {}", self.range()) })
    }

    fn accepts(&self, value: &str) -> bool {
        match self.kind {
            Kind::Socket => value.parse::<SocketAddr>().is_ok(),
            Kind::Loopback => value.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()),
            Kind::Number { from, to, .. } => value.parse().is_ok_and(|number| (from..=to).contains(&number)),
            Kind::Word(words) => words.contains(&value),
            Kind::Filter => tracing_subscriber::EnvFilter::try_new(value).is_ok(),
        }
    }

    /// What the option may be, for people.
    pub(crate) fn range(&self) -> String {
        match self.kind {
            Kind::Socket => "HOST:PORT with an IP address".to_owned(),
            Kind::Loopback => "HOST:PORT with a loopback address".to_owned(),
            Kind::Number { unit: "", from, to } => format!("{from} to {to}"),
            Kind::Number { unit, from, to } => format!("{from} to {to} {unit}"),
            Kind::Word(words) => words.join(" or "),
            Kind::Filter => "a log filter such as info,libp2p=warn".to_owned(),
        }
    }
}

/// The option whose name is closest, if one is close at all.
fn nearest(key: &str) -> Option<&'static str> {
    let names = OPTIONS.iter().map(|spec| spec.key).chain(["peers"]);
    let (distance, name) = names.map(|name| (distance(key, name), name)).min()?;
    (distance <= name.len().div_ceil(3)).then_some(name)
}

/// Letters to insert, remove or change until one word is the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn defaults_are_within_their_ranges_and_names_are_unique() {
        for (index, spec) in OPTIONS.iter().enumerate() {
            if let Some(default) = spec.default {
                spec.check(default).unwrap();
            }
            assert!(OPTIONS[..index].iter().all(|other| other.key != spec.key), "{}", spec.key);
        }
    }

    #[test]
    fn the_manual_lists_every_option_as_it_is() {
        let manual = include_str!("../../../docs/OPERATIONS.md");
        for spec in OPTIONS {
            // The default log filter is too long for a table.
            let default = match spec.default {
                Some(_) if spec.key == "log" => "see below",
                Some(default) => default,
                None => "",
            };
            let row = format!("| `{}` | {} | {default} |", spec.key, spec.range());
            assert!(manual.contains(&row), "docs/OPERATIONS.md lacks the row {row}");
        }
    }

    #[test]
    fn values_outside_are_refused_with_what_is_expected() {
        for (key, good, bad) in [
            ("heartbeat_ms", "50", "49"),
            ("heartbeat_ms", "60000", "60001"),
            ("rpc_listen", "0.0.0.0:27200", "localhost"),
            ("monitor_listen", "127.0.0.1:9", "0.0.0.0:9"),
            ("monitor_listen", "[::1]:9", "10.0.0.1:9"),
            ("log_format", "json", "xml"),
            ("log", "warn", "info,=="),
            ("rpc_proofs", "1", "-1"),
        ] {
            let spec = spec(key).unwrap();
            assert_eq!(spec.check(good), Ok(()), "{key}");
            assert!(spec.check(bad).unwrap_err().to_string().contains(&spec.range()), "{key}");
        }
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_nearest() {
        for (wrong, near) in [
            ("hearbeat_ms", Some("heartbeat_ms")),
            ("rpc_connection", Some("rpc_connections")),
            ("peer", Some("peers")),
        ] {
            assert_eq!(spec(wrong).unwrap_err(), OptionError::Unknown(wrong.to_owned(), near));
        }
        assert!(spec("colour").unwrap_err().to_string().ends_with("`colour`"));
        assert_eq!((distance("", "ab"), distance("kitten", "sitting"), distance("a", "a")), (2, 3, 0));
    }
}
