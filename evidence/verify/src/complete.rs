//! Is this *everything*? Checks that one proof, or several parts under one head, show all records of a
//! subject, or that there is no such subject.

use qz_evidence::SubjectId;
use qz_evidence::verify::TrustInputs;
use qz_evidence::verify::history::{History, HistoryError, history, join};

/// Verifies the parts and puts them together; they must leave nothing out.
pub fn complete(parts: &[Vec<u8>], trust: &TrustInputs<'_>, subject: &SubjectId) -> Result<History, HistoryError> {
    let parts = parts.iter().map(|part| history(part, trust, subject)).collect::<Result<Vec<_>, _>>()?;
    let whole = join(parts)?;
    whole.complete()?;
    Ok(whole)
}
