//! `retrieve` and `release`: a court retrieves contracts for a case, and gets the package from the platform.

use super::gateway::Gateway;
use super::{Common, Out, act_file, perform};
use anyhow::{Context, bail};
use clap::Args;
use qz_client::office::{Act, Deed, Office};
use qz_evidence::SubjectId;
use qz_evidence::hash::sha256;
use reqwest::Url;
use serde_json::json;
use std::path::PathBuf;

/// How the package is asked for.
#[derive(Debug, Args)]
pub struct Release {
    /// 平台网关地址 · the platform's gateway
    #[arg(long, requires = "package")]
    gateway: Option<Url>,
    /// 网关 TLS 证书的颁发机构（PEM）· authority of the gateway's TLS certificate
    #[arg(long, requires = "gateway")]
    gateway_ca: Option<PathBuf>,
    /// 调取包保存为（.zip）· where to write the package
    #[arg(long, requires = "gateway")]
    package: Option<PathBuf>,
    /// 将签署的领取请求写入文件，交其他途径递交（10 分钟内有效）· write the signed request to a file, to be
    /// presented in another way within ten minutes
    #[arg(long, conflicts_with = "gateway")]
    request: Option<PathBuf>,
}

/// `retrieve`
#[derive(Debug, Args)]
pub struct RetrieveArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    release: Release,
    /// 案号（加盐承诺上链）· the case number; goes on the ledger as a salted commitment
    #[arg(long = "case", value_name = "NUMBER")]
    case_number: String,
    /// 合同的主体编号，1–4 份 · the contracts, 1 to 4
    #[arg(long = "contract", value_parser = crate::subject, required = true, num_args = 1)]
    contracts: Vec<SubjectId>,
    /// 暂缓通知当事人至此日期 · defer notice to the parties until this date
    #[arg(long, value_name = "YYYY-MM-DD")]
    notice_after: Option<String>,
}

/// `release`
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    common: Common,
    /// 先前调取的证据包（旁边有 .qzact）· the proof of the retrieval, beside its act
    #[arg(long, value_name = "FILE.qzproof")]
    retrieval: PathBuf,
    #[command(flatten)]
    release: Release,
}

/// `retrieve`
pub async fn retrieve(args: RetrieveArgs) -> anyhow::Result<()> {
    let RetrieveArgs { common, out, release, case_number, contracts, notice_after } = args;
    release.check()?;
    let deed = Deed::Retrieve { contracts, case_number, notice_after };
    let (office, act, _) = perform(&common, &out, deed, None).await?;
    release.fetch(&common, &office, &act).await
}

/// `release`
pub async fn release(args: ReleaseArgs) -> anyhow::Result<()> {
    let ReleaseArgs { common, retrieval, release } = args;
    if release.gateway.is_none() && release.request.is_none() {
        bail!("须指定 --gateway 与 --package，或 --request / give --gateway and --package, or --request");
    }
    release.check()?;
    let act = act_file::read(&act_file::path(&retrieval))?;
    let office = common.office()?;
    release.fetch(&common, &office, &act).await
}

impl Release {
    /// Refused before anything is put on the ledger.
    fn check(&self) -> anyhow::Result<()> {
        for file in self.package.iter().chain(&self.request) {
            if file.exists() {
                bail!("{0} 已存在 / {0} exists", file.display());
            }
        }
        if let Some(url) = &self.gateway {
            Gateway::new(url, self.gateway_ca.as_deref())?;
        }
        Ok(())
    }

    async fn fetch(&self, common: &Common, office: &Office, act: &Act) -> anyhow::Result<()> {
        if let Some(file) = &self.request {
            std::fs::write(file, office.release(act)?.to_json())
                .with_context(|| format!("{}: 无法写入 / cannot be written", file.display()))?;
            if !common.json {
                println!("  领取请求（10 分钟内有效）/ request (good for ten minutes) {}", file.display());
            }
        }
        let (Some(url), Some(file)) = (&self.gateway, &self.package) else { return Ok(()) };
        let gateway = Gateway::new(url, self.gateway_ca.as_deref())?;
        let bytes = gateway.package(office, act, common.timeout()).await?;
        std::fs::write(file, &bytes).with_context(|| format!("{}: 无法写入 / cannot be written", file.display()))?;
        let digest = sha256(&[&bytes]);
        if common.json {
            println!("{}", json!({"package": file, "bytes": bytes.len(), "sha256": digest}));
        } else {
            println!("调取包 / package {} ({} bytes)\n  SHA-256 {digest}", file.display(), bytes.len());
            println!("  校验 / verify: qz-verify {} --genesis genesis.qz", file.display());
        }
        Ok(())
    }
}
