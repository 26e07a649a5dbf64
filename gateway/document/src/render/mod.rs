//! Renders documents with Typst to PDF/A-3b: contracts, amendments, receipts, signing certificates,
//! and the drawings of seals.
//!
//! Data goes in as JSON and never becomes markup. The same data and fonts give the same bytes. A
//! character without a glyph or text outside the page is an error, not a blemish.

mod amendment;
mod certificate;
mod contract;
mod engine;
mod layout;
mod receipt;
mod report;
pub mod sample;
mod seal_report;

use serde::Serialize;

pub use amendment::{AmendmentText, Change, amendment};
pub use certificate::{
    CertificateData, ChainFacts, Check, ConfirmingOrganisation, ContractFacts, GENESIS_FILE, Issuer, KeyCustody,
    KeyFacts, PROOF_FILE, RecordFacts, SealFacts, SignatureFacts, SignedParty, TimestampFacts, VerificationFacts,
    X509Facts, signing_certificate,
};
pub use contract::{Clause, ClauseTable, ContractParty, ContractText, Item, Payment, contract};
pub(crate) use engine::{Job, Purpose, render, with_times};
pub use receipt::{ReceiptText, payment_receipt};
pub use report::{
    MANIFEST_FILE, ReportCheck, ReportContract, ReportData, ReportFile, ReportMember, ReportNote, ReportPerson,
    ReportRoot, ReportTrust, evidence_report,
};
pub use seal_report::{ReportedAuthorisation, ReportedChange, ReportedSeal, ReportedUse, SealReportData, seal_report};

use crate::seal::Imprint;

/// Why a document could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The fonts are not installed.
    #[error(
        "缺少中文字体 {0}，请运行 apt-get install fonts-noto-cjk / font {0:?} is missing: run apt-get install fonts-noto-cjk"
    )]
    FontMissing(&'static str),
    /// Characters that the fonts cannot show.
    #[error("字体不支持下列字符，请更换写法：{} / the fonts have no glyph for these characters", list(.0))]
    MissingGlyphs(Vec<char>),
    /// Text that does not fit on its page.
    #[error("第 {page} 页文字超出页面：{text:?} / text leaves page {page}: {text:?}")]
    Overflow {
        /// Page, from 1.
        page: usize,
        /// The text.
        text: String,
    },
    /// More data than a document should have.
    #[error("文档数据 {0} 字节，超过 1 MB 上限 / {0} bytes of data, more than 1 MB")]
    TooLarge(usize),
    /// A time that is not a date of the years 1970 to 9999.
    #[error("时间无效：{0} / invalid time {0}")]
    Time(i64),
    /// The QR code cannot hold the address.
    #[error("二维码内容过长 / the address does not fit a QR code: {0}")]
    QrCode(qrcode::types::QrError),
    /// A template is broken: our fault.
    #[error("模板错误 / the template failed: {0}")]
    Template(String),
}

fn list(characters: &[char]) -> String {
    characters
        .iter()
        .map(|character| format!("{character} (U+{:04X})", u32::from(*character)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A rendered document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// The PDF/A-3b file.
    #[serde(skip)]
    pub pdf: Vec<u8>,
    /// Number of pages.
    pub pages: usize,
    /// Where seals and signatures belong.
    pub anchors: Vec<Anchor>,
}

impl Rendered {
    /// The anchor named `name`.
    pub fn anchor(&self, name: &str) -> Option<&Anchor> {
        self.anchors.iter().find(|anchor| anchor.name == name)
    }
}

/// Where the middle of an imprint belongs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anchor {
    /// `seal-0`, `person-0`, … in the order of the parties; `issuer` on a signing certificate.
    pub name: String,
    /// Page, from 1.
    pub page: usize,
    /// From the left edge of the page to the middle.
    pub x_mm: f64,
    /// From the lower edge of the page to the middle.
    pub y_mm: f64,
}

impl Eq for Anchor {}

impl Anchor {
    /// The lower left corner for `imprint`, as [`crate::sign::FieldRequest`] wants it.
    pub fn corner(&self, imprint: &Imprint) -> (f64, f64) {
        (self.x_mm - imprint.width_mm / 2.0, self.y_mm - imprint.height_mm / 2.0)
    }
}
