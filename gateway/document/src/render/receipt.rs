//! A bank-like payment receipt, plainly marked as a demonstration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Job, Purpose, RenderError, Rendered, engine, render};

/// A payment receipt to be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptText {
    /// Receipt number.
    pub number: String,
    /// Who pays.
    pub payer: String,
    /// Account of the payer, masked.
    pub payer_account: String,
    /// Bank of the payer.
    pub payer_bank: String,
    /// Who is paid.
    pub payee: String,
    /// Account of the payee, masked.
    pub payee_account: String,
    /// Bank of the payee.
    pub payee_bank: String,
    /// Amount in words, e.g. 人民币叁拾万元整.
    pub amount_words: String,
    /// Amount in figures, e.g. ¥300,000.00.
    pub amount_figures: String,
    /// Contract number and instalment.
    pub purpose: String,
    /// When it was paid, milliseconds since 1970; also the creation time of the file.
    pub paid_ms: i64,
}

/// Renders the receipt; no anchors.
///
/// # Errors
/// See [`RenderError`].
pub fn payment_receipt(text: &ReceiptText) -> Result<Rendered, RenderError> {
    render(Job {
        template: include_str!("../../templates/receipt.typ"),
        data: engine::with_times(text)?,
        files: BTreeMap::new(),
        identity: &format!("receipt/{}", text.number),
        created_ms: text.paid_ms,
        purpose: Purpose::Document,
    })
}
