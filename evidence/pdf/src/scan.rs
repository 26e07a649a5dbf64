//! Looks for content that could show something else later.

use qz_evidence::verify::Note;
use serde::Serialize;

use crate::file::PdfFile;
use crate::model::Model;

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// In words.
    pub words: Note,
}

pub(crate) fn warnings(_file: &PdfFile<'_>, _model: &Model) -> Vec<Warning> {
    vec![]
}
