//! A consortium of real `qz-node` processes on loopback, in a temporary folder. Dropping it kills them.

#![allow(dead_code, reason = "test support, not every test uses all of it")]

pub mod raw;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use qz_client::{Client, ClientConfig, Finalised, SignedSubmission};
use qz_evidence::commitment::Commitment;
use qz_evidence::genesis::Role;
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::Body;
use qz_evidence::{Hash32, Height, OrgId, SubmissionId, encode, validators};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::NewOrganisation;
use qz_genesis::{Home, ceremony};

/// The members, in the order of the genesis.
pub const NAMES: [&str; 4] = ["arbitration", "court", "notary", "platform"];

/// A member's relay key, and the ledger that it is for.
pub struct Relay {
    relay: qz_client::Relay,
    chain_id: Hash32,
}

/// The processes and their folders.
pub struct Network {
    folder: tempfile::TempDir,
    children: BTreeMap<&'static str, Child>,
    starts: usize,
    logs: BTreeMap<&'static str, PathBuf>,
}

impl Network {
    /// Makes keys and genesis of `count` members and starts all nodes.
    pub fn start(count: usize) -> Self {
        let mut network = Self::prepare(count);
        for name in NAMES.into_iter().take(count) {
            network.start_node(name);
        }
        network
    }

    /// Makes keys and genesis; starts nothing.
    pub fn prepare(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports(3 * count);
        let homes: Vec<_> = NAMES
            .into_iter()
            .take(count)
            .zip(ports.chunks(3))
            .map(|(name, ports)| {
                let new = NewOrganisation {
                    id: OrgId::new(name).unwrap(),
                    name_zh: format!("测试机构{name}"),
                    name_en: format!("Test {name}"),
                    roles: vec![Role::Attestor],
                    validator: Some(ValidatorDescription {
                        power: 1,
                        consensus_address: format!("/ip4/127.0.0.1/tcp/{}", ports[0]),
                        mempool_address: format!("/ip4/127.0.0.1/tcp/{}", ports[1]),
                        rpc_url: format!("https://127.0.0.1:{}", ports[2]),
                    }),
                };
                let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
                Home::create(&folder.path().join(name), new, today).unwrap()
            })
            .collect();
        let cards: Vec<_> = homes.iter().map(|home| home.card().unwrap()).collect();
        let body = ceremony::assemble("测试联盟", &cards, 1_700_000_000_000, false).unwrap().body;
        let sign = |home| encode(&ceremony::sign(home, &body, None).unwrap());
        let signatures: Vec<_> = homes.iter().map(sign).collect();
        let genesis = ceremony::finish(&body, &signatures).unwrap();
        for home in &homes {
            std::fs::write(home.genesis_path(), genesis.bytes()).unwrap();
        }
        Self { folder, children: BTreeMap::new(), starts: 0, logs: BTreeMap::new() }
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start_node(&mut self, name: &'static str) {
        self.start_node_with(name, &[]);
    }

    /// Starts a node with environment variables of its own.
    pub fn start_node_with(&mut self, name: &'static str, environment: &[(&str, &str)]) {
        self.starts += 1;
        let log = self.folder.path().join(format!("{name}-{}.log", self.starts));
        self.logs.insert(name, log.clone());
        let mut command = self.command("run", name);
        command.envs(environment.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(File::create(log).unwrap()).spawn().unwrap();
        assert!(self.children.insert(name, child).is_none(), "{name} runs already");
    }

    /// SIGKILL: no shutdown code runs.
    pub fn kill(&mut self, name: &'static str) {
        let mut child = self.children.remove(name).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Whether a node that was started has ended by itself; then it may be started again.
    pub fn has_ended(&mut self, name: &'static str) -> Option<ExitStatus> {
        let status = self.children.get_mut(name).unwrap().try_wait().unwrap()?;
        self.children.remove(name);
        Some(status)
    }

    /// Waits until a node ends by itself.
    pub async fn wait_for_end(&mut self, name: &'static str, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.has_ended(name) {
                return status;
            }
            assert!(start.elapsed() < patience, "{name} does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM to one; it must end with code 0.
    pub fn stop_cleanly(&mut self, name: &'static str) {
        let mut child = self.children.remove(name).unwrap();
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    }

    /// The newest log of a node.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(&self.logs[name]).unwrap()
    }

    /// What `qz-node doctor --json` says of a stopped node, and its exit code.
    pub fn doctor(&self, name: &str, arguments: &[&str]) -> (i32, serde_json::Value) {
        let output = self.command("doctor", name).arg("--json").args(arguments).output().unwrap();
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), json)
    }

    /// The doctor finds nothing wrong with a stopped node; gives what it says.
    pub fn assert_clean(&self, name: &str, arguments: &[&str]) -> serde_json::Value {
        let (code, json) = self.doctor(name, arguments);
        assert_eq!((code, &json["ok"]), (0, &serde_json::json!(true)), "{name}: {json:#}");
        json
    }

    /// A command of `qz-node` on a member's folder, to its end: exit code and all words.
    pub fn run_command(&self, command: &[&str], name: &str, arguments: &[&str]) -> (i32, String) {
        let mut node = Command::new(env!("CARGO_BIN_EXE_qz-node"));
        node.args(command).arg("--home").arg(self.home(name)).args(arguments);
        let output = node.output().unwrap();
        let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code().unwrap(), words.concat())
    }

    /// SIGTERM to all; each must end with code 0.
    pub fn stop_all_cleanly(&mut self) {
        for child in self.children.values() {
            let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            assert!(sent.unwrap().success());
        }
        for (name, mut child) in std::mem::take(&mut self.children) {
            assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
        }
    }

    /// Writes a node's `node.json`.
    pub fn configure(&self, name: &str, config: &serde_json::Value) {
        std::fs::write(self.home(name).join("node.json"), config.to_string()).unwrap();
    }

    /// Runs a command on a member's folder to its end: everything that it gave.
    pub fn run_output(&self, command: &str, name: &str, arguments: &[&str]) -> Output {
        self.command(command, name).args(arguments).output().unwrap()
    }

    /// A second process in the same folder, awaited.
    pub fn run_to_end(&self, name: &str) -> Output {
        self.command("run", name).output().unwrap()
    }

    pub fn run_status(&self, name: &str) -> Output {
        self.command("status", name).output().unwrap()
    }

    fn command(&self, command: &str, name: &str) -> Command {
        let mut node = Command::new(env!("CARGO_BIN_EXE_qz-node"));
        node.arg(command).arg("--home").arg(self.home(name));
        node
    }

    /// A client that calls only this member's node.
    pub fn client(&self, name: &str) -> Client {
        let home = Home::open(&self.home(name)).unwrap();
        let config = ClientConfig::from_home(&home).unwrap();
        Client::new(&config.only(&[OrgId::new(name).unwrap()]).unwrap()).unwrap()
    }

    /// A client of this network's node with the TLS identity of another network's member.
    pub fn client_with_identity_of(&self, other: &Self, name: &str) -> Client {
        let own = Home::open(&self.home(name)).unwrap();
        let identity = Home::open(&other.home(name)).unwrap().tls_client().unwrap();
        let mut config = ClientConfig::from_home(&own).unwrap().only(&[OrgId::new(name).unwrap()]).unwrap();
        config.client_certificate_pem = identity.certificate_pem;
        config.client_key_pem = identity.key_pem;
        Client::new(&config).unwrap()
    }

    pub fn relay(&self, name: &str) -> Relay {
        let home = Home::open(&self.home(name)).unwrap();
        let chain_id = home.genesis().unwrap().chain_id();
        Relay { relay: qz_client::Relay::from_home(&home).unwrap(), chain_id }
    }

    pub async fn wait_until_serving(&self, name: &str, patience: Duration) {
        self.wait_for_height(name, 0, patience).await;
    }

    /// Address by which this member's votes name it.
    pub fn validator_address(&self, name: &str) -> Hash32 {
        let home = Home::open(&self.home(name)).unwrap();
        validators::address(&home.organisation().validator.as_ref().unwrap().consensus_key)
    }

    /// Waits until the newest log of a node contains a text.
    pub async fn wait_for_log(&self, name: &str, text: &str, patience: Duration) {
        let start = Instant::now();
        let path = &self.logs[name];
        while !std::fs::read_to_string(path).unwrap().contains(text) {
            assert!(start.elapsed() < patience, "{name} never logged {text:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn wait_for_height(&self, name: &str, height: u64, patience: Duration) {
        let client = self.client(name);
        let start = Instant::now();
        loop {
            match client.status().await {
                Ok(status) if status.height >= height => return,
                answer if start.elapsed() > patience => {
                    panic!("{name} did not reach {height}: {answer:?}")
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// `name` serves every one of `records` where it was recorded. A node that fetched the ledger again starts
    /// anew once, to vote: what meets its closed door then is asked again.
    pub async fn assert_serves(&self, name: &str, records: &[Finalised], patience: Duration, what: &str) {
        let client = self.client(name);
        let start = Instant::now();
        for done in records {
            let record = loop {
                match client.record(&done.record_hash).await {
                    Err(error) if error.is_temporary() && start.elapsed() < patience => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    answer => break answer.unwrap(),
                }
            };
            assert_eq!(record.map(|record| record.height), Some(done.height), "{what}");
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "log") {
                    let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
                    let tail: Vec<_> = log.lines().rev().take(25).collect();
                    eprintln!("--- {}", entry.path().display());
                    for line in tail.into_iter().rev() {
                        eprintln!("{line}");
                    }
                }
            }
        }
    }
}

/// A deposit of evidence by one member; `number` becomes its submission id.
pub fn deposit(relay: &Relay, number: u8, expiry: u64) -> SignedSubmission {
    deposit_with_time(relay, number, expiry, 0)
}

/// The same with a claimed time, which makes another body.
pub fn deposit_with_time(relay: &Relay, number: u8, expiry: u64, claimed_time_ms: u64) -> SignedSubmission {
    let commitment = Commitment { name: "document.sha256".to_owned(), hash: Hash32([number; 32]) };
    let body = Body::new(
        relay.chain_id,
        SubmissionId([number; 16]),
        Height(expiry),
        Payload::EvidenceDeposited(EvidenceDeposited { about: None }),
        vec![commitment],
        claimed_time_ms,
    );
    relay.relay.wrap(&body, vec![]).unwrap()
}

pub fn free_ports(count: usize) -> Vec<u16> {
    // Below those that the system gives to outgoing connections, one of which could otherwise take a port before the
    // node that it is for listens.
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    let candidates = (0..PORTS).map(|_| {
        let place = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        u16::try_from(FIRST + place).unwrap()
    });
    let free: Vec<u16> =
        candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect();
    assert_eq!(free.len(), count, "too few free ports");
    free
}
