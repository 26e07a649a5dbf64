//! Did anything happen later? Compares what a piece of evidence showed of a subject with a newer proof of
//! where that subject stands, which is verified like any other bundle.
//!
//! A newer proof carries its own block and time, and nothing is said about what comes after those.

use qz_evidence::verify::{Head, Note, TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, SubjectId};
use serde::{Deserialize, Serialize};

/// What the evidence showed of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The subject.
    pub subject: SubjectId,
    /// Records that the ledger held about it.
    pub records: u64,
    /// As of this height.
    pub height: Height,
    /// And this block.
    pub block_id: Hash32,
}

/// What the newer proof says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No record of the subject came after those of the evidence.
    NothingLater,
    /// There are later records.
    Later,
    /// The proof is older than the evidence and says nothing new.
    NotNewer,
    /// Proof and evidence cannot both be of one ledger: somebody shows different histories.
    Conflict,
    /// The proof does not hold, or is about something else.
    Invalid,
}

/// The comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Later {
    /// What it says.
    pub outcome: Outcome,
    /// The subject.
    pub subject: SubjectId,
    /// Records as of the newer proof; absent if it does not hold.
    pub records: Option<u64>,
    /// State as of the newer proof, Chinese.
    pub status_zh: &'static str,
    /// The same in English.
    pub status: &'static str,
    /// Block of the newer proof; absent if it does not hold.
    pub head: Option<Head>,
    /// In words.
    pub note: Note,
}

/// Verifies `proof` and compares it with what was known.
pub fn later(proof: &[u8], trust: &TrustInputs<'_>, known: &Known) -> Later {
    let report = verify(proof, trust, &[]);
    let mut answer = Later {
        outcome: Outcome::Invalid,
        subject: known.subject,
        records: None,
        status_zh: "",
        status: "",
        head: None,
        note: Note::new("状态证明无效", "the state proof is not valid"),
    };
    let (Some(head), true) = (report.head.clone(), report.verdict != Verdict::Invalid) else {
        if let Some(step) = report.failed_step() {
            answer.note = Note::new(
                format!("状态证明无效：第 {} 步，{}", step.n, step.detail_zh),
                format!("the state proof is not valid: step {}, {}", step.n, step.detail_en),
            );
        }
        return answer;
    };
    let Some(state) = report.subjects.iter().find(|state| state.subject == known.subject) else {
        answer.note = Note::new("状态证明说的是另一对象", "the state proof is about another subject");
        return answer;
    };
    let exists = state.subject_type.is_some();
    answer.records = Some(if exists { state.records } else { 0 });
    (answer.status_zh, answer.status) = (state.status_zh, state.status);
    let records = answer.records.unwrap_or_default();
    (answer.outcome, answer.note) = compare(known, &head, records);
    answer.head = Some(head);
    answer
}

fn compare(known: &Known, head: &Head, records: u64) -> (Outcome, Note) {
    let height = head.height;
    let conflict = || {
        let note = Note::new(
            "状态证明与所核验的证据互相矛盾：有人向不同的人出示了不同的账本，请保存两份文件并告知联盟各机构",
            "the state proof contradicts the evidence: different ledgers were shown to different people; keep both files and tell the members",
        );
        (Outcome::Conflict, note)
    };
    if height < known.height {
        let note = Note::new(
            format!("状态证明截至区块 {height}，早于所核验的证据（区块 {}），不能说明此后的情况", known.height),
            format!(
                "the state proof is of block {height}, older than the evidence (block {}); it says nothing new",
                known.height
            ),
        );
        return (Outcome::NotNewer, note);
    }
    if records < known.records
        || (height == known.height && (head.block_id != known.block_id || records != known.records))
    {
        return conflict();
    }
    match records - known.records {
        0 => (
            Outcome::NothingLater,
            Note::new(format!("截至区块 {height}，没有更晚的记录"), format!("nothing later as of block {height}")),
        ),
        more => (
            Outcome::Later,
            Note::new(
                format!("截至区块 {height}，另有 {more} 条更晚的记录"),
                format!("{more} later record(s) as of block {height}"),
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors");

    fn known(records: u64, height: u64) -> Known {
        Known { subject: SubjectId(Hash32([1; 32])), records, height: Height(height), block_id: Hash32([2; 32]) }
    }

    #[test]
    fn what_the_comparison_says() {
        let check = |records: u64, height: u64, block: u8, expected: Outcome| {
            let head = Head { height: Height(height), time_ms: 0, block_id: Hash32([block; 32]) };
            assert_eq!(compare(&known(3, 10), &head, records).0, expected, "{records} {height} {block}");
        };
        check(3, 11, 9, Outcome::NothingLater);
        check(3, 10, 2, Outcome::NothingLater);
        check(5, 11, 9, Outcome::Later);
        check(3, 9, 9, Outcome::NotNewer);
        check(1, 9, 9, Outcome::NotNewer);
        check(2, 11, 9, Outcome::Conflict);
        check(0, 11, 9, Outcome::Conflict);
        check(3, 10, 9, Outcome::Conflict);
        check(4, 10, 2, Outcome::Conflict);
    }

    #[test]
    fn a_real_proof_and_its_alterations() {
        let genesis = std::fs::read(format!("{VECTORS}/genesis.qz")).unwrap();
        let bundle = std::fs::read(format!("{VECTORS}/bundle.qzproof")).unwrap();
        let trust = TrustInputs::new(&genesis, 1_900_000_000_000);
        let report = verify(&bundle, &trust, &[]);
        let (head, state) = (report.head.unwrap(), report.subjects[0].clone());
        let of = |records, height: u64, block_id| Known {
            subject: state.subject,
            records,
            height: Height(height),
            block_id,
        };
        let before = of(state.records - 1, head.height.0 - 1, Hash32::ZERO);
        let found = later(&bundle, &trust, &before);
        assert_eq!((found.outcome, found.records), (Outcome::Later, Some(state.records)));
        assert_eq!(found.status, state.status);
        let same = of(state.records, head.height.0, head.block_id);
        assert_eq!(later(&bundle, &trust, &same).outcome, Outcome::NothingLater);
        assert_eq!(later(&bundle, &trust, &known(0, 0)).outcome, Outcome::Invalid, "another subject");
        let mut altered = bundle;
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        let found = later(&altered, &trust, &same);
        assert_eq!((found.outcome, found.records, found.head), (Outcome::Invalid, None, None));
    }
}
