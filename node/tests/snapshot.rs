//! `qz-node snapshot`: the ledger of one stopped member starts another member's node, and whatever was
//! changed in the file on the way is refused.
#![allow(clippy::unwrap_used)]

mod network;

use std::path::Path;
use std::time::Duration;

use network::Network;

const PATIENCE: Duration = Duration::from_secs(60);
const NEWCOMER: &str = "notary";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Nothing of an import that was refused is left.
fn assert_empty(network: &Network) {
    for name in ["data", "data.importing", "data.imported", "data.mark"] {
        assert!(!network.home(NEWCOMER).join(name).exists(), "{name} is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_from_anothers_ledger() {
    let mut network = Network::prepare(4);
    for name in ["arbitration", "court", "platform"] {
        network.start_node(name);
    }
    let platform = network.client("platform");
    let relay = network.relay("platform");
    let mut number = 0;
    let mut deposit = async || {
        number += 1;
        let submission = network::deposit(&relay, number, 10_000);
        platform.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap()
    };
    let mut done = vec![];
    for _ in 0..6 {
        done.push(deposit().await);
    }
    network.wait_for_height("court", done[5].height, PATIENCE).await;

    // Only of a stopped node.
    let file = network.home("court").join("ledger.snapshot");
    let (code, words) = network.run_command(&["snapshot", "export"], "court", &["--out", text(&file)]);
    assert!(code == 2 && words.contains("stop the node first"), "({code}) {words}");
    network.stop_cleanly("court");
    let (code, words) = network.run_command(&["snapshot", "export"], "court", &["--out", text(&file)]);
    assert_eq!(code, 0, "{words}");
    let digest = words.lines().find_map(|line| line.strip_prefix("SHA-256 ")).unwrap().to_owned();
    let (code, words) = network.run_command(&["snapshot", "export"], "court", &["--out", text(&file)]);
    assert!(code == 1 && words.contains("cannot create"), "an export overwrites nothing: ({code}) {words}");
    network.start_node("court");
    // The chain goes on meanwhile.
    for _ in 0..4 {
        done.push(deposit().await);
    }

    // A changed, shortened or other file is refused in one line, and leaves nothing.
    let whole = std::fs::read(&file).unwrap();
    let changed = network.home("court").join("changed.snapshot");
    let refuse = |bytes: &[u8], arguments: &[&str], reason: &str| {
        std::fs::write(&changed, bytes).unwrap();
        let arguments = [arguments, &[text(&changed)]].concat();
        let (code, words) = network.run_command(&["snapshot", "import"], NEWCOMER, &arguments);
        let lines: Vec<_> = words.lines().collect();
        assert!(code == 1 && lines.len() == 1, "({code}) {words}");
        assert!(words.starts_with("qz-node: ") && words.contains(reason), "{reason}: {words}");
        assert_empty(&network);
    };
    for position in (1..12).map(|part| part * whole.len() / 12) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        refuse(&bytes, &[], "the snapshot is damaged at byte");
    }
    refuse(&whole[..whole.len() / 2], &[], "it ends too early");
    refuse(&[&whole[..], b"!"].concat(), &[], "bytes follow its end");
    refuse(b"no snapshot at all", &[], "not a snapshot of this format");
    refuse(&whole, &["--digest", &"0".repeat(64)], "the snapshot's digest is");

    // As it was: checked, and put in place. Not over another ledger.
    let arguments = ["--digest", &digest, text(&file)];
    let (code, words) = network.run_command(&["snapshot", "import"], NEWCOMER, &arguments);
    assert!(code == 0 && words.contains("checked and imported"), "({code}) {words}");
    let (code, words) = network.run_command(&["snapshot", "import"], NEWCOMER, &arguments);
    assert!(code == 1 && words.contains("exists: move it away first"), "({code}) {words}");

    // It fetches only what came after, serves all of it, and votes: without another one, three are needed.
    network.start_node(NEWCOMER);
    network.wait_for_height(NEWCOMER, done.last().unwrap().height, PATIENCE).await;
    network.assert_serves(NEWCOMER, &done, PATIENCE, "a snapshot and what came after").await;
    network.wait_for_log(NEWCOMER, "caught up: starting again to vote", PATIENCE).await;
    network.kill("court");
    let last = deposit().await;
    network.start_node("court");
    for name in network::NAMES {
        network.wait_for_height(name, last.height, PATIENCE).await;
    }
    network.stop_all_cleanly();
    let json = network.assert_clean(NEWCOMER, &["--replay"]);
    assert!(json["records"].as_u64().unwrap() >= done.len() as u64, "{json}");
    network.assert_clean("court", &[]);
}
