//! What came of a run: for people in a few lines, for programs as JSON, for a row of runs as a table.

use super::audit::Facts;
use super::book::Book;
use super::cluster::OwnEnd;
use super::plan::Plan;
use crate::ceremony::Member;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What came of one phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhaseReport {
    /// What was done.
    pub faults: String,
    /// Whether the chain had to go on meanwhile.
    pub must_be_live: bool,
    /// Blocks that were made meanwhile.
    pub blocks: u64,
    /// Longest time without a new height meanwhile.
    pub longest_gap_ms: u64,
    /// From healing until every node went on; none if that took too long.
    pub recovered_after_ms: Option<u64>,
    /// Submissions that became final from its beginning to the end of its recovery.
    pub acknowledged: usize,
}

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The validators' organisations, by index.
    pub validators: Vec<String>,
    /// The phases.
    pub phases: Vec<PhaseReport>,
    /// How long it took.
    pub seconds: f64,
    /// The last common head.
    pub height: u64,
    /// Blocks that were compared on all nodes.
    pub blocks: usize,
    /// Decisions after the first round, over all nodes' certificates.
    pub later_rounds: u64,
    /// Bodies that were submitted.
    pub submitted: usize,
    /// Of these, final by a node's word.
    pub acknowledged: usize,
    /// Attempts after the first.
    pub retries: u64,
    /// Bodies that went out under several relays.
    pub relayed_twice: usize,
    /// Refusals from an old state, overcome later.
    pub stale_refusals: u64,
    /// The first of these.
    pub quoted_refusals: Vec<String>,
    /// Longest time without any receipt.
    pub longest_silence_ms: u64,
    /// Records on the ledger.
    pub records: usize,
    /// Proofs that were verified offline.
    pub proofs: usize,
    /// Subjects whose chains were compared.
    pub subjects: usize,
    /// Journalled signatures.
    pub signatures: usize,
    /// Stopped nodes whose stores `qz-node doctor --replay` found whole.
    pub whole_stores: usize,
    /// Nodes that ended by themselves when they might (a full disk).
    pub excused_ends: Vec<String>,
    /// Everything that is wrong.
    pub violations: Vec<String>,
}

impl Report {
    /// A run that has not begun.
    pub fn new(plan: &Plan, members: &[Member]) -> Self {
        let validators = members.iter().map(|member| member.id.to_owned()).collect();
        Self { seed: plan.seed, validators, ..Self::default() }
    }

    /// What a run that failed for another reason than the network's says.
    pub fn failed(seed: u64, words: String) -> Self {
        Self { seed, violations: vec![words], ..Self::default() }
    }

    /// Did everything hold?
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn compared(&mut self, facts: &Facts) {
        (self.records, self.proofs, self.subjects) = (facts.records, facts.proofs, facts.subjects);
    }

    pub(super) fn book(&mut self, book: &Book) {
        self.submitted = book.entries().len();
        self.acknowledged = book.count_acknowledged();
        self.retries = book.retries;
        self.relayed_twice = book.count_relayed_twice();
        self.stale_refusals = book.stale_refusals;
        self.quoted_refusals.clone_from(&book.quoted_refusals);
        self.longest_silence_ms = u64::try_from(book.longest_gap().as_millis()).unwrap_or(u64::MAX);
    }

    pub(super) fn own_ends(&mut self, ends: &[OwnEnd]) {
        for end in ends {
            let words = format!("node {} ended by itself: {}", end.node, end.words);
            if end.excused { &mut self.excused_ends } else { &mut self.violations }.push(words);
        }
    }

    fn slowest_recovery_ms(&self) -> Option<u64> {
        self.phases.iter().filter_map(|phase| phase.recovered_after_ms).max()
    }

    /// Names of the columns of [`Report::row`].
    pub fn heading() -> String {
        format!(
            "{:>5} {:>6} {:>7} {:>7} {:>7} {:>8} {:>6} {:>7} {:>9} {:>8} {:>7}  {}",
            "seed",
            "phases",
            "height",
            "records",
            "acked",
            "retries",
            "stale",
            "proofs",
            "signings",
            "recovery",
            "time",
            "verdict"
        )
    }

    /// One line of a table.
    pub fn row(&self) -> String {
        let recovery = self.slowest_recovery_ms().map_or("-".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0));
        let verdict = match self.violations.as_slice() {
            [] => "ok".to_owned(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        format!(
            "{:>5} {:>6} {:>7} {:>7} {:>7} {:>8} {:>6} {:>7} {:>9} {:>8} {:>5.0} s  {}",
            self.seed,
            self.phases.len(),
            self.height,
            self.records,
            self.acknowledged,
            self.retries,
            self.stale_refusals,
            self.proofs,
            self.signatures,
            recovery,
            self.seconds,
            verdict
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (phase, number) in self.phases.iter().zip(1..) {
            let recovered = match phase.recovered_after_ms {
                Some(ms) => format!("all together after {:.1} s", ms as f64 / 1000.0),
                None => "NOT RECOVERED".to_owned(),
            };
            writeln!(
                f,
                "  {number}. {}: {} blocks, longest gap {:.1} s, {recovered}, {} acknowledged",
                phase.faults,
                phase.blocks,
                phase.longest_gap_ms as f64 / 1000.0,
                phase.acknowledged
            )?;
        }
        for end in &self.excused_ends {
            writeln!(f, "  allowed: {end}")?;
        }
        for refusal in self.quoted_refusals.iter().take(3) {
            writeln!(f, "  overcome: {refusal}")?;
        }
        for violation in &self.violations {
            writeln!(f, "  VIOLATION: {violation}")?;
        }
        write!(
            f,
            "  seed {}: {} · height {}, {} blocks compared on {} nodes, {} records, {} of {} acknowledged, {} retries, {} \
             relayed twice, {} proofs, {} subjects, {} signatures, {} later rounds, {} stores whole, {:.0} s",
            self.seed,
            if self.holds() { "全部成立 everything holds" } else { "不成立 DOES NOT HOLD" },
            self.height,
            self.blocks,
            self.validators.len(),
            self.records,
            self.acknowledged,
            self.submitted,
            self.retries,
            self.relayed_twice,
            self.proofs,
            self.subjects,
            self.signatures,
            self.later_rounds,
            self.whole_stores,
            self.seconds
        )
    }
}
