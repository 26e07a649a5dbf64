//! A Chinese contract as companies sign it: parties, clauses, tables of goods and payments, and a
//! signature block with places for the seals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Job, Purpose, RenderError, Rendered, engine, render};

/// A contract to be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractText {
    /// E.g. 采购合同.
    pub title: String,
    /// Contract number.
    pub number: String,
    /// Parties in order; each gets a place for a seal and one for a person.
    pub parties: Vec<ContractParty>,
    /// Paragraph before the clauses.
    pub preamble: String,
    /// Clauses in order; numbered 第一条 and so on.
    pub clauses: Vec<Clause>,
    /// Goods or services, shown where a clause asks for them.
    pub items: Vec<Item>,
    /// Payments, shown where a clause asks for them.
    pub payments: Vec<Payment>,
    /// Total in words and figures.
    pub amount: String,
    /// Date of signing as written, e.g. 2026年11月22日.
    pub sign_date: String,
    /// Place of signing.
    pub place: String,
    /// Creation time of the file, milliseconds since 1970.
    pub created_ms: i64,
}

/// A party of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractParty {
    /// E.g. 甲方（买方）.
    pub role: String,
    /// Registered name.
    pub name: String,
    /// Unified social credit code 统一社会信用代码.
    pub id_code: String,
    /// Legal representative 法定代表人.
    pub legal_representative: String,
    /// Handling person 经办人.
    pub handler: String,
    /// Registered address.
    pub address: String,
    /// Telephone.
    pub phone: String,
    /// Bank and account, as written.
    pub bank: String,
}

/// A clause; paragraphs are separated by line breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Heading without its number.
    pub heading: String,
    /// Paragraphs.
    pub text: String,
    /// Table below the paragraphs.
    pub table: Option<ClauseTable>,
}

/// Which table a clause shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClauseTable {
    /// [`ContractText::items`].
    Items,
    /// [`ContractText::payments`].
    Payments,
}

/// A line of the table of goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Name.
    pub name: String,
    /// Model or specification.
    pub specification: String,
    /// Unit of measure.
    pub unit: String,
    /// Quantity.
    pub quantity: String,
    /// Price of one unit, as written.
    pub unit_price: String,
    /// Price of the line, as written.
    pub total: String,
}

/// A line of the table of payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// E.g. 预付款.
    pub stage: String,
    /// When it falls due.
    pub condition: String,
    /// Share of the total.
    pub share: String,
    /// Amount, as written.
    pub amount: String,
}

/// Renders the contract. Anchors: `seal-N` and `person-N` for each party N from 0.
///
/// # Errors
/// See [`RenderError`].
pub fn contract(text: &ContractText) -> Result<Rendered, RenderError> {
    render(Job {
        template: include_str!("../../templates/contract.typ"),
        data: engine::with_times(text)?,
        files: BTreeMap::new(),
        identity: &format!("contract/{}", text.number),
        created_ms: text.created_ms,
        purpose: Purpose::Document,
    })
}
