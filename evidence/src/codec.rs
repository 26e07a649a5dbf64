//! Deterministic CBOR (RFC 8949 §4.2.1) with integer keys, and its strict decoder.
//!
//! Encoding is what `minicbor` derives: definite lengths, shortest integers, map keys ascending, absent
//! optional members left out. The decoder accepts *only* these bytes: it decodes, encodes again and
//! compares, because a lenient CBOR reader accepts overlong integers, unknown keys and trailing bytes.

use minicbor::decode::{Decoder, Error};
use minicbor::encode::{Encoder, Write};
use minicbor::{Decode, Encode};
use thiserror::Error;

/// Why bytes were refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// More bytes than this format may have.
    #[error("{what} has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The format's name.
        what: &'static str,
        /// Bytes given.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not CBOR of the expected shape.
    #[error("{what} cannot be decoded: {reason}")]
    Malformed {
        /// The format's name.
        what: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// Decodes, but is not the one canonical encoding of its content.
    #[error("{what} is not canonical: the same content has another encoding")]
    NotCanonical {
        /// The format's name.
        what: &'static str,
    },
}

/// A format with a name (for errors) and a size cap.
pub trait Format: Encode<()> + for<'b> Decode<'b, ()> {
    /// The name that error messages use.
    const NAME: &'static str;
    /// Largest accepted encoding, in bytes.
    const MAX_BYTES: usize;
}

/// Room that an encoding begins with. Most fit: growing from nothing takes seven moves to get as far.
const USUAL_BYTES: usize = 1024;

/// Encodes a value. Encoding into memory cannot fail.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    minicbor::encode(value, &mut bytes).expect("encoding into a Vec cannot fail");
    bytes
}

/// How many bytes [`encode`] would give.
pub fn encoded_len<T: Encode<()>>(value: &T) -> usize {
    let mut length = Length(0);
    minicbor::encode(value, &mut length).expect("counting cannot fail");
    length.0
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Self::Error> {
        self.0 += written.len();
        Ok(())
    }
}

/// Decodes exactly the canonical encoding of a `T`: size cap, decode, encode again, compare.
pub fn decode_strict<T: Format>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > T::MAX_BYTES {
        return Err(CodecError::TooLarge { what: T::NAME, size: bytes.len(), limit: T::MAX_BYTES });
    }
    let value: T =
        minicbor::decode(bytes).map_err(|error| CodecError::Malformed { what: T::NAME, reason: error.to_string() })?;
    let mut expected = Expected(bytes);
    if minicbor::encode(&value, &mut expected).is_err() || !expected.0.is_empty() {
        return Err(CodecError::NotCanonical { what: T::NAME });
    }
    Ok(value)
}

/// What must still be written; anything else is an error. So comparing needs no copy of a block's megabytes.
struct Expected<'a>(&'a [u8]);

/// Other bytes were written than were expected.
#[derive(Debug)]
struct Differs;

impl Write for Expected<'_> {
    type Error = Differs;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Differs> {
        self.0 = self.0.strip_prefix(written).ok_or(Differs)?;
        Ok(())
    }
}

/// A constant text that stands under key 0 of a format and names it, so that bytes of one format are
/// never bytes of another (this is the domain separation of everything that is hashed as a whole).
#[macro_export]
macro_rules! format_tag {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        pub struct $name;
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self, e: &mut minicbor::Encoder<W>, _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str($text)?;
                Ok(())
            }
        }
        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                if d.str()? == $text {
                    Ok(Self)
                } else {
                    Err(minicbor::decode::Error::message(concat!("expected the format tag ", $text)))
                }
            }
        }
    };
}

/// Byte string members: `Bytes(Vec<u8>)` is a CBOR byte string (a plain `Vec<u8>` would be an array).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<C> Encode<C> for Bytes {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Bytes {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(Self(d.bytes()?.to_vec()))
    }
}

/// A list that is left out when it is empty (`#[cbor(with = …, has_nil)]`); an empty one in the bytes is not canonical.
pub mod if_any {
    use super::{Bytes, Decode, Decoder, Encode, Encoder, Error, Write};

    /// The list.
    pub fn encode<C, W: Write>(
        list: &Vec<Bytes>, e: &mut Encoder<W>, ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        list.encode(e, ctx)
    }

    /// The list.
    pub fn decode<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Vec<Bytes>, Error> {
        Vec::decode(d, ctx)
    }

    /// Is it left out?
    pub fn is_nil(list: &[Bytes]) -> bool {
        list.is_empty()
    }

    /// What stands for a list that was left out.
    pub fn nil() -> Option<Vec<Bytes>> {
        Some(vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    format_tag!(TestTag = "qz/test/v1");

    #[derive(Debug, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Sample {
        #[n(0)]
        tag: TestTag,
        #[n(1)]
        number: u64,
        #[n(2)]
        optional: Option<u8>,
    }
    impl Format for Sample {
        const NAME: &'static str = "sample";
        const MAX_BYTES: usize = 64;
    }

    #[test]
    fn only_the_canonical_bytes_are_accepted() {
        let good = encode(&Sample { tag: TestTag, number: 5, optional: None });
        assert_eq!(decode_strict::<Sample>(&good).map(|s| s.number), Ok(5));
        assert_eq!(encoded_len(&Sample { tag: TestTag, number: 5, optional: None }), good.len());
        // {0: "qz/test/v1", 1: 5}
        let tag = &good[..13];
        let cases: [(&str, Vec<u8>); 6] = [
            ("trailing byte", [&good[..], &[0]].concat()),
            ("overlong integer", [tag, &[0x01, 0x18, 0x05]].concat()),
            ("unknown key", [&[0xa3], &good[1..], &[0x07, 0x01]].concat()),
            ("duplicate key", [&[0xa3], &good[1..], &[0x01, 0x05]].concat()),
            ("reordered keys", [&[0xa2, 0x01, 0x05, 0x00], &good[2..13]].concat()),
            ("null for absent", [&[0xa3], &good[1..], &[0x02, 0xf6]].concat()),
        ];
        for (name, bytes) in cases {
            assert!(decode_strict::<Sample>(&bytes).is_err(), "{name} was accepted");
        }
        assert!(matches!(decode_strict::<Sample>(&[0; 65]), Err(CodecError::TooLarge { .. })));
    }
}
