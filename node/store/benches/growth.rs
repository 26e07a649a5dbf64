//! What a store of many records costs: `make growth RECORDS=1000000`. It drives the same admission,
//! proposal, execution and commit as a node, on a real store on disk, without consensus and network,
//! which do not depend on how much is stored. It prints a line of JSON at each power of ten.
//!
//! Of four records three deposit evidence (a new subject each) and one suspends or resumes one of a few
//! hundred seals (a subject that exists). The replay window is short, so that pruning keeps pace as it
//! does on a ledger that has run for long.
//!
//! `cargo test` runs it with few records.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/node/mod.rs"]
mod node;

use node::WINDOW;
use node::ledger::{Ledger, certificate, commitments, key, proposer};
use qz_chain::{Verified, View, admit, execute, propose};
use qz_evidence::payload::{EvidenceDeposited, Payload, SealKind, SealMade, SealRef};
use qz_evidence::submission::Parsed;
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, SubjectId, encode};
use qz_store::Store;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Records of a block.
const PER_BLOCK: usize = 500;
/// Seals that are suspended and resumed.
const SEALS: usize = 250;
/// Proofs made and verified at a milestone.
const PROOFS: usize = 300;
/// Records of a run under `cargo test`.
const FEW: usize = 4_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().skip_while(|argument| *argument != "--records").nth(1);
    let records = given.map_or(FEW, |records| records.parse().unwrap());
    let folder = tempfile::Builder::new().prefix("qz-growth-").tempdir().unwrap();
    let mut growing = Growing::begin(folder.path());
    let mut milestones: Vec<usize> = (4..).map(|power| 10usize.pow(power)).take_while(|size| *size < records).collect();
    milestones.push(records);
    for next in milestones {
        // CPU per record is that of the last tenth before the milestone.
        growing.grow_to(next - next / 10);
        let from = growing.records;
        let spent = growing.grow_to(next);
        println!("{}", growing.milestone(spent, growing.records - from));
    }
}

/// CPU microseconds: of the whole process, and of the thread that does a node's work, without the
/// compactions in the background.
#[derive(Clone, Copy, Default)]
struct Spent {
    all: f64,
    own: f64,
}

struct Growing {
    folder: PathBuf,
    store: Store,
    /// Makes submissions; its own state stays at the genesis.
    ledger: Ledger,
    verified: Verified,
    owner: SubjectId,
    seals: Vec<SubjectId>,
    /// Seal operations so far; each round over all seals suspends or resumes.
    turns: usize,
    records: usize,
    samples: Vec<(Hash32, SubjectId)>,
}

impl Growing {
    fn begin(folder: &Path) -> Self {
        let ledger = Ledger::with(WINDOW, true);
        let store = Store::open(folder, &ledger.genesis).unwrap();
        let mut growing = Self {
            folder: folder.to_owned(),
            store,
            verified: Verified::default(),
            owner: SubjectId(Hash32::ZERO),
            seals: vec![],
            turns: 0,
            records: 0,
            samples: vec![],
            ledger,
        };
        let registration = growing.ledger.registration("owner", "notary");
        growing.owner = growing.ledger.created(&registration);
        growing.block(&[registration]);
        let payload = Payload::SealMade(SealMade { owner: growing.owner, kind: SealKind::Contract });
        let names = ["certificate.sha256", "imprint.sha256"];
        let seals: Vec<_> = (0..SEALS).map(|_| growing.by_owner(payload.clone(), &names)).collect();
        growing.seals = seals.iter().map(|made| growing.ledger.created(made)).collect();
        growing.block(&seals);
        growing
    }

    /// Adds blocks up to so many records; gives the CPU microseconds they took.
    fn grow_to(&mut self, records: usize) -> Spent {
        let mut spent = Spent::default();
        while self.records < records {
            // Signing is the clients' work, so it is done before the clock starts.
            let submissions = self.sign(PER_BLOCK);
            let (all, own) = (cpu_us(), thread_cpu_us());
            self.block(&submissions);
            spent.all += cpu_us() - all;
            spent.own += thread_cpu_us() - own;
        }
        spent
    }

    fn sign(&mut self, count: usize) -> Vec<Parsed> {
        let one = |i: usize| {
            if i % 4 != 3 {
                let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
                let body = self.body(payload, &["document.sha256"]);
                return node::ledger::relay(&body, vec![], "platform");
            }
            let seal = SealRef { seal: self.seals[self.turns % SEALS] };
            let suspend = (self.turns / SEALS).is_multiple_of(2);
            self.turns += 1;
            let payload = if suspend { Payload::SealSuspended(seal) } else { Payload::SealResumed(seal) };
            self.by_owner(payload, &["description"])
        };
        (0..count).map(one).collect()
    }

    fn body(&mut self, payload: Payload, names: &[&str]) -> qz_evidence::submission::Body {
        let mut body = self.ledger.body(payload, commitments(names));
        body.expiry = Height(self.store.tip_height().unwrap().0 + WINDOW);
        body
    }

    fn by_owner(&mut self, payload: Payload, names: &[&str]) -> Parsed {
        let body = self.body(payload, names);
        let actors = vec![node::ledger::actor(&body, self.owner, &key("owner"))];
        node::ledger::relay(&body, actors, "platform")
    }

    /// All that one node does for a block, as its proposer and as a validator.
    fn block(&mut self, submissions: &[Parsed]) {
        let changes = {
            let view = self.store.view().unwrap();
            for parsed in submissions {
                let admitted = admit(&view, parsed, &self.verified).unwrap();
                self.verified.insert(admitted.verification);
            }
            let now = view.tip().unwrap().time_ms + 10;
            let proposed = propose(&view, submissions, now, proposer("notary"), &self.verified).unwrap();
            assert_eq!(proposed.rejected, []);
            assert_eq!(proposed.changes.records.len(), submissions.len(), "the block is too small");
            execute(&view, &proposed.block, &self.verified).unwrap()
        };
        let certificate = certificate(&self.ledger.chain_id(), changes.height, changes.block_id);
        self.store.commit(&changes, &certificate).unwrap();
        self.records += changes.records.len();
        let sampled = changes.records.iter().step_by(PER_BLOCK / 2);
        self.samples.extend(sampled.map(|record| (record.hash, record.links[0].subject)));
    }

    fn milestone(&mut self, spent: Spent, records: usize) -> serde_json::Value {
        self.store.compact().unwrap();
        let bytes = folder_bytes(&self.folder);
        let (mut times, mut siblings, mut bundles) = (vec![], vec![], vec![]);
        let cpu = thread_cpu_us();
        for i in 0..PROOFS {
            // Spread over the whole life of the ledger, in no order that a cache would like.
            let (record, subject) = self.samples[(i * 7919) % self.samples.len()];
            let start = Instant::now();
            bundles.push(self.store.proof(&[record], &[subject], None).unwrap());
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let proof_cpu_us = (thread_cpu_us() - cpu) / PROOFS as f64;
        for bundle in &bundles {
            siblings.extend(bundle.states.iter().map(|state| state.siblings.len()));
            let trust = TrustInputs::new(self.ledger.genesis.bytes(), u64::MAX / 2);
            let report = verify(&encode(bundle), &trust, &[]);
            assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:?}", report.failed_step());
        }
        times.sort_by(f64::total_cmp);
        let open = self.reopen();
        siblings.sort_unstable();
        json!({
            "records": self.records,
            "cpu_us_per_record": spent.all / records as f64,
            "own_cpu_us_per_record": spent.own / records as f64,
            "bytes_per_record": bytes as f64 / self.records as f64,
            "proof_p50_us": times[times.len() / 2],
            "proof_p99_us": times[times.len() * 99 / 100],
            "proof_cpu_mean_us": proof_cpu_us,
            "siblings_p50": siblings[siblings.len() / 2],
            "siblings_max": siblings.last(),
            "open_ms": open.0,
            "open_cpu_ms": open.1,
        })
    }

    /// Milliseconds to open the store again and read its tip: wall time, and CPU of the process.
    fn reopen(&mut self) -> (f64, f64) {
        let height = self.store.tip_height().unwrap();
        // The database is locked while it is open, so another one takes its place for a moment.
        let aside = tempfile::tempdir().unwrap();
        let other = Store::open(aside.path(), &self.ledger.genesis).unwrap();
        drop(std::mem::replace(&mut self.store, other));
        let (start, cpu) = (Instant::now(), cpu_us());
        self.store = Store::open(&self.folder, &self.ledger.genesis).unwrap();
        assert_eq!(self.store.view().unwrap().tip().unwrap().height, height);
        (start.elapsed().as_secs_f64() * 1e3, (cpu_us() - cpu) / 1e3)
    }
}

/// CPU time of this process so far, compactions in the background included.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let members: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    // utime and stime, in ticks of 10 ms
    (members[11].parse::<f64>().unwrap() + members[12].parse::<f64>().unwrap()) * 10_000.0
}

/// CPU time of this thread so far.
fn thread_cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    entries.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}
