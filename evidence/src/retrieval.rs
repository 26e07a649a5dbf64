//! A court's request for the package of a case: what it hands to the platform beside the record
//! `retrieval.made`, so that the platform may release the contracts named there (`docs/SPEC.md` §13).
//!
//! The record alone opens nothing: everybody sees its body and its signature. The request adds what only
//! the court has, the openings, and a fresh signature by the court's office, so that a copy of the file is
//! of no use later. Whether the body *is* recorded, and by a court, is for the platform to prove to itself.

use crate::codec::{Bytes, CodecError, decode_strict};
use crate::commitment::{Opening, name};
use crate::hash::{Hash32, tag};
use crate::ids::SubjectId;
use crate::keys::verify_ed25519;
use crate::payload::Payload;
use crate::submission::{Body, body_digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Largest request.
pub const MAX_BYTES: usize = 64 * 1024;
/// How long a request's signature is accepted, in both directions of the clock.
pub const ACCEPTED_MS: u64 = 10 * 60_000;
/// Value of `format`.
pub const FORMAT: &str = "qz/retrieval-request/v1";
/// Longest case number, in characters.
pub const MAX_CASE_CHARS: usize = 100;

/// Why a request is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RetrievalError {
    /// No request at all.
    #[error("调取请求格式错误 / not a retrieval request: {0}")]
    Malformed(String),
    /// The body is not canonical.
    #[error("调取请求正文格式错误 / the body of the request: {0}")]
    Body(#[from] CodecError),
    /// The body does something else.
    #[error("正文是 {0}，不是 retrieval.made / the body is a `{0}`, not a retrieval.made")]
    OtherKind(&'static str),
    /// An opening opens nothing, or one is missing.
    #[error("{0} 未能打开正文中的承诺 / `{0}` does not open the body's commitment")]
    Opening(String),
    /// A value that cannot be.
    #[error("{0} 的内容无效 / the value of `{0}` is not valid")]
    Value(&'static str),
    /// The signature is too old, or of the future.
    #[error(
        "请求签名已过期（有效 10 分钟），请重新签署；并核对时钟 / the signature of the request is older than 10 minutes (or of the future): sign it again, and look at the clock"
    )]
    Stale,
    /// The signature is not the office's.
    #[error("请求未由该法院的印鉴密钥签署 / the request is not signed by the court's office key")]
    Signature,
}

/// An opening in JSON; all bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningText {
    name: String,
    salt: Hash32,
    value: String,
}

/// The file, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    body: String,
    openings: Vec<OpeningText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// A request whose openings open the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrievalRequest {
    /// The body's bytes.
    pub body: Vec<u8>,
    /// Its openings, by name.
    pub openings: Vec<Opening>,
    /// The contracts, in the order of the body.
    pub contracts: Vec<SubjectId>,
    /// The case number 案号.
    pub case_number: String,
    /// Until when notice to the parties is deferred: `YYYY-MM-DD`.
    pub notice_after: Option<String>,
    /// Time and signature of the office, if the file has them.
    pub release: Option<(u64, [u8; 64])>,
}

/// What the office signs so that the package is released.
pub fn release_message(digest: &Hash32, requested_ms: u64) -> Vec<u8> {
    [tag::RELEASE, &digest.0, &requested_ms.to_be_bytes()].concat()
}

impl RetrievalRequest {
    /// A request that is not signed yet.
    ///
    /// # Errors
    /// If the openings do not open the body.
    pub fn new(body: Vec<u8>, openings: Vec<Opening>) -> Result<Self, RetrievalError> {
        let decoded: Body = decode_strict(&body)?;
        let contracts = match &decoded.payload {
            Payload::RetrievalMade(fields) => fields.contracts.clone(),
            other => return Err(RetrievalError::OtherKind(other.kind().name)),
        };
        for opening in &openings {
            if decoded.commitment(&opening.name) != Some(&opening.commitment().hash) {
                return Err(RetrievalError::Opening(opening.name.clone()));
            }
        }
        if let Some(shut) = decoded.commitments.iter().find(|c| !openings.iter().any(|o| o.name == c.name)) {
            return Err(RetrievalError::Opening(shut.name.clone()));
        }
        let text = |name: &'static str| -> Result<Option<String>, RetrievalError> {
            let Some(opening) = openings.iter().find(|opening| opening.name == name) else { return Ok(None) };
            let text = String::from_utf8(opening.value.0.clone()).map_err(|_| RetrievalError::Value(name))?;
            Ok(Some(text))
        };
        let case_number = text(name::NUMBER)?.filter(|number| is_case_number(number));
        let case_number = case_number.ok_or(RetrievalError::Value(name::NUMBER))?;
        let notice_after = text(name::NOTICE_AFTER)?;
        if notice_after.as_ref().is_some_and(|date| !is_date(date)) {
            return Err(RetrievalError::Value(name::NOTICE_AFTER));
        }
        Ok(Self { body, openings, contracts, case_number, notice_after, release: None })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is no request or its openings do not open the body; signatures are not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, RetrievalError> {
        let bad = |why: &str| RetrievalError::Malformed(why.to_owned());
        if bytes.len() > MAX_BYTES {
            return Err(bad("larger than 64 KiB"));
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
        if file.format != FORMAT {
            return Err(bad("another format"));
        }
        let openings = file.openings.iter().map(|opening| {
            let value = hex::decode(&opening.value).map_err(|_| bad("an opening is not hexadecimal"))?;
            Ok(Opening { name: opening.name.clone(), salt: opening.salt, value: Bytes(value) })
        });
        let openings = openings.collect::<Result<Vec<_>, RetrievalError>>()?;
        let body = hex::decode(&file.body).map_err(|_| bad("the body is not hexadecimal"))?;
        let mut request = Self::new(body, openings)?;
        request.release = match (file.requested_ms, &file.signature) {
            (Some(at), Some(text)) => {
                let signature = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
                Some((at, signature.ok_or_else(|| bad("the signature is not 64 bytes in hexadecimal"))?))
            }
            (None, None) => None,
            _ => return Err(bad("time and signature go together")),
        };
        Ok(request)
    }

    /// As a file.
    pub fn to_json(&self) -> Vec<u8> {
        let file = File {
            format: FORMAT.to_owned(),
            body: hex::encode(&self.body),
            openings: self
                .openings
                .iter()
                .map(|o| OpeningText { name: o.name.clone(), salt: o.salt, value: hex::encode(&o.value.0) })
                .collect(),
            requested_ms: self.release.map(|(at, _)| at),
            signature: self.release.map(|(_, signature)| hex::encode(signature)),
        };
        let mut bytes = serde_json::to_vec_pretty(&file).expect("texts and numbers have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Digest of the body, by which the request is known.
    pub fn digest(&self) -> Hash32 {
        body_digest(&self.body)
    }

    /// Is it signed, now, by this office?
    ///
    /// # Errors
    /// If it is not signed, not now, or by somebody else.
    pub fn check_release(&self, office: &Hash32, now_ms: u64) -> Result<(), RetrievalError> {
        let (at, signature) = self.release.ok_or(RetrievalError::Signature)?;
        if at.abs_diff(now_ms) > ACCEPTED_MS {
            return Err(RetrievalError::Stale);
        }
        match verify_ed25519(&office.0, &release_message(&self.digest(), at), &signature) {
            true => Ok(()),
            false => Err(RetrievalError::Signature),
        }
    }
}

/// May this be a case number? Printable, not empty, not too long.
pub fn is_case_number(text: &str) -> bool {
    let length = text.chars().count();
    (1..=MAX_CASE_CHARS).contains(&length) && !text.chars().any(char::is_control) && text.trim() == text
}

/// Is this a date of the form `YYYY-MM-DD`?
pub fn is_date(text: &str) -> bool {
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u16>().ok());
    let digits = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u16::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    text.len() == 10 && digits && year >= 1970 && (1..=12).contains(&month) && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ids::{Height, SubmissionId};
    use crate::payload::RetrievalMade;
    use ed25519_dalek::{Signer, SigningKey};

    fn request(case: &str, date: Option<&str>) -> Result<RetrievalRequest, RetrievalError> {
        let mut openings = vec![Opening::new(name::NUMBER, [1; 32], case)];
        openings.extend(date.map(|date| Opening::new(name::NOTICE_AFTER, [2; 32], date)));
        let payload = Payload::RetrievalMade(RetrievalMade { contracts: vec![SubjectId(Hash32([7; 32]))] });
        let commitments = openings.iter().map(Opening::commitment).collect();
        let body = Body::new(Hash32([9; 32]), SubmissionId([3; 16]), Height(50), payload, commitments, 5);
        RetrievalRequest::new(crate::encode(&body), openings)
    }

    fn signed(at: u64) -> (RetrievalRequest, Hash32) {
        let key = SigningKey::from_bytes(&[4; 32]);
        let mut request = request("（2026）京0491民初1号", Some("2026-12-31")).unwrap();
        request.release = Some((at, key.sign(&release_message(&request.digest(), at)).to_bytes()));
        (request, Hash32(key.verifying_key().to_bytes()))
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let (request, _) = signed(1_000);
        assert_eq!(RetrievalRequest::parse(&request.to_json()).unwrap(), request);
        assert_eq!(request.notice_after.as_deref(), Some("2026-12-31"));
        let mut unknown: serde_json::Value = serde_json::from_slice(&request.to_json()).unwrap();
        unknown["more"] = 1.into();
        let refused = RetrievalRequest::parse(unknown.to_string().as_bytes());
        assert!(matches!(refused, Err(RetrievalError::Malformed(_))), "{refused:?}");
    }

    #[test]
    fn only_a_fresh_signature_of_the_office_releases() {
        let (request, office) = signed(1_000_000);
        assert_eq!(request.check_release(&office, 1_000_000 + ACCEPTED_MS), Ok(()));
        assert_eq!(request.check_release(&office, 1_000_001 + ACCEPTED_MS), Err(RetrievalError::Stale));
        assert_eq!(request.check_release(&Hash32([4; 32]), 1_000_000), Err(RetrievalError::Signature));
        let mut later = request.clone();
        later.release = request.release.map(|(at, signature)| (at + 1, signature));
        assert_eq!(later.check_release(&office, 1_000_000), Err(RetrievalError::Signature));
    }

    #[test]
    fn openings_must_open_everything() {
        let mut given = request("案号", None).unwrap();
        given.openings[0].salt = Hash32([8; 32]);
        let refused = RetrievalRequest::new(given.body.clone(), given.openings);
        assert_eq!(refused, Err(RetrievalError::Opening("number".into())));
        assert_eq!(RetrievalRequest::new(given.body, vec![]), Err(RetrievalError::Opening("number".into())));
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        assert_eq!(request("", None), Err(RetrievalError::Value(name::NUMBER)));
        for (date, good) in [("2026-02-29", false), ("2024-02-29", true), ("2026-13-01", false), ("2026-1-1", false)] {
            assert_eq!(request("1", Some(date)).is_ok(), good, "{date}");
        }
    }
}
