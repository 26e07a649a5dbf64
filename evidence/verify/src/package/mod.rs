//! Court packages (`docs/SPEC.md` §13): everything about the contracts of a case in one archive, verified
//! as a whole.
//!
//! It judges nothing but what the ledger can show. What the platform says beside it (process records, its
//! own report) is bound to the platform's seal and to nothing else, and the outcome says so.

pub mod manifest;
mod parts;

use crate::archive::{self, Entry};
use crate::{Input, broken_signature, is_deposited_by_a_platform};
use manifest::{FileIn, FileRole, Manifest, is_path_of};
use parts::Parts;
use qz_evidence::Hash32;
use qz_evidence::hash::sha256;
use qz_evidence::verify::{Member, Note, Report, StepStatus, Verdict};
use qz_evidence_pdf::{attachments, signatures};
use serde::Serialize;

/// Name of the manifest in the archive, and among the attachments of [`REPORT`].
pub const MANIFEST: &str = "manifest.json";
/// Name of the report in the archive.
pub const REPORT: &str = "report.pdf";

/// A check of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its number, 1–7.
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

/// Why a package is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The check that failed.
    pub check: u8,
    /// The file, if it is about one.
    pub path: Option<String>,
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// A file of the package, and what covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// As the manifest lists it.
    #[serde(flatten)]
    pub file: FileIn,
    /// What its content is verified against, Chinese.
    pub covered_zh: &'static str,
    /// The same in English.
    pub covered_en: &'static str,
}

/// A part that was verified by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name in the archive.
    pub path: String,
    /// Its role.
    pub role: FileRole,
    /// Of which contract, from 1.
    pub contract: Option<usize>,
    /// What it is, Chinese.
    pub what_zh: String,
    /// What it is, English.
    pub what_en: String,
    /// Its verification.
    pub report: Report,
}

/// Everything that the verification of a package found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageReport {
    /// `court-package`.
    pub kind: &'static str,
    /// The outcome: the weakest of the parts'.
    pub verdict: Verdict,
    /// Why it is refused, if it is.
    pub failure: Option<Failure>,
    /// The manifest, once it was read.
    pub manifest: Option<Manifest>,
    /// The court that signed the retrieval, by name as the ledger has it; once check 3 has passed.
    pub court: Option<Member>,
    /// The checks in order.
    pub checks: Vec<Check>,
    /// The files.
    pub files: Vec<FileReport>,
    /// What was verified by itself.
    pub parts: Vec<Part>,
    /// What was not checked.
    pub not_checked: Vec<Note>,
    /// What is assumed.
    pub assumptions: Vec<Note>,
}

impl PackageReport {
    /// The verdict as a heading, as [`Report::heading`]: of the first part that is as weak as the whole.
    pub fn heading(&self) -> (&'static str, &'static str, &'static str) {
        let weakest = self.parts.iter().find(|part| part.report.verdict == self.verdict);
        weakest.map_or_else(|| self.verdict.words(), |part| part.report.heading())
    }
}

/// A failed check.
#[derive(Debug)]
pub(crate) struct Refused {
    path: Option<String>,
    note: Note,
}

impl Refused {
    fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { path: None, note: Note::new(zh, en) }
    }

    fn at(path: &str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { path: Some(path.to_owned()), note: Note::new(zh, en) }
    }
}

const TITLES: [(&str, &str); 7] = [
    ("压缩包形式", "form of the archive"),
    ("文件清单与摘要", "manifest and digests"),
    ("法院调取记录", "the court's retrieval"),
    ("合同证据包（全部记录）", "proofs of the contracts (every record)"),
    ("合同文件", "documents"),
    ("签署证明", "signing certificates"),
    ("出证方签章", "the issuer's seal"),
];

/// Is this a package (by its first bytes)?
pub fn is_package(bytes: &[u8]) -> bool {
    archive::is_archive(bytes)
}

/// Verifies a package: `input.file` is the archive. A head older than `max_age_ms` is refused.
pub fn verify_package(input: &Input<'_>, max_age_ms: Option<u64>) -> PackageReport {
    let checks = TITLES.iter().zip(1u8..).map(|((title_zh, title_en), n)| Check {
        n,
        title_zh,
        title_en,
        status: StepStatus::NotChecked,
        detail_zh: String::new(),
        detail_en: String::new(),
    });
    let mut report = PackageReport {
        kind: "court-package",
        verdict: Verdict::Invalid,
        failure: None,
        manifest: None,
        court: None,
        checks: checks.collect(),
        files: vec![],
        parts: vec![],
        not_checked: vec![],
        assumptions: vec![],
    };
    if report.run(input, max_age_ms).is_some() {
        report.finish();
    }
    report
}

impl PackageReport {
    fn check<T>(&mut self, n: u8, outcome: Result<(T, Note), Refused>) -> Option<T> {
        let check = &mut self.checks[usize::from(n) - 1];
        match outcome {
            Ok((value, Note { zh, en })) => {
                (check.status, check.detail_zh, check.detail_en) = (StepStatus::Pass, zh, en);
                Some(value)
            }
            Err(Refused { path, note: Note { zh, en } }) => {
                (check.status, check.detail_zh, check.detail_en) = (StepStatus::Fail, zh.clone(), en.clone());
                self.failure = Some(Failure { check: n, path, zh, en });
                None
            }
        }
    }

    fn run(&mut self, input: &Input<'_>, max_age_ms: Option<u64>) -> Option<()> {
        let entries = self.check(1, open(input.file))?;
        let manifest = self.check(2, listed(&entries))?;
        self.manifest = Some(manifest.clone());
        self.files = manifest.files.iter().map(covered).collect();
        let mut parts = Parts { input, max_age_ms, entries: &entries, manifest: &manifest, parts: vec![], court: None };
        let retrieval = parts.retrieval();
        self.parts = parts.parts.clone();
        self.court = parts.court.clone();
        self.check(3, retrieval)?;
        let contracts = parts.contracts();
        self.parts = parts.parts.clone();
        self.check(4, contracts)?;
        let documents = parts.documents();
        self.parts = parts.parts.clone();
        self.check(5, documents)?;
        let certificates = parts.certificates();
        self.parts = parts.parts.clone();
        self.check(6, certificates)?;
        let sealed = issued(&entries, &self.parts);
        self.check(7, sealed)
    }

    /// All seven hold: the verdict is the weakest of the parts'.
    fn finish(&mut self) {
        let unanchored = self.parts.iter().any(|part| part.report.verdict != Verdict::Valid);
        self.verdict = if unanchored { Verdict::ValidUnanchored } else { Verdict::Valid };
        self.not_checked.push(Note::new(
            "过程记录（process.json）、平台自身报告（report.json）、说明与调取请求副本只由平台签章保证未被改动，其内容是平台的陈述；其中已在链上承诺的项目由证据包校验。",
            "Process records (process.json), the platform's own report (report.json), the instructions and the copy of the request are the platform's statements: its seal shows that they were not altered, not that they are true; what of them is committed on the ledger is verified by the proofs.",
        ));
        if self.files.iter().any(|file| file.file.role == FileRole::Revision) {
            self.not_checked.push(Note::new(
                "未签署完成的合同：其最新修订稿未登记在链上。",
                "A contract that was not completed: its latest revision is not on the ledger.",
            ));
        }
        let strongest: Vec<&Report> = self.strongest().map(|part| &part.report).collect();
        let (not_checked, assumptions) = (union(&strongest, |r| &r.not_checked), union(&strongest, |r| &r.assumptions));
        self.not_checked.extend(not_checked);
        self.assumptions.extend(assumptions);
    }

    /// For each contract the part whose verification says most: the final file with the proof, else the
    /// proof. What another part leaves open, such as a proof without its file, these do not.
    pub fn strongest(&self) -> impl Iterator<Item = &Part> {
        let contracts = self.manifest.as_ref().map_or(0, |manifest| manifest.contracts.len());
        (1..=contracts).filter_map(|number| {
            let part = |role| self.parts.iter().find(|part| part.role == role && part.contract == Some(number));
            part(FileRole::Final).or_else(|| part(FileRole::Proof))
        })
    }
}

/// Notes of several reports, each once.
fn union(reports: &[&Report], of: impl Fn(&Report) -> &Vec<Note>) -> Vec<Note> {
    let mut notes: Vec<Note> = vec![];
    for note in reports.iter().flat_map(|report| of(report)) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// Check 1. Closes: two programs seeing two archives, paths outside, bombs.
fn open(bytes: &[u8]) -> Result<(Vec<Entry>, Note), Refused> {
    let entries = archive::read(bytes).map_err(|error| {
        let text = error.to_string();
        Refused::new(text.clone(), text)
    })?;
    let note = Note::new(
        format!("{} 个文件，形式唯一、无多余字节", entries.len()),
        format!("{} files, in the one form, no byte unaccounted for", entries.len()),
    );
    Ok((entries, note))
}

/// Check 2. Closes: files altered, added, removed or renamed.
fn listed(entries: &[Entry]) -> Result<(Manifest, Note), Refused> {
    let missing = |name: &str| Refused::at(name, format!("缺少 {name}"), format!("{name} is missing"));
    let manifest = find(entries, MANIFEST).ok_or_else(|| missing(MANIFEST))?;
    find(entries, REPORT).ok_or_else(|| missing(REPORT))?;
    let manifest = Manifest::parse(manifest).map_err(|error| {
        Refused::at(MANIFEST, format!("文件清单无法读取（{error}）"), format!("the manifest cannot be read: {error}"))
    })?;
    let present: Vec<&Entry> =
        entries.iter().filter(|entry| ![MANIFEST, REPORT].contains(&entry.name.as_str())).collect();
    if let Some(unlisted) = present.iter().find(|entry| !manifest.files.iter().any(|file| file.path == entry.name)) {
        return Err(Refused::at(&unlisted.name, "清单中没有此文件", "the manifest does not list this file"));
    }
    if manifest.files.windows(2).any(|pair| pair[0].path >= pair[1].path) {
        return Err(Refused::at(
            MANIFEST,
            "清单未按路径排序或有重复",
            "the manifest is not in order, or repeats itself",
        ));
    }
    for file in &manifest.files {
        let entry = present.iter().find(|entry| entry.name == file.path).ok_or_else(|| missing(&file.path))?;
        if entry.bytes.len() as u64 != file.bytes || sha256(&[&entry.bytes]) != file.sha256 {
            return Err(Refused::at(
                &file.path,
                format!("{} 与清单中的长度或摘要不符：内容被改动", file.path),
                format!("{} has not the length and digest that the manifest lists: it was altered", file.path),
            ));
        }
        if !is_path_of(file) || file.contract.is_some_and(|number| number > manifest.contracts.len()) {
            return Err(Refused::at(
                &file.path,
                format!("{} 的位置与其用途不符", file.path),
                format!("{} does not stand where its role says", file.path),
            ));
        }
    }
    let note = Note::new(
        format!("{} 个文件的长度与 SHA-256 与清单一致，且无清单外的文件", manifest.files.len()),
        format!("{} files have the listed length and SHA-256, and there are no others", manifest.files.len()),
    );
    Ok((manifest, note))
}

fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a [u8]> {
    entries.iter().find(|entry| entry.name == name).map(|entry| entry.bytes.as_slice())
}

/// Check 7. Closes: a package put together by somebody else than a platform of this ledger.
fn issued(entries: &[Entry], parts: &[Part]) -> Result<((), Note), Refused> {
    let refuse = |zh: &str, en: &str| Refused::at(REPORT, zh, en);
    let unreadable = |error: qz_evidence_pdf::PdfReadError| {
        Refused::at(REPORT, format!("出证报告无法读取（{error}）"), format!("the report cannot be read: {error}"))
    };
    let (Some(pdf), Some(manifest)) = (find(entries, REPORT), find(entries, MANIFEST)) else {
        return Err(refuse("缺少出证报告或清单", "the report or the manifest is missing"));
    };
    let found = signatures(pdf).map_err(unreadable)?;
    if let Some(note) = broken_signature(&found) {
        return Err(Refused { path: Some(REPORT.into()), note });
    }
    let issuer = found.last().filter(|last| last.covers_whole_file).ok_or_else(|| {
        refuse("出证报告没有覆盖全文的出证方签名", "the report has no issuer's signature over the whole file")
    })?;
    if !parts.iter().any(|part| is_deposited_by_a_platform(&part.report, &issuer.signer_cert_der)) {
        return Err(refuse(
            "出证报告的签名者不是链上登记的出证方",
            "the report is not signed by an issuer that a platform put on the ledger",
        ));
    }
    let attached = attachments(pdf).map_err(unreadable)?;
    let attached: Vec<_> = attached.iter().filter(|attachment| attachment.name == MANIFEST).collect();
    if attached.len() != 1 || attached[0].bytes != manifest {
        return Err(refuse(
            "出证报告所附清单与压缩包内的清单不一致",
            "the manifest attached to the report is not the one of the archive",
        ));
    }
    let digest: Hash32 = sha256(&[&issuer.signer_cert_der]);
    let note = Note::new(
        format!("出证报告由链上登记的出证方签署（数字证书 SHA-256 {digest}），所附清单即本清单"),
        format!(
            "the report is signed by an issuer on the ledger (X.509 certificate SHA-256 {digest}) and carries this manifest"
        ),
    );
    Ok(((), note))
}

fn covered(file: &FileIn) -> FileReport {
    let (covered_zh, covered_en) = match file.role {
        FileRole::Version | FileRole::Final | FileRole::Receipt => {
            ("账本承诺其摘要", "its digest is committed on the ledger")
        }
        FileRole::Proof | FileRole::RetrievalProof => ("自带证明，逐项校验", "a proof, verified step by step"),
        FileRole::Certificate => ("自带证明与出具方签名", "carries its proof and its issuer's signature"),
        FileRole::Genesis => ("仅供比对，不作信任依据", "for comparison only; nothing trusts it"),
        FileRole::Report | FileRole::Readme | FileRole::Request | FileRole::Revision | FileRole::Process => {
            ("仅由清单与出证方签章覆盖", "covered by the manifest and the issuer's seal only")
        }
    };
    FileReport { file: file.clone(), covered_zh, covered_en }
}
