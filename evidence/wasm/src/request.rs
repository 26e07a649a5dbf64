//! The request that the browser lays into memory: six fields, each behind its length as a 32-bit
//! little-endian integer: the file, the genesis document, the proof bundle (empty when the file
//! carries its own), the browser's clock as a 64-bit little-endian count of milliseconds, the witness
//! policy and the roots of timestamp authorities (each empty for none).
//!
//! The request comes from our own page, yet it is decoded as strictly as anything else: a field that
//! runs past the end or bytes behind the last one are an error, never a shorter file.

use qz_verify::TrustInputs;
use qz_verify::later::Known;
use thiserror::Error;

/// Why a request cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// A field, or its length, runs past the end.
    #[error("the request ends inside its {0}")]
    Truncated(&'static str),
    /// The clock is not 8 bytes long.
    #[error("the clock has {0} bytes instead of 8")]
    Clock(usize),
    /// What was known is not of its form.
    #[error("the known state cannot be read: {0}")]
    Known(String),
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
}

/// What to verify, and against which genesis.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// A signing certificate, a contract or a proof bundle.
    pub file: &'a [u8],
    /// The genesis document that the user trusts.
    pub genesis: &'a [u8],
    /// The proof bundle of a contract that carries none.
    pub proof: Option<&'a [u8]>,
    /// The reader's clock, in milliseconds since 1970 UTC.
    pub now_ms: u64,
    /// The outside witnesses that the user trusts.
    pub witness_policy: Option<&'a [u8]>,
    /// Roots of the timestamp authorities that the user trusts.
    pub tsa_roots: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request whole.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RequestError> {
        let mut rest = bytes;
        let file = field(&mut rest, "file")?;
        let genesis = field(&mut rest, "genesis")?;
        let proof = field(&mut rest, "proof")?;
        let clock = field(&mut rest, "clock")?;
        let policy = field(&mut rest, "witness policy")?;
        let tsa_roots = field(&mut rest, "TSA roots")?;
        if !rest.is_empty() {
            return Err(RequestError::Trailing(rest.len()));
        }
        let clock: [u8; 8] = clock.try_into().map_err(|_| RequestError::Clock(clock.len()))?;
        Ok(Self {
            file,
            genesis,
            proof: (!proof.is_empty()).then_some(proof),
            now_ms: u64::from_le_bytes(clock),
            witness_policy: (!policy.is_empty()).then_some(policy),
            tsa_roots,
        })
    }
}

/// A newer state proof, and what is to be compared with it: four fields in the same form, the third one
/// JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct LaterRequest<'a> {
    /// The newer proof bundle.
    pub proof: &'a [u8],
    /// The genesis document that the user trusts.
    pub genesis: &'a [u8],
    /// What the evidence showed.
    pub known: Known,
    /// The reader's clock, in milliseconds since 1970 UTC.
    pub now_ms: u64,
}

impl<'a> LaterRequest<'a> {
    /// Reads a request whole.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RequestError> {
        let mut rest = bytes;
        let proof = field(&mut rest, "proof")?;
        let genesis = field(&mut rest, "genesis")?;
        let known = field(&mut rest, "known state")?;
        let clock = field(&mut rest, "clock")?;
        if !rest.is_empty() {
            return Err(RequestError::Trailing(rest.len()));
        }
        let clock: [u8; 8] = clock.try_into().map_err(|_| RequestError::Clock(clock.len()))?;
        let known = serde_json::from_slice(known).map_err(|error| RequestError::Known(error.to_string()))?;
        Ok(Self { proof, genesis, known, now_ms: u64::from_le_bytes(clock) })
    }

    /// What the proof is verified against.
    pub fn trust(&self) -> TrustInputs<'a> {
        TrustInputs::new(self.genesis, self.now_ms)
    }
}

fn field<'a>(rest: &mut &'a [u8], name: &'static str) -> Result<&'a [u8], RequestError> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(RequestError::Truncated(name))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (value, after) = after.split_at_checked(length).ok_or(RequestError::Truncated(name))?;
    *rest = after;
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn encode(fields: &[&[u8]]) -> Vec<u8> {
        fields
            .iter()
            .flat_map(|field| [&u32::try_from(field.len()).unwrap().to_le_bytes()[..], field].concat())
            .collect()
    }

    #[test]
    fn reads_all_fields() {
        let bytes = encode(&[b"file", b"genesis", b"proof", &7u64.to_le_bytes(), b"policy", b"roots"]);
        let expected = Request {
            file: b"file",
            genesis: b"genesis",
            proof: Some(b"proof"),
            now_ms: 7,
            witness_policy: Some(b"policy"),
            tsa_roots: b"roots",
        };
        assert_eq!(Request::decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn empty_fields_are_none() {
        let bytes = encode(&[b"file", b"genesis", b"", &7u64.to_le_bytes(), b"", b""]);
        let request = Request::decode(&bytes).unwrap();
        assert_eq!((request.proof, request.witness_policy), (None, None));
        assert!(request.tsa_roots.is_empty());
    }

    #[test]
    fn refuses_every_truncation() {
        let bytes = encode(&[b"file", b"genesis", b"proof", &7u64.to_le_bytes(), b"policy", b"roots"]);
        for end in 0..bytes.len() {
            let error = Request::decode(&bytes[..end]).unwrap_err();
            assert!(matches!(error, RequestError::Truncated(_)), "at {end}: {error}");
        }
    }

    #[test]
    fn refuses_trailing_bytes_and_a_wrong_clock() {
        let mut bytes = encode(&[b"file", b"genesis", b"", &7u64.to_le_bytes(), b"", b""]);
        bytes.push(0);
        assert_eq!(Request::decode(&bytes), Err(RequestError::Trailing(1)));
        let bytes = encode(&[b"file", b"genesis", b"", &[0; 4], b"", b""]);
        assert_eq!(Request::decode(&bytes), Err(RequestError::Clock(4)));
    }
}
