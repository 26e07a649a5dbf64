//! What a node keeps is damaged or lost, piece by piece. It repairs itself from its peers or stops with one
//! clear line; it never forks, never signs twice, and never serves a shorter history as if it were whole.
#![allow(clippy::unwrap_used)]

mod network;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use network::{NAMES, Network, Relay};
use qz_client::{ClientError, Finalised};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::decode_strict;

const PATIENCE: Duration = Duration::from_secs(60);
const VICTIM: &str = "notary";

/// A running network, and what was acknowledged so far.
struct Story {
    network: Network,
    relay: Relay,
    number: u8,
    acknowledged: Vec<Finalised>,
}

impl Story {
    async fn begin() -> Self {
        let network = Network::start(4);
        let relay = network.relay("platform");
        let mut story = Self { network, relay, number: 0, acknowledged: vec![] };
        for _ in 0..4 {
            story.deposit().await;
        }
        story.caught_up().await;
        story
    }

    async fn deposit(&mut self) -> u64 {
        self.number += 1;
        let submission = network::deposit(&self.relay, self.number, 10_000);
        let done = self.network.client("platform").submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
        let height = done.height;
        self.acknowledged.push(done);
        height
    }

    fn newest(&self) -> u64 {
        self.acknowledged.last().unwrap().height
    }

    async fn caught_up(&self) {
        self.network.wait_for_height(VICTIM, self.newest(), PATIENCE).await;
    }

    fn data(&self) -> PathBuf {
        self.network.home(VICTIM).join("data")
    }

    /// The victim is started again, catches up, serves every acknowledged record, and votes: without another
    /// one, three are needed.
    async fn recovers(&mut self, what: &str) {
        self.network.start_node(VICTIM);
        self.deposit().await;
        self.caught_up().await;
        self.network.assert_serves(VICTIM, &self.acknowledged, PATIENCE, what).await;
        self.network.kill("court");
        self.deposit().await;
        self.network.start_node("court");
        self.network.wait_for_height("court", self.newest(), PATIENCE).await;
        self.caught_up().await;
        assert!(!self.network.log(VICTIM).contains("refused to sign"), "{what}");
    }

    /// The victim ends by itself when it must write, and says that the disk is full.
    async fn stops_for_want_of_room(&mut self) {
        // The engine stands still when it cannot write; the watchdog takes its time to notice.
        let started = Instant::now();
        let ended = loop {
            self.deposit().await;
            if let Some(status) = self.network.has_ended(VICTIM) {
                break Some(status);
            }
            assert!(started.elapsed() < PATIENCE, "it goes on without room: {}", self.network.log(VICTIM));
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        let log = self.network.log(VICTIM);
        assert_eq!(ended.and_then(|status| status.code()), Some(1), "{log}");
        assert!(log.contains("the disk is full"), "{log}");
    }

    /// Everything on every disk is in order, and all heads are the same.
    async fn all_is_clean(mut self) {
        for name in NAMES {
            self.network.wait_for_height(name, self.newest(), PATIENCE).await;
        }
        self.network.stop_all_cleanly();
        let mut heads = vec![];
        for name in NAMES {
            let json = self.network.assert_clean(name, &[]);
            heads.push((json["height"].as_u64().unwrap(), json["block_id"].clone()));
        }
        heads.sort_by_key(|(height, _)| *height);
        let (highest, _) = heads.last().unwrap().clone();
        for (height, id) in &heads {
            assert!(highest - height <= 1, "{heads:?}");
            assert!(
                heads.iter().filter(|(other, _)| other == height).all(|(_, other)| other == id),
                "a fork: {heads:?}"
            );
        }
    }
}

fn files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| wanted(path.file_name().unwrap().to_str().unwrap()))
        .collect();
    found.sort();
    found
}

/// The last of the database's logs that holds anything.
fn log_of(data: &Path) -> PathBuf {
    let logs = files(data, |name| name.ends_with(".log"));
    logs.into_iter().rfind(|path| std::fs::metadata(path).unwrap().len() > 0).unwrap()
}

fn cut(path: &Path, bytes: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

/// The end of a manifest's last record in its first half: records are checksum 4, length 2, type 1, data.
fn record_end_before_the_middle(manifest: &Path) -> u64 {
    let bytes = std::fs::read(manifest).unwrap();
    assert!(bytes.len() < 32 * 1024, "one block of the format");
    let (mut at, mut last) = (0, 0);
    while at < bytes.len() / 2 {
        last = at;
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
    }
    assert!(last > 0);
    last as u64
}

fn flip(path: &Path, position: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[position] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_lost_database_is_fetched_again() {
    let mut story = Story::begin().await;

    // The end of the log is torn: the node starts by itself.
    story.network.kill(VICTIM);
    cut(&log_of(&story.data()), 7);
    story.recovers("torn log").await;

    // The middle of the log is damaged: one line, that names the command; then it goes on.
    story.network.kill(VICTIM);
    let log = log_of(&story.data());
    flip(&log, usize::try_from(std::fs::metadata(&log).unwrap().len()).unwrap() / 2);
    stops_with_one_line(&story.network);
    let (code, words) = story.network.run_command(&["repair"], VICTIM, &[]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("kept through height"), "{words}");
    story.recovers("damaged log").await;

    // The database is gone; journal, engine's log and high-water mark are there.
    story.network.kill(VICTIM);
    std::fs::remove_dir_all(story.data()).unwrap();
    let (code, json) = story.network.doctor(VICTIM, &[]);
    assert_eq!(code, 1, "{json:#}");
    story.recovers("lost database").await;

    // The file that names the manifest is gone.
    story.network.kill(VICTIM);
    std::fs::remove_file(story.data().join("CURRENT")).unwrap();
    stops_with_one_line(&story.network);
    repaired_if_needed(&story.network);
    story.recovers("lost CURRENT").await;

    // The manifest has lost its end, at the end of a record: it would pass for a smaller database.
    story.network.kill(VICTIM);
    let manifest = files(&story.data(), |name| name.starts_with("MANIFEST-")).pop().unwrap();
    let half = record_end_before_the_middle(&manifest);
    cut(&manifest, std::fs::metadata(&manifest).unwrap().len() - half);
    let (code, json) = story.network.doctor(VICTIM, &[]);
    assert_eq!((code, &json["findings"][0]["column"]), (1, &serde_json::json!("database")), "{json:#}");
    stops_with_one_line(&story.network);
    repaired_if_needed(&story.network);
    story.recovers("shortened manifest").await;
    assert!(!files(&story.network.home(VICTIM), |name| name.starts_with("data.damaged-")).is_empty());

    story.all_is_clean().await;
}

/// The node does not start and says in one line what to run.
fn stops_with_one_line(network: &Network) {
    let output = network.run_to_end(VICTIM);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    let line = words.trim().lines().last().unwrap();
    assert!(line.starts_with("qz-node:") && line.contains("qz-node repair --home"), "{words}");
}

/// Runs `repair` if the doctor finds anything.
fn repaired_if_needed(network: &Network) {
    if network.doctor(VICTIM, &[]).0 != 0 {
        let (code, words) = network.run_command(&["repair"], VICTIM, &[]);
        assert_eq!(code, 0, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_file_of_the_database_is_found_and_fetched_again() {
    let mut story = Story::begin().await;
    // Restarts write the log out into files.
    for _ in 0..2 {
        story.network.kill(VICTIM);
        story.network.start_node(VICTIM);
        story.deposit().await;
        story.caught_up().await;
    }
    story.network.kill(VICTIM);
    story.network.assert_clean(VICTIM, &[]);
    let tables = files(&story.data(), |name| name.ends_with(".sst"));
    assert!(!tables.is_empty());
    for table in &tables {
        flip(table, 40);
    }
    let (code, json) = story.network.doctor(VICTIM, &[]);
    assert_eq!(code, 1, "{json:#}");
    repaired_if_needed(&story.network);
    story.recovers("spoilt tables").await;
    story.all_is_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shorter_ledger_is_not_served_as_whole() {
    let mut story = Story::begin().await;
    story.network.kill(VICTIM);
    std::fs::remove_dir_all(story.data()).unwrap();
    // Alone it cannot catch up: it answers, and refuses to say that anything does not exist.
    for name in ["arbitration", "court", "platform"] {
        story.network.kill(name);
    }
    story.network.start_node(VICTIM);
    story.network.wait_until_serving(VICTIM, PATIENCE).await;
    let client = story.network.client(VICTIM);
    let status = client.status().await.unwrap();
    assert!(status.syncing && status.height == 0, "{status:?}");
    for done in &story.acknowledged {
        let refused = client.record(&done.record_hash).await.unwrap_err();
        assert!(is_behind(&refused), "{refused:?}");
    }
    let refused = client.block(1).await.unwrap_err();
    assert!(is_behind(&refused), "{refused:?}");
    let submission = network::deposit(&story.network.relay(VICTIM), 200, 10_000);
    let refused = client.submit_and_wait(&submission.bytes, Duration::from_secs(2)).await.unwrap_err();
    assert!(is_behind(&refused), "{refused:?}");

    for name in ["arbitration", "court", "platform"] {
        story.network.start_node(name);
    }
    story.caught_up().await;
    story.network.assert_serves(VICTIM, &story.acknowledged, PATIENCE, "with the others again").await;
    story.all_is_clean().await;
}

fn is_behind(error: &ClientError) -> bool {
    format!("{error:?}").contains("node.behind")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_four_are_killed_and_lose_the_end_of_their_logs() {
    let mut story = Story::begin().await;
    for name in NAMES {
        story.network.wait_for_height(name, story.newest(), PATIENCE).await;
    }
    for name in NAMES {
        story.network.kill(name);
    }
    for name in NAMES {
        cut(&log_of(&story.network.home(name).join("data")), 5);
    }
    for name in NAMES {
        story.network.start_node(name);
    }
    story.deposit().await;
    story.network.assert_serves("platform", &story.acknowledged, PATIENCE, "shortened logs").await;
    story.caught_up().await;
    story.all_is_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_remembers_signatures_is_lost() {
    let mut story = Story::begin().await;
    let home = story.network.home(VICTIM);

    // The engine's log is lost or spoilt: what it was locked on is unknown, so it sits that height out.
    story.network.kill(VICTIM);
    std::fs::remove_file(home.join("wal/consensus.wal")).unwrap();
    story.recovers("lost engine log").await;
    story.network.kill(VICTIM);
    flip(&home.join("wal/consensus.wal"), 0);
    story.recovers("spoilt engine log").await;
    assert_eq!(files(&home.join("wal"), |name| name.contains(".damaged-")).len(), 1);

    // An empty journal is damage, not a new one. Without its journal it never votes again, but it follows.
    story.network.kill(VICTIM);
    std::fs::write(home.join("signer.journal"), b"").unwrap();
    let output = story.network.run_to_end(VICTIM);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && words.contains("qz-node repair"), "{words}");
    let (code, words) = story.network.run_command(&["repair"], VICTIM, &[]);
    assert_eq!(code, 0, "{words}");
    story.network.start_node(VICTIM);
    story.network.wait_for_log(VICTIM, "will not vote until its consensus key is rotated", PATIENCE).await;
    let height = story.deposit().await;
    story.caught_up().await;
    let block = story.network.client("platform").block(height).await.unwrap().unwrap();
    let commit: CommitCertificate = decode_strict(&block.commit.unwrap()).unwrap();
    let address = story.network.validator_address(VICTIM);
    assert!(commit.signatures.iter().all(|signature| signature.address != address));
    story.all_is_clean().await;
}

/// A small disk of its own, in memory; needs the right to mount.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).status().unwrap();
        assert!(mounted.success(), "this test needs the right to mount a tmpfs");
        Self { path: path.to_owned() }
    }

    /// Leaves no room at all; gives the file that takes it.
    fn fill(&self) -> PathBuf {
        let ballast = self.path.join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        let block = vec![0u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_a_node_and_loses_nothing() {
    let mut story = Story::begin().await;
    let home = story.network.home(VICTIM);
    story.network.stop_cleanly(VICTIM);
    // The same folder on a small disk.
    let aside = home.with_extension("aside");
    std::fs::rename(&home, &aside).unwrap();
    let disk = SmallDisk::mount(&home, 24);
    let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(&home).status().unwrap();
    assert!(copied.success());
    story.recovers("small disk").await;

    let ballast = disk.fill();
    // The others go on; the victim stops with a line that says why.
    story.stops_for_want_of_room().await;
    std::fs::remove_file(ballast).unwrap();
    story.recovers("after a full disk").await;
    story.all_is_clean().await;
    drop(disk);
}
