//! The complete history of a subject over the RPC of real nodes: the client verifies it, and an old head
//! or an unknown subject is told as such.
#![allow(clippy::unwrap_used)]

mod network;

use std::time::Duration;

use network::Network;
use qz_client::{ClientError, HistoryFailure};
use qz_evidence::codec::Bytes;
use qz_evidence::genesis::Genesis;
use qz_evidence::payload::{AuditAnchored, Payload};
use qz_evidence::submission::{Actor, Body, actor_message};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use qz_genesis::{Home, Purpose};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_is_fetched_and_proven_complete() {
    let network = Network::start(4);
    let home = Home::open(&network.home("court")).unwrap();
    let genesis: Genesis = home.genesis().unwrap();
    let (chain_id, court) = (genesis.chain_id(), OrgId::new("court").unwrap());
    let (log, office) = (SubjectId::of_audit_log(&chain_id, &court), SubjectId::of_organisation(&chain_id, &court));
    let relay = qz_client::Relay::from_home(&home).unwrap();
    let client = network.client("court");
    let key = home.key(Purpose::Office).unwrap();
    let mut last = None;
    for size in 1..=5u8 {
        let fields = AuditAnchored { organisation: court.clone(), size: u64::from(size), root: Hash32([size; 32]) };
        let (id, payload) = (SubmissionId([size; 16]), Payload::AuditAnchored(fields));
        let body = Body::new(chain_id, id, Height(1000), payload, vec![], 0);
        let signature = Bytes(key.sign(&actor_message(&body.digest())).unwrap().to_vec());
        let submission = relay.wrap(&body, vec![Actor { subject: office, signature: signature.clone() }]).unwrap();
        let recorded = client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
        last = Some((body, signature, recorded));
    }
    // Every member's node gives the same complete history.
    for name in network::NAMES {
        let seen = client.status().await.unwrap().height;
        network.wait_for_height(name, seen, PATIENCE).await;
        let proven = network.client(name).history(&log, Some(Duration::from_secs(60))).await.unwrap();
        proven.history.complete().unwrap();
        assert_eq!((proven.history.records(), proven.bundles.len()), (5, 1));
        assert!(proven.history.shown.iter().all(|record| record.kind == "audit.anchored"));
    }
    // The platform wakes up and relays the last body too: it is the same record, not another one.
    let platform = network.client("platform");
    let late = qz_client::Relay::from_home(&Home::open(&network.home("platform")).unwrap()).unwrap();
    let (body, signature, recorded) = last.unwrap();
    let again = late.wrap(&body, vec![Actor { subject: office, signature }]).unwrap();
    assert_eq!(platform.submit_and_wait(&again.bytes, PATIENCE).await.unwrap(), recorded);
    assert_eq!(platform.history(&log, None).await.unwrap().history.records(), 5);
    // A part is one, and says so.
    let (part, _) = client.history_part(&log, Some((1, 3)), None, None).await.unwrap();
    assert_eq!(part.shown.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(part.complete().is_err());
    // Under an older block there were fewer; somebody who wants news refuses that block.
    let older = part.shown[1].height;
    let (then, _) = client.history_part(&log, None, Some(older), None).await.unwrap();
    then.complete().unwrap();
    assert_eq!((then.records(), then.head.height), (3, older));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let stale = client.history_part(&log, None, Some(older), Some(Duration::from_secs(1))).await;
    assert!(matches!(stale, Err(ClientError::Unreachable { .. })), "{stale:?}");
    // Records that are not there, and a subject that is not.
    let beyond = client.history_part(&log, Some((3, 5)), None, None).await;
    assert!(matches!(beyond, Err(ClientError::Rejected { status: 400, .. })), "{beyond:?}");
    let stranger = SubjectId(Hash32([7; 32]));
    let absent = client.history(&stranger, None).await.unwrap();
    assert!(absent.history.state.is_none() && absent.history.complete().is_ok());
    assert!(absent.history.words().en.contains("there is no subject"));

    // Nodes that are down are no proof of anything.
    let dead = Network::prepare(4);
    let elsewhere = dead.client("court").history(&log, None).await;
    assert!(matches!(elsewhere, Err(HistoryFailure::Client(ClientError::Unreachable { .. }))), "{elsewhere:?}");
}
