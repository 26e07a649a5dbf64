//! Seal imprints 印模 of true size on a transparent ground: drawn from a form ([`Form`]) as vectors, or
//! uploaded ([`uploaded`]).
//!
//! Every imprint drawn here carries the mark 演示: it is a demonstration and no registered seal.

mod caption;
mod drawing;
mod form;
mod handwriting;
mod picture;
mod svg;
mod upload;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::render::{Job, Purpose, RenderError, render};
pub use caption::Caption;
pub use drawing::Ink;
pub use form::{COMPANY_SEAL_MM, FINANCE_SEAL_MM, Form, INVOICE_SEAL_MM, LEGAL_REPRESENTATIVE_SEAL_MM, NAME_SEAL_MM};
pub use handwriting::Point;
pub use picture::{PICTURE_DPI, png};
pub use upload::{MAX_UPLOAD_BYTES, SIDES_MM, uploaded};

/// Imprints have no date of their own; the PDF wants one.
const DRAWN_MS: i64 = 1_767_225_600_000;

/// A drawn seal: a one-page PDF as large as the seal.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Imprint {
    /// The one-page PDF.
    #[serde(with = "crate::sign::base64_bytes")]
    pub pdf: Vec<u8>,
    /// Width of the page.
    pub width_mm: f64,
    /// Height of the page.
    pub height_mm: f64,
}

impl std::fmt::Debug for Imprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Imprint({} × {} mm, {} bytes)", self.width_mm, self.height_mm, self.pdf.len())
    }
}

/// Why a seal could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A name of a length that does not fit the seal.
    #[error(
        "{what}须为 {min}–{max} 个字，现为 {found} 个 / {what} must have {min} to {max} characters, it has {found}"
    )]
    Length {
        /// What is too short or too long.
        what: &'static str,
        /// Least number of characters.
        min: usize,
        /// Greatest number of characters.
        max: usize,
        /// Number of characters given.
        found: usize,
    },
    /// Control characters or line breaks in a text on a seal.
    #[error("{what}不能含有换行或控制字符 / {what} must not have line breaks or control characters")]
    Blank {
        /// Which text.
        what: &'static str,
    },
    /// A measure out of its range.
    #[error("{what}须为 {min}–{max} mm / {what} must be {min} to {max}")]
    Size {
        /// What is too small or too large.
        what: &'static str,
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// No 统一社会信用代码.
    #[error(
        "纳税人识别号须为 18 位统一社会信用代码，现为 {0:?} / the taxpayer's number must have 18 digits and capitals"
    )]
    IdCode(String),
    /// No date of the form `YYYY-MM-DD`.
    #[error("日期须为 YYYY-MM-DD，现为 {0:?} / the date must be YYYY-MM-DD")]
    Date(String),
    /// A signature of nothing.
    #[error("手写签名为空或无效，请重新书写 / the handwritten signature is empty or invalid: write it again")]
    EmptySignature,
    /// More strokes than a hand writes.
    #[error("手写签名笔画过多 / the handwritten signature has too many strokes")]
    TooManyStrokes,
    /// An upload that cannot be used; Chinese and English.
    #[error("{0}")]
    Upload(String),
    /// An imprint that cannot be turned into a picture.
    #[error("印模无法转为图片：{0} / the imprint cannot be turned into a picture: {0}")]
    Picture(String),
    /// The drawing failed.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Draws an imprint.
///
/// # Errors
/// When a text is too long, or has characters without a glyph, or a measure is out of its range.
pub fn draw(form: &Form) -> Result<Imprint, SealError> {
    let drawing = form.drawing()?;
    let size = (drawing.width, drawing.height);
    let identity = format!("seal/{}", json!(form));
    drawn(include_str!("../templates/imprint.typ"), json!(drawing), BTreeMap::new(), &identity, size)
}

/// The round seal of a company; `line` is the text under the star, e.g. 合同专用章, or empty.
///
/// # Errors
/// When a text is too long, or has characters without a glyph.
pub fn company_seal(name: &str, line: &str) -> Result<Imprint, SealError> {
    draw(&Form::Official { name: name.to_owned(), caption: line.to_owned() })
}

/// The square name seal of a person, 18 mm: two columns, read from the right.
///
/// # Errors
/// When the name is too long, or has characters without a glyph.
pub fn name_seal(name: &str) -> Result<Imprint, SealError> {
    draw(&Form::Personal { name: name.to_owned() })
}

fn drawn(
    template: &'static str, data: serde_json::Value, files: BTreeMap<&'static str, Vec<u8>>, identity: &str,
    (width_mm, height_mm): (f64, f64),
) -> Result<Imprint, SealError> {
    let rendered = render(Job { template, data, files, identity, created_ms: DRAWN_MS, purpose: Purpose::Drawing })?;
    Ok(Imprint { pdf: rendered.pdf, width_mm, height_mm })
}
