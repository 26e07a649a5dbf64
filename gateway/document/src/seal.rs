//! Draws seal imprints 印模 as vector pages with a transparent ground: the round seal of a company and
//! the square name seal of a person.
//!
//! Measures follow 国务院关于国家行政机关和企业事业单位社会团体印章管理的规定 (1999) in outline: round, Ø 40 mm,
//! five-pointed star in the middle, name from left to right on the arc. Every imprint made here carries
//! the mark 演示: it is a demonstration and no registered seal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::render::{Job, Purpose, RenderError, render};

/// Diameter of a company seal.
pub const COMPANY_SEAL_MM: f64 = 40.0;
/// Side of a personal name seal.
pub const NAME_SEAL_MM: f64 = 18.0;

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
    /// The drawing failed.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// The round seal of a company; `line` is the text under the star, e.g. 合同专用章, or empty.
///
/// # Errors
/// When a text is too long, or has characters without a glyph.
pub fn company_seal(name: &str, line: &str) -> Result<Imprint, SealError> {
    let name = check_length("公司名称", name, 2, 28)?;
    let line = check_length("印章横排文字", line, 0, 10)?;
    let data = json!({ "kind": "company", "name": name, "line": line, "size": COMPANY_SEAL_MM });
    draw(data, &format!("seal/company/{name}/{line}"), COMPANY_SEAL_MM)
}

/// The square name seal of a person, e.g. 法定代表人名章: two columns, read from the right.
///
/// # Errors
/// When the name is too long, or has characters without a glyph.
pub fn name_seal(name: &str) -> Result<Imprint, SealError> {
    let name = check_length("姓名", name, 2, 4)?;
    let data = json!({ "kind": "person", "name": name, "line": "", "size": NAME_SEAL_MM });
    draw(data, &format!("seal/person/{name}"), NAME_SEAL_MM)
}

fn check_length<'a>(what: &'static str, text: &'a str, min: usize, max: usize) -> Result<&'a str, SealError> {
    let text = text.trim();
    let found = text.chars().count();
    if (min..=max).contains(&found) { Ok(text) } else { Err(SealError::Length { what, min, max, found }) }
}

fn draw(data: serde_json::Value, identity: &str, side_mm: f64) -> Result<Imprint, SealError> {
    let rendered = render(Job {
        template: include_str!("../templates/seal.typ"),
        data,
        files: BTreeMap::new(),
        identity,
        created_ms: DRAWN_MS,
        purpose: Purpose::Drawing,
    })?;
    Ok(Imprint { pdf: rendered.pdf, width_mm: side_mm, height_mm: side_mm })
}
