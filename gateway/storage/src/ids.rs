//! Typed identifiers of rows: random UUIDs (RFC 9562, version 4) that cannot be mixed up. They name
//! things inside the gateway only; on the chain a subject is a hash.

use std::fmt;
use std::str::FromStr;

/// A text that is not a UUID in its canonical lower-case form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: 8-4-4-4-12 lower-case hexadecimal digits expected")]
pub struct InvalidId;

macro_rules! uuid_id {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new random id.
            #[must_use]
            pub fn random() -> Self {
                Self(random_uuid())
            }

            /// The canonical text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_uuid(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
            }
        }
    )+};
}

uuid_id! {
    /// Id of an API token (not the token itself).
    TokenId;
    /// Id of a document.
    DocumentId;
    /// Id of a contract inside the gateway.
    ContractId;
    /// Id of an operation.
    OperationId;
    /// Id of a seal's private key.
    SealKeyId;
}

fn random_uuid() -> String {
    let mut bytes: [u8; 16] = random_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Random bytes of the operating system.
///
/// # Panics
/// If the operating system has no randomness: nothing that this crate does is safe without.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_are_random_version_4_uuids_that_parse() {
        let id = DocumentId::random();
        assert_ne!(id, DocumentId::random());
        assert_eq!(id.as_str().parse::<DocumentId>().unwrap(), id);
        assert_eq!(&id.as_str()[14..15], "4");
        assert!(matches!(&id.as_str()[19..20], "8" | "9" | "a" | "b"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "..",
            "6F9619FF-8B86-4D01-B42D-00CF4FC964FF",
            "6f9619ff-8b86-4d01-b42d-00cf4fc964f",
            "6f9619ff88b86-4d01-b42d-00cf4fc964ff",
            "6f9619ff-8b86-4d01-b42d-00cf4fc964fg",
        ] {
            assert_eq!(text.parse::<ContractId>(), Err(InvalidId), "{text:?}");
        }
    }
}
