//! Four processes, some of them `qz-byzantine` in the place of `qz-node`, and what can be seen of them
//! from outside: their RPC, their logs, their memory.

use anyhow::{Context, Result, anyhow, bail, ensure};
use qz_client::{ClientError, Finalised};
use qz_evidence::commitment::{Commitment, name};
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::Body;
use qz_evidence::{Hash32, Height, SubmissionId, encode};
use qz_testnet::binaries::Binaries;
use qz_testnet::ceremony::MEMBERS;
use qz_testnet::doctor;
use qz_testnet::folder::Folder;
use qz_testnet::network::Network;
use qz_testnet::ports::Ports;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Whose validator misbehaves.
pub const ADVERSARY: &str = "arbitration";
/// The others.
pub const HONEST: [&str; 3] = ["platform", "notary", "court"];
/// Longest time until an honest member's submission is final, whatever one validator does.
pub const BOUND: Duration = Duration::from_secs(15);
/// Longest time until enough misdeeds have been seen.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What a flood may cost an honest node.
pub const FLOOD_MEMORY_KB: u64 = 250_000;
/// What it may make an honest node write.
pub const FLOOD_LOG_BYTES: usize = 2_000_000;
/// How far ahead deposits expire.
const EXPIRY: u64 = 100;

/// The network and its folder.
pub struct Arena {
    pub network: Network,
    byzantine: PathBuf,
    monitor: String,
    _place: tempfile::TempDir,
}

/// A point in all logs.
pub struct Mark(BTreeMap<&'static str, usize>);

impl Arena {
    /// Four honest nodes, up and agreeing on their first blocks.
    pub async fn open(heartbeat_ms: u64) -> Result<Self> {
        let place = tempfile::tempdir()?;
        let folder = Folder::new_run(place.path())?;
        let binaries = Binaries::locate_for_nodes()?;
        let byzantine = binaries.node.with_file_name("qz-byzantine");
        ensure!(byzantine.is_file(), "{} is missing: cargo build --workspace", byzantine.display());
        let ports = Ports::find_apart()?;
        let monitor = format!("127.0.0.1:{}", Ports::find(ports.witness() + 1)?.base());
        let mut network = Network::found(binaries, folder, ports, &mut |_| {})?;
        let pace =
            format!(r#"{{"heartbeat_ms": {heartbeat_ms}, "propose_ms": 400, "prevote_ms": 200, "precommit_ms": 200}}"#);
        for member in &MEMBERS {
            std::fs::write(network.folder.organisation(member.id).join("node.json"), &pace)?;
        }
        let observed = pace.replacen('{', &format!(r#"{{"monitor_listen": "{monitor}", "#), 1);
        std::fs::write(network.folder.organisation(HONEST[0]).join("node.json"), observed)?;
        network.start_nodes(&mut |_| {}).await?;
        let arena = Self { network, byzantine, monitor, _place: place };
        arena.deposit(ADVERSARY).await?;
        Ok(arena)
    }

    /// Puts an adversary in the place of a node and waits until it answers.
    pub async fn turn_bad(&mut self, id: &str, misconduct: &str, more: &[(&str, &str)]) -> Result<()> {
        self.network.stop_node(id)?;
        let mut environment = vec![("QZ_MISCONDUCT", misconduct)];
        environment.extend_from_slice(more);
        self.network.spawn_in_place(id, &self.byzantine.clone(), &environment)?;
        self.network.wait_for_node(id, |_| true).await.context(misconduct.to_owned())?;
        Ok(())
    }

    /// Puts the honest node back in the place of an adversary and waits until it is healthy.
    pub async fn turn_honest(&mut self, id: &str) -> Result<()> {
        self.network.stop_node(id)?;
        self.network.restart(id, 0).await?;
        Ok(())
    }

    /// Where all logs end now.
    pub fn mark(&self) -> Result<Mark> {
        let end = |id: &'static str| -> Result<_> { Ok((id, self.log(id)?.len())) };
        Ok(Mark(MEMBERS.iter().map(|member| end(member.id)).collect::<Result<_>>()?))
    }

    /// What a node has logged since then.
    pub fn log_since(&self, mark: &Mark, id: &str) -> Result<String> {
        let log = self.log(id)?;
        Ok(log.get(mark.0[id]..).unwrap_or_default().to_owned())
    }

    /// How many misdeeds all adversaries together have logged since then.
    pub fn misdeeds_since(&self, mark: &Mark) -> Result<usize> {
        let mut count = 0;
        for member in &MEMBERS {
            count += self.log_since(mark, member.id)?.lines().filter(|line| line.contains("misdeed")).count();
        }
        Ok(count)
    }

    fn log(&self, id: &str) -> Result<String> {
        let path = self.network.folder.logs().join(format!("node-{id}.log"));
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Deposits evidence through one member's own node and waits until it is final, within the bound.
    pub async fn deposit(&self, id: &str) -> Result<Finalised> {
        let body = self.body(id).await?;
        self.resubmit(id, &body).await
    }

    /// Relays a body and waits until it is final, within the bound.
    pub async fn resubmit(&self, id: &str, body: &[u8]) -> Result<Finalised> {
        let start = Instant::now();
        let member = &self.network.node(id)?.member;
        let at = member.relay(body.to_vec(), Vec::new()).await.with_context(|| format!("deposit by {id}"))?;
        ensure!(start.elapsed() < BOUND, "{id} waited {:?} for finality", start.elapsed());
        Ok(at)
    }

    /// A deposit that must not get final: gives its body.
    pub async fn deposit_briefly(&self, id: &str) -> Result<Vec<u8>> {
        let body = self.body(id).await?;
        let member = &self.network.node(id)?.member;
        let relayed = tokio::time::timeout(Duration::from_secs(3), member.relay(body.clone(), Vec::new())).await;
        match relayed {
            Err(_) | Ok(Err(ClientError::Pending { .. })) => Ok(body),
            Ok(Ok(at)) => bail!("final at height {} without a quorum", at.height),
            Ok(Err(error)) => Err(anyhow!(error).context("a deposit that should wait")),
        }
    }

    async fn body(&self, id: &str) -> Result<Vec<u8>> {
        let member = &self.network.node(id)?.member;
        let height = member.status().await?.height;
        let mut number = [0; 16];
        getrandom::fill(&mut number).map_err(|error| anyhow!("{error}"))?;
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&number);
        let document = Commitment { name: name::DOCUMENT.to_owned(), hash: Hash32(digest) };
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
        let chain = member.genesis().chain_id();
        let body = Body::new(chain, SubmissionId(number), Height(height + EXPIRY), payload, vec![document], 0);
        Ok(encode(&body))
    }

    /// Honest members submit in turn until the adversaries have misbehaved that often and every honest node
    /// has said these words.
    pub async fn deposit_until(&self, mark: &Mark, misdeeds: usize, heard: &[&str]) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut unheard = vec![];
            for node in HONEST {
                let log = self.log_since(mark, node)?;
                if !log.contains("misdeed") {
                    self.deposit(node).await?;
                }
                unheard.extend(heard.iter().filter(|words| !log.contains(**words)).map(|words| (node, *words)));
            }
            let seen = self.misdeeds_since(mark)?;
            if seen >= misdeeds && unheard.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{seen} misdeeds of {misdeeds}; not said: {unheard:?}");
        }
    }

    /// Everybody still runs and the honest nodes agree.
    pub async fn finish(&mut self, misconduct: &str) -> Result<()> {
        self.network.check_running().with_context(|| misconduct.to_owned())?;
        for node in HONEST {
            self.deposit(node).await.with_context(|| format!("after {misconduct}"))?;
        }
        self.agree(&HONEST).await.with_context(|| misconduct.to_owned())
    }

    /// What the platform's node counts, by the start of the metric's line.
    pub async fn counted(&self, line: &str) -> Result<f64> {
        let text = reqwest::get(format!("http://{}/metrics", self.monitor)).await?.text().await?;
        let found = text.lines().find_map(|found| found.strip_prefix(line)).with_context(|| line.to_owned())?;
        Ok(found.trim().parse()?)
    }

    /// Stops everybody; every store, the adversaries' own included, is in order, and all blocks execute again
    /// to the same roots.
    pub fn close(&mut self) -> Result<()> {
        self.network.stop();
        for member in &MEMBERS {
            let home = self.network.folder.organisation(member.id);
            doctor::examine(&self.network.binaries.node, &home, true)
                .with_context(|| format!("the doctor of {}", member.id))?;
        }
        Ok(())
    }

    /// These nodes have the same header, and with it the same past, at the highest height that all reached.
    pub async fn agree(&self, nodes: &[&str]) -> Result<()> {
        let mut height = u64::MAX;
        for node in nodes {
            let status = self.network.node(node)?.member.status().await?;
            ensure!(status.healthy, "the node of {node} is not healthy");
            height = height.min(status.height);
        }
        let mut first = None;
        for node in nodes {
            let header = self.network.node(node)?.member.header(height).await?;
            let header = header.with_context(|| format!("{node} lacks height {height}"))?;
            match &first {
                None => first = Some(header),
                Some(first) => ensure!(*first == header, "{node} has another block at height {height}"),
            }
        }
        Ok(())
    }

    /// Whose validator proposed a block that this member's node has.
    pub async fn proposer_of(&self, id: &str, height: u64) -> Result<String> {
        let member = &self.network.node(id)?.member;
        let header = member.header(height).await?.context("a final block")?;
        let of = |validator: &&qz_evidence::validators::Validator| validator.address() == header.proposer;
        let validators = member.genesis().validators().validators();
        Ok(validators.iter().find(of).context("proposed by a validator")?.organisation.to_string())
    }

    /// Resident memory of the honest nodes in kB.
    pub fn memory(&self) -> Result<Vec<u64>> {
        HONEST.iter().map(|node| memory_of(self.network.node(node)?.pid().context("a running node")?)).collect()
    }

    /// The ends of all logs.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for member in &MEMBERS {
            let log = self.log(member.id).unwrap_or_default();
            let lines: Vec<String> = log.lines().map(|line| line.chars().take(240).collect()).collect();
            let tail = &lines[lines.len().saturating_sub(25)..];
            text.push_str(&format!("──── {}\n{}\n", member.id, tail.join("\n")));
        }
        text
    }
}

fn memory_of(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
