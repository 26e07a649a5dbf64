//! The platform's gateway as a court's clerk meets it: a signed request goes in, an archive comes out.
//! The gateway is trusted with nothing: the package is verified afterwards, by `qz-verify`.

use anyhow::{Context, bail};
use qz_client::office::{Act, Office};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest package.
const MAX_PACKAGE_BYTES: usize = 256 << 20;
/// Largest other answer.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What the gateway says about a request.
#[derive(Debug, Deserialize)]
struct State {
    status: String,
    #[serde(default)]
    status_zh: String,
    #[serde(default)]
    status_en: String,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    detail_en: String,
}

/// A gateway.
pub struct Gateway {
    http: reqwest::Client,
    url: Url,
}

impl Gateway {
    /// `authority`: PEM of the authority that issued its TLS certificate.
    pub fn new(url: &Url, authority: Option<&Path>) -> anyhow::Result<Self> {
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match (url.scheme(), authority) {
            ("https", Some(_)) => {}
            ("https", None) => bail!(
                "https 网关须以 --gateway-ca 指定其证书颁发机构 / name the authority of an https gateway with --gateway-ca"
            ),
            ("http", _) if loopback => {}
            _ => {
                bail!(
                    "{url}: 卷宗须经 https 传输（本机除外）/ a package travels over https only, except on this machine"
                )
            }
        }
        let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).no_proxy();
        let builder = builder.tls_backend_preconfigured(tls(authority)?);
        Ok(Self { http: builder.build().context("HTTP")?, url: url.clone() })
    }

    async fn post(&self, path: &str, body: Vec<u8>, limit: usize) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let url = self.url.join(path).context("URL")?;
        let request = self.http.post(url.clone()).header("content-type", "application/json").body(body);
        let mut response = request
            .timeout(Duration::from_secs(120))
            .send()
            .await
            .with_context(|| format!("{url}: 无法连接网关 / the gateway cannot be reached"))?;
        let status = response.status();
        let mut bytes = vec![];
        while let Some(chunk) =
            response.chunk().await.with_context(|| format!("{url}: 传输中断 / the answer broke off"))?
        {
            bytes.extend(&chunk);
            if bytes.len() > limit {
                bail!("{url}: 答复过大 / the answer is larger than {limit} bytes");
            }
        }
        if status.is_success() {
            return Ok((status, bytes));
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => bail!(
                "网关拒绝（{}）：{} / the gateway refused: {}",
                status.as_u16(),
                problem.detail,
                problem.detail_en
            ),
            Err(_) => bail!("网关答复 {status} / the gateway answered {status}"),
        }
    }

    /// Presents the retrieval until its package is there, and fetches it.
    pub async fn package(&self, office: &Office, act: &Act, patience: Duration) -> anyhow::Result<Vec<u8>> {
        let start = Instant::now();
        loop {
            // Signed anew each time: a signature is good for ten minutes.
            let request = office.release(act)?.to_json();
            let (_, bytes) = self.post("/v1/retrievals", request, MAX_ANSWER_BYTES).await?;
            let state: State = serde_json::from_slice(&bytes).context("答复格式错误 / the answer is malformed")?;
            match state.status.as_str() {
                "ready" => break,
                "failed" => bail!(
                    "平台未能制作调取包：{0} / the platform could not make the package: {0}",
                    state.error.unwrap_or_default()
                ),
                _ if start.elapsed() > patience => {
                    bail!(
                        "调取包尚在制作（{}），请稍后用 `qz-client release` 领取 / the package is still being made ({}); fetch it later with `qz-client release`",
                        state.status_zh,
                        state.status_en
                    )
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        let request = office.release(act)?.to_json();
        Ok(self.post("/v1/retrievals/package", request, MAX_PACKAGE_BYTES).await?.1)
    }
}

/// Trusts this authority and no other; without one, nobody.
fn tls(authority: Option<&Path>) -> anyhow::Result<rustls::ClientConfig> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    if let Some(authority) = authority {
        let name = authority.display();
        let pem = std::fs::read(authority).with_context(|| format!("{name}: 无法读取 / cannot be read"))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.with_context(|| name.to_string())?).with_context(|| name.to_string())?;
        }
        if roots.is_empty() {
            bail!("{name}: 其中没有证书 / there is no certificate in it");
        }
    }
    Ok(rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
