//! Following the ledger over server-sent events and checkpoints, with nodes that die meanwhile, clients
//! that read too slowly, and proofs that would be too large.
#![allow(clippy::unwrap_used)]

mod network;

use std::collections::HashSet;
use std::time::Duration;

use network::Network;
use qz_client::{Client, ClientConfig, ClientError, Event, Events, EventsFrom, Home, ProofRequest};
use qz_evidence::{EventId, Hash32, OrgId};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(60);

/// A client of these nodes, in this order, as `caller`.
fn client_of(network: &Network, caller: &str, nodes: &[&str]) -> Client {
    let home = Home::open(&network.home(caller)).unwrap();
    let nodes: Vec<_> = nodes.iter().map(|name| OrgId::new(name).unwrap()).collect();
    Client::new(&ClientConfig::from_home(&home).unwrap().only(&nodes).unwrap()).unwrap()
}

async fn next(events: &mut Events) -> Event {
    match tokio::time::timeout(PATIENCE, events.next()).await {
        Ok(event) => event.unwrap(),
        Err(_) => panic!("no event after {:?}; tried {:?}", events.last(), events.tried()),
    }
}

/// Reads up to the record of this digest; gives all records and blocks on the way.
async fn until(events: &mut Events, digest: &Hash32) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        let event = next(events).await;
        let found = matches!(&event, Event::Record(record) if record.digest == *digest);
        all.push(event);
        if found {
            return all;
        }
    }
}

fn digests(events: &[Event]) -> Vec<Hash32> {
    let record = |event: &Event| match event {
        Event::Record(record) => Some(record.digest),
        _ => None,
    };
    events.iter().filter_map(record).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_its_node_without_gap_or_duplicate() {
    let mut network = Network::prepare(4);
    network.configure("court", &json!({ "rpc_proof_bytes": 65_536 }));
    for name in network::NAMES {
        network.start_node(name);
    }
    for name in network::NAMES {
        network.wait_until_serving(name, PATIENCE).await;
    }
    let platform = network.client("platform");
    let relay = network.relay("platform");
    let submit = async |number: u8| {
        let submission = network::deposit(&relay, number, 10_000);
        platform.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
        submission.digest
    };
    let mut expected = vec![submit(0).await];
    let beginning = platform.checkpoint(None).await.unwrap().unwrap();

    // From the genesis on, at one of two nodes: the first, unless it hesitates.
    let mut events = client_of(&network, "platform", &["notary", "court"]).events(EventsFrom::Height(0));
    let mut told = until(&mut events, &expected[0]).await;
    let (first, second) =
        if events.node().unwrap().as_str() == "notary" { ("notary", "court") } else { ("court", "notary") };
    assert!(matches!(&told[0], Event::Block(block) if block.height == 0 && block.records == 0));
    let Some(Event::Record(record)) = told.last() else { panic!("{told:?}") };
    assert!(record.own && record.kind == "evidence.deposited" && record.subjects.len() == 1);

    // The node dies with records still to be told; the stream goes on at another one.
    expected.push(submit(1).await);
    network.kill(first);
    for number in 2..6 {
        expected.push(submit(number).await);
    }
    told.extend(until(&mut events, expected.last().unwrap()).await);
    assert_eq!(events.node().unwrap().as_str(), second);
    assert_eq!(digests(&told), expected);

    // Back to the first, which has caught up, when the second dies.
    network.start_node(first);
    let height = platform.status().await.unwrap().height;
    network.wait_for_height(first, height, PATIENCE).await;
    network.kill(second);
    expected.push(submit(6).await);
    told.extend(until(&mut events, expected.last().unwrap()).await);
    assert_eq!(events.node().unwrap().as_str(), first);
    assert_eq!(digests(&told), expected);
    let ids: HashSet<_> = told.iter().map(|event| event.id().unwrap().to_string()).collect();
    assert_eq!(ids.len(), told.len());
    let heights: Vec<_> =
        told.iter().filter_map(|e| if let Event::Block(b) = e { Some(b.height) } else { None }).collect();
    assert!(heights.iter().copied().eq(0..heights.len() as u64), "{heights:?}");

    // Another program goes on after a place that it kept; it is another member, so nothing is its own.
    let kept =
        told.iter().rfind(|event| matches!(event, Event::Record(r) if r.digest == expected[4])).unwrap().id().unwrap();
    let mut resumed = client_of(&network, "arbitration", &["platform"]).events(EventsFrom::After(kept));
    let rest = until(&mut resumed, expected.last().unwrap()).await;
    assert_eq!(digests(&rest), expected[5..]);
    assert!(rest.iter().all(|event| !matches!(event, Event::Record(record) if record.own)));

    // A place that does not exist yet is refused by a node, so the client waits for one that has it.
    let ahead = EventsFrom::After(EventId { height: 1_000_000, index: None });
    let mut impossible = client_of(&network, "platform", &["platform"]).events(ahead);
    assert!(tokio::time::timeout(Duration::from_secs(2), impossible.next()).await.is_err());
    assert!(impossible.tried()[0].failure.to_string().contains("node.behind"), "{:?}", impossible.tried());

    // The history of now continues that of the beginning, and both are final.
    let now = platform.checkpoint(None).await.unwrap().unwrap();
    assert!(now.size > beginning.size && now.hand_overs.is_empty());
    let consistency = platform.consistency(beginning.size, now.size).await.unwrap().unwrap();
    assert_eq!((consistency.from_root, consistency.to_root), (beginning.root, now.root));
    let again = platform.checkpoint(Some(beginning.height)).await.unwrap().unwrap();
    assert_eq!((&again.header, again.root, &again.path), (&beginning.header, beginning.root, &beginning.path));
    // Every member that runs signs for the log and as a witness.
    let everybody = client_of(&network, "platform", &["platform", first, "arbitration"]);
    let (signed, note) = everybody.signed_checkpoint(Some(beginning.height)).await.unwrap().unwrap();
    assert_eq!(signed.root, beginning.root);
    assert!(note.signatures.len() == 6, "{note}");
    assert!(platform.checkpoint(Some(now.height + 1_000)).await.unwrap().is_none());
    let backwards = platform.consistency(now.size, 1).await.unwrap_err();
    assert!(matches!(backwards, ClientError::Rejected { status: 400, .. }), "{backwards}");
    let mut forged = now.clone();
    forged.path[0].0[0] ^= 1;
    assert!(forged.check(platform.genesis()).is_err());
    network.kill("notary");
    network.kill("platform");
    network.kill("arbitration");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_and_greedy_askers_are_bounded() {
    let mut network = Network::prepare(4);
    let limits = json!({
        "rpc_proof_bytes": 65_536, "rpc_streams_per_organisation": 2, "rpc_stream_buffer": 16,
        "rpc_stream_patience_ms": 1_000, "rpc_stream_heartbeat_ms": 500,
    });
    network.configure("platform", &limits);
    for name in network::NAMES {
        network.start_node(name);
    }
    for name in network::NAMES {
        network.wait_until_serving(name, PATIENCE).await;
    }
    let platform = network.client("platform");
    let relay = network.relay("platform");
    let mut hashes = Vec::new();
    for number in 0..60 {
        platform.submit(&network::deposit(&relay, number, 10_000).bytes).await.unwrap();
    }
    for number in 0..60 {
        let submission = network::deposit(&relay, number, 10_000);
        hashes.push(platform.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap().record_hash);
    }

    // A proof of everything would be too large; of a part it is not.
    let proof = async |records: &[Hash32]| {
        let request = ProofRequest { records: records.to_vec(), ..Default::default() };
        platform.proof(&request).await
    };
    let refused = proof(&hashes).await.unwrap_err();
    let ClientError::Rejected { status, rejection, .. } = refused else { panic!("{refused}") };
    assert_eq!((status, rejection.code.as_str()), (413, "proof.too_large"));
    assert!(rejection.message_zh.contains("65536"), "{rejection}");
    assert!(proof(&hashes[..5]).await.unwrap().unwrap().len() < 65_536);

    // A third stream of one organisation is refused until another ends.
    let mut first = platform.events(EventsFrom::Now);
    let mut second = platform.events(EventsFrom::Now);
    for (number, events) in [(100, &mut first), (101, &mut second)] {
        let submission = network::deposit(&relay, number, 10_000);
        let (event, done) = tokio::join!(next(events), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            platform.submit_and_wait(&submission.bytes, PATIENCE).await
        });
        assert!(done.is_ok() && event.id().is_some());
    }
    let mut third = platform.events(EventsFrom::Now);
    assert!(tokio::time::timeout(Duration::from_secs(1), third.next()).await.is_err());
    assert!(third.tried()[0].failure.to_string().contains("node.streams"), "{:?}", third.tried());
    drop((first, second, third));

    // Who asks for everything from the start and reads nothing is told where it stopped. The window
    // keeps the kernel from buffering it all.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut slow = network::raw::connect_with_window(&network.home("platform"), 4096).await;
    slow.write_all(b"GET /v1/events?from_height=0 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let before = metric(&network, "qz_rpc_streams_ended_total{reason=\"slow\"}").await;
    // More than all buffers on the way hold. Another claimed time makes another body.
    for (name, time) in network::NAMES.into_iter().zip(1..) {
        let relay = network.relay(name);
        // The platform's first hundred numbers were used above.
        for number in if name == "platform" { 110..250 } else { 0..250 } {
            let submission = network::deposit_with_time(&relay, number, 10_000, time);
            platform.submit(&submission.bytes).await.unwrap();
        }
    }
    let last = network::deposit(&relay, 251, 10_000);
    platform.submit_and_wait(&last.bytes, PATIENCE).await.unwrap();
    let started = std::time::Instant::now();
    while metric(&network, "qz_rpc_streams_ended_total{reason=\"slow\"}").await == before {
        assert!(started.elapsed() < PATIENCE, "the slow stream was never ended");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The connection ends without a TLS farewell; what came before it counts.
    let mut bytes = vec![];
    tokio::time::timeout(PATIENCE, slow.read_to_end(&mut bytes)).await.unwrap().ok();
    let text = String::from_utf8_lossy(&bytes);
    let end = text.split("event:end").nth(1).unwrap_or_else(|| panic!("no last event: {text}"));
    assert!(end.contains("\"reason\":\"slow\"") && end.contains("断点"), "{end}");
    let resume = end.split("\"resume\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(text.split("event:end").next().unwrap().trim_end().contains(&format!("id:{resume}\n")), "{resume}");
    let mut resumed = platform.events(EventsFrom::After(resume.parse().unwrap()));
    until(&mut resumed, &last.digest).await;
}

/// A metric of the platform's node, over its RPC; 0 if it is not there yet.
async fn metric(network: &Network, name: &str) -> f64 {
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = network::raw::body(&network.home("platform"), request).await;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}
