//! The file in which an office keeps an act: the body that it signed, the signature, and the salts that
//! open what the body commits to. JSON, all bytes in hexadecimal. Secret, since it opens the commitments.

use qz_evidence::codec::Bytes;
use qz_evidence::commitment::Opening;
use qz_evidence::submission::{Actor, Body, body_digest};
use qz_evidence::{CodecError, Hash32, SubjectId, decode_strict};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const FORMAT: &str = "qz/office-act/v1";
/// Largest file.
pub const MAX_BYTES: usize = 128 * 1024;

/// Why a file is no act.
#[derive(Debug, Error)]
pub enum ActError {
    /// Not this format.
    #[error("不是行为文件 / not an act: {0}")]
    Malformed(String),
    /// Its body is not canonical.
    #[error("行为文件的正文 / the body of the act: {0}")]
    Body(#[from] CodecError),
    /// An opening opens nothing.
    #[error("“{0}”未能打开正文中的承诺 / `{0}` does not open the body's commitment")]
    Opening(String),
}

/// A body with its signatures and openings.
#[derive(Clone, PartialEq, Eq)]
pub struct Act {
    /// The body's bytes.
    pub body: Vec<u8>,
    /// What opens its commitments.
    pub openings: Vec<Opening>,
    /// The signatures.
    pub actors: Vec<Actor>,
}

/// Salts are not shown.
impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Act({})", self.digest())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    body: String,
    openings: Vec<OpeningText>,
    actors: Vec<ActorText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningText {
    name: String,
    salt: Hash32,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActorText {
    subject: SubjectId,
    signature: String,
}

impl Act {
    /// Digest of the body, by which the act is known.
    pub fn digest(&self) -> Hash32 {
        body_digest(&self.body)
    }

    /// The body.
    ///
    /// # Errors
    /// If it is not canonical.
    pub fn body(&self) -> Result<Body, CodecError> {
        decode_strict(&self.body)
    }

    /// As a file.
    pub fn to_json(&self) -> Vec<u8> {
        let opening = |o: &Opening| OpeningText { name: o.name.clone(), salt: o.salt, value: hex_of(&o.value.0) };
        let actor = |a: &Actor| ActorText { subject: a.subject, signature: hex_of(&a.signature.0) };
        let file = File {
            format: FORMAT.to_owned(),
            body: hex_of(&self.body),
            openings: self.openings.iter().map(opening).collect(),
            actors: self.actors.iter().map(actor).collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&file).expect("texts have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is no act.
    pub fn parse(bytes: &[u8]) -> Result<Self, ActError> {
        let bad = |why: &str| ActError::Malformed(why.to_owned());
        if bytes.len() > MAX_BYTES {
            return Err(bad("it is too large"));
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
        if file.format != FORMAT {
            return Err(bad("it is of another format"));
        }
        let unhex = |text: &str| hex::decode(text).map_err(|_| bad("it is not hexadecimal"));
        let opening = |o: &OpeningText| {
            Ok::<_, ActError>(Opening { name: o.name.clone(), salt: o.salt, value: Bytes(unhex(&o.value)?) })
        };
        let actor =
            |a: &ActorText| Ok::<_, ActError>(Actor { subject: a.subject, signature: Bytes(unhex(&a.signature)?) });
        let act = Self {
            body: unhex(&file.body)?,
            openings: file.openings.iter().map(opening).collect::<Result<_, _>>()?,
            actors: file.actors.iter().map(actor).collect::<Result<_, _>>()?,
        };
        let body = act.body()?;
        match act.openings.iter().find(|o| body.commitment(&o.name) != Some(&o.commitment().hash)) {
            Some(other) => Err(ActError::Opening(other.name.clone())),
            None => Ok(act),
        }
    }
}

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qz_evidence::commitment::name;
    use qz_evidence::payload::{EvidenceDeposited, Payload};
    use qz_evidence::{Height, SubmissionId, encode};

    #[test]
    fn a_file_is_read_as_it_was_written_and_openings_must_open() {
        let opening = Opening::new(name::DOCUMENT, [1; 32], [2; 32]);
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
        let body = Body::new(Hash32([3; 32]), SubmissionId([4; 16]), Height(9), payload, vec![opening.commitment()], 5);
        let actor = Actor { subject: SubjectId(Hash32([6; 32])), signature: Bytes(vec![7; 64]) };
        let act = Act { body: encode(&body), openings: vec![opening], actors: vec![actor] };
        assert_eq!(Act::parse(&act.to_json()).unwrap(), act);
        assert!(!format!("{act:?}").contains("0101"), "no salt is shown");
        let mut other = act;
        other.openings[0].salt = Hash32([9; 32]);
        assert!(matches!(Act::parse(&other.to_json()), Err(ActError::Opening(_))));
    }
}
