//! The client of a timestamp authority (RFC 3161 §3.4, over HTTP). The token is checked before it is kept:
//! it is over this hash, answers this request and holds in itself. Whom to trust is the verifier's choice.

use super::http::{HttpError, HttpsRoots, exchange};
use super::revocation::revocation_data;
use qz_evidence::Hash32;
use qz_evidence::checkpoint::{Anchor, MAX_KEPT};
use qz_evidence::codec::{Bytes, Format as _, encode};
use qz_evidence::timestamp::{self, Roots, TimestampError, TimestampRequest};
use thiserror::Error;

/// Largest token.
const MAX_TOKEN_BYTES: usize = 48 * 1024;

/// Why there is no timestamp.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TsaError {
    /// It cannot be reached.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refuses, or answers nonsense.
    #[error("{url} gives no token: {reason}")]
    Answer {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Its token does not hold.
    #[error("the token of {url} does not hold: {source}")]
    Token {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: TimestampError,
    },
    /// The system gives no randomness for the nonce.
    #[error("no randomness: {0}")]
    Randomness(String),
}

impl TsaError {
    /// Would trying again perhaps succeed?
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Answer { .. })
    }
}

/// A timestamp authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampAuthority {
    /// Where it takes requests, `http://…` or `https://…`.
    pub url: String,
    /// Who may have issued its TLS certificate.
    pub tls: HttpsRoots,
}

impl TimestampAuthority {
    /// A timestamp over a hash, with the revocation lists and OCSP answers that its certificates point to.
    pub async fn stamp(&self, imprint: &Hash32) -> Result<Anchor, TsaError> {
        let answer = |reason: String| TsaError::Answer { url: self.url.clone(), reason };
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(|error| TsaError::Randomness(error.to_string()))?;
        let request = TimestampRequest::new(imprint, u64::from_be_bytes(nonce)).map_err(|e| answer(e.to_string()))?;
        let body = Some((timestamp::QUERY_TYPE, request.bytes.clone()));
        let response = exchange(&self.url, &self.tls, body, MAX_TOKEN_BYTES).await?;
        if !response.status.is_success() || response.content_type != timestamp::REPLY_TYPE {
            return Err(answer(format!("status {} ({})", response.status, response.content_type)));
        }
        let token = request.token_of(&response.body).map_err(answer)?;
        let mut anchor = Anchor::of_token(token);
        let broken = |source| TsaError::Token { url: self.url.clone(), source };
        let found = timestamp::verify(&anchor, imprint, &Roots::default()).map_err(broken)?;
        if found.nonce != request.nonce {
            return Err(answer("it answers another request".to_owned()));
        }
        let data = revocation_data(&timestamp::certificates_of(&anchor).map_err(broken)?).await;
        anchor.revocations = data.lists.into_iter().take(MAX_KEPT).map(Bytes).collect();
        anchor.ocsp = data.ocsp.into_iter().take(MAX_KEPT).map(Bytes).collect();
        // What does not fit is left out, lists first: an answer is about this certificate alone.
        while encode(&anchor).len() > Anchor::MAX_BYTES
            && anchor.revocations.pop().or_else(|| anchor.ocsp.pop()).is_some()
        {
            tracing::warn!(url = %self.url, "the revocation data of this authority does not fit into an anchor");
        }
        Ok(anchor)
    }
}
