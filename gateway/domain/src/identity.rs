//! Identity codes: the unified social credit code 统一社会信用代码 of an organisation in full, the identity
//! number of a person masked. The full number of a person never goes further than this function.

use crate::refusal::{Refusal, text};

/// What a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// 统一社会信用代码 (GB 32100-2015): 18 characters.
    Organisation,
    /// A person's number, masked.
    Person,
}

impl CodeKind {
    /// In Chinese, for documents.
    pub fn words(self) -> &'static str {
        match self {
            Self::Organisation => "统一社会信用代码",
            Self::Person => "身份证件号码（脱敏）",
        }
    }
}

/// What kind of code this (already masked) text is.
pub fn kind(code: &str) -> CodeKind {
    if code.contains('*') { CodeKind::Person } else { CodeKind::Organisation }
}

/// The form in which a code is kept and committed: a credit code as it is, anything else masked.
///
/// # Errors
/// When it is empty, too long or has characters that no code has.
pub fn mask(code: &str) -> Result<String, Refusal> {
    let code = text("id_code", code, 32)?.to_ascii_uppercase();
    if !code.chars().all(|c| c.is_ascii_alphanumeric() || c == '*') || code.len() < 6 {
        return Err(Refusal::invalid(
            "id_code.form",
            "证件号码须为 6–32 位字母或数字",
            "`id_code` must have 6 to 32 letters or digits",
        ));
    }
    if code.contains('*') || is_credit_code(&code) {
        return Ok(code);
    }
    let stars = "*".repeat(code.len() - 5);
    Ok(format!("{}{stars}{}", &code[..1], &code[code.len() - 4..]))
}

/// GB 32100-2015: department, type, six digits of region, nine characters of organisation, check
/// character. A resident identity number has the same length, but a date where the type is a digit.
fn is_credit_code(code: &str) -> bool {
    let characters = code.as_bytes();
    characters.len() == 18
        && matches!(characters[0], b'1' | b'5' | b'9' | b'A' | b'N' | b'Y')
        && characters[2..8].iter().all(u8::is_ascii_digit)
        && !is_resident_number(characters)
}

/// GB 11643-1999: 17 digits and a check character, with a date of birth in the 7th to 14th.
fn is_resident_number(characters: &[u8]) -> bool {
    characters[..17].iter().all(u8::is_ascii_digit)
        && (characters[17].is_ascii_digit() || characters[17] == b'X')
        && matches!(&characters[6..8], b"18" | b"19" | b"20")
        && (&b"01"[..]..=&b"12"[..]).contains(&&characters[10..12])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn organisations_in_full_persons_masked() {
        for (given, kept, kind_of) in [
            ("91110108MA00DEM14Q", "91110108MA00DEM14Q", CodeKind::Organisation),
            ("110101199003071234", "1*************1234", CodeKind::Person),
            ("11010119900307123x", "1*************123X", CodeKind::Person),
            ("1101**********1234", "1101**********1234", CodeKind::Person),
            ("E12345678", "E****5678", CodeKind::Person),
        ] {
            assert_eq!(mask(given).unwrap(), kept);
            assert_eq!(kind(kept), kind_of, "{kept}");
        }
        for bad in ["", "12345", "1101 0119", "一二三四五六", &"9".repeat(33)] {
            assert!(mask(bad).is_err(), "{bad}");
        }
    }
}
