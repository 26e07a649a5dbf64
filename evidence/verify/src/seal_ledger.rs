//! The ledger of a seal 用印台账: every record about it, proven to be all, and its uses between two dates.
//!
//! Rests on the complete history (`docs/SPEC.md` §11): the state proof names the number of records and the
//! last one, each record names the one before, so none can be left out up to the head block. Nothing is said
//! about later blocks, nor about a seal of rubber and wood.

use crate::complete;
use qz_evidence::commitment::name;
use qz_evidence::ids::Height;
use qz_evidence::state_proof::{Status, SubjectType};
use qz_evidence::verify::history::{History, HistoryError, HistoryRecord};
use qz_evidence::verify::{Event, Head, Note, Report, TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, SubjectId};
use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Both ends are included; absent: no limit. Milliseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First moment.
    pub from_ms: Option<u64>,
    /// Last moment.
    pub to_ms: Option<u64>,
}

impl Period {
    fn contains(&self, time_ms: u64) -> bool {
        self.from_ms.is_none_or(|from| from <= time_ms) && self.to_ms.is_none_or(|to| time_ms <= to)
    }
}

/// A record about the seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its number among the seal's records, from 0.
    pub sequence: u64,
    /// Block time.
    pub time_ms: u64,
    /// The protocol's kind.
    pub kind: &'static str,
    /// Chinese name of the kind.
    pub title_zh: &'static str,
    /// English name of the kind.
    pub title_en: &'static str,
    /// Is it a use, that is a signature with the seal?
    pub is_use: bool,
    /// The contract signed.
    pub contract: Option<SubjectId>,
    /// Its title, if the proof discloses it.
    pub contract_title: Option<String>,
    /// Its number, likewise.
    pub contract_number: Option<String>,
    /// Who acted: disclosed names, offices, or key subjects.
    pub signers: Vec<String>,
    /// Height of its block.
    pub height: Height,
    /// Index in the block.
    pub index: u32,
    /// The record's hash.
    pub record_hash: Hash32,
    /// The seal's state behind this record.
    pub status_zh: &'static str,
    /// The same in English.
    pub status: &'static str,
}

/// What is proven about a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SealLedger {
    /// Always `seal-ledger`.
    pub kind: &'static str,
    /// The verdict of the proof.
    pub verdict: Verdict,
    /// The seal.
    pub seal: SubjectId,
    /// The block that all of this is about.
    pub head: Head,
    /// What was asked for.
    pub period: Period,
    /// The last moment that the statement covers: the period's end, or the head block's time if that is earlier.
    pub covered_to_ms: u64,
    /// Is it in force as of the head block?
    pub in_force: bool,
    /// The seal's state as of the head block.
    pub status_zh: &'static str,
    /// The same in English.
    pub status: &'static str,
    /// Records about the seal from its making to the head block: all of them were shown.
    pub records: u64,
    /// Uses among them.
    pub uses: usize,
    /// Those of the period.
    pub rows: Vec<Row>,
    /// Uses in the period.
    pub uses_in_period: usize,
    /// What is proven.
    pub proven: Vec<Note>,
    /// What is not.
    pub not_proven: Vec<Note>,
    /// What the verification assumes.
    pub assumptions: Vec<Note>,
}

/// Why there is no such statement.
#[derive(Debug, Error)]
pub enum SealLedgerError {
    /// A proof does not hold, or records are missing.
    #[error("{0}")]
    History(#[from] HistoryError),
    /// The proof has the state of no seal, or of several.
    #[error("证明中有 {0} 枚印章：请用 --seal 指明 / the proof has the state of {0} seals: say which with --seal")]
    WhichSeal(usize),
    /// The subject is no seal.
    #[error("主体 {0} 不是印章，或链上不存在 / subject {0} is no seal, or not on the ledger")]
    NoSeal(SubjectId),
    /// The period ends before it begins.
    #[error("起止日期颠倒 / the period ends before it begins")]
    Period,
}

impl SealLedgerError {
    /// Is it the proof's fault (and not the question's)?
    pub fn is_of_the_proof(&self) -> bool {
        matches!(self, Self::History(_))
    }

    /// The reason in both languages.
    pub fn note(&self) -> Note {
        match self {
            Self::History(error) => error.note(),
            other => {
                let text = other.to_string();
                let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
                Note::new(zh, en)
            }
        }
    }
}

/// Verifies the parts of a seal's history and gives what they prove about the period.
///
/// # Errors
/// If a part does not verify, a record is missing, or it is not clear which seal is meant.
pub fn seal_ledger(
    parts: &[Vec<u8>], trust: &TrustInputs<'_>, seal: Option<SubjectId>, period: Period,
) -> Result<SealLedger, SealLedgerError> {
    if period.from_ms.zip(period.to_ms).is_some_and(|(from, to)| from > to) {
        return Err(SealLedgerError::Period);
    }
    let reports: Vec<_> = parts.iter().map(|part| verify(part, trust, &[])).collect();
    if let Some(bad) = reports.iter().find(|report| report.verdict == Verdict::Invalid) {
        return Err(HistoryError::Invalid(Box::new(bad.clone())).into());
    }
    let seal = seal.map_or_else(|| only_seal(&reports), Ok)?;
    let history = complete(parts, trust, &seal)?;
    let state = history.state.as_ref().filter(|state| state.subject_type == SubjectType::Seal);
    let state = state.ok_or(SealLedgerError::NoSeal(seal))?;
    let all = rows(&history, &reports);
    let uses = all.iter().filter(|row| row.is_use).count();
    let rows: Vec<_> = all.iter().filter(|row| period.contains(row.time_ms)).cloned().collect();
    let uses_in_period = rows.iter().filter(|row| row.is_use).count();
    let (status_zh, status) = state.status.words();
    let head = history.head.clone();
    let mut ledger = SealLedger {
        kind: "seal-ledger",
        verdict: verdict(&reports),
        seal,
        covered_to_ms: period.to_ms.map_or(head.time_ms, |to| to.min(head.time_ms)),
        head,
        period,
        in_force: state.status == Status::Active,
        status_zh,
        status,
        records: state.records,
        uses,
        rows,
        uses_in_period,
        proven: vec![],
        not_proven: vec![],
        assumptions: reports.first().map(|report| report.assumptions.clone()).unwrap_or_default(),
    };
    ledger.proven = proven(&ledger);
    ledger.not_proven = not_proven(&ledger, &reports);
    Ok(ledger)
}

/// The weakest of the parts.
fn verdict(reports: &[Report]) -> Verdict {
    if reports.iter().all(|report| report.verdict == Verdict::Valid) {
        Verdict::Valid
    } else {
        Verdict::ValidUnanchored
    }
}

fn only_seal(reports: &[Report]) -> Result<SubjectId, SealLedgerError> {
    let states = reports.iter().flat_map(|report| &report.subjects);
    let mut seals: Vec<_> =
        states.filter(|s| s.subject_type == Some(SubjectType::Seal)).map(|state| state.subject).collect();
    seals.sort();
    seals.dedup();
    match seals[..] {
        [seal] => Ok(seal),
        _ => Err(SealLedgerError::WhichSeal(seals.len())),
    }
}

/// All records of the seal as rows; the events were verified with the history.
fn rows(history: &History, reports: &[Report]) -> Vec<Row> {
    let mut events: BTreeMap<Hash32, (&Report, usize, &Event)> = BTreeMap::new();
    let mut contracts: BTreeMap<SubjectId, [Option<String>; 2]> = BTreeMap::new();
    for report in reports {
        for (i, event) in report.events.iter().enumerate() {
            events.insert(event.record_hash, (report, i, event));
            if let ("contract.opened", Some(contract)) = (event.kind, event.subjects.first()) {
                contracts.insert(*contract, [name::TITLE, name::NUMBER].map(|name| disclosed(report, i, name)));
            }
        }
    }
    let mut status = Status::Active;
    let row = |record: &HistoryRecord| {
        let (_, _, event) = events.get(&record.hash)?;
        status = match event.kind {
            "seal.suspended" => Status::Suspended,
            "seal.resumed" => Status::Active,
            "seal.destroyed" => Status::Destroyed,
            _ => status,
        };
        let is_use = event.kind == "contract.signed";
        let contract = event.subjects.iter().find(|subject| is_use && **subject != history.subject).copied();
        let [contract_title, contract_number] =
            contract.and_then(|contract| contracts.get(&contract).cloned()).unwrap_or_default();
        let (status_zh, status) = status.words();
        Some(Row {
            sequence: record.sequence,
            time_ms: event.time_ms,
            kind: event.kind,
            title_zh: event.title_zh,
            title_en: event.title_en,
            is_use,
            contract,
            contract_title,
            contract_number,
            signers: event.signers.clone(),
            height: event.height,
            index: event.index,
            record_hash: event.record_hash,
            status_zh,
            status,
        })
    };
    history.shown.iter().filter_map(row).collect()
}

fn disclosed(report: &Report, event: usize, name: &str) -> Option<String> {
    report.disclosures.iter().find(|d| d.event == event && d.name == name).map(|d| d.value.clone())
}

fn proven(ledger: &SealLedger) -> Vec<Note> {
    let SealLedger { records, uses, uses_in_period, status_zh, status, head, .. } = ledger;
    let height = head.height;
    let force = if ledger.in_force {
        Note::new(
            format!("截至区块 {height}，该印章状态为“{status_zh}”，可以用印。"),
            format!("As of block {height} the seal is {status}: in force."),
        )
    } else {
        Note::new(
            format!("截至区块 {height}，该印章状态为“{status_zh}”，不能用印。"),
            format!("As of block {height} the seal is {status}: not in force."),
        )
    };
    vec![
        Note::new(
            format!(
                "自制作起至区块 {height}，该印章共有 {records} 条链上记录，其中用印 {uses} 次；已全部核对，其间无缺失。"
            ),
            format!(
                "From its making to block {height} the ledger holds {records} records about this seal, {uses} of them uses; all were checked, none is missing."
            ),
        ),
        Note::new(
            format!("所列期间内链上用印 {uses_in_period} 次，如表所列，此外再无用印记录。"),
            format!("In the period listed the ledger records {uses_in_period} uses, as shown, and no other."),
        ),
        force,
        Note::new(
            format!("该印章的最后一条链上记录之后，直至区块 {height}，没有任何其他记录。"),
            format!("Behind the seal's last record there is nothing about it up to block {height}."),
        ),
    ]
}

fn not_proven(ledger: &SealLedger, reports: &[Report]) -> Vec<Note> {
    let mut notes = vec![];
    if ledger.period.to_ms.is_some_and(|to| to > ledger.head.time_ms) {
        notes.push(Note::new(
            "所问期间晚于证明所依据的区块时间：区块时间之后有无用印，本证明不能说明；请取得较新的证明。",
            "The period asked for ends after the time of the proof's block: nothing is said about uses after that time. Get a newer proof.",
        ));
    }
    notes.extend([
        Note::new(
            "区块时间之后的用印、停用或恢复。",
            "Uses, suspensions or resumptions after the time of that block.",
        ),
        Note::new(
            "实物印章，以及未经本联盟登记的电子印章的使用。",
            "The use of physical seals, and of electronic seals that are not on this ledger.",
        ),
        Note::new(
            "各合同其后是否成立、生效或履行（应另行校验各合同的证明）。",
            "Whether each contract was concluded, took effect or was performed afterwards: verify the proof of each contract.",
        ),
    ]);
    for note in reports.iter().flat_map(|report| &report.not_checked) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}
