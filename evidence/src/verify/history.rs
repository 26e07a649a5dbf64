//! The history of one subject: that a bundle shows *all* of its records as of a block, or a part without
//! a gap; or that the subject does not exist.
//!
//! The state proof names the number of records and the hash of the last one; each record names the hash of
//! the one before it. So nothing can be left out between two shown records, and nothing behind the last.
//! A history too large for one bundle stands in several, all under the same head; [`join`] puts them
//! together.

use super::{Decoded, Head, Note, Report, TrustInputs, Verdict, decode, verify};
use crate::codec::decode_strict;
use crate::hash::Hash32;
use crate::ids::{Height, SubjectId};
use crate::record::Link;
use crate::state_proof::{Status, SubjectHead, SubjectType};
use serde::Serialize;
use thiserror::Error;

/// A record of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryRecord {
    /// Its number within the subject, from 0.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash32,
    /// Hash of the subject's record before it; zero for the first.
    pub previous: Hash32,
    /// Height of its block.
    pub height: Height,
    /// Index in the block.
    pub index: u32,
    /// The protocol's kind.
    pub kind: &'static str,
}

/// What a subject is and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryState {
    /// What it is.
    #[serde(rename = "type")]
    pub subject_type: SubjectType,
    /// The state of its state machine.
    pub status: Status,
    /// Records that the ledger holds about it.
    pub records: u64,
    /// Hash of the last one; zero if there is none.
    pub last_record: Hash32,
}

/// Records of one subject in their order, without a gap, as of a head block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// The subject.
    pub subject: SubjectId,
    /// The block that this statement is about.
    pub head: Head,
    /// Where the subject stands; absent if the ledger has no such subject.
    pub state: Option<HistoryState>,
    /// The records shown.
    pub shown: Vec<HistoryRecord>,
}

/// Why a bundle, or several, prove no history.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The bundle itself is not valid.
    #[error("the proof is not valid: step {}", failed(.0))]
    Invalid(Box<Report>),
    /// It says nothing about where the subject stands.
    #[error("the proof has no state of subject {0}")]
    NoState(SubjectId),
    /// A record is not shown.
    #[error("record {sequence} of {records} (from 0) of the subject is missing")]
    Missing {
        /// Its number.
        sequence: u64,
        /// Records of the subject.
        records: u64,
    },
    /// Parts of different subjects or head blocks cannot be put together.
    #[error("the parts are of different subjects or blocks")]
    OtherHead,
    /// Nothing to put together.
    #[error("there is no part")]
    NoPart,
}

fn failed(report: &Report) -> String {
    report.failed_step().map_or_else(String::new, |step| format!("{} ({})", step.n, step.detail_en))
}

impl HistoryError {
    /// The reason in both languages.
    pub fn note(&self) -> Note {
        let zh = match self {
            Self::Invalid(report) => {
                let step = report.failed_step();
                step.map_or_else(String::new, |step| format!("证明无效：第 {} 步，{}", step.n, step.detail_zh))
            }
            Self::NoState(subject) => format!("证明中没有主体 {subject} 的状态"),
            Self::Missing { sequence, records } => {
                format!("缺少该主体共 {records} 条记录中的第 {sequence} 条（自 0 起）")
            }
            Self::OtherHead => "各部分所属的主体或区块不同".into(),
            Self::NoPart => "没有可拼接的部分".into(),
        };
        Note::new(zh, self.to_string())
    }
}

impl History {
    /// Records that the ledger holds about the subject; none if it does not exist.
    pub fn records(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.records)
    }

    /// All records are shown (or there is no such subject); else the first that is not.
    pub fn complete(&self) -> Result<(), HistoryError> {
        let records = self.records();
        let missing = |sequence| Err(HistoryError::Missing { sequence, records });
        let after = match (self.shown.first(), self.shown.last()) {
            (Some(first), _) if first.sequence > 0 => return missing(0),
            (_, Some(last)) => last.sequence + 1,
            _ => 0,
        };
        if after < records { missing(after) } else { Ok(()) }
    }

    /// What is proven, in both languages.
    pub fn words(&self) -> Note {
        let Self { subject, head, state, shown } = self;
        let height = head.height;
        match (state, shown.first(), shown.last()) {
            (None, ..) => Note::new(
                format!("截至区块 {height}，链上不存在主体 {subject}"),
                format!("as of block {height} there is no subject {subject} on the ledger"),
            ),
            (Some(HistoryState { records, .. }), ..) if self.complete().is_ok() => Note::new(
                format!("截至区块 {height}，主体 {subject} 共 {records} 条记录，已全部列出"),
                format!("all {records} records of subject {subject} as of block {height} are shown"),
            ),
            (Some(HistoryState { records, .. }), first, last) => {
                let [first, last] = [first, last].map(|record| record.map_or(0, |record| record.sequence));
                Note::new(
                    format!(
                        "截至区块 {height}，主体 {subject} 共 {records} 条记录，列出第 {first} 至 {last} 条，其间无缺失"
                    ),
                    format!(
                        "records {first} to {last} of the {records} of subject {subject} as of block {height} are shown, without a gap"
                    ),
                )
            }
        }
    }
}

/// Verifies a bundle and gives what it shows of a subject: records that follow one another without a gap.
/// Whether these are all of them is for [`History::complete`] to say.
pub fn history(bundle: &[u8], trust: &TrustInputs<'_>, subject: &SubjectId) -> Result<History, HistoryError> {
    let report = verify(bundle, trust, &[]);
    let (Some(head), true) = (report.head.clone(), report.verdict != Verdict::Invalid) else {
        return Err(HistoryError::Invalid(Box::new(report)));
    };
    // It was decoded and verified a moment ago; now the links are wanted, which the report leaves out.
    let Ok((decoded, _)) = decode(bundle) else { return Err(HistoryError::Invalid(Box::new(report))) };
    let proof = decoded.bundle.states.iter().find(|proof| proof.subject == *subject);
    let proof = proof.ok_or(HistoryError::NoState(*subject))?;
    let state = match &proof.head {
        None => None,
        Some(bytes) => match decode_strict::<SubjectHead>(bytes) {
            Ok(SubjectHead { subject_type, status, records, last_record, .. }) => {
                Some(HistoryState { subject_type, status, records, last_record })
            }
            Err(_) => return Err(HistoryError::Invalid(Box::new(report))),
        },
    };
    let history = History { subject: *subject, head, state, shown: shown(&decoded, subject) };
    without_gap(&history)?;
    Ok(history)
}

/// The records of the subject in the bundle. Step 8 has compared neighbours, number and last hash.
fn shown(decoded: &Decoded, subject: &SubjectId) -> Vec<HistoryRecord> {
    let of_subject = decoded.entries.iter().flat_map(|opened| {
        let links = opened.record.links.iter().filter(|link| link.subject == *subject);
        links.map(move |Link { sequence, previous, .. }| HistoryRecord {
            sequence: *sequence,
            hash: opened.bytes_hash,
            previous: *previous,
            height: opened.record.height,
            index: opened.record.index,
            kind: opened.parsed.body().payload.kind().name,
        })
    });
    let mut shown: Vec<_> = of_subject.collect();
    shown.sort_by_key(|record| record.sequence);
    shown
}

fn without_gap(history: &History) -> Result<(), HistoryError> {
    for pair in history.shown.windows(2) {
        if pair[1].sequence != pair[0].sequence + 1 || pair[1].previous != pair[0].hash {
            return Err(HistoryError::Missing { sequence: pair[0].sequence + 1, records: history.records() });
        }
    }
    Ok(())
}

/// Puts parts together, in any order and overlapping or not, that are about the same subject under the
/// same head and leave no gap between them.
pub fn join(parts: Vec<History>) -> Result<History, HistoryError> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next().ok_or(HistoryError::NoPart)?;
    for part in parts {
        if (part.subject, &part.head, &part.state) != (whole.subject, &whole.head, &whole.state) {
            return Err(HistoryError::OtherHead);
        }
        whole.shown.extend(part.shown);
    }
    whole.shown.sort_by_key(|record| record.sequence);
    whole.shown.dedup();
    without_gap(&whole)?;
    Ok(whole)
}
