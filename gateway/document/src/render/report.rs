//! The evidence report 出证报告 of a court package: what was verified, told in the order of a judge's
//! questions, with what each answer shows and does not show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Issuer, Job, Purpose, RecordFacts, RenderError, Rendered, engine, render};

/// Name of the attached manifest.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Everything that the report shows. Hashes are lower-case hexadecimal, times milliseconds since 1970,
/// shown in China Standard Time; statuses are `pass`, `fail` and `not-checked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportData {
    /// Number of the package.
    pub number: String,
    /// When it was made.
    pub made_ms: i64,
    /// Who made it.
    pub issuer: Issuer,
    /// With which program.
    pub software: String,
    /// Case number 案号.
    pub case_number: String,
    /// Name of the court.
    pub court: String,
    /// The record of the retrieval.
    pub retrieval: RecordFacts,
    /// Until when notice to the parties is deferred.
    pub notice_after: Option<String>,
    /// Chain id.
    pub chain_id: String,
    /// Name of the consortium.
    pub chain_name: String,
    /// SHA-256 of the genesis document.
    pub genesis_hash: String,
    /// Members of the consortium.
    pub members: Vec<ReportMember>,
    /// Whose outside witnesses and timestamps the verification relied on.
    pub trust: ReportTrust,
    /// The contracts.
    pub contracts: Vec<ReportContract>,
    /// Checks of the package.
    pub checks: Vec<ReportCheck>,
    /// Its files.
    pub files: Vec<ReportFile>,
    /// What was not checked.
    pub not_checked: Vec<ReportNote>,
    /// What is assumed.
    pub assumptions: Vec<ReportNote>,
}

/// The trust inputs besides the genesis: the platform's choice, not the court's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTrust {
    /// Names of the witnesses in the policy.
    pub witnesses: Vec<String>,
    /// SHA-256 of the policy file, if there is one.
    pub policy_sha256: Option<String>,
    /// Roots of timestamp authorities.
    pub roots: Vec<ReportRoot>,
}

/// A timestamp authority's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRoot {
    /// Its common name.
    pub name: String,
    /// SHA-256 of the certificate (DER).
    pub sha256: String,
}

/// A member of the consortium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportMember {
    /// Name.
    pub name: String,
    /// Roles in words.
    pub roles: String,
    /// Does it run a validator?
    pub validates: bool,
    /// Is it the platform?
    pub is_platform: bool,
}

/// A contract in the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportContract {
    /// Title.
    pub title: String,
    /// Number.
    pub number: String,
    /// Subject on the chain.
    pub subject: String,
    /// Folder in the package.
    pub folder: String,
    /// State as of the head block, in words.
    pub state: String,
    /// Records that the ledger holds about it.
    pub records_total: u64,
    /// Height of the head block of the proof.
    pub head_height: u64,
    /// Its time.
    pub head_ms: i64,
    /// Its id.
    pub head_block: String,
    /// Members that signed it.
    pub finalised_by: Vec<String>,
    /// Its records.
    pub records: Vec<RecordFacts>,
    /// Holders of keys.
    pub people: Vec<ReportPerson>,
    /// SHA-256 of the final file.
    pub final_sha256: Option<String>,
    /// The steps of the verification.
    pub steps: Vec<ReportCheck>,
    /// Is there a third party's timestamp that was verified?
    pub anchored: bool,
    /// Notarial deeds that are registered about it.
    pub notarised: u64,
    /// Was it disputed?
    pub disputed: bool,
    /// The outcome, Chinese.
    pub verdict_zh: String,
    /// The outcome, English.
    pub verdict_en: String,
}

/// The holder of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPerson {
    /// Name.
    pub name: String,
    /// Credit code or masked number.
    pub id_code: String,
    /// How the identity was checked.
    pub identity_check: String,
    /// Whose office attested to it.
    pub attested_by: String,
    /// When the key was registered.
    pub registered_ms: i64,
    /// From which address that was asked for.
    pub ip: String,
    /// With which device.
    pub device: String,
    /// With which software of the platform.
    pub software: String,
    /// When this holder signed first.
    pub signed_ms: Option<i64>,
}

/// A check and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCheck {
    /// Its number.
    pub n: u8,
    /// Title, Chinese.
    pub title_zh: String,
    /// Title, English.
    pub title_en: String,
    /// `pass`, `fail` or `not-checked`.
    pub status: String,
    /// What was found, Chinese.
    pub detail_zh: String,
    /// What was found, English.
    pub detail_en: String,
}

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFile {
    /// Its name in the archive.
    pub path: String,
    /// What it is.
    pub role: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// A remark in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportNote {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Renders the report with the package's manifest attached. Anchor: `issuer`.
///
/// # Errors
/// See [`RenderError`].
pub fn evidence_report(data: &ReportData, manifest: &[u8]) -> Result<Rendered, RenderError> {
    render(Job {
        template: include_str!("../../templates/report.typ"),
        data: engine::with_times(data)?,
        files: BTreeMap::from([(MANIFEST_FILE, manifest.to_vec())]),
        identity: &format!("evidence-report/{}", data.number),
        created_ms: data.made_ms,
        purpose: Purpose::Document,
    })
}
