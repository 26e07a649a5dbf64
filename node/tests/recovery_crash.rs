//! A validator dies at every numbered step from a proposal to its finality, is started again, and goes on:
//! the same chain, nothing signed twice, nothing left behind.
#![allow(clippy::unwrap_used)]

mod network;

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use network::{NAMES, Network};
use qz_store::failpoint::STEPS;

const PATIENCE: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;
const VICTIM: &str = "notary";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_step_is_recovered_from() {
    let mut network = Network::start(4);
    let platform = network.client("platform");
    let relay = network.relay("platform");
    let mut number = 0u8;
    let mut next = || {
        number += 1;
        network::deposit(&relay, number, 10_000)
    };
    let first = platform.submit_and_wait(&next().bytes, PATIENCE).await.unwrap();
    network.wait_for_height(VICTIM, first.height, PATIENCE).await;

    for step in STEPS {
        network.stop_cleanly(VICTIM);
        network.start_node_with(VICTIM, &[("QZ_FAILPOINT", step)]);
        // Work until the victim has died of it; some steps are reached only when it is its turn to propose.
        let started = Instant::now();
        let status = loop {
            if let Some(status) = network.has_ended(VICTIM) {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "{step} is never reached");
            platform.submit_and_wait(&next().bytes, PATIENCE).await.unwrap();
        };
        assert_eq!(status.signal(), Some(SIGABRT), "{step}: {status:?}\n{}", network.log(VICTIM));
        assert!(network.log(VICTIM).contains(&format!("failpoint {step} reached")));

        network.start_node(VICTIM);
        let done = platform.submit_and_wait(&next().bytes, PATIENCE).await.unwrap();
        network.wait_for_height(VICTIM, done.height, PATIENCE).await;
        assert!(!network.log(VICTIM).contains("refused to sign"), "{step}: {}", network.log(VICTIM));
    }

    // It votes again: without another one, three are needed.
    network.stop_cleanly("court");
    let done = platform.submit_and_wait(&next().bytes, PATIENCE).await.unwrap();
    network.start_node("court");
    let mut headers = vec![];
    for name in NAMES {
        network.wait_for_height(name, done.height, PATIENCE).await;
        headers.push(network.client(name).block(done.height).await.unwrap().unwrap().header);
    }
    assert!(headers.iter().all(|header| *header == headers[0]), "the same header everywhere");

    // While it runs, nobody else may look into its folder.
    let (code, refused) = network.doctor(VICTIM, &[]);
    assert_eq!(code, 2, "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("stop the node first"), "{refused}");

    network.stop_all_cleanly();
    for name in NAMES {
        let json = network.assert_clean(name, if name == VICTIM { &["--replay"] } else { &[] });
        assert_eq!(json["journal"]["conflicts"], 0);
        assert_eq!(json["replayed"], name == VICTIM);
        assert!(json["records"].as_u64().unwrap() >= u64::from(number), "{json}");
    }
}
