//! The gateway's public HTTP API as a company's own program uses it: a token, JSON, bytes.

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qz_evidence::commitment::Opening;
use qz_evidence::{Hash32, SubjectId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How the demo's client names itself; it becomes part of what the ledger commits to.
const USER_AGENT: &str = concat!("qz-testnet/", env!("CARGO_PKG_VERSION"), " (demo client; Linux)");
/// Longest time for one call.
const CALL: Duration = Duration::from_secs(60);
/// Longest time until an operation is final and its follow-up is done.
const OPERATION: Duration = Duration::from_secs(60);
/// How long the gateway is asked to hold an answer.
const LONG_POLL_SECONDS: u64 = 10;
/// Times that a call is repeated while the gateway cannot be reached.
const ATTEMPTS: u32 = 3;

/// The gateway refused: its problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Error, Deserialize)]
#[error("{status} {code}: {detail} · {detail_en}")]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable code, such as `seal.suspended`.
    pub code: String,
    /// What is wrong, in Chinese.
    #[serde(default)]
    pub detail: String,
    /// The same in English.
    #[serde(default)]
    pub detail_en: String,
}

/// A body awaiting signatures and then finality.
#[derive(Clone, Debug, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// Kind, such as `contract.signed`.
    pub kind: String,
    /// The encoded body, base64.
    pub body: String,
    /// The body's digest.
    pub digest: Hash32,
    /// The subject that its record creates.
    pub created_subject: Option<SubjectId>,
    /// What opens the body's commitments.
    #[serde(default)]
    pub openings: Vec<WireOpening>,
    /// Who must sign.
    #[serde(default)]
    pub required_actors: Vec<RequiredActor>,
    /// `awaiting_signatures`, `queued`, `final`, `rejected` or `expired`.
    pub status: String,
    /// Why it was rejected.
    pub error: Option<OperationError>,
    /// Where it was recorded.
    pub record: Option<OperationRecord>,
    /// What happens after finality.
    pub followup: Option<FollowUp>,
    /// For `contract.signed`: SHA-256 of the fixed document.
    pub version_document_sha256: Option<Hash32>,
    /// For `contract.signed`: what the PDF signature will cover.
    pub to_be_signed_sha256: Option<Hash32>,
}

/// An opening as JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct WireOpening {
    name: String,
    salt: Hash32,
    value: String,
}

/// Who must sign an operation.
#[derive(Clone, Debug, Deserialize)]
pub struct RequiredActor {
    /// The key or organisation.
    pub subject: SubjectId,
    /// For people.
    #[serde(default)]
    pub why: String,
}

/// Why an operation was rejected.
#[derive(Clone, Debug, Deserialize)]
pub struct OperationError {
    /// The ledger's code.
    pub code: String,
    /// In Chinese.
    #[serde(default)]
    pub message_zh: String,
    /// In English.
    #[serde(default)]
    pub message_en: String,
}

/// Where an operation was recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct OperationRecord {
    /// The record's hash.
    pub hash: Hash32,
    /// Its height.
    pub height: u64,
}

/// What happens after finality.
#[derive(Clone, Debug, Deserialize)]
pub struct FollowUp {
    /// `none`, `pending`, `done` or `failed`.
    pub status: String,
    /// For people.
    pub detail: Option<String>,
}

impl Operation {
    /// The encoded body.
    pub fn body_bytes(&self) -> Result<Vec<u8>> {
        STANDARD.decode(&self.body).context("the operation's body is not base64")
    }

    /// The openings.
    pub fn openings(&self) -> Result<Vec<Opening>> {
        let open = |wire: &WireOpening| -> Result<Opening> {
            let value = STANDARD.decode(&wire.value).context("an opening is not base64")?;
            Ok(Opening::new(&wire.name, wire.salt.0, value))
        };
        self.openings.iter().map(open).collect()
    }

    fn is_settled(&self) -> bool {
        match self.status.as_str() {
            "rejected" | "expired" => true,
            "final" => self.followup.as_ref().is_none_or(|f| matches!(f.status.as_str(), "none" | "done" | "failed")),
            _ => false,
        }
    }
}

/// The API with one organisation's token.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// At this address, with this token.
    pub fn new(base: &str, token: &str) -> Result<Self> {
        crate::prepare_tls();
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .timeout(CALL)
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { http, base: base.to_owned(), token: token.to_owned() })
    }

    /// GET, JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let bytes = self.send(|http, url| http.get(url), path).await?.bytes().await?;
        parse(path, &bytes)
    }

    /// GET, bytes, with the digest that the gateway names, which must be theirs.
    pub async fn get_file(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.send(|http, url| http.get(url), path).await?;
        let named = response.headers().get("x-sha256").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let bytes = response.bytes().await?.to_vec();
        let digest = qz_evidence::hash::sha256(&[&bytes]).to_string();
        match named {
            Some(named) if named != digest => bail!("GET {path}: X-Sha256 is {named}, the file's digest is {digest}"),
            _ => Ok(bytes),
        }
    }

    /// POST of JSON that creates something; safe to repeat.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let key = idempotency_key()?;
        let request = |http: &reqwest::Client, url: &str| http.post(url).header("idempotency-key", &key).json(body);
        let bytes = self.send(request, path).await?.bytes().await?;
        parse(path, &bytes)
    }

    /// POST that begins an operation, which is either the whole answer or its member `operation`.
    pub async fn begin(&self, path: &str, body: &Value) -> Result<(Operation, Value)> {
        let mut answer = self.post(path, body).await?;
        let operation = match answer.get_mut("operation") {
            Some(inner) => inner.take(),
            None => answer.clone(),
        };
        let operation = serde_json::from_value(operation).with_context(|| format!("POST {path}: not an operation"))?;
        Ok((operation, answer))
    }

    /// Orders a signing certificate and waits until it is issued.
    pub async fn certificate(&self, path: &str) -> Result<Value> {
        let mut answer = self.post(path, &json!({})).await?;
        let deadline = Instant::now() + OPERATION;
        while text(&answer, "status")? != "issued" {
            if Instant::now() > deadline {
                bail!("签署证明仍未出具 · the certificate is still not issued: {answer}");
            }
            let url = format!("{}?wait={LONG_POLL_SECONDS}", text(&answer, "status_url")?);
            answer = self.get(&url).await?;
        }
        Ok(answer)
    }

    /// Uploads a PDF.
    pub async fn upload(&self, name: &str, pdf: &[u8]) -> Result<Value> {
        let key = idempotency_key()?;
        // Header values are ASCII: percent-encoded.
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        let ascii: String = name.bytes().map(encode).collect();
        let request = |http: &reqwest::Client, url: &str| {
            http.post(url)
                .header("idempotency-key", &key)
                .header("content-type", "application/pdf")
                .header("x-file-name", &ascii)
                .body(pdf.to_vec())
        };
        let bytes = self.send(request, "/v1/documents").await?.bytes().await?;
        parse("/v1/documents", &bytes)
    }

    /// Hands in an actor's signature.
    pub async fn sign(&self, operation: &Operation, subject: &SubjectId, signature: &[u8; 64]) -> Result<Operation> {
        let path = format!("/v1/operations/{}/signatures", operation.id);
        let body = json!({ "subject": subject.to_string(), "signature": STANDARD.encode(signature) });
        let answer = self.post(&path, &body).await?;
        serde_json::from_value(answer).with_context(|| format!("POST {path}: not an operation"))
    }

    /// An operation as it stands.
    pub async fn operation(&self, id: &str) -> Result<Operation> {
        let path = format!("/v1/operations/{id}");
        serde_json::from_value(self.get(&path).await?).with_context(|| format!("GET {path}: not an operation"))
    }

    /// Waits until an operation is final (and its follow-up done) or refused.
    pub async fn settle(&self, id: &str) -> Result<Operation> {
        let deadline = Instant::now() + OPERATION;
        let path = format!("/v1/operations/{id}?wait={LONG_POLL_SECONDS}");
        loop {
            let operation: Operation = serde_json::from_value(self.get(&path).await?)
                .with_context(|| format!("GET {path}: not an operation"))?;
            if operation.is_settled() {
                return Ok(operation);
            }
            if Instant::now() > deadline {
                bail!(
                    "操作 {} 未在 {} 秒内完成 · operation {} is still {} ({:?})",
                    operation.kind,
                    OPERATION.as_secs(),
                    id,
                    operation.status,
                    operation.followup
                );
            }
            // Costs nothing when the gateway holds the answer as asked.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send(
        &self, request: impl Fn(&reqwest::Client, &str) -> reqwest::RequestBuilder, path: &str,
    ) -> Result<reqwest::Response> {
        let url = format!("{}{path}", self.base);
        let mut attempt = 0;
        let response = loop {
            attempt += 1;
            match request(&self.http, &url).bearer_auth(&self.token).send().await {
                Ok(response) => break response,
                Err(error) if error.is_connect() && attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Err(error) => return Err(anyhow!(error)).with_context(|| format!("the gateway did not answer {path}")),
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(anyhow!(problem).context(format!("the gateway refused {path}"))),
            Err(_) => bail!("{path}: {status}: {}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// The gateway's problem details within an error, if that is what it was.
pub fn problem(error: &anyhow::Error) -> Option<&Problem> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

fn parse<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).with_context(|| format!("{path}: not JSON: {}", String::from_utf8_lossy(bytes)))
}

fn idempotency_key() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(hex::encode(bytes))
}

/// A text member of an answer.
pub fn text<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    answer[name].as_str().with_context(|| format!("the answer has no {name}: {answer}"))
}
