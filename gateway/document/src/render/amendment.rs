//! An agreement that amends a contract 补充协议.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContractParty, Job, Purpose, RenderError, Rendered, engine, render};

/// An amendment to be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendmentText {
    /// E.g. 补充协议（一）.
    pub title: String,
    /// Its own number.
    pub number: String,
    /// Title of the contract that it amends.
    pub contract_title: String,
    /// Number of that contract.
    pub contract_number: String,
    /// SHA-256 of that contract's final file, hexadecimal.
    pub contract_sha256: String,
    /// Parties in order.
    pub parties: Vec<ContractParty>,
    /// Why it is made.
    pub reason: String,
    /// What changes.
    pub changes: Vec<Change>,
    /// Date of signing as written.
    pub sign_date: String,
    /// Place of signing.
    pub place: String,
    /// Creation time of the file, milliseconds since 1970.
    pub created_ms: i64,
}

/// One changed clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which clause, e.g. 第三条第二款.
    pub clause: String,
    /// What it said.
    pub before: String,
    /// What it says now.
    pub after: String,
}

/// Renders the amendment. Anchors as for a contract.
///
/// # Errors
/// See [`RenderError`].
pub fn amendment(text: &AmendmentText) -> Result<Rendered, RenderError> {
    render(Job {
        template: include_str!("../../templates/amendment.typ"),
        data: engine::with_times(text)?,
        files: BTreeMap::new(),
        identity: &format!("amendment/{}", text.number),
        created_ms: text.created_ms,
        purpose: Purpose::Document,
    })
}
