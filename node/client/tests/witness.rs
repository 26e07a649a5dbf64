//! Outside witnesses: the protocol's status codes, rollback and fork refused over restarts, and a split view
//! that is shown to two of them.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // other tests use the rest of it
mod member;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use member::{Consortium, NAMES};
use qz_client::witness::{Answer, Follow, Witness, WitnessHome, serve};
use qz_evidence::Hash32;
use qz_evidence::checkpoint::{SignedCheckpoint, TreeHead, keys_of};
use qz_evidence::history::{Frontier, consistency_path, leaf_hash};
use qz_evidence::note::{NoteSignature, SignedNote, VerifierKey};
use qz_genesis::Purpose;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A history of made-up headers; the seed makes another one.
struct Log {
    frontier: Frontier,
    nodes: HashMap<(u32, u64), Hash32>,
    roots: Vec<Hash32>,
}

impl Log {
    /// The first `common` headers are everybody's, those behind differ by the seed.
    fn new(size: u64, common: u64, seed: u8) -> Self {
        let mut log = Self { frontier: Frontier::default(), nodes: HashMap::new(), roots: vec![] };
        for n in 0..size {
            log.roots.push(log.frontier.root());
            let leaf = leaf_hash(&[&n.to_be_bytes()[..], &[if n < common { 0 } else { seed }]].concat());
            log.nodes.insert((0, n), leaf);
            log.nodes.extend(log.frontier.append(leaf).into_iter().map(|(l, i, h)| ((l, i), h)));
        }
        log.roots.push(log.frontier.root());
        log
    }

    fn note(&self, consortium: &Consortium, size: u64, signers: &[&str]) -> SignedNote {
        let chain = consortium.genesis.chain_id();
        let text = TreeHead::new(&chain, size, self.roots[size as usize]).to_string();
        let mut note = SignedNote { text, signatures: vec![] };
        for name in signers {
            let home = consortium.home(name);
            let [log, _] = keys_of(&chain, home.organisation()).unwrap();
            let signature = home.key(Purpose::Witness).unwrap().sign(note.text.as_bytes()).unwrap();
            note.add(NoteSignature::new(&log, None, &signature)).unwrap();
        }
        note
    }

    fn request(&self, old: u64, size: u64, note: &SignedNote) -> Vec<u8> {
        let mut perfect = |l, i| self.nodes.get(&(l, i)).copied().ok_or(());
        let proof = if old == 0 { vec![] } else { consistency_path(old, size, &mut perfect).unwrap() };
        let lines: String = proof.iter().map(|hash| format!("{}\n", BASE64.encode(hash.0))).collect();
        format!("old {old}\n{lines}\n{note}").into_bytes()
    }
}

fn open(folder: &Path, consortium: &Consortium) -> Witness {
    Witness::open(WitnessHome::open(folder).unwrap(), &consortium.genesis).unwrap()
}

fn cosigned(answer: &Answer, key: &VerifierKey, note: &SignedNote) -> bool {
    let line = NoteSignature::parse(answer.body.trim_end()).unwrap();
    answer.status == 200 && key.verify(&note.text, &line).is_some()
}

#[test]
fn status_codes_are_those_of_the_protocol_and_no_second_history_is_signed() {
    let consortium = Consortium::new();
    let folder = tempfile::tempdir().unwrap();
    let key = WitnessHome::create(folder.path(), "witness.example/w1").unwrap();
    assert!(WitnessHome::create(folder.path(), "witness.example/w1").is_err(), "a key is never overwritten");
    let witness = open(folder.path(), &consortium);
    assert!(WitnessHome::open(folder.path()).is_err(), "one process at a time");
    let (log, fork) = (Log::new(20, 20, 0), Log::new(20, 5, 1));
    let three = ["arbitration", "court", "notary"];
    let note = |size| log.note(&consortium, size, &three);
    let ask = |witness: &Witness, old, size| witness.add_checkpoint(&log.request(old, size, &note(size)), 1000);

    assert!(cosigned(&ask(&witness, 0, 8), &key, &note(8)));
    // The last one again, and a later one.
    assert!(cosigned(&ask(&witness, 8, 8), &key, &note(8)));
    assert!(cosigned(&ask(&witness, 8, 13), &key, &note(13)));
    let conflict = ask(&witness, 0, 14);
    assert_eq!((conflict.status, conflict.content_type, conflict.body.as_str()), (409, "text/x.tlog.size", "13\n"));
    // Rollback: the witness only tells what it saw.
    assert_eq!(ask(&witness, 8, 10).status, 409);
    assert_eq!(witness.latest().unwrap().tree.size, 13);

    let status = |request: &[u8]| witness.add_checkpoint(request, 1000).status;
    let good = log.request(13, 15, &note(15));
    let text = String::from_utf8(good.clone()).unwrap();
    for (what, request, expected) in [
        ("no request", b"old 1".to_vec(), 400),
        ("a leading zero", text.replace("old 13", "old 013").into_bytes(), 400),
        ("old larger than new", log.request(15, 15, &note(9)), 400),
        ("proof lines at size 0", format!("old 0\n{}\n\n{}", BASE64.encode([0; 32]), note(15)).into_bytes(), 400),
        ("another log", text.replace("qizheng/", "other/").into_bytes(), 404),
        ("two members are not enough", log.request(13, 15, &log.note(&consortium, 15, &three[..2])), 403),
        ("no proof", format!("old 13\n\n{}", note(15)).into_bytes(), 422),
        ("a fork", fork.request(13, 15, &fork.note(&consortium, 15, &three)), 422),
    ] {
        assert_eq!(status(&request), expected, "{what}");
    }
    assert!(witness.alarm().is_none());
    drop(witness);

    // A new process goes on from what was signed; a damaged state is no new beginning.
    let witness = open(folder.path(), &consortium);
    assert_eq!(ask(&witness, 0, 15).body, "13\n");
    assert!(cosigned(&ask(&witness, 13, 15), &key, &note(15)));
    drop(witness);
    let state = folder.path().join("latest.note");
    let kept = std::fs::read(&state).unwrap();
    std::fs::write(&state, &kept[..kept.len() - 9]).unwrap();
    assert!(Witness::open(WitnessHome::open(folder.path()).unwrap(), &consortium.genesis).is_err());
    std::fs::write(&state, &kept).unwrap();

    // Another history of the same size, signed by enough members: evidence, and an alarm that stays.
    let witness = open(folder.path(), &consortium);
    let other = fork.note(&consortium, 15, &three);
    let answer = witness.add_checkpoint(&fork.request(13, 15, &other), 1000);
    assert_eq!(answer.status, 409);
    let evidence = std::fs::read_to_string(folder.path().join("split-view.txt")).unwrap();
    assert!(evidence.contains(&note(15).text) && evidence.contains(&other.text), "{evidence}");
    assert_eq!(ask(&witness, 15, 16).status, 503, "it signs nothing any more");
    drop(witness);
    assert!(open(folder.path(), &consortium).alarm().is_some());
}

async fn get(url: &str) -> (u16, String) {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
    let response = client.get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_view_shown_to_two_witnesses_is_detected() {
    let consortium = Consortium::new();
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![];
    let mut witnesses = vec![];
    let mut listeners = vec![];
    for name in ["one", "two"] {
        let path = folder.path().join(name);
        WitnessHome::create(&path, &format!("witness.example/{name}")).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        urls.push(format!("http://{}", listener.local_addr().unwrap()));
        listeners.push(listener);
        witnesses.push(Arc::new(open(&path, &consortium)));
    }
    for (i, listener) in listeners.into_iter().enumerate() {
        let follow = Follow { client: None, peers: vec![urls[1 - i].clone()], every: Duration::from_millis(100) };
        tokio::spawn(serve(listener, witnesses[i].clone(), follow));
    }
    // Dishonest members show each witness its own history; each is consistent in itself.
    let (log, fork) = (Log::new(12, 12, 0), Log::new(12, 5, 1));
    for (witness, shown) in witnesses.iter().zip([&log, &fork]) {
        for (old, size) in [(0, 4), (4, 9)] {
            let note = shown.note(&consortium, size, &NAMES);
            assert_eq!(witness.add_checkpoint(&shown.request(old, size, &note), 1000).status, 200);
        }
    }
    let started = Instant::now();
    while witnesses.iter().any(|witness| witness.alarm().is_none()) {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (name, url) in ["one", "two"].iter().zip(&urls) {
        let (status, body) = get(&format!("{url}/health")).await;
        assert!(status == 503 && body.contains("split view"), "{status} {body}");
        let evidence = std::fs::read_to_string(folder.path().join(name).join("split-view.txt")).unwrap();
        let sides: Vec<&str> = evidence.split("\n\nqizheng/").collect();
        assert_eq!(sides.len(), 2, "both sides are kept: {evidence}");
        let first = SignedCheckpoint::parse(format!("{}\n", sides[0]).as_bytes()).unwrap();
        let second = SignedCheckpoint::parse(format!("qizheng/{}", sides[1]).as_bytes()).unwrap();
        assert_eq!(first.tree.size, second.tree.size);
        assert_ne!(first.tree.root, second.tree.root);
        // Each side stands by itself, signed by the members: nobody needs to believe the witness.
        let witness = &witnesses[0];
        assert!(witness.is_of_the_log(&first) && witness.is_of_the_log(&second));
    }
    let (status, _) = get(&format!("{}/add-checkpoint", urls[0])).await;
    assert_eq!(status, 400);
}
