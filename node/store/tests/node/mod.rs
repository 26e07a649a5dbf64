//! A store with a ledger in memory to compare it with.

#![allow(dead_code, clippy::unwrap_used, missing_docs, reason = "test support, not every test uses all of it")]

#[path = "../../../../chain/tests/ledger/mod.rs"]
pub mod ledger;

use ledger::{Ledger, certificate_by, commitment, genesis_with, member_key, proposer, public};
use qz_chain::{ChangeSet, Verified, View, execute, propose};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::Genesis;
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::Parsed;
use qz_store::Store;
use std::path::Path;

pub const WINDOW: u64 = 16;

/// A store, and a ledger in memory to compare it with.
pub struct Node {
    pub store: Store,
    pub ledger: Ledger,
}

impl Node {
    pub fn new(path: &Path) -> Self {
        let ledger = Ledger::with(WINDOW, true);
        Self { store: Store::open(path, &ledger.genesis).unwrap(), ledger }
    }

    /// Proposes on the store, executes on both, commits.
    pub fn block(&mut self, submissions: &[Parsed]) -> ChangeSet {
        let (changes, commit) = self.next(submissions);
        self.store.commit(&changes, &commit).unwrap();
        self.ledger.view.apply(&changes).unwrap();
        changes
    }

    pub fn next(&self, submissions: &[Parsed]) -> (ChangeSet, CommitCertificate) {
        let view = self.store.view().unwrap();
        let now = view.tip().unwrap().time_ms + 10;
        let proposed = propose(&view, submissions, now, proposer("notary"), &Verified::default()).unwrap();
        assert_eq!(proposed.rejected, []);
        let changes = execute(&self.ledger.view, &proposed.block, &Verified::default()).unwrap();
        assert_eq!(changes, proposed.changes, "disk and memory disagree");
        let keys = self.validators();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let commit = certificate_by(&keys, &self.ledger.chain_id(), changes.height, changes.block_id);
        (changes, commit)
    }

    /// Whose consensus keys decide the next height: names of organisations, `NAME 2` for a second key.
    fn validators(&self) -> Vec<String> {
        let set = self.store.view().unwrap().validators().unwrap();
        let name = |validator: &qz_evidence::validators::Validator| {
            let names = ["", " 2"].map(|suffix| format!("{}{suffix}", validator.organisation));
            names.into_iter().find(|name| public(&member_key(name, "consensus")) == validator.key).unwrap()
        };
        set.validators().iter().map(name).collect()
    }

    pub fn deposits(&mut self, count: usize) -> Vec<Parsed> {
        (0..count).map(|_| deposit(&mut self.ledger)).collect()
    }
}

pub fn deposit(ledger: &mut Ledger) -> Parsed {
    let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
    ledger.submission(payload, vec![commitment("document.sha256", "x")], &[])
}

pub fn genesis() -> Genesis {
    genesis_with(WINDOW, true)
}
