//! The validators on their stage: real `qz-node` processes that are started, killed, paused, given wrong
//! clocks and full disks, and watched over as an init system would (one that ends by itself is noted and
//! started again).

use super::journals::Journals;
use super::plan::{NodeIndex, Plan};
use super::stage::{self, Stage};
use crate::binaries::Binaries;
use crate::ceremony::{self, Seat, text};
use crate::custody;
use crate::folder::{Folder, make};
use crate::member::MemberClient;
use crate::process::Process;
use anyhow::{Context, Result, ensure};
use qz_client::Status;
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Patience with a node that is asked for its status.
const STATUS: Duration = Duration::from_millis(1_500);
/// A node that ended by itself is started again after this.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// Room for a node whose disk will be full some time; more than it uses in a run.
const SMALL_DISK: &str = "192m";
/// A node that met a full disk may end this much later.
const AFTER_FULL_DISK: Duration = Duration::from_secs(10);
/// One of these a node must say whose disk is full: its advice, or the system's error.
const DISK_IS_FULL: [&str; 2] = ["磁盘已满", "os error 28"];
/// Read of a log after an unexpected end.
const MOST_OF_A_LOG: u64 = 4 * 1024 * 1024;
/// Written at a time to fill a disk.
const FILLER_BYTES: usize = 64 * 1024;

/// A node that ended although nobody killed it.
#[derive(Clone, Debug)]
pub struct OwnEnd {
    /// Whose.
    pub node: NodeIndex,
    /// Exit status and last words.
    pub words: String,
    /// Its disk was full then, which may end it, and it said so.
    pub excused: bool,
}

/// One validator.
pub struct Node {
    /// Its place.
    pub seat: Seat,
    /// What its organisation can do; calls only this node.
    pub member: MemberClient,
    home: PathBuf,
    log: PathBuf,
    /// Length of the log when the process was started.
    log_before: u64,
    process: Option<Process>,
    should_run: bool,
    /// When it may be started again after it has ended by itself.
    restart_at: Option<Instant>,
    clock: Option<PathBuf>,
    disk_is_full: bool,
    disk_freed: Option<Instant>,
}

/// All validators.
pub struct Cluster {
    /// Where everything lies.
    pub folder: Folder,
    /// The programs.
    pub binaries: Binaries,
    /// What was signed.
    pub journals: Journals,
    /// Who ended by himself.
    pub own_ends: Vec<OwnEnd>,
    stage: Stage,
    nodes: Vec<Node>,
}

impl Cluster {
    /// Holds the ceremony in `folder`; starts nothing. `stage` stands already.
    pub fn found(binaries: Binaries, folder: Folder, stage: Stage, seats: &[Seat], plan: &Plan) -> Result<Self> {
        crate::prepare_tls();
        for (node, seat) in seats.iter().enumerate().filter(|(node, _)| plan.fills(*node)) {
            let home = folder.organisation(seat.member.id);
            make(&home)?;
            stage::mount_memory(&home, SMALL_DISK).with_context(|| format!("the disk of node {node}"))?;
        }
        ceremony::hold(&binaries, &folder, seats, |_| {})?;
        let members: Vec<_> = seats.iter().map(|seat| seat.member).collect();
        let clocks = folder.root().join("clocks");
        make(&clocks)?;
        let node = |(index, seat): (NodeIndex, &Seat)| -> Result<Node> {
            let home = folder.organisation(seat.member.id);
            let config = json!({ "peers": stage::peers(&members, index) });
            write(&home.join("node.json"), config.to_string().as_bytes())?;
            let clock = plan.skews(index).then(|| clocks.join(seat.member.id));
            if let Some(clock) = &clock {
                write(clock, b"+0")?;
            }
            Ok(Node {
                seat: *seat,
                member: MemberClient::open(&home)?,
                log: folder.logs().join(format!("node-{index}-{}.log", seat.member.id)),
                log_before: 0,
                home,
                process: None,
                should_run: false,
                restart_at: None,
                clock,
                disk_is_full: false,
                disk_freed: None,
            })
        };
        let nodes = seats.iter().enumerate().map(node).collect::<Result<_>>()?;
        Ok(Self { folder, binaries, journals: Journals::default(), own_ends: vec![], stage, nodes })
    }

    /// The validators.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The stage, to cut links.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    fn node(&mut self, index: NodeIndex) -> &mut Node {
        // Indices come from a plan for exactly these nodes.
        &mut self.nodes[index]
    }

    /// Starts a node, unless it runs.
    pub fn start(&mut self, index: NodeIndex) -> Result<()> {
        if self.nodes[index].process.is_some() {
            return Ok(());
        }
        // What it signed so far: a start compacts the journal.
        self.journals.gather(index, &self.nodes[index].home)?;
        let (program, namespace) = self.stage.inside(index);
        let binary = self.binaries.node.clone();
        let node = self.node(index);
        let arguments = [&namespace, text(&binary)?, "run", "--home", text(&node.home)?];
        let passphrase = custody::passphrase_file(&node.home);
        let mut environment = vec![(custody::VARIABLE, text(&passphrase)?)];
        let library;
        if let Some(clock) = &node.clock {
            library = stage::clock_library()?;
            environment.extend([
                ("LD_PRELOAD", text(&library)?),
                ("FAKETIME_TIMESTAMP_FILE", text(clock)?),
                ("FAKETIME_CACHE_DURATION", "1"),
                // Only the time of day is wrong; time-outs are measured by the monotonic clock.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ("DONT_FAKE_MONOTONIC", "1"),
            ]);
        }
        node.log_before = node.log.metadata().map_or(0, |log| log.len());
        let name = format!("qz-node {index} ({})", node.seat.member.id);
        node.process = Some(Process::spawn(&name, Path::new(program), &arguments, &environment, &node.log)?);
        node.should_run = true;
        node.restart_at = None;
        Ok(())
    }

    /// kill -9; it stays down.
    pub fn kill(&mut self, index: NodeIndex) {
        let node = self.node(index);
        node.should_run = false;
        if let Some(mut process) = node.process.take() {
            process.kill9();
        }
    }

    /// SIGSTOP.
    pub fn pause(&mut self, index: NodeIndex) {
        if let Some(process) = &mut self.node(index).process {
            process.pause();
        }
    }

    /// SIGCONT.
    pub fn resume(&mut self, index: NodeIndex) {
        if let Some(process) = &mut self.node(index).process {
            process.resume();
        }
    }

    /// Makes a node's clock wrong by so much.
    pub fn set_clock(&mut self, index: NodeIndex, offset_ms: i64) -> Result<()> {
        let clock = self.node(index).clock.as_ref().context("the plan gives this node no clock of its own")?;
        // Replaced at once, so that nobody reads half of it.
        let new = clock.with_extension("new");
        write(&new, format!("{:+.3}", offset_ms as f64 / 1000.0).as_bytes())?;
        std::fs::rename(&new, clock).with_context(|| format!("cannot write {}", clock.display()))
    }

    /// Fills a node's disk but for so many bytes.
    pub fn fill_disk(&mut self, index: NodeIndex, spare: u64) -> Result<()> {
        let node = self.node(index);
        node.disk_is_full = true;
        let path = node.home.join("filler");
        let mut file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut size = FILLER_BYTES;
        while size > 0 {
            match file.write(&vec![0xff; size]) {
                Ok(0) => size /= 2,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error).with_context(|| format!("cannot fill {}", path.display())),
            }
        }
        let filled = file.metadata().context("the filler")?.len();
        file.set_len(filled.saturating_sub(spare)).with_context(|| format!("cannot shorten {}", path.display()))
    }

    /// Gives the space back.
    pub fn free_disk(&mut self, index: NodeIndex) -> Result<()> {
        let node = self.node(index);
        node.disk_is_full = false;
        node.disk_freed = Some(Instant::now());
        let path = node.home.join("filler");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Notes who has ended by itself, and starts it again a moment later.
    pub fn tend(&mut self) -> Result<()> {
        let mut due = vec![];
        for (index, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| node.should_run) {
            if let Some(process) = &mut node.process
                && let Some(status) = process.ended()
            {
                let full = node.disk_is_full || node.disk_freed.is_some_and(|at| at.elapsed() < AFTER_FULL_DISK);
                let said = read_from(&node.log, node.log_before)?;
                // A full disk excuses an end only if the node says so.
                let excused = full && DISK_IS_FULL.iter().any(|words| said.contains(*words));
                self.own_ends.push(OwnEnd { node: index, words: format!("{status}: {}", reason(&said)), excused });
                node.process = None;
                node.restart_at = Some(Instant::now() + RESTART_AFTER);
            }
            if node.process.is_none() && node.restart_at.is_none_or(|at| at <= Instant::now()) {
                due.push(index);
            }
        }
        due.into_iter().try_for_each(|index| self.start(index))
    }

    /// The status of each node that answers soon.
    pub async fn statuses(&self) -> Vec<Option<Status>> {
        let ask = |node: &Node| {
            let (client, org) = (node.member.client().clone(), node.member.org().clone());
            tokio::spawn(async move { tokio::time::timeout(STATUS, client.status_of(&org)).await.ok()?.ok() })
        };
        let asked: Vec<_> = self.nodes.iter().map(ask).collect();
        let mut all = vec![];
        for status in asked {
            all.push(status.await.ok().flatten());
        }
        all
    }

    /// Reads all journals as they are now.
    pub fn gather_journals(&mut self) -> Result<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            self.journals.gather(index, &node.home)?;
        }
        Ok(())
    }

    /// Asks all nodes to stop and waits; an error names those that did not stop in good order.
    pub fn stop(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.should_run = false;
            if let Some(process) = &mut node.process {
                process.ask_to_stop();
            }
        }
        let mut bad = vec![];
        for node in &mut self.nodes {
            if let Some(mut process) = node.process.take() {
                let status = process.wait_or_kill();
                if !status.is_some_and(|status| status.success()) {
                    let said = read_from(&node.log, node.log_before)?;
                    bad.push(format!("{}: {status:?}: {}", node.seat.member.id, reason(&said)));
                }
            }
        }
        ensure!(bad.is_empty(), "did not stop in good order: {}", bad.join("; "));
        Ok(())
    }
}

impl Node {
    /// Its folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What it is called in lines of output.
    pub fn id(&self) -> &'static str {
        self.seat.member.id
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A paused process would not hear a request to stop, and nobody needs their last words now.
        for node in &mut self.nodes {
            if let Some(mut process) = node.process.take() {
                process.kill9();
            }
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn read_from(path: &Path, offset: u64) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.seek(SeekFrom::Start(offset)).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = vec![];
    file.take(MOST_OF_A_LOG).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The line of a log that says why the node failed, or else its last one.
fn reason(log: &str) -> &str {
    let failed = log.lines().find(|line| line.contains("node failed") || line.starts_with("qz-node: "));
    failed.or(log.lines().rfind(|line| !line.trim().is_empty())).unwrap_or("(said nothing)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_end_is_found_in_its_log() {
        assert_eq!(reason("a\nERROR node failed reason=x\nERROR later\n"), "ERROR node failed reason=x");
        assert_eq!(reason("a\nb\n\n"), "b");
        assert_eq!(reason(""), "(said nothing)");
    }
}
