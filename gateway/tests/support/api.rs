//! The gateway's API as a member's system calls it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static PROVIDER: Once = Once::new();
static KEYS: AtomicU64 = AtomicU64::new(0);

pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    pub fn new(port: u16, token: &str) -> Self {
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
        Self { http, base: format!("http://127.0.0.1:{port}"), token: token.to_owned() }
    }

    /// Status 0: no connection.
    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Vec<u8>, reqwest::header::HeaderMap) {
        let request = if self.token.is_empty() { request } else { request.bearer_auth(&self.token) };
        match request.send().await {
            Ok(response) => {
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                (status, response.bytes().await.unwrap().to_vec(), headers)
            }
            Err(_) => (0, vec![], reqwest::header::HeaderMap::new()),
        }
    }

    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
        let (status, body, _) = self.raw_bytes(method, path, headers, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn raw_bytes(
        &self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>,
    ) -> (u16, Vec<u8>, reqwest::header::HeaderMap) {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.raw("GET", path, &[], vec![]).await
    }

    pub async fn bytes(&self, path: &str) -> (Vec<u8>, reqwest::header::HeaderMap) {
        let (status, bytes, headers) = self.raw_bytes("GET", path, &[], vec![]).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&bytes));
        (bytes, headers)
    }

    pub async fn post_as(&self, key: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        self.raw("POST", path, &headers, body.to_string().into_bytes()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_as(&new_key(), path, body).await
    }

    /// Must succeed.
    pub async fn create(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 201, "{path}: {answer}");
        answer
    }

    pub async fn upload(&self, pdf: &[u8]) -> (u16, Value) {
        let key = new_key();
        let headers =
            [("idempotency-key", key.as_str()), ("content-type", "application/pdf"), ("x-file-name", "a.pdf")];
        self.raw("POST", "/v1/documents", &headers, pdf.to_vec()).await
    }

    pub async fn sign(&self, operation: &str, subject: &str, signature: &[u8]) -> (u16, Value) {
        let body = json!({"subject": subject, "signature": BASE64.encode(signature)});
        let headers = [("content-type", "application/json")];
        self.raw("POST", &format!("/v1/operations/{operation}/signatures"), &headers, body.to_string().into_bytes())
            .await
    }

    /// The operation once nothing more is to come.
    pub async fn settled(&self, operation: &str) -> Value {
        for _ in 0..6 {
            let (status, answer) = self.get(&format!("/v1/operations/{operation}?wait=20")).await;
            assert_eq!(status, 200, "{answer}");
            let (state, followup) =
                (answer["status"].as_str().unwrap(), answer["followup"]["status"].as_str().unwrap());
            if matches!(state, "final" | "rejected" | "expired") && followup != "pending" {
                return answer;
            }
        }
        panic!("operation {operation} does not settle");
    }
}

pub fn new_key() -> String {
    format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed))
}

/// Asserts a problem: status and code.
#[track_caller]
pub fn problem(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{}", answer.1);
    for member in ["type", "title", "detail", "detail_en"] {
        assert!(answer.1[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {}", answer.1);
    }
}
