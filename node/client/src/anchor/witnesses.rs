//! The client of an outside witness (C2SP tlog-witness): shows it the checkpoint with the proof that it
//! continues what the witness saw last, and gets its cosignature, which is checked.

use super::http::{HttpError, HttpsRoots, exchange};
use crate::checkpoint::Checkpoint;
use crate::client::Client;
use crate::error::ClientError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::note::{NoteSignature, SignedNote, VerifierKey};
use std::fmt::Write as _;
use thiserror::Error;

/// Largest answer of a witness.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A witness that others show checkpoints too may move on in between: so often its new size is taken up.
const ATTEMPTS: usize = 4;
/// The type of an answer that tells the size that the witness saw last.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// Why there is no cosignature.
#[derive(Debug, Error)]
pub enum WitnessError {
    /// It cannot be reached.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The nodes give no consistency proof.
    #[error(transparent)]
    Node(#[from] ClientError),
    /// It has seen a longer history already: a newer checkpoint is needed.
    #[error("it has seen {seen} headers already, this checkpoint covers {size}")]
    Ahead {
        /// What it saw.
        seen: u64,
        /// Of the checkpoint.
        size: u64,
    },
    /// It refuses.
    #[error("it refuses ({status}): {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// Its answer is no cosignature by its key.
    #[error("its answer is no cosignature: {0}")]
    Answer(String),
}

impl WitnessError {
    /// Would trying again, with a new checkpoint, perhaps succeed?
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Http(_) | Self::Ahead { .. } => true,
            Self::Node(error) => error.is_temporary(),
            // A checkpoint that not enough members have signed yet gets 403.
            Self::Refused { status, .. } => matches!(status, 403 | 409 | 429 | 500..=599),
            Self::Answer(_) => false,
        }
    }
}

/// An outside witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessEndpoint {
    /// Where it takes checkpoints: `{url}/add-checkpoint`.
    pub url: String,
    /// Its key.
    pub key: VerifierKey,
    /// Who may have issued its TLS certificate.
    pub tls: HttpsRoots,
}

impl WitnessEndpoint {
    /// Its line over a checkpoint.
    pub async fn cosign(
        &self, client: &Client, checkpoint: &Checkpoint, note: &SignedNote,
    ) -> Result<NoteSignature, WitnessError> {
        let size = checkpoint.size;
        // Most often it saw nothing, or this: it tells.
        let mut old = 0;
        for _ in 0..ATTEMPTS {
            let path = match old {
                0 => vec![],
                old => match client.consistency(old, size).await? {
                    Some(found) => found.path,
                    None => return Err(WitnessError::Ahead { seen: old, size }),
                },
            };
            let mut body = format!("old {old}\n");
            for hash in path {
                let _ = writeln!(body, "{}", BASE64.encode(hash.0));
            }
            let _ = write!(body, "\n{note}");
            let url = format!("{}/add-checkpoint", self.url.trim_end_matches('/'));
            let answer = exchange(&url, &self.tls, Some(("text/plain", body.into_bytes())), MAX_ANSWER_BYTES).await?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            match answer.status.as_u16() {
                200 => return self.line(note, &text),
                409 if answer.content_type == SIZE_TYPE => {
                    let seen: u64 = text.trim_end().parse().map_err(|_| WitnessError::Answer(text.clone()))?;
                    if seen > size {
                        return Err(WitnessError::Ahead { seen, size });
                    }
                    old = seen;
                }
                status => {
                    let reason = text.chars().take(200).collect();
                    return Err(WitnessError::Refused { status, reason });
                }
            }
        }
        Err(WitnessError::Ahead { seen: old, size })
    }

    /// Lines of other keys mean nothing.
    fn line(&self, note: &SignedNote, text: &str) -> Result<NoteSignature, WitnessError> {
        let lines = text.lines().filter_map(|line| NoteSignature::parse(line).ok());
        let mut own = lines.filter(|line| self.key.verify(&note.text, line).is_some());
        own.next().ok_or_else(|| WitnessError::Answer(format!("none by {}", self.key.name())))
    }
}
