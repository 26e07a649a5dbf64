//! A running consortium changes itself: four members admit a fifth with a validator, one rotates its relay
//! key, one is removed; real processes, and every change approved by k of n offices. At the end a proof
//! over all epochs verifies from the original genesis.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use qz_client::{Client, ClientConfig, Finalised, ProofRequest};
use qz_evidence::checkpoint::{SignedCheckpoint, keys_of};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::commitment::Commitment;
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::Body;
use qz_evidence::validators::{Validator, address};
use qz_evidence::{Hash32, Height, OrgId, SubmissionId, decode_strict, encode};
use qz_testnet::binaries::{self, Binaries};
use qz_testnet::ceremony::{self, text};
use qz_testnet::custody;
use qz_testnet::folder::Folder;
use qz_testnet::member::MemberClient;
use qz_testnet::ports::Ports;
use qz_testnet::process::Process;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(45);
const FOUNDERS: [&str; 4] = ["platform", "notary", "court", "arbitration"];
const NEWCOMER: &str = "registry";

struct Consortium {
    folder: Folder,
    binaries: Binaries,
    nodes: BTreeMap<String, Process>,
    next_id: u8,
    witness_port: u16,
}

impl Consortium {
    fn found(place: &Path) -> Self {
        qz_testnet::prepare_tls();
        let folder = Folder::new_run(place).unwrap();
        let binaries = Binaries::locate_for_nodes().unwrap();
        let ports = Ports::find_apart().unwrap();
        ceremony::hold(&binaries, &folder, &ceremony::on_loopback(&ports), |_| {}).unwrap();
        let witness_port = ports.witness();
        let this = Self { folder, binaries, nodes: BTreeMap::new(), next_id: 0, witness_port };
        this.join(&Ports::find(ports.witness() + 1).unwrap());
        for id in FOUNDERS.iter().chain([&NEWCOMER]) {
            // An idle chain has a block every half second here, not every five.
            std::fs::write(this.home(id).join("node.json"), r#"{"heartbeat_ms": 500}"#).unwrap();
        }
        this
    }

    /// A fifth organisation makes its keys; it is in no genesis.
    fn join(&self, ports: &Ports) {
        let ports = ports.node(0);
        let home = self.home(NEWCOMER);
        let passphrase = custody::choose(&home).unwrap();
        self.genesis(&[
            "keygen",
            "--passphrase-file",
            text(&passphrase).unwrap(),
            "--home",
            text(&home).unwrap(),
            "--org",
            NEWCOMER,
            "--name-zh",
            "演示登记中心",
            "--name-en",
            "Demo Registry",
            "--roles",
            "attestor",
            "--consensus-addr",
            &format!("/ip4/127.0.0.1/tcp/{}", ports.consensus),
            "--mempool-addr",
            &format!("/ip4/127.0.0.1/tcp/{}", ports.mempool),
            "--rpc-url",
            &format!("https://127.0.0.1:{}", ports.rpc),
        ]);
        std::fs::copy(self.folder.genesis(), home.join("genesis.qz")).unwrap();
    }

    fn genesis(&self, arguments: &[&str]) -> String {
        binaries::run(&self.binaries.genesis, arguments).unwrap()
    }

    fn home(&self, id: &str) -> PathBuf {
        self.folder.organisation(id)
    }

    fn member(&self, id: &str) -> MemberClient {
        MemberClient::open(&self.home(id)).unwrap()
    }

    fn log(&self, id: &str) -> PathBuf {
        self.folder.logs().join(format!("node-{id}.log"))
    }

    fn start(&mut self, id: &str) {
        let (home, log) = (self.home(id), self.log(id));
        let passphrase = custody::passphrase_file(&home);
        let environment = [(custody::VARIABLE, text(&passphrase).unwrap())];
        let arguments = ["run", "--home", text(&home).unwrap()];
        let node = Process::spawn(id, &self.binaries.node, &arguments, &environment, &log).unwrap();
        self.nodes.insert(id.to_owned(), node);
    }

    /// What `qz-node status` says; nothing while the node does not answer.
    fn status(&self, id: &str) -> Option<Value> {
        let output = self.node(&["status"], &self.home(id), &[]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    async fn wait(&mut self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let status = self.status(id);
            if let Some(status) = &status
                && wanted(status)
            {
                return status.clone();
            }
            self.nodes.get_mut(id).unwrap().check_running().unwrap();
            assert!(start.elapsed() < PATIENCE, "{id}: no {what} in time: {status:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn height(&self) -> u64 {
        self.status("platform").unwrap()["height"].as_u64().unwrap()
    }

    /// A change by the commands of the offices: `propose`, each approves for itself, `combine`; gives the file
    /// that any member relays.
    fn approved(&mut self, change: &[&str], offices: &[&str]) -> PathBuf {
        self.next_id += 1;
        let file = |name: &str| self.folder.out().join(format!("change-{}.{name}", self.next_id));
        let (genesis, proposal, signed) = (self.folder.genesis(), file("qzp"), file("signed"));
        let [genesis, proposal, out] = [&genesis, &proposal, &signed].map(|path| text(path).unwrap());
        let expiry = (self.height() + 1_000).to_string();
        self.genesis(&[&["propose"], change, &["--genesis", genesis, "--expiry", &expiry, "--out", proposal]].concat());
        let shown = self.genesis(&["proposal", "--genesis", genesis, "--json", proposal]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let digest = shown["digest"].as_str().unwrap();
        let mut approvals = vec![];
        for office in offices {
            let (home, approval) = (self.home(office), file(&format!("{office}.approval")));
            let passphrase = custody::passphrase_file(&home);
            let [home, passphrase, approval] = [&home, &passphrase, &approval].map(|path| text(path).unwrap());
            let arguments = ["approve", "--passphrase-file", passphrase, "--home", home, "--genesis", genesis];
            self.genesis(&[&arguments[..], &["--digest", digest, proposal, "--out", approval]].concat());
            approvals.push(approval.to_owned());
        }
        let mut combine = vec!["combine", "--genesis", genesis, proposal, "--out", out];
        combine.extend(approvals.iter().map(String::as_str));
        self.genesis(&combine);
        signed
    }

    /// The card of a folder, as a file.
    fn card(&self, home: &Path) -> PathBuf {
        let file = self.folder.out().join(home.file_name().unwrap()).with_extension("qzcard");
        let passphrase = custody::passphrase_file(home);
        let [home, passphrase, out] = [home, &passphrase, &file].map(|path| text(path).unwrap());
        self.genesis(&["card", "--passphrase-file", passphrase, "--home", home, "-o", out]);
        file
    }

    fn node(&self, command: &[&str], home: &Path, arguments: &[&str]) -> Output {
        let mut node = Command::new(&self.binaries.node);
        node.args(command).arg("--home").arg(home).args(arguments);
        node.env(custody::VARIABLE, custody::passphrase_file(home)).output().unwrap()
    }

    /// `qz-node submit`: the height at which it became final, or what was printed.
    fn submit(&self, home: &Path, arguments: &[&str], file: &Path) -> Result<u64, String> {
        let output = self.node(&["submit"], home, &[arguments, &[text(file).unwrap()]].concat());
        if !output.status.success() {
            return Err(String::from_utf8(output.stderr).unwrap());
        }
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        Ok(answer["height"].as_u64().unwrap())
    }

    async fn deposit(&mut self, relay: &MemberClient) -> Result<Finalised, String> {
        self.next_id += 1;
        let body = Body::new(
            relay.genesis().chain_id(),
            SubmissionId([self.next_id; 16]),
            Height(self.height() + 1_000),
            Payload::EvidenceDeposited(EvidenceDeposited { about: None }),
            vec![Commitment { name: "document.sha256".to_owned(), hash: Hash32([self.next_id; 32]) }],
            0,
        );
        relay.relay(encode(&body), vec![]).await.map_err(|error| error.to_string())
    }

    /// Waits for a commit certificate above `height` that this validator has signed.
    async fn wait_for_vote(&self, validator: &Hash32, mut height: u64) -> u64 {
        let platform = self.member("platform");
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "no vote up to height {height}\n{}", self.logs());
            let Some(block) = platform.client().block(height).await.unwrap() else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Some(bytes) = block.commit {
                let certificate: CommitCertificate = decode_strict(&bytes).unwrap();
                if certificate.signatures.iter().any(|signed| signed.address == *validator) {
                    return height;
                }
            }
            height += 1;
        }
    }

    /// An outside witness that knows the genesis and asks the nodes as the platform does.
    fn witness(&self, place: &Path) -> Process {
        let home = text(place).unwrap();
        binaries::run(&self.binaries.client, &["witness", "init", "--home", home, "--name", "witness.example/w1"])
            .unwrap();
        let (genesis, platform) = (self.folder.genesis(), self.home("platform"));
        let listen = format!("127.0.0.1:{}", self.witness_port);
        let mut arguments = vec!["witness", "run", "--home", home, "--genesis", text(&genesis).unwrap()];
        arguments.extend(["--listen", &listen, "--as", text(&platform).unwrap(), "--every", "1"]);
        let passphrase = custody::passphrase_file(&platform);
        let environment = [(custody::VARIABLE, text(&passphrase).unwrap())];
        let log = self.folder.logs().join("witness.log");
        Process::spawn("witness", &self.binaries.client, &arguments, &environment, &log).unwrap()
    }

    /// The first checkpoint that the witness signs over more than `height` blocks.
    async fn witnessed(&self, height: u64) -> SignedCheckpoint {
        let url = format!("http://127.0.0.1:{}/checkpoint", self.witness_port);
        let start = Instant::now();
        loop {
            if let Ok(response) = reqwest::get(&url).await
                && response.status().is_success()
            {
                let found = SignedCheckpoint::parse(&response.bytes().await.unwrap()).unwrap();
                if found.tree.size > height + 1 {
                    return found;
                }
            }
            let log = || std::fs::read_to_string(self.folder.logs().join("witness.log")).unwrap();
            assert!(start.elapsed() < PATIENCE, "nothing witnessed over {height}\n{}", log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn logs(&self) -> String {
        let tail = |process: &Process| format!("--- {}\n{}\n", process.log().display(), process.tail());
        self.nodes.values().map(tail).collect()
    }

    fn validator(&self, id: &str) -> Validator {
        let home = custody::open(&self.home(id)).unwrap();
        let organisation = home.organisation().clone();
        Validator { organisation: organisation.id, key: organisation.validator.unwrap().consensus_key, power: 1 }
    }
}

fn is_validator_of(status: &Value, id: &str) -> bool {
    status["validators"].as_array().unwrap().iter().any(|validator| validator["organisation"] == id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_consortium_admits_rotates_and_removes() {
    let place = tempfile::tempdir().unwrap();
    let mut consortium = Consortium::found(place.path());
    for id in FOUNDERS.iter().chain([&NEWCOMER]) {
        consortium.start(id);
    }
    for id in FOUNDERS {
        consortium.wait(id, "first block", |status| status["height"].as_u64() >= Some(1)).await;
    }
    let platform = consortium.member("platform");
    let first = consortium.deposit(&platform).await.unwrap();
    let mut witness = consortium.witness(&place.path().join("witness"));
    consortium.witnessed(first.height).await;

    // The fifth node runs before anybody has admitted it: it answers its owner, and nobody answers it.
    let status = consortium.wait(NEWCOMER, "answer", |_| true).await;
    assert_eq!((&status["role"], &status["height"], &status["peers"]), (&"candidate".into(), &0.into(), &0.into()));

    // Two of four offices are not enough, three are. The file travels through whomever takes it.
    let card = consortium.card(&consortium.home(NEWCOMER));
    let admit = ["put-organisation", text(&card).unwrap()];
    let (home, notary_home) = (consortium.home("platform"), consortium.home("notary"));
    let too_few = consortium.approved(&admit, &["platform", "court"]);
    let refusal = consortium.submit(&home, &[], &too_few).unwrap_err();
    assert!(refusal.contains("(422)"), "{refusal}");
    let enough = consortium.approved(&admit, &["platform", "court", "arbitration"]);
    let admitted = consortium.submit(&home, &["--through", "notary"], &enough).unwrap();
    let joined = consortium.wait(NEWCOMER, "synced observer", |s| s["height"].as_u64() >= Some(admitted)).await;
    assert_eq!(joined["role"], "observer");
    assert_eq!(joined["epoch"], 0, "no validator yet");

    // It becomes a validator with the next set, and its votes count.
    let five = [&["validators"], &FOUNDERS[..], &[NEWCOMER, "--card", text(&card).unwrap()]].concat();
    let set = consortium.approved(&five, &["notary", "court", "arbitration"]);
    let decided = consortium.submit(&notary_home, &[], &set).unwrap();
    let newcomer = address(&consortium.validator(NEWCOMER).key);
    let voted = consortium.wait_for_vote(&newcomer, decided + 1).await;
    let status = consortium.wait(NEWCOMER, "validator", |s| s["role"] == "validator").await;
    assert_eq!(status["epoch"], 1);
    assert!(is_validator_of(&status, NEWCOMER));

    // While the fifth is down, the notary rotates its relay key and arbitration is removed.
    consortium.nodes.remove(NEWCOMER).unwrap().kill9();
    let old_relay = consortium.member("notary");
    consortium.deposit(&old_relay).await.unwrap();
    let successor = place.path().join("notary-2");
    let passphrases = (custody::passphrase_file(&notary_home), custody::choose(&successor).unwrap());
    consortium.genesis(&[
        "rotate",
        "--passphrase-file",
        text(&passphrases.0).unwrap(),
        "--home",
        text(&notary_home).unwrap(),
        "--to",
        text(&successor).unwrap(),
        "--keys",
        "relay",
        "--new-passphrase-file",
        text(&passphrases.1).unwrap(),
    ]);
    let rotated = consortium.card(&successor);
    let rotate = ["put-organisation", text(&rotated).unwrap()];
    let rotate = consortium.approved(&rotate, &["platform", "notary", "court"]);
    consortium.submit(&home, &[], &rotate).unwrap();
    let refusal = consortium.deposit(&old_relay).await.unwrap_err();
    assert!(refusal.contains("relay"), "the old key is refused: {refusal}");

    let remove = consortium.approved(&["remove", "arbitration"], &["platform", "notary", "court"]);
    std::fs::copy(consortium.folder.genesis(), successor.join("genesis.qz")).unwrap();
    let removed = consortium.submit(&successor, &[], &remove).expect("the new relay key is accepted");
    let status = consortium.wait("arbitration", "notice of removal", |s| s["role"] == "removed").await;
    assert!(status["height"].as_u64() >= Some(removed));

    // Its node is left alone and says so once; its clients are refused by the others.
    let start = Instant::now();
    while consortium.status("arbitration").unwrap()["peers"] != 0 {
        assert!(start.elapsed() < PATIENCE, "still connected");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let arbitration = custody::open(&consortium.home("arbitration")).unwrap();
    let config = ClientConfig::from_home(&arbitration).unwrap().only(&[OrgId::new("platform").unwrap()]).unwrap();
    let error = Client::new(&config).unwrap().status().await.unwrap_err();
    assert!(matches!(error, qz_client::ClientError::Unreachable { .. }), "{error}");

    // The chain goes on with three of four, and the fifth comes back over both boundaries.
    let between = consortium.deposit(&platform).await.unwrap();
    consortium.start(NEWCOMER);
    let status = consortium.wait(NEWCOMER, "return", |s| s["height"].as_u64() >= Some(between.height)).await;
    assert_eq!((&status["role"], status["epoch"].as_u64()), (&"validator".into(), Some(2)));
    assert!(!is_validator_of(&status, "arbitration"));
    consortium.wait_for_vote(&newcomer, between.height + 1).await;
    let last = consortium.deposit(&platform).await.unwrap();
    assert!(voted < last.height);
    for id in ["platform", "notary", "court", NEWCOMER] {
        consortium.wait(id, "last record", |s| s["height"].as_u64() >= Some(last.height)).await;
    }
    let silent = consortium.status("arbitration").unwrap();
    assert!(silent["height"].as_u64() < Some(last.height), "the removed node has not followed");
    // It hears of its removal from those who are further; then it says so, once.
    let said = || {
        let log = std::fs::read_to_string(consortium.log("arbitration")).unwrap();
        log.matches("governance has removed this node").count()
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while said() == 0 && std::time::Instant::now() < end {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(said(), 1, "one clear line");

    // A checkpoint is final in the third epoch, as the hand-overs prove from the genesis on.
    let checkpoint = platform.client().checkpoint(Some(last.height)).await.unwrap().unwrap();
    assert_eq!(checkpoint.hand_overs.len(), 2);

    // One proof over three epochs, verified by the program from the genesis alone.
    let records = vec![first.record_hash, between.record_hash, last.record_hash];
    let request = ProofRequest { records, ..Default::default() };
    let proof = platform.client().proof(&request).await.unwrap().unwrap();
    let file = consortium.folder.out().join("epochs.qzproof");
    std::fs::write(&file, proof).unwrap();
    let genesis = consortium.folder.genesis();
    let arguments = [text(&file).unwrap(), "--genesis", text(&genesis).unwrap()];
    binaries::run(&consortium.binaries.verify, &arguments).unwrap();

    // Without the notary only two founders speak for the log: the witness must know the newcomer, whom no genesis
    // names, and that arbitration does not count any more.
    let stopped = consortium.nodes.remove("notary").unwrap().stop().and_then(|status| status.code());
    assert_eq!(stopped, Some(0));
    let later = consortium.deposit(&platform).await.unwrap();
    let checkpoint = consortium.witnessed(later.height).await;
    let chain_id = platform.genesis().chain_id();
    let speakers: Vec<&str> = ["platform", "court", NEWCOMER, "notary", "arbitration"]
        .into_iter()
        .filter(|id| {
            let home = custody::open(&consortium.home(id)).unwrap();
            let [log, _] = keys_of(&chain_id, home.organisation()).unwrap();
            checkpoint.note.signatures.iter().any(|line| log.verify(&checkpoint.note.text, line).is_some())
        })
        .collect();
    assert_eq!(speakers, ["platform", "court", NEWCOMER]);
    witness.stop();

    for (id, mut node) in std::mem::take(&mut consortium.nodes) {
        assert_eq!(node.stop().and_then(|status| status.code()), Some(0), "{id} ends in good order");
    }
}
