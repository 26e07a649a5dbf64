//! The report on a seal 用印授权与使用报告: who may use it, who did, on what and on which ground, and when it was
//! suspended, from the complete history on the chain. The names of contracts are what the platform knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Issuer, Job, Purpose, RecordFacts, RenderError, Rendered, ReportNote, engine, render};

/// Everything that the report shows. Hashes are lower-case hexadecimal, times milliseconds since 1970, shown in China
/// Standard Time with the zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealReportData {
    /// Number of the report.
    pub number: String,
    /// When it was made.
    pub made_ms: i64,
    /// Who made it.
    pub issuer: Issuer,
    /// With which program.
    pub software: String,
    /// Chain id.
    pub chain_id: String,
    /// Name of the consortium.
    pub chain_name: String,
    /// Height of the block that all of this is about.
    pub head_height: u64,
    /// Its time.
    pub head_ms: i64,
    /// Its id.
    pub head_block: String,
    /// Records that the chain holds about the seal: all are shown.
    pub records_total: u64,
    /// The seal.
    pub seal: ReportedSeal,
    /// Who was allowed to use it, in the order of the records.
    pub authorisations: Vec<ReportedAuthorisation>,
    /// Its uses, in the order of the records.
    pub uses: Vec<ReportedUse>,
    /// Making, suspensions and what else changed its state.
    pub changes: Vec<ReportedChange>,
    /// What the report does not show.
    pub limits: Vec<ReportNote>,
}

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedSeal {
    /// Its name.
    pub name: String,
    /// Its kind, in words.
    pub kind: String,
    /// Its subject on the chain.
    pub subject: String,
    /// Its state as of the head block, in words.
    pub status: String,
    /// The same in English.
    pub status_en: String,
    /// Registered name of its owner.
    pub owner: String,
    /// The owner's code.
    pub owner_code: String,
    /// The owner's key subject.
    pub owner_key: String,
    /// Who made it: the maker of its seal data, or the platform that drew it.
    pub maker: String,
    /// SHA-256 of the imprint.
    pub imprint_sha256: String,
    /// Issuer of its X.509 certificate.
    pub certificate_issuer: String,
    /// Serial number of the certificate.
    pub certificate_serial: String,
    /// Its first moment.
    pub not_before_ms: i64,
    /// Its last moment.
    pub not_after_ms: i64,
}

/// An authorisation to use a seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedAuthorisation {
    /// Its number in this report, from 1.
    pub number: u32,
    /// Who may use the seal, as far as the platform knows.
    pub holder: Option<String>,
    /// The key subject.
    pub key: String,
    /// Uses that were allowed; none: any number.
    pub count: Option<u32>,
    /// Last height; none: no end.
    pub until: Option<u64>,
    /// Uses that rest on it.
    pub used: u32,
    /// How it stands: in words, Chinese.
    pub standing: String,
    /// The same in English.
    pub standing_en: String,
    /// Its record.
    pub record: RecordFacts,
}

/// A use of a seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedUse {
    /// Its number in this report, from 1.
    pub number: u32,
    /// Title of the contract, as far as the platform knows.
    pub title: Option<String>,
    /// Number of the contract.
    pub contract_number: Option<String>,
    /// Its subject on the chain.
    pub contract: String,
    /// Its slot, from 0.
    pub slot: u32,
    /// Digest that the PDF signature covers.
    pub digest: Option<String>,
    /// Where the imprint stands, in words.
    pub position: Option<String>,
    /// Who used it, as far as the platform knows.
    pub signer: Option<String>,
    /// The key subject.
    pub key: String,
    /// The authorisation by its number; none: the owner's own use.
    pub authorisation: Option<u32>,
    /// Its record.
    pub record: RecordFacts,
}

/// A change of a seal's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedChange {
    /// Why, as far as the platform knows.
    pub reason: Option<String>,
    /// The record; its title says what changed.
    pub record: RecordFacts,
}

/// Renders the report. Anchor: `issuer`. The same data give the same bytes.
///
/// # Errors
/// See [`RenderError`].
pub fn seal_report(data: &SealReportData) -> Result<Rendered, RenderError> {
    render(Job {
        template: include_str!("../../templates/seal-report.typ"),
        data: engine::with_times(data)?,
        files: BTreeMap::new(),
        identity: &format!("seal-report/{}", data.number),
        created_ms: data.made_ms,
        purpose: Purpose::Document,
    })
}
