//! The configuration of a node: flags over environment over `DIR/node.json` over what the genesis
//! announces over defaults. Every value is checked where it is read and keeps its source, so that
//! `qz-node config` can say why the node runs as it does. What is not understood is refused.
//!
//! ```json
//! {
//!   "rpc_listen": "0.0.0.0:27200",
//!   "peers": { "notary": { "consensus": "/ip4/10.0.0.3/tcp/27000", "mempool": "/ip4/10.0.0.3/tcp/27100" } },
//!   "heartbeat_ms": 5000,
//!   "log_format": "json"
//! }
//! ```

mod address;
mod options;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use libp2p::multiaddr::Multiaddr;
use malachitebft_core_types::LinearTimeouts;
use qz_evidence::genesis::ValidatorCard;
use serde_json::{Map, Value, json};

use crate::consensus::driver::Pace;
use crate::mempool::pool::Limits;
use crate::rpc::limits::RpcLimits;
use address::{socket_of, socket_of_url};
use options::{Kind, OPTIONS, Spec, spec};

/// Variables of the environment begin so.
const PREFIX: &str = "QZ_NODE_";

/// Who set an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Default,
    Genesis,
    File,
    Environment,
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Default => "default",
            Source::Genesis => "genesis",
            Source::File => "node.json",
            Source::Environment => "environment",
            Source::Flag => "flag",
        })
    }
}

/// What was set, by whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeConfig {
    values: BTreeMap<&'static str, (String, Source)>,
    /// By organisation.
    peers: BTreeMap<String, PeerAddresses>,
}

/// Where one organisation's node really is.
#[derive(Clone, Debug, Default)]
struct PeerAddresses {
    consensus: Option<(Multiaddr, Source)>,
    mempool: Option<(Multiaddr, Source)>,
}

/// The ports of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen {
    pub consensus: SocketAddr,
    pub mempool: SocketAddr,
    pub rpc: SocketAddr,
    /// For Prometheus and a supervisor; off unless set.
    pub monitor: Option<SocketAddr>,
}

impl NodeConfig {
    /// Reads `DIR/node.json` and the environment; `flags` are `key=value`.
    pub(crate) fn load(home: &Path, flags: &[String]) -> anyhow::Result<Self> {
        let path = home.join("node.json");
        let file = match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} is not a JSON object", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(PREFIX).then(|| (name, value.to_string_lossy().into_owned()))
        });
        let mut config = Self::default();
        config.read_file(&file).with_context(|| path.display().to_string())?;
        config.read_environment(environment).context("environment")?;
        config.read_flags(flags).context("--set")?;
        config.check_together()?;
        Ok(config)
    }

    fn read_file(&mut self, file: &Map<String, Value>) -> anyhow::Result<()> {
        for (key, value) in file {
            match (key.as_str(), value) {
                ("peers", peers) => self.read_peers(peers, Source::File)?,
                (key, Value::String(text)) => self.set(key, text, Source::File)?,
                (key, Value::Number(number)) => self.set(key, &number.to_string(), Source::File)?,
                (key, other) => {
                    spec(key)?;
                    bail!("{key} = {other}: expected a string or a number");
                }
            }
        }
        Ok(())
    }

    fn read_environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<()> {
        for (name, value) in variables {
            let key = name.strip_prefix(PREFIX).unwrap_or(&name).to_ascii_lowercase();
            if key == "peers" {
                let peers = serde_json::from_str(&value).with_context(|| format!("{name} is not JSON"))?;
                self.read_peers(&peers, Source::Environment).context(name)?;
            } else {
                self.set(&key, &value, Source::Environment).context(name)?;
            }
        }
        Ok(())
    }

    fn read_flags(&mut self, flags: &[String]) -> anyhow::Result<()> {
        for flag in flags {
            let (key, value) = flag.split_once('=').ok_or_else(|| anyhow!("{flag}: expected KEY=VALUE"))?;
            match key.split('.').collect::<Vec<_>>()[..] {
                ["peers", organisation, network] => self.set_peer(organisation, network, value, Source::Flag)?,
                _ => self.set(key, value, Source::Flag)?,
            }
        }
        Ok(())
    }

    fn read_peers(&mut self, peers: &Value, source: Source) -> anyhow::Result<()> {
        let of = |value: &Value| value.as_object().cloned();
        for (organisation, addresses) in of(peers).ok_or_else(|| anyhow!("peers: expected an object"))? {
            let addresses = of(&addresses).ok_or_else(|| anyhow!("peers.{organisation}: expected an object"))?;
            for (network, address) in addresses {
                let address = address.as_str().ok_or_else(|| anyhow!("peers.{organisation}.{network}: no string"))?;
                self.set_peer(&organisation, &network, address, source)?;
            }
        }
        Ok(())
    }

    fn set_peer(&mut self, organisation: &str, network: &str, address: &str, source: Source) -> anyhow::Result<()> {
        let parsed = address
            .parse()
            .with_context(|| format!("peers.{organisation}.{network} = {address:?}: expected /ip4/ADDRESS/tcp/PORT"))?;
        let addresses = self.peers.entry(organisation.to_owned()).or_default();
        match network {
            "consensus" => addresses.consensus = Some((parsed, source)),
            "mempool" => addresses.mempool = Some((parsed, source)),
            other => bail!("peers.{organisation} has `consensus` and `mempool`, not `{other}`"),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, source: Source) -> anyhow::Result<()> {
        let spec = spec(key)?;
        spec.check(value)?;
        self.values.insert(spec.key, (value.to_owned(), source));
        Ok(())
    }

    fn check_together(&self) -> anyhow::Result<()> {
        for (part, whole) in [
            ("rpc_connections_per_organisation", "rpc_connections"),
            ("mempool_per_organisation", "mempool_submissions"),
        ] {
            let (p, w) = (self.number(part), self.number(whole));
            ensure!(p <= w, "{part} = {p} is more than {whole} = {w}");
        }
        Ok(())
    }

    fn given(&self, key: &'static str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str())
    }

    /// An option's value, the default included.
    fn text(&self, key: &'static str) -> &str {
        let default = || OPTIONS.iter().find(|spec| spec.key == key).and_then(|spec| spec.default);
        self.given(key).or_else(default).unwrap_or_default()
    }

    fn number(&self, key: &'static str) -> u64 {
        self.text(key).parse().expect("numbers are checked when they are set, defaults by a test")
    }

    fn size(&self, key: &'static str) -> usize {
        usize::try_from(self.number(key)).unwrap_or(usize::MAX)
    }

    fn rate(&self, key: &'static str) -> u32 {
        u32::try_from(self.number(key)).unwrap_or(u32::MAX)
    }

    fn millis(&self, key: &'static str) -> Duration {
        Duration::from_millis(self.number(key))
    }

    fn socket(&self, key: &'static str) -> Option<SocketAddr> {
        self.given(key).map(|value| value.parse().expect("addresses are checked when they are set"))
    }

    /// Own ports: the configuration's, else those that the genesis announces.
    pub(crate) fn listen(&self, card: &ValidatorCard) -> anyhow::Result<Listen> {
        let announced = |given: Option<SocketAddr>, address: &str| match given {
            Some(given) => Ok(given),
            None => socket_of(&address.parse()?),
        };
        Ok(Listen {
            consensus: announced(self.socket("consensus_listen"), &card.consensus_address)
                .context("own consensus address")?,
            mempool: announced(self.socket("mempool_listen"), &card.mempool_address).context("own mempool address")?,
            rpc: match self.socket("rpc_listen") {
                Some(given) => given,
                None => socket_of_url(&card.rpc_url).context("own RPC URL")?,
            },
            monitor: self.socket("monitor_listen"),
        })
    }

    /// Consensus and mempool address of a peer organisation.
    pub(crate) fn peer(&self, organisation: &str, card: &ValidatorCard) -> anyhow::Result<(Multiaddr, Multiaddr)> {
        let given = self.peers.get(organisation).cloned().unwrap_or_default();
        let or_announced = |given: Option<(Multiaddr, Source)>, announced: &str| match given {
            Some((given, _)) => Ok(given),
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
    pub(crate) fn pace(&self) -> Pace {
        let (propose, prevote, precommit) =
            (self.millis("propose_ms"), self.millis("prevote_ms"), self.millis("precommit_ms"));
        let timeouts = LinearTimeouts {
            propose,
            prevote,
            precommit,
            rebroadcast: propose + prevote + precommit,
            ..Default::default()
        };
        Pace { timeouts, heartbeat: self.millis("heartbeat_ms") }
    }

    /// Bounds of the mempool.
    pub(crate) fn mempool(&self) -> Limits {
        Limits {
            count: self.size("mempool_submissions"),
            bytes: self.size("mempool_bytes"),
            per_organisation: self.size("mempool_per_organisation"),
        }
    }

    /// Bounds of the RPC.
    pub(crate) fn rpc(&self) -> RpcLimits {
        RpcLimits {
            connections: self.size("rpc_connections"),
            connections_per_organisation: self.size("rpc_connections_per_organisation"),
            handshakes: self.size("rpc_handshakes"),
            handshake_timeout: self.millis("rpc_handshake_ms"),
            header_timeout: self.millis("rpc_header_ms"),
            body_timeout: self.millis("rpc_body_ms"),
            write_timeout: self.millis("rpc_write_ms"),
            request_timeout: self.millis("rpc_request_ms"),
            requests_per_second: self.rate("rpc_requests_per_second"),
            request_burst: self.rate("rpc_request_burst"),
            proofs: self.size("rpc_proofs"),
            proof_bytes: self.size("rpc_proof_bytes"),
            streams_per_organisation: self.size("rpc_streams_per_organisation"),
            stream_buffer: self.size("rpc_stream_buffer"),
            stream_patience: self.millis("rpc_stream_patience_ms"),
            stream_heartbeat: self.millis("rpc_stream_heartbeat_ms"),
            drain: self.millis("rpc_drain_ms"),
        }
    }

    /// Log filter. `RUST_LOG` stands between the flags and the environment of this program and its file.
    pub(crate) fn log(&self) -> String {
        match (self.values.get("log"), std::env::var("RUST_LOG")) {
            (Some((filter, Source::Flag | Source::Environment)), _) => filter.clone(),
            (_, Ok(filter)) if !filter.is_empty() => filter,
            _ => self.text("log").to_owned(),
        }
    }

    /// Whether the log is JSON, one object a line.
    pub(crate) fn log_is_json(&self) -> bool {
        self.text("log_format") == "json"
    }

    /// Every option with its value and who set it: (name, value, source). Null is off.
    pub(crate) fn effective(&self, card: &ValidatorCard) -> anyhow::Result<Vec<(String, Value, Source)>> {
        let listen = self.listen(card)?;
        let announced =
            [("consensus_listen", listen.consensus), ("mempool_listen", listen.mempool), ("rpc_listen", listen.rpc)];
        let mut all: Vec<_> = OPTIONS
            .iter()
            .map(|spec: &Spec| {
                let (value, source) = match (self.values.get(spec.key), announced.iter().find(|a| a.0 == spec.key)) {
                    (Some((value, source)), _) => (Some(value.clone()), *source),
                    (None, Some((_, address))) => (Some(address.to_string()), Source::Genesis),
                    (None, None) => (spec.default.map(str::to_owned), Source::Default),
                };
                let value = match (value, spec.kind) {
                    (None, _) => Value::Null,
                    (Some(value), Kind::Number { .. }) => value.parse::<u64>().map_or(Value::Null, |n| json!(n)),
                    (Some(value), _) => json!(value),
                };
                (spec.key.to_owned(), value, source)
            })
            .collect();
        for (organisation, addresses) in &self.peers {
            for (network, given) in [("consensus", &addresses.consensus), ("mempool", &addresses.mempool)] {
                if let Some((address, source)) = given {
                    all.push((format!("peers.{organisation}.{network}"), json!(address.to_string()), *source));
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use qz_evidence::Hash32;

    use super::*;

    fn card() -> ValidatorCard {
        ValidatorCard {
            power: 1,
            consensus_key: Hash32([1; 32]),
            network_key: Hash32([2; 32]),
            consensus_address: "/ip4/127.0.0.1/tcp/27000".to_owned(),
            mempool_address: "/dns4/node.example/tcp/27100".to_owned(),
            rpc_url: "https://127.0.0.1:27200".to_owned(),
        }
    }

    fn read(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<NodeConfig> {
        let mut config = NodeConfig::default();
        config.read_file(&serde_json::from_str(file)?)?;
        config.read_environment(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))?;
        config.read_flags(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())?;
        config.check_together()?;
        Ok(config)
    }

    #[test]
    fn flags_over_environment_over_file_over_genesis_over_default() {
        let file = r#"{"heartbeat_ms": 1000, "propose_ms": 100, "rpc_listen": "127.0.0.1:1",
            "peers": {"notary": {"consensus": "/ip4/10.0.0.3/tcp/1", "mempool": "/ip4/10.0.0.3/tcp/2"}}}"#;
        let environment = [("QZ_NODE_HEARTBEAT_MS", "2000"), ("QZ_NODE_PROPOSE_MS", "200")];
        let flags = ["heartbeat_ms=3000", "peers.notary.mempool=/ip4/10.0.0.9/tcp/2"];
        let config = read(file, &environment, &flags).unwrap();
        let effective = config.effective(&card()).unwrap();
        let found = |key: &str| {
            let (_, value, source) = effective.iter().find(|(name, ..)| name == key).unwrap();
            (value.clone(), *source)
        };
        assert_eq!(found("heartbeat_ms"), (json!(3000), Source::Flag));
        assert_eq!(found("propose_ms"), (json!(200), Source::Environment));
        assert_eq!(found("rpc_listen"), (json!("127.0.0.1:1"), Source::File));
        assert_eq!(found("mempool_listen"), (json!("0.0.0.0:27100"), Source::Genesis));
        assert_eq!(found("prevote_ms"), (json!(500), Source::Default));
        assert_eq!(found("monitor_listen"), (Value::Null, Source::Default));
        assert_eq!(found("peers.notary.mempool"), (json!("/ip4/10.0.0.9/tcp/2"), Source::Flag));
        assert_eq!(found("peers.notary.consensus"), (json!("/ip4/10.0.0.3/tcp/1"), Source::File));
        assert_eq!(config.pace().heartbeat, Duration::from_secs(3));
        assert_eq!(config.pace().timeouts.propose, Duration::from_millis(200));
        assert_eq!(config.listen(&card()).unwrap().rpc.to_string(), "127.0.0.1:1");
    }

    #[test]
    fn what_is_not_understood_is_refused_wherever_it_stands() {
        let error = |outcome: anyhow::Result<NodeConfig>| format!("{:#}", outcome.unwrap_err());
        assert!(error(read(r#"{"rpc_conections": 1}"#, &[], &[])).contains("`rpc_connections`"));
        assert!(error(read("{}", &[("QZ_NODE_HEARTBEAT", "1")], &[])).contains("`heartbeat_ms`"));
        assert!(error(read("{}", &[], &["lag=json"])).contains("`log`"));
        assert!(error(read("{}", &[], &["log"])).contains("KEY=VALUE"));
        assert!(error(read(r#"{"heartbeat_ms": 1}"#, &[], &[])).contains("50 to 60000 ms"));
        assert!(error(read(r#"{"heartbeat_ms": true}"#, &[], &[])).contains("expected a string or a number"));
        assert!(error(read(r#"{"peers": {"notary": {"rpc": "x"}}}"#, &[], &[])).contains("peers.notary"));
        assert!(error(read("{}", &[], &["rpc_connections=100"])).contains("rpc_connections_per_organisation"));
        assert!(error(read("{}", &[], &["mempool_submissions=100"])).contains("mempool_per_organisation"));
    }

    #[test]
    fn the_limits_of_the_code_are_the_defaults_of_the_table() {
        let config = NodeConfig::default();
        assert_eq!(format!("{:?}", config.rpc()), format!("{:?}", RpcLimits::default()));
        assert_eq!(format!("{:?}", config.mempool()), format!("{:?}", Limits::default()));
        assert_eq!(config.pace().heartbeat, Duration::from_secs(5));
        assert!(!config.log_is_json() && config.text("log").starts_with("info,"));
    }
}
