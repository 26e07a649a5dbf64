//! The client against TLS servers of members: trust, failover, refusals, resuming, size caps.
#![allow(clippy::unwrap_used)]

mod member;

use member::{Consortium, Reply, Server, finalised, org};
use qz_client::{
    BatchResult, Client, ClientConfig, ClientError, ConfigError, Failure, NodeEndpoint, ProofRequest, Rejection, Relay,
    SubmissionState,
};
use qz_evidence::batch::SubmissionBatch;
use qz_evidence::submission::{Actor, MAX_ACTORS, Parsed};
use qz_evidence::{Hash32, SubjectId, decode_strict};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Nobody listens on port 1.
const DEAD: &str = "https://127.0.0.1:1";
const PATIENCE: Duration = Duration::from_secs(20);

fn status(consortium: &Consortium, name: &str, height: u64) -> Value {
    json!({
        "organisation": name, "chain_id": consortium.genesis.chain_id(), "height": height,
        "header_hash": Hash32::ZERO, "time_ms": 1, "epoch": 0, "syncing": false, "healthy": true, "peers": 3,
        "mempool": 0, "a_later_version": "says more"
    })
}

fn failures(error: &ClientError) -> Vec<(String, Failure)> {
    match error {
        ClientError::Unreachable { tried } | ClientError::Pending { tried, .. } => {
            tried.iter().map(|a| (a.node.to_string(), a.failure.clone())).collect()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_first_node_that_answers_is_enough() {
    let consortium = Consortium::new();
    let answer = status(&consortium, "court", 12);
    let court =
        Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| Reply::Json(200, answer.clone()))
            .await;
    let client = consortium.client(&[("platform", DEAD), ("court", &court.url)]);
    let status = client.status().await.unwrap();
    assert_eq!((status.organisation, status.height), (org("court"), 12));
    assert_eq!(client.status_of(&org("court")).await.unwrap().height, 12);
    let dead = client.status_of(&org("platform")).await.unwrap_err();
    assert!(matches!(&failures(&dead)[..], [(_, Failure::Connect(_))]), "{dead}");
    assert!(matches!(client.status_of(&org("notary")).await, Err(ClientError::UnknownNode(_))));
}

#[tokio::test]
async fn only_the_nodes_own_organisation_may_vouch_for_it() {
    let consortium = Consortium::new();
    let (answer, impostors) = (status(&consortium, "court", 1), status(&consortium, "court", 1));
    let court =
        Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| Reply::Json(200, answer.clone()))
            .await;
    let impostor = Server::start(&consortium.impostor("court"), &consortium.genesis, move |_, _| {
        Reply::Json(200, impostors.clone())
    })
    .await;

    // The court's server in the place of the notary's; a stranger's in the place of the court's.
    for (name, url) in [("notary", &court.url), ("court", &impostor.url)] {
        let error = consortium.client(&[(name, url)]).status().await.unwrap_err();
        let failures = failures(&error);
        assert!(
            matches!(&failures[..], [(_, Failure::Connect(reason))] if reason.contains("invalid peer certificate")),
            "{failures:?}"
        );
    }
    assert!(court.seen().is_empty() && impostor.seen().is_empty(), "a request reached a server that is not trusted");
    assert!(consortium.client(&[("court", &court.url)]).status().await.is_ok());
}

#[tokio::test]
async fn a_client_that_no_member_vouches_for_is_refused() {
    let consortium = Consortium::new();
    let answer = status(&consortium, "court", 1);
    let court =
        Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| Reply::Json(200, answer.clone()))
            .await;
    let stranger = consortium.impostor("platform").tls_client().unwrap();
    let config = ClientConfig {
        client_certificate_pem: stranger.certificate_pem,
        client_key_pem: stranger.key_pem,
        ..consortium.config(&[("court", &court.url)])
    };
    let error = Client::new(&config).unwrap().status().await.unwrap_err();
    assert_eq!(failures(&error).len(), 1, "{error}");
    assert!(court.seen().is_empty());
}

#[tokio::test]
async fn a_node_of_another_chain_or_name_is_not_believed() {
    let consortium = Consortium::new();
    for (member, value) in [("chain_id", json!(Hash32([5; 32]))), ("organisation", json!("notary"))] {
        let mut answer = status(&consortium, "court", 1);
        answer[member] = value;
        let court =
            Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| Reply::Json(200, answer.clone()))
                .await;
        let error = consortium.client(&[("court", &court.url)]).status().await.unwrap_err();
        assert!(matches!(&failures(&error)[..], [(_, Failure::Nonsense(_))]), "{error}");
    }
}

#[tokio::test]
async fn busy_broken_and_silent_nodes_are_passed_over() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let state = SubmissionState::Final(finalised(submission.digest));
    let good = Server::start(&consortium.home("notary"), &consortium.genesis, move |_, _| Reply::of(&state)).await;
    type Answer = fn() -> Reply;
    let cases: [(&str, Answer); 7] = [
        ("busy", || Reply::error(503, "node.busy")),
        ("quota", || Reply::error(429, "pool.quota")),
        ("broken", || Reply::error(500, "node.failed")),
        ("cut", || Reply::Cut),
        ("not JSON", || Reply::Bytes(200, b"<html>".to_vec())),
        ("another submission", || Reply::of(&SubmissionState::Final(finalised(Hash32([3; 32]))))),
        ("a proxy's refusal", || Reply::Bytes(403, b"<html>".to_vec())),
    ];
    for (name, answer) in cases {
        let bad = Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| answer()).await;
        let client = consortium.client(&[("court", &bad.url), ("notary", &good.url)]);
        let at = client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
        assert_eq!((at.height, at.digest), (7, submission.digest), "{name}");
        // A connection that is cut may look like one that had been closed before, which is tried again.
        assert!(bad.seen().len() == 1 || name == "cut", "{name}");
        let asked = bad.seen().len();
        // The node that failed is asked last for a while.
        client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
        assert_eq!(bad.seen().len(), if name.contains("another") || name == "not JSON" { 2 } else { asked }, "{name}");
    }
    assert!(good.seen().iter().all(|seen| seen.body == submission.bytes));
}

#[tokio::test]
async fn of_a_batch_only_what_a_node_could_not_judge_is_sent_again() {
    let consortium = Consortium::new();
    let submissions = [1, 2, 3].map(|number| consortium.submission(number));
    let digests = submissions.clone().map(|submission| submission.digest);
    let batch = SubmissionBatch::take_from(&mut submissions.map(|submission| submission.bytes).into()).unwrap();
    let fine = move |at: usize| BatchResult::Final { digest: digests[at], height: 7 };
    let error = Rejection { code: "node.behind".into(), message_zh: "追赶".into(), message_en: "behind".into() };
    let rejected =
        move |at: usize, status| BatchResult::Rejected { digest: Some(digests[at]), status, error: error.clone() };
    let refusal = rejected.clone();
    let court = Server::start(&consortium.home("court"), &consortium.genesis, move |asked, _| {
        let results = match asked {
            0 => vec![rejected(0, 503), fine(1), rejected(2, 422)],
            1 => vec![rejected(0, 503)],
            2 => return Reply::error(503, "node.busy"),
            _ => vec![fine(0)],
        };
        Reply::Json(200, json!({ "results": results }))
    })
    .await;
    let client = consortium.client(&[("court", &court.url)]);
    let results = client.submit_batch(&batch, PATIENCE).await.unwrap();
    assert_eq!(results, [fine(0), fine(1), refusal(2, 422)]);
    let sent: Vec<SubmissionBatch> = court.seen().iter().map(|seen| decode_strict(&seen.body).unwrap()).collect();
    let counts: Vec<usize> = sent.iter().map(|batch| batch.submissions.len()).collect();
    assert_eq!(counts, [3, 1, 1, 1]);
    assert!(sent[1..].iter().all(|again| again.submissions[0] == batch.submissions[0]));
}

#[tokio::test]
async fn a_refusal_is_final_and_no_other_node_is_asked() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    for (status, code) in [(422, "seal_suspended"), (409, "id_reused"), (400, "malformed"), (403, "not_a_member")] {
        let refusing = Server::start(&consortium.home("court"), &consortium.genesis, move |_, seen| {
            if seen.line.starts_with("POST") { Reply::error(status, code) } else { Reply::error(404, "not_found") }
        })
        .await;
        let state = SubmissionState::Final(finalised(submission.digest));
        let other = Server::start(&consortium.home("notary"), &consortium.genesis, move |_, _| Reply::of(&state)).await;
        let client = consortium.client(&[("court", &refusing.url), ("notary", &other.url)]);
        for error in [
            client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap_err(),
            client.submit(&submission.bytes).await.unwrap_err(),
        ] {
            match &error {
                ClientError::Rejected { node, status: found, rejection } => {
                    assert_eq!((node, *found, rejection.code.as_str()), (&org("court"), status, code));
                    assert!(!rejection.message_zh.is_empty() && !rejection.message_en.is_empty());
                    assert!(!error.is_temporary());
                }
                other => panic!("{other}"),
            }
        }
        assert!(other.seen().is_empty(), "{code} was failed over");
    }
}

#[tokio::test]
async fn a_submission_refused_after_it_was_accepted_is_refused() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let digest = submission.digest;
    let court = Server::start(&consortium.home("court"), &consortium.genesis, move |number, _| {
        let error =
            qz_client::Rejection { code: "expired".into(), message_zh: "过期".into(), message_en: "late".into() };
        match number {
            0 => Reply::of(&SubmissionState::Pending { digest }),
            _ => Reply::of(&SubmissionState::Rejected { digest, error }),
        }
    })
    .await;
    let error =
        consortium.client(&[("court", &court.url)]).submit_and_wait(&submission.bytes, PATIENCE).await.unwrap_err();
    assert!(matches!(&error, ClientError::Rejected { rejection, .. } if rejection.code == "expired"), "{error}");
}

#[tokio::test]
async fn a_refusal_that_echoes_a_recorded_submission_is_success() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let digest = submission.digest;
    let court = Server::start(&consortium.home("court"), &consortium.genesis, move |_, seen| {
        match seen.line.starts_with("POST") {
            true => Reply::error(422, "already_signed"),
            false => Reply::of(&SubmissionState::Final(finalised(digest))),
        }
    })
    .await;
    let client = consortium.client(&[("court", &court.url)]);
    assert_eq!(client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap().height, 7);
    assert_eq!(court.lines()[1], format!("GET /v1/submissions/{digest}"));
}

#[tokio::test]
async fn waiting_goes_on_at_another_node() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let digest = submission.digest;
    // The first node accepts and then dies with the answer to the second round.
    let dying = Server::start(&consortium.home("court"), &consortium.genesis, move |number, _| match number {
        0 => Reply::of(&SubmissionState::Pending { digest }),
        _ => Reply::Cut,
    })
    .await;
    let other = Server::start(&consortium.home("notary"), &consortium.genesis, move |number, _| match number {
        0 => Reply::of(&SubmissionState::Pending { digest }),
        _ => Reply::of(&SubmissionState::Final(finalised(digest))),
    })
    .await;
    let client = consortium.client(&[("court", &dying.url), ("notary", &other.url)]);
    assert_eq!(client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap(), finalised(digest));
    assert_eq!((dying.seen().len(), other.seen().len()), (2, 2));
    assert!(other.lines().iter().all(|line| line == "POST /v1/submissions?wait=4"), "{:?}", other.lines());
}

#[tokio::test]
async fn a_node_that_takes_everything_and_finalises_nothing_is_left() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let digest = submission.digest;
    // Cut off from the other members, it cannot know better than to wait.
    let alone = Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| {
        Reply::of(&SubmissionState::Pending { digest })
    })
    .await;
    let other = Server::start(&consortium.home("notary"), &consortium.genesis, move |_, _| {
        Reply::of(&SubmissionState::Final(finalised(digest)))
    })
    .await;
    let client = consortium.client(&[("court", &alone.url), ("notary", &other.url)]);
    assert_eq!(client.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap(), finalised(digest));
    assert_eq!((alone.seen().len(), other.seen().len()), (1, 1));
}

#[tokio::test]
async fn running_out_of_time_says_whether_anybody_accepted() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let digest = submission.digest;
    let court = Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| {
        Reply::of(&SubmissionState::Pending { digest })
    })
    .await;
    let short = Duration::from_millis(700);
    let error =
        consortium.client(&[("court", &court.url)]).submit_and_wait(&submission.bytes, short).await.unwrap_err();
    assert!(matches!(&error, ClientError::Pending { digest: d, .. } if *d == digest), "{error}");
    assert!(error.is_temporary());
    assert!(court.seen().len() >= 2);

    let start = Instant::now();
    let client = consortium.client(&[("court", DEAD), ("notary", DEAD)]);
    let error = client.submit_and_wait(&submission.bytes, short).await.unwrap_err();
    assert_eq!(failures(&error).len(), 2);
    assert!(error.is_temporary() && start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_hanging_node_costs_its_timeout_only() {
    let consortium = Consortium::new();
    let submission = consortium.submission(1);
    let state = SubmissionState::Final(finalised(submission.digest));
    let hanging = Server::start(&consortium.home("court"), &consortium.genesis, |_, _| Reply::Hang).await;
    let good = Server::start(&consortium.home("notary"), &consortium.genesis, move |_, _| Reply::of(&state)).await;
    let client = consortium.client(&[("court", &hanging.url), ("notary", &good.url)]);
    let start = Instant::now();
    client.submit_and_wait(&submission.bytes, Duration::from_secs(1)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test]
async fn answers_are_capped() {
    let consortium = Consortium::new();
    let court =
        Server::start(&consortium.home("court"), &consortium.genesis, |_, _| Reply::Bytes(200, vec![b' '; 2 << 20]))
            .await;
    let error = consortium.client(&[("court", &court.url)]).status().await.unwrap_err();
    assert!(matches!(&failures(&error)[..], [(_, Failure::TooLarge(_))]), "{error}");
}

#[tokio::test]
async fn absence_is_believed_only_from_a_node_that_answers() {
    let consortium = Consortium::new();
    let court =
        Server::start(&consortium.home("court"), &consortium.genesis, |_, _| Reply::error(404, "not_found")).await;
    let hash = Hash32([4; 32]);
    let client = consortium.client(&[("platform", DEAD), ("court", &court.url)]);
    assert_eq!(client.submission(&hash).await.unwrap(), None);
    assert_eq!(client.record(&hash).await.unwrap(), None);
    assert_eq!(client.subject(&SubjectId(hash)).await.unwrap(), None);
    assert_eq!(client.subject_records(&SubjectId(hash), Some(3), 10).await.unwrap(), None);
    assert_eq!(client.block(9).await.unwrap(), None);
    let request = ProofRequest { records: vec![hash], ..ProofRequest::default() };
    assert_eq!(client.proof(&request).await.unwrap(), None);
    let expected = [
        format!("GET /v1/submissions/{hash}"),
        format!("GET /v1/records/{hash}"),
        format!("GET /v1/subjects/{hash}"),
        format!("GET /v1/subjects/{hash}/records?after=3&limit=10"),
        "GET /v1/blocks/9".to_owned(),
        "POST /v1/proof".to_owned(),
    ];
    assert_eq!(court.lines(), expected);
    assert_eq!(court.seen()[5].body, format!("{{\"records\":[\"{hash}\"]}}").into_bytes());

    let nobody = consortium.client(&[("platform", DEAD)]);
    assert!(matches!(nobody.record(&hash).await, Err(ClientError::Unreachable { .. })));
    // A record that one node lacks is fetched from the next; bytes of another record are not taken.
    let wrong = Server::start(&consortium.home("notary"), &consortium.genesis, move |_, _| {
        Reply::Json(200, json!({"hash": hash, "height": 1, "index": 0, "time_ms": 1, "record": "AAAA"}))
    })
    .await;
    let client = consortium.client(&[("notary", &wrong.url)]);
    let error = client.record(&hash).await.unwrap_err();
    assert!(matches!(&failures(&error)[..], [(_, Failure::Nonsense(_))]), "{error}");
}

#[tokio::test]
async fn the_nodes_genesis_must_be_ours() {
    let consortium = Consortium::new();
    let other = Consortium::new();
    for (bytes, ours) in [(consortium.genesis.bytes().to_vec(), true), (other.genesis.bytes().to_vec(), false)] {
        let court =
            Server::start(&consortium.home("court"), &consortium.genesis, move |_, _| Reply::Bytes(200, bytes.clone()))
                .await;
        assert_eq!(consortium.client(&[("court", &court.url)]).node_genesis().await.is_ok(), ours);
    }
}

#[test]
fn configurations_that_cannot_be_checked_are_refused() {
    let consortium = Consortium::new();
    let config = || ClientConfig::from_home(&consortium.home("notary")).unwrap();
    let order: Vec<String> = config().nodes.iter().map(|node| node.org.to_string()).collect();
    assert_eq!(order, ["notary", "arbitration", "court", "platform"], "its own node comes first");
    let only = config().only(&[org("court")]).unwrap();
    let court = NodeEndpoint { org: org("court"), url: "https://court.example:27200".into() };
    assert_eq!(only.nodes, [court]);
    assert!(config().only(&[org("stranger")]).is_err());

    type Change = fn(&mut ClientConfig);
    let cases: [(&str, Change); 6] = [
        ("no nodes", |c| c.nodes.clear()),
        ("stranger", |c| c.nodes[0].org = org("stranger")),
        ("plain http", |c| c.nodes[0].url = "http://127.0.0.1:1".into()),
        ("genesis", |c| c.genesis[200] ^= 1),
        ("certificate", |c| c.client_certificate_pem.truncate(60)),
        ("key", |c| c.client_key_pem.truncate(60)),
    ];
    for (name, change) in cases {
        let mut config = config();
        change(&mut config);
        let error: ConfigError = Client::new(&config).unwrap_err();
        assert!(!format!("{error} {config:?}").contains("PRIVATE KEY"), "{name}: {error}");
    }
}

#[test]
fn a_relay_signs_what_others_wrote() {
    let consortium = Consortium::new();
    let signed = consortium.submission(3);
    let parsed = Parsed::new(&signed.bytes).unwrap();
    assert_eq!((parsed.digest(), &parsed.submission().relay), (signed.digest, &org("platform")));

    // Another member relays the same body: another envelope, the same digest.
    let relay = Relay::from_home(&consortium.home("court")).unwrap();
    let again = relay.wrap_encoded(parsed.submission().body.to_vec(), vec![]).unwrap();
    assert_eq!(again.digest, signed.digest);
    assert_ne!(again.bytes, signed.bytes);
    assert_eq!(Parsed::new(&again.bytes).unwrap().submission().relay_key, relay.public_key());

    let actor = Actor { subject: SubjectId(Hash32::ZERO), signature: vec![0; 64].into() };
    assert!(relay.wrap_encoded(parsed.submission().body.to_vec(), vec![actor; MAX_ACTORS + 1]).is_err());
    assert!(relay.wrap_encoded(b"not a body".to_vec(), vec![]).is_err());
}

#[tokio::test]
async fn bytes_that_are_no_submission_are_not_sent() {
    let consortium = Consortium::new();
    let court = Server::start(&consortium.home("court"), &consortium.genesis, |_, _| Reply::error(500, "x")).await;
    let client = consortium.client(&[("court", &court.url)]);
    let mut bytes = consortium.submission(1).bytes;
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(client.submit_and_wait(&bytes, PATIENCE).await, Err(ClientError::Submission(_))));
    assert!(court.seen().is_empty());
}
