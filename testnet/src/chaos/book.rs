//! The clients' own book: what they submitted and what they were told. Nothing in it comes from looking
//! at the ledger afterwards, so it can be held against the ledger.

use qz_client::Finalised;
use qz_evidence::{Hash32, SubjectId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Refusals that are quoted; the rest is counted.
const QUOTED: usize = 20;

/// What was promised about a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Hash of the record.
    pub record: Hash32,
    /// Its height.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// The subjects that it touches.
    pub subjects: Vec<SubjectId>,
}

/// A submission, by its body.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Kind, such as `seal.made`.
    pub kind: &'static str,
    /// Organisations under whose relay it was sent.
    pub relays: Vec<usize>,
    /// What a node said when it was final.
    pub receipt: Option<Receipt>,
}

/// Everything that was submitted.
#[derive(Debug)]
pub struct Book {
    entries: BTreeMap<Hash32, Entry>,
    /// Attempts after the first.
    pub retries: u64,
    /// Refusals by the rules that the submission overcame later: a node spoke from an old state.
    pub stale_refusals: u64,
    /// The first of them.
    pub quoted_refusals: Vec<String>,
    /// Promises that contradict each other, and refusals for good.
    pub violations: Vec<String>,
    last_receipt: Instant,
    longest_gap: Duration,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            retries: 0,
            stale_refusals: 0,
            quoted_refusals: vec![],
            violations: vec![],
            last_receipt: Instant::now(),
            longest_gap: Duration::ZERO,
        }
    }
}

impl Book {
    /// A body is sent under this organisation's relay.
    pub fn sent(&mut self, digest: Hash32, kind: &'static str, relay: usize) {
        let entry = self.entries.entry(digest).or_insert_with(|| Entry { kind, relays: vec![], receipt: None });
        if !entry.relays.contains(&relay) {
            entry.relays.push(relay);
        }
    }

    /// A node says that it is final. Whoever says so must name the same record.
    pub fn acknowledged(&mut self, at: &Finalised) {
        let receipt =
            Receipt { record: at.record_hash, height: at.height, index: at.index, subjects: at.subjects.clone() };
        self.longest_gap = self.longest_gap.max(self.last_receipt.elapsed());
        self.last_receipt = Instant::now();
        let Some(entry) = self.entries.get_mut(&at.digest) else {
            self.violations.push(format!("a receipt for {}, which nobody submitted", at.digest));
            return;
        };
        match &entry.receipt {
            Some(earlier) if *earlier != receipt => {
                self.violations.push(format!("two receipts for {}: {earlier:?} and {receipt:?}", at.digest));
            }
            _ => entry.receipt = Some(receipt),
        }
    }

    /// A node refused what the rules allow.
    pub fn refused(&mut self, words: String) {
        self.stale_refusals += 1;
        if self.quoted_refusals.len() < QUOTED {
            self.quoted_refusals.push(words);
        }
    }

    /// All submissions.
    pub fn entries(&self) -> &BTreeMap<Hash32, Entry> {
        &self.entries
    }

    /// How many are final by a node's word.
    pub fn count_acknowledged(&self) -> usize {
        self.entries.values().filter(|entry| entry.receipt.is_some()).count()
    }

    /// How many were sent under more than one relay.
    pub fn count_relayed_twice(&self) -> usize {
        self.entries.values().filter(|entry| entry.relays.len() > 1).count()
    }

    /// The longest time without any receipt.
    pub fn longest_gap(&self) -> Duration {
        self.longest_gap
    }

    /// A line for every submission that nobody acknowledged.
    pub fn unacknowledged(&self) -> Vec<String> {
        let open = self.entries.iter().filter(|(_, entry)| entry.receipt.is_none());
        open.map(|(digest, entry)| format!("{} {digest} was never final", entry.kind)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn final_at(digest: u8, height: u64) -> Finalised {
        Finalised {
            digest: Hash32([digest; 32]),
            record_hash: Hash32([9; 32]),
            height,
            index: 0,
            time_ms: 0,
            subjects: vec![],
        }
    }

    #[test]
    fn contradictory_receipts_are_noticed() {
        let mut book = Book::default();
        book.sent(Hash32([1; 32]), "evidence.deposited", 0);
        book.sent(Hash32([1; 32]), "evidence.deposited", 2);
        assert_eq!((book.count_relayed_twice(), book.unacknowledged().len()), (1, 1));
        book.acknowledged(&final_at(1, 5));
        book.acknowledged(&final_at(1, 5));
        assert_eq!((book.count_acknowledged(), book.unacknowledged().len(), book.violations.len()), (1, 0, 0));
        book.acknowledged(&final_at(1, 6));
        book.acknowledged(&final_at(2, 6));
        assert_eq!(book.violations.len(), 2, "{:?}", book.violations);
    }
}
