//! A request that is refused: whose fault, a stable code, and words in Chinese and English.

use thiserror::Error;

/// Whose fault, and what would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request makes no sense, whatever the state.
    Invalid,
    /// The state does not admit it now.
    State,
    /// Somebody else is entitled.
    NotEntitled,
    /// What it names does not exist.
    Missing,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {zh} / {en}")]
pub struct Refusal {
    /// Whose fault.
    pub blame: Blame,
    /// A stable code such as `slot.foreign`.
    pub code: &'static str,
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Refusal {
    /// The request makes no sense.
    pub fn invalid(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { blame: Blame::Invalid, code, zh: zh.into(), en: en.into() }
    }

    /// The state does not admit it.
    pub fn state(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { blame: Blame::State, code, zh: zh.into(), en: en.into() }
    }

    /// Somebody else is entitled.
    pub fn not_entitled(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { blame: Blame::NotEntitled, code, zh: zh.into(), en: en.into() }
    }

    /// It does not exist.
    pub fn missing(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { blame: Blame::Missing, code, zh: zh.into(), en: en.into() }
    }
}

/// A text that people read: trimmed, of a bounded length, without control characters.
///
/// # Errors
/// When it is empty, too long or has control characters.
pub fn text(field: &'static str, value: &str, max_chars: usize) -> Result<String, Refusal> {
    let value = value.trim();
    let found = value.chars().count();
    if found == 0 || found > max_chars || value.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            "field.text",
            format!("“{field}”须为 1–{max_chars} 个字符且不含控制字符"),
            format!("`{field}` must have 1 to {max_chars} characters and no control characters"),
        ));
    }
    Ok(value.to_owned())
}
