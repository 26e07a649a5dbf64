//! Nodes and changes of the consortium that are hard on them: an upgrade whose rules the program lacks, kill
//! -9 around a change of the validators, and a node that no member has.
#![allow(clippy::unwrap_used)]

mod network;

use std::time::{Duration, Instant};

use network::{NAMES, Network};
use qz_evidence::payload::Change;
use qz_evidence::{Height, OrgId};
use qz_genesis::{Home, proposal};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// An idle chain that has blocks often.
fn quick(network: &Network) {
    for name in NAMES {
        network.configure(name, &json!({ "heartbeat_ms": 200 }));
    }
}

/// Decides a change by the offices of all members and relays it by the platform: the height at which it is
/// final.
fn decide(network: &Network, change: Change) -> u64 {
    let homes = NAMES.map(|name| Home::open(&network.home(name)).unwrap());
    let genesis = homes[0].genesis().unwrap();
    let proposal = proposal::propose(&genesis, change, Height(10_000), 0).unwrap();
    let approvals = homes.each_ref().map(|home| proposal::approve(home, &proposal, &proposal.digest()).unwrap());
    let signed = proposal::combine(&genesis, &proposal, &[], &approvals).unwrap();
    let file = network.home("platform").join("change.signed");
    std::fs::write(&file, signed.to_bytes()).unwrap();
    let (code, words) = network.run_command(&["submit"], "platform", &[file.to_str().unwrap()]);
    assert_eq!(code, 0, "{words}");
    serde_json::from_str::<Value>(&words).unwrap()["height"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_before_rules_that_it_does_not_have() {
    let mut network = Network::prepare(4);
    quick(&network);
    for name in NAMES {
        network.start_node(name);
    }
    for name in NAMES {
        network.wait_for_height(name, 1, PATIENCE).await;
    }
    let version = qz_chain::SUPPORTED_PROTOCOL + 1;
    let tip = network.client("platform").status().await.unwrap().height;
    let from = tip + 40;
    let decided = decide(&network, Change::Upgrade(version, Height(from)));
    assert!(decided < from, "decided at {decided}, in force from {from}");

    let needs = format!("height {from} needs protocol version {version}");
    for name in NAMES {
        let status = network.wait_for_end(name, PATIENCE).await;
        assert_eq!(status.code(), Some(1), "{name}");
        let log = network.log(name);
        assert!(log.contains("an upgrade is decided whose rules this program lacks"), "{name}: {log}");
        // The engine's own words about its end apart.
        let errors: Vec<_> = log.lines().filter(|line| line.contains(" ERROR qz_node")).collect();
        assert!(errors.len() == 1 && errors[0].contains(&needs), "{name}: one clear line, not {errors:#?}");
    }
    // Everything before that height is there and in order, and nothing at it.
    for name in NAMES {
        let json = network.assert_clean(name, &["--replay"]);
        assert_eq!(json["height"], from - 1, "{name}");
    }
    // The same program started again says the same, and changes nothing.
    network.start_node("court");
    assert_eq!(network.wait_for_end("court", PATIENCE).await.code(), Some(1));
    assert!(network.log("court").contains(&needs), "{}", network.log("court"));
    assert_eq!(network.assert_clean("court", &[])["height"], from - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logs_are_replayed_across_a_change_of_the_validators() {
    let mut network = Network::prepare(4);
    quick(&network);
    let genesis = Home::open(&network.home("platform")).unwrap().genesis().unwrap();
    for name in NAMES {
        network.start_node(name);
    }
    let platform = network.client("platform");
    let relay = network.relay("platform");
    let mut number = 0;
    let mut deposit = async || {
        number += 1;
        let submission = network::deposit(&relay, number, 10_000);
        platform.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap().height
    };
    deposit().await;
    // The platform's power goes up and down; all are killed at several moments after the change is final, in the
    // last height of the epoch or the first of the next.
    let mut epoch = 0;
    for (power, pause_ms) in [(2, 0), (1, 60), (2, 150), (1, 250)] {
        let wanted: Vec<_> =
            NAMES.map(|name| (OrgId::new(name).unwrap(), if name == "platform" { power } else { 1 })).to_vec();
        let decided = decide(&network, proposal::validators(&genesis, &[], &wanted).unwrap());
        epoch += 1;
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        for name in NAMES {
            network.kill(name);
        }
        for name in NAMES {
            network.start_node(name);
        }
        let height = deposit().await;
        assert!(height > decided);
        for name in NAMES {
            network.wait_for_height(name, height, PATIENCE).await;
            let status = network.client(name).status().await.unwrap();
            assert_eq!(status.epoch, epoch, "{name}");
            assert!(!network.log(name).contains("refused to sign"), "{name}: {}", network.log(name));
        }
    }
    // Checkpoints are final in every epoch, as the hand-overs from the genesis prove.
    let last = platform.checkpoint(None).await.unwrap().unwrap();
    assert_eq!(last.hand_overs.len() as u64, epoch);
    let header = last.check(&genesis).unwrap();
    last.check_finality(&genesis, &header).unwrap();
    let mut forged = last.clone();
    forged.hand_overs.remove(1);
    assert!(forged.check_finality(&genesis, &header).unwrap_err().contains("hand-over 1"));
    let mut forged = last.clone();
    forged.hand_overs.pop();
    assert!(forged.check_finality(&genesis, &header).unwrap_err().contains("missing or forged"));
    let mut forged = last.clone();
    forged.commit = Some(last.hand_overs[0].commit.clone());
    assert!(forged.check_finality(&genesis, &header).unwrap_err().contains("not final"));

    network.stop_all_cleanly();
    for name in NAMES {
        let json = network.assert_clean(name, if name == "court" { &["--replay"] } else { &[] });
        assert_eq!(json["journal"]["conflicts"], 0, "{name}");
    }
}

/// A counter of `/metrics`, by the start of its line.
async fn metric(monitor: &str, line: &str) -> f64 {
    let (_, text) = network::raw::plain(monitor, "/metrics").await;
    let found = text.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_else(|| panic!("no {line}"));
    found.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_no_member_has_is_refused_on_both_networks() {
    let mut network = Network::prepare(4);
    let monitor = format!("127.0.0.1:{}", network::free_ports(1)[0]);
    network.configure("court", &json!({ "monitor_listen": monitor }));
    for name in NAMES.into_iter().filter(|name| *name != "notary") {
        network.start_node(name);
    }
    let relay = network.relay("platform");
    let deposit = network::deposit(&relay, 1, 1_000);
    network.client("platform").submit_and_wait(&deposit.bytes, PATIENCE).await.unwrap();

    // A complete organisation with keys of its own, in nobody's genesis, that calls itself by a member's name
    // and knows where the members are.
    let mut others = Network::prepare(4);
    let stranger = others.home("notary");
    std::fs::copy(network.home("notary").join("genesis.qz"), stranger.join("genesis.qz")).unwrap();
    // With an engine's log and no journal it observes and goes to the consensus network at once, instead of
    // waiting to be admitted.
    std::fs::create_dir_all(stranger.join("wal")).unwrap();
    std::fs::write(stranger.join("wal/consensus.wal"), b"").unwrap();
    others.start_node("notary");
    let start = Instant::now();
    for port in ["consensus", "submissions"] {
        let line = format!("qz_peer_unlisted_total{{network=\"{port}\"}}");
        while metric(&monitor, &line).await < 1.0 {
            assert!(start.elapsed() < PATIENCE, "{port}: nobody was refused\n{}", others.log("notary"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    // It learns nothing, and does not disturb the others.
    let alone = others.client("notary").status().await;
    let learnt = alone.map_or(0, |status| status.height);
    assert_eq!(learnt, 0, "the stranger has blocks");
    for number in 2..5 {
        let deposit = network::deposit(&relay, number, 1_000);
        network.client("platform").submit_and_wait(&deposit.bytes, PATIENCE).await.unwrap();
    }
    network.stop_all_cleanly();
}
