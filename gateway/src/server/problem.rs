//! Problem details (RFC 9457): the one place where an error becomes an HTTP status and words.

use crate::error::ServiceError;
use qz_document::inspect::PdfError;
use qz_domain::{Blame, Refusal};
use qz_storage::StorageError;
use serde_json::{Map, Value, json};
use warp::http::StatusCode;
use warp::http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use warp::reject::{MethodNotAllowed, Rejection};
use warp::reply::Response;

/// An answer to a request that failed.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: String,
    zh: String,
    en: String,
    extra: Map<String, Value>,
}

impl warp::reject::Reject for Problem {}

impl Problem {
    /// A problem with a stable code and words.
    pub fn new(status: StatusCode, code: &str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), zh: zh.into(), en: en.into(), extra: Map::new() }
    }

    /// With a further member of the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// No or another token. The same words for every cause: they tell a guesser nothing.
    pub fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token.invalid",
            "缺少访问令牌，或令牌无效、已撤销",
            "the access token is missing, unknown or revoked",
        )
    }

    /// What is named does not exist.
    pub fn not_found(zh: &str, en: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", zh, en)
    }

    /// The response.
    pub fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("error");
        let retry_after = self.extra.get("retry_after_s").and_then(Value::as_u64);
        let mut body = self.extra;
        body.insert("type".into(), json!(format!("urn:qizheng:problem:{}", self.code)));
        body.insert("title".into(), json!(title_zh(self.status).unwrap_or(title)));
        body.insert("detail".into(), json!(self.zh));
        body.insert("detail_en".into(), json!(self.en));
        body.insert("status".into(), json!(self.status.as_u16()));
        body.insert("code".into(), json!(self.code));
        let mut response = Response::new(Value::Object(body).to_string().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body was not read: the connection cannot be used again.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS
            && let Some(seconds) = retry_after
        {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn title_zh(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        400 => "请求格式错误",
        401 => "未认证",
        403 => "无权进行",
        404 => "不存在",
        405 => "方法不允许",
        409 => "与当前状态冲突",
        413 => "内容过大",
        415 => "文件类型不支持",
        422 => "请求无法处理",
        429 => "请求过于频繁",
        500 => "系统内部错误",
        502 => "链上证明异常",
        503 => "服务暂不可用",
        _ => return None,
    })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.blame {
            Blame::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Blame::State => StatusCode::CONFLICT,
            Blame::NotEntitled => StatusCode::FORBIDDEN,
            Blame::Missing => StatusCode::NOT_FOUND,
        };
        Self::new(status, refusal.code, refusal.zh, refusal.en)
    }
}

/// Messages of the document crate carry both languages, `中文 / English`.
fn split(message: &str) -> (String, String) {
    let (zh, en) = message.split_once(" / ").unwrap_or((message, message));
    (zh.to_owned(), en.to_owned())
}

fn from_message(status: StatusCode, code: &str, message: &str) -> Problem {
    let (zh, en) = split(message);
    Problem::new(status, code, zh, en)
}

fn pdf(error: &PdfError) -> Problem {
    let (status, code) = match error {
        PdfError::NotPdf => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "pdf.not_pdf"),
        PdfError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "pdf.too_large"),
        PdfError::Encrypted => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.encrypted"),
        PdfError::JunkBeforeHeader(_) => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.junk_before_header"),
        PdfError::Malformed(_) => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.malformed"),
        PdfError::Damaged => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.damaged"),
        PdfError::NoPages => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.no_pages"),
        PdfError::TooManyPages(_) => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.too_many_pages"),
        PdfError::BadPage { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.bad_page"),
        PdfError::ChangesForbidden => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.changes_forbidden"),
        PdfError::ActiveContent(_) => (StatusCode::UNPROCESSABLE_ENTITY, "pdf.active_content"),
    };
    from_message(status, code, &error.to_string())
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(refusal) => refusal.into(),
            ServiceError::Pdf(error) => pdf(&error),
            ServiceError::Seal(error) => {
                from_message(StatusCode::UNPROCESSABLE_ENTITY, "seal.text", &error.to_string())
            }
            ServiceError::Render(error) => {
                from_message(StatusCode::UNPROCESSABLE_ENTITY, "document.render", &error.to_string())
            }
            ServiceError::Sign(qz_document::sign::SignError::Pdf(error)) => pdf(&error),
            ServiceError::Sign(qz_document::sign::SignError::Caption(error)) => {
                from_message(StatusCode::UNPROCESSABLE_ENTITY, "seal.text", &error.to_string())
            }
            ServiceError::Sign(error) => {
                from_message(StatusCode::UNPROCESSABLE_ENTITY, "document.sign", &error.to_string())
            }
            ServiceError::Storage(StorageError::Busy { operation, until_ms }) => Self::new(
                StatusCode::CONFLICT,
                "contract.busy",
                "该合同正有另一签署在进行，请待其完成或过期后再试",
                "another signature of this contract is being prepared; wait until it is done or expires",
            )
            .with("operation", operation.to_string())
            .with("until", crate::clock::rfc3339(until_ms))
            .with("until_ms", until_ms),
            ServiceError::Storage(
                error @ (StorageError::Conflict { .. } | StorageError::WrongState { .. } | StorageError::Stale { .. }),
            ) => {
                tracing::info!(%error, "a request lost a race");
                Self::new(
                    StatusCode::CONFLICT,
                    "state.changed",
                    "该对象已存在或状态已变化，请重新读取后再试",
                    "it exists already or has changed meanwhile; read it again and decide again",
                )
            }
            ServiceError::Storage(StorageError::NotFound { .. }) => Self::not_found("所指对象不存在", "no such object"),
            ServiceError::Ledger(error) if error.is_temporary() => {
                tracing::warn!(%error, "the ledger cannot be reached");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ledger.unreachable",
                    "暂时无法连接任何联盟节点，请稍后再试",
                    "no node of the consortium can be reached; try again later",
                )
            }
            ServiceError::Anchor(error) => {
                tracing::warn!(%error, "the proof is not anchored");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "anchor.unavailable",
                    format!(
                        "外部见证人或时间戳服务暂不可用，签署证明尚未出具，请稍后重试（不会以本机时间代替）：{error}"
                    ),
                    format!(
                        "witnesses or the timestamp authority are not available; nothing was issued and no local clock takes their place; try again later: {error}"
                    ),
                )
            }
            ServiceError::Timestamp(error) => {
                tracing::warn!(%error, "no timestamp for a signature");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "timestamp.unavailable",
                    format!("时间戳服务暂不可用，文件尚未签章，请稍后重试（不会以本机时间代替）：{error}"),
                    format!(
                        "the timestamp authority is not available; nothing was signed and no local clock takes its place; try again later: {error}"
                    ),
                )
            }
            ServiceError::StatusUnknown => {
                tracing::warn!("the status of a signer's certificate cannot be had");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "certificate.status_unknown",
                    "暂时无法取得签署证书的吊销状态（吊销列表、OCSP），文件尚未签章，取得后自动继续",
                    "the revocation status of the signer's certificate cannot be had for now; nothing was signed, it goes on once it is",
                )
            }
            ServiceError::RelayKey(error) => {
                tracing::error!(%error, "the relay key does not sign");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "relay.key",
                    "平台的转交密钥暂不可用，请稍后再试",
                    "the platform's relay key is not available; try again later",
                )
            }
            ServiceError::NotYet(what) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ledger.not_yet",
                "节点尚未同步到所需记录，请稍后再试",
                format!("no node has {what} yet; try again later"),
            ),
            ServiceError::Proof(why) => {
                tracing::error!(%why, "a proof from a node does not hold");
                Self::new(
                    StatusCode::BAD_GATEWAY,
                    "ledger.proof",
                    "节点给出的证明未通过校验，已停止处理",
                    "a node's proof does not hold; nothing was done on its ground",
                )
            }
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "internal error");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "系统内部错误，已记录；请联系运营方",
                    "an internal error was logged; contact the operator",
                )
            }
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        ServiceError::from(error).into()
    }
}

/// What warp refused by itself, and problems that filters rejected with.
pub fn recover(rejection: &Rejection) -> Problem {
    if let Some(problem) = rejection.find::<Problem>() {
        problem.clone()
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "此地址不支持该方法", "this method is not allowed here")
    } else if rejection.is_not_found() {
        Problem::not_found("没有此地址", "no such address")
    } else {
        Problem::new(StatusCode::BAD_REQUEST, "request.malformed", "请求格式错误", "the request is malformed")
    }
}
