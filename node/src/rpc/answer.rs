//! Answers of the API: JSON, and one error body whose HTTP status is decided here.

use qz_store::StoreError;
use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use warp::reply::{Reply, Response};

use crate::ledger::LedgerError;
use crate::mempool::SubmitError;
use crate::refusal::Refusal;

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: u16,
    code: &'static str,
    message_zh: String,
    message_en: String,
}

impl Problem {
    /// An error with its status, stable code and both messages.
    pub(crate) fn new(status: u16, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { status, code, message_zh: zh.into(), message_en: en.into() }
    }

    /// Something that was named does not exist.
    pub(crate) fn not_found(zh: &str, en: &str) -> Self {
        Self::new(404, "not_found", format!("找不到该{zh}"), format!("no such {en}"))
    }

    /// The request makes no sense.
    pub(crate) fn malformed(reason: &str) -> Self {
        Self::new(400, "request.malformed", format!("请求格式不正确：{reason}"), reason)
    }

    /// This node's ledger is not as far as it should be.
    pub(crate) fn behind() -> Self {
        Self::new(
            503,
            "node.behind",
            "本节点正在追赶区块，请稍后重试或改用其他节点",
            "this node is catching up: try again later, or another node",
        )
    }

    /// A proof that cannot be made as asked: the caller's business.
    fn of_proof(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::UnknownRecord(hash) => {
                Some(Self::new(404, "not_found", format!("找不到记录 {hash}"), format!("there is no record {hash}")))
            }
            StoreError::NoSuchHead(_) => Some(Self::new(404, "not_found", "没有该高度的区块", error.to_string())),
            StoreError::RecordAfterHead { .. } | StoreError::Pruned { .. } | StoreError::TooManyRecords { .. } => {
                Some(Self::malformed(&error.to_string()))
            }
            StoreError::HistoryRange { .. } => Some(Self::malformed(&error.to_string())),
            StoreError::HistoryTooLarge { from, fits, .. } => Some(Self::new(
                413,
                "history.too_large",
                format!("记录过多，一份证明放不下；请分段获取，例如 from={from}&to={fits}"),
                error.to_string(),
            )),
            _ => None,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The error body.
    pub(crate) fn body(&self) -> Value {
        json!({
            "code": self.code,
            "message_zh": self.message_zh,
            "message_en": self.message_en,
        })
    }
}

impl Reply for Problem {
    fn into_response(self) -> Response {
        let mut response = json_answer(self.status, &json!({ "error": self.body() }));
        if matches!(self.status, 429 | 503) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, zh, en) = refusal.text();
        Self::new(refusal.status(), code, zh, en)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        if let LedgerError::ProofTooLarge { limit, .. } = &error {
            let zh = format!("该证明将超过 {limit} 字节；请减少记录或对象，分多次请求");
            return Self::new(413, "proof.too_large", zh, error.to_string());
        }
        if let LedgerError::Store(error) = &error
            && let Some(problem) = Self::of_proof(error)
        {
            return problem;
        }
        if let LedgerError::Behind { .. } = error {
            return Self::behind();
        }
        // Callers learn that it is this node's fault; the log has the causes.
        tracing::error!(error = %crate::chain_of(&error), "request failed");
        Self::new(
            500,
            "node.failed",
            "节点内部错误；请改用其他成员的节点",
            "this node failed; use another member's node",
        )
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Ledger(error) => error.into(),
        }
    }
}

/// A JSON answer.
pub(crate) fn json_answer(status: u16, body: &Value) -> Response {
    bytes_answer(status, "application/json", body.to_string().into_bytes())
}

/// An answer of bytes.
pub(crate) fn bytes_answer(status: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = body.into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer, or the problem as one.
pub(crate) fn settle(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(Reply::into_response)
}
