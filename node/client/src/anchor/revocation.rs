//! Fetches what certificates point to about their own revocation: lists and OCSP answers. What cannot be had is
//! logged and left out: a verifier names a certificate without as not checked, and a signature is good without.

use super::http::{HttpsRoots, exchange};
use qz_evidence::ocsp;
use qz_evidence::revocation::{Question, Sources, is_revocation_list};

/// Most lists, and most answers, that are fetched at once.
const MAX_FETCHED: usize = 16;
/// Largest revocation list that is kept.
const MAX_LIST_BYTES: usize = 12 * 1024;
/// Largest OCSP answer that is kept.
const MAX_OCSP_BYTES: usize = 8 * 1024;

/// Revocation data of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationData {
    /// Revocation lists (DER).
    pub lists: Vec<Vec<u8>>,
    /// Answers of OCSP responders (DER).
    pub ocsp: Vec<Vec<u8>>,
}

/// What the distribution points and responders of these certificates (DER, in any order; give the issuers, too) have
/// to say, over `http`. Read, but not verified.
pub async fn revocation_data(certificates: &[Vec<u8>]) -> RevocationData {
    let sources = Sources::of(certificates);
    let mut data = RevocationData::default();
    for url in sources.lists.iter().take(MAX_FETCHED) {
        data.lists.extend(list(url).await);
    }
    for question in sources.questions.iter().take(MAX_FETCHED) {
        data.ocsp.extend(answer(question).await);
    }
    data
}

async fn list(url: &str) -> Option<Vec<u8>> {
    match exchange(url, &HttpsRoots::System, None, MAX_LIST_BYTES).await {
        Ok(list) if list.status.is_success() && is_revocation_list(&list.body) => return Some(list.body),
        Ok(list) => tracing::warn!(%url, status = %list.status, "no usable revocation list"),
        Err(error) => tracing::warn!(%url, %error, "no revocation list"),
    }
    None
}

async fn answer(question: &Question) -> Option<Vec<u8>> {
    let url = &question.url;
    let body = Some((ocsp::REQUEST_TYPE, question.request.clone()));
    match exchange(url, &HttpsRoots::System, body, MAX_OCSP_BYTES).await {
        Ok(answer) if answer.status.is_success() && question.is_answered_by(&answer.body) => return Some(answer.body),
        Ok(answer) => tracing::warn!(%url, status = %answer.status, "no usable OCSP answer"),
        Err(error) => tracing::warn!(%url, %error, "no OCSP answer"),
    }
    None
}
