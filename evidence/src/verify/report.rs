//! The outcome of a verification, made for people (Chinese and English) and for machines (JSON).

use crate::hash::Hash32;
use crate::ids::{Height, OrgId, SubjectId};
use crate::state_proof::SubjectType;
use serde::Serialize;

/// The overall outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// 校验通过
    #[serde(rename = "VALID")]
    Valid,
    /// 校验通过·未附第三方时间戳
    #[serde(rename = "VALID-UNANCHORED")]
    ValidUnanchored,
    /// 校验不通过
    #[serde(rename = "INVALID")]
    Invalid,
}

impl Verdict {
    /// The protocol's word, Chinese, English.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Valid => ("VALID", "校验通过", "verified"),
            Self::ValidUnanchored => {
                ("VALID-UNANCHORED", "校验通过·未附第三方时间戳", "verified, without a third-party timestamp")
            }
            Self::Invalid => ("INVALID", "校验不通过", "verification failed"),
        }
    }
}

/// Outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// Checked and holds.
    Pass,
    /// Checked and does not hold.
    Fail,
    /// Not checked.
    NotChecked,
}

/// One of the eleven verification steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number, 1–11.
    pub n: u8,
    /// Chinese title.
    pub title_zh: &'static str,
    /// English title.
    pub title_en: &'static str,
    /// The outcome.
    pub status: StepStatus,
    /// What was found, Chinese.
    pub detail_zh: String,
    /// What was found, English.
    pub detail_en: String,
}

/// A sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Note {
    /// A note.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// A member of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its id.
    pub org: OrgId,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Its roles.
    pub roles: Vec<crate::genesis::Role>,
}

/// The head block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Height.
    pub height: Height,
    /// Block time, milliseconds since 1970-01-01T00:00Z.
    pub time_ms: u64,
    /// Block id.
    pub block_id: Hash32,
}

/// A proven record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Height of its block.
    pub height: Height,
    /// Index in the block.
    pub index: u32,
    /// Time of its block, milliseconds since 1970-01-01T00:00Z.
    pub time_ms: u64,
    /// The author's own clock, milliseconds since 1970-01-01T00:00Z.
    pub claimed_time_ms: u64,
    /// The protocol's kind.
    pub kind: &'static str,
    /// Chinese name of the kind.
    pub title_zh: &'static str,
    /// English name of the kind.
    pub title_en: &'static str,
    /// The record's hash.
    pub record_hash: Hash32,
    /// The member that relayed it.
    pub relay: OrgId,
    /// What that member might do then, by the genesis or by the governance records that are shown.
    #[serde(skip)]
    pub relay_roles: Vec<crate::genesis::Role>,
    /// Whose signatures were verified: the disclosed name, `org:ID` for an office, else the key subject.
    pub signers: Vec<String>,
    /// Subjects touched.
    pub subjects: Vec<SubjectId>,
    /// Names of its commitments that the bundle does not disclose.
    pub hidden: Vec<String>,
}

/// Where a subject stands as of the head block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectReport {
    /// The subject.
    pub subject: SubjectId,
    /// What it is.
    #[serde(rename = "type")]
    pub subject_type: Option<SubjectType>,
    /// State, Chinese.
    pub status_zh: &'static str,
    /// State, English.
    pub status: &'static str,
    /// Records that the ledger holds about it.
    pub records: u64,
    /// Does the bundle show every one of them, so that nothing later can be hidden?
    pub complete: bool,
    /// Height of this statement.
    pub as_of_height: Height,
    /// Time of this statement.
    pub as_of_time_ms: u64,
}

/// A disclosed and verified value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disclosure {
    /// Index into the events.
    pub event: usize,
    /// Name of the commitment.
    pub name: String,
    /// Text, or hexadecimal for digests.
    pub value: String,
}

/// A file that was checked against the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentReport {
    /// The file's name as given.
    pub name: String,
    /// Its SHA-256.
    pub sha256: Hash32,
    /// Does a record commit to exactly this file? Absent: the file was not given; compare its digest.
    pub matches: Option<bool>,
    /// Which event, if one does.
    pub event: Option<usize>,
    /// What the file is, by the record that commits to it, Chinese.
    pub what_zh: &'static str,
    /// The same in English.
    pub what_en: &'static str,
}

/// An X.509 certificate bound to a seal or key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateReport {
    /// Index into the events.
    pub event: usize,
    /// Subject name.
    pub subject: String,
    /// Issuer name.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Valid from, milliseconds since 1970-01-01T00:00Z.
    pub not_before_ms: u64,
    /// Valid until, milliseconds since 1970-01-01T00:00Z.
    pub not_after_ms: u64,
}

/// Who signed a checkpoint; only signatures that were verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cosigner {
    /// The key's name in the note.
    pub name: String,
    /// The key's id, hexadecimal.
    pub key_id: String,
    /// The witness' own clock, milliseconds since 1970-01-01T00:00Z; none for a log's signature.
    pub time_ms: Option<u64>,
    /// The member whose key it is.
    pub member: Option<OrgId>,
    /// The witness' name in the verifier's policy.
    pub policy_name: Option<String>,
    /// Is it a witness of the policy, and its key no member's?
    pub outside: bool,
}

/// The checkpoint of the head block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointReport {
    /// The log's name.
    pub origin: String,
    /// Blocks that it covers.
    pub size: u64,
    /// Root over their headers.
    pub root: Hash32,
    /// Who signed it.
    pub cosigners: Vec<Cosigner>,
}

/// A timestamp over a checkpoint; its signature was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnchorReport {
    /// Height of the block whose checkpoint it is over.
    pub height: Height,
    /// Time of that block, milliseconds since 1970-01-01T00:00Z.
    pub block_time_ms: u64,
    /// The authority's time, milliseconds since 1970-01-01T00:00Z.
    pub tsa_time_ms: u64,
    /// How exact it is, if the token says.
    pub accuracy_ms: Option<u64>,
    /// The authority: subject of its certificate.
    pub tsa: String,
    /// The token's number, hexadecimal.
    pub serial: String,
    /// The authority's policy (object identifier).
    pub policy: String,
    /// The root that it leads to, among those that the verifier gave.
    pub root: Option<String>,
    /// Does the verdict rest on it?
    pub relied_on: bool,
    /// Is it kept from before a renewal?
    pub former: bool,
    /// Certificates for which no revocation list is kept.
    pub revocation_unchecked: Vec<String>,
}

/// Everything that a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The outcome.
    pub verdict: Verdict,
    /// The ledger, once the genesis was accepted.
    pub chain_id: Option<Hash32>,
    /// The consortium's name, from the pinned genesis.
    pub chain_name: Option<String>,
    /// The head block, once its finality was verified.
    pub head: Option<Head>,
    /// The members, from the pinned genesis and from the governance records that are shown.
    pub organisations: Vec<Member>,
    /// Those whose validators signed the head block.
    pub finalised_by: Vec<Member>,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The proven records in order.
    pub events: Vec<Event>,
    /// Where the subjects stand.
    pub subjects: Vec<SubjectReport>,
    /// Disclosed values.
    pub disclosures: Vec<Disclosure>,
    /// Files checked.
    pub documents: Vec<DocumentReport>,
    /// Certificates checked.
    pub certificates: Vec<CertificateReport>,
    /// The head's checkpoint, if there is one and it holds.
    pub checkpoint: Option<CheckpointReport>,
    /// Timestamps over it, and over former ones; oldest first.
    pub anchors: Vec<AnchorReport>,
    /// The verifier's own clock (or the time it asked for), milliseconds since 1970-01-01T00:00Z.
    pub verified_at_ms: Option<u64>,
    /// What was not checked.
    pub not_checked: Vec<Note>,
    /// What is assumed.
    pub assumptions: Vec<Note>,
}

impl Report {
    /// Turns the report into INVALID because a check of the surrounding file failed in step `n`.
    #[must_use]
    pub fn failing_at(mut self, n: u8, note: Note) -> Self {
        if let Some(step) = self.steps.iter_mut().find(|step| step.n == n) {
            step.status = StepStatus::Fail;
            (step.detail_zh, step.detail_en) = (note.zh, note.en);
        }
        self.verdict = Verdict::Invalid;
        self
    }

    /// The verdict as a heading: the protocol's word, Chinese, English. Without [`Verdict::Valid`] it says what is
    /// missing: a timestamp, one that is relied on, or an outside witness.
    pub fn heading(&self) -> (&'static str, &'static str, &'static str) {
        let has_passed = |n| self.steps.iter().any(|step| step.n == n && step.status == StepStatus::Pass);
        let (word, zh, en) = self.verdict.words();
        match self.verdict {
            Verdict::ValidUnanchored if has_passed(11) => {
                (word, "校验通过·外部见证未获采信", "verified, without an outside witness that is relied on")
            }
            Verdict::ValidUnanchored if !self.anchors.is_empty() => (
                word,
                "校验通过·附有第三方时间戳，未获采信",
                "verified, with a third-party timestamp that is not relied on",
            ),
            _ => (word, zh, en),
        }
    }

    /// The step that failed, if one did.
    pub fn failed_step(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.status == StepStatus::Fail)
    }
}
