//! The commands of an organisation's office, for operators of notary, court and arbitration nodes.

mod act_file;
pub mod anchor;
mod gateway;
pub mod history;
mod release;
mod watch;
pub mod witness;

pub use release::{ReleaseArgs, RetrieveArgs, release, retrieve};
pub use watch::{WatchArgs, watch};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use qz_client::office::{Act, Deed, Office, Recorded};
use qz_client::{Client, ClientConfig, Home};
use qz_evidence::hash::sha256;
use qz_evidence::payload::{RulingEffect, RulingForm};
use qz_evidence::{Hash32, SubjectId};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file whose digest goes on the ledger.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What every command of an office needs.
#[derive(Debug, Args)]
pub struct Common {
    /// 机构目录（含印鉴密钥与 genesis.qz）· the organisation's folder, with its office key; the passphrase comes
    /// from QZ_PASSPHRASE_FILE, the systemd credential qz-passphrase or the terminal
    #[arg(long)]
    pub home: PathBuf,
    /// 等待上链的时间（秒）· how long to wait for finality, in seconds
    #[arg(long, default_value_t = 60)]
    pub timeout: u64,
    /// 以 JSON 输出 · print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where an act is kept.
#[derive(Debug, Args)]
pub struct Out {
    /// 证据包输出文件（.qzproof）；提交前先在旁边写入 .qzact（含盐值，须保密保存）· where to write the proof; an
    /// act file with the salts is written beside it before anything is submitted: keep it, and keep it secret
    #[arg(long)]
    pub out: PathBuf,
}

/// `deposit`
#[derive(Debug, Args)]
pub struct DepositArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    out: Out,
    /// 存证文件（仅摘要上链）· the file; only its digest goes on the ledger, salted
    #[arg(long)]
    file: PathBuf,
    /// 所关联的主体编号 · the subject that it is about
    #[arg(long, value_parser = crate::subject)]
    about: Option<SubjectId>,
    /// 说明（加盐承诺）· in words, committed with a salt
    #[arg(long)]
    description: Option<String>,
}

/// `notarise`
#[derive(Debug, Args)]
pub struct NotariseArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    out: Out,
    /// 合同或存证的主体编号 · the contract or evidence that the deed is about
    #[arg(long, value_parser = crate::subject)]
    subject: SubjectId,
    /// 公证书编号 · number of the deed
    #[arg(long)]
    number: String,
    /// 公证书文件 · the deed's file
    #[arg(long)]
    file: PathBuf,
}

/// Form of a ruling on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// 判决书（法院）
    Judgment,
    /// 裁定书（法院）
    Order,
    /// 调解书（法院、仲裁）
    Mediation,
    /// 裁决书（仲裁）
    Award,
}

/// Effect of a ruling on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Effect {
    /// 程序性，争议继续（仅裁定书）
    Interim,
    /// 合同继续有效
    InForce,
    /// 合同解除
    Terminated,
    /// 合同无效或被撤销
    Void,
}

/// `rule`
#[derive(Debug, Args)]
pub struct RuleArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    out: Out,
    /// 合同的主体编号 · the contract
    #[arg(long, value_parser = crate::subject)]
    contract: SubjectId,
    /// 文书种类 · form of the ruling
    #[arg(long)]
    form: Form,
    /// 对合同的效力 · what it says about the contract
    #[arg(long)]
    effect: Effect,
    /// 案号 · number of the case
    #[arg(long)]
    number: String,
    /// 裁判文书文件 · the ruling's file
    #[arg(long)]
    file: PathBuf,
}

/// `finish`
#[derive(Debug, Args)]
pub struct FinishArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    out: Out,
}

/// The client of an organisation's folder.
pub fn client(home: &Path) -> anyhow::Result<(Home, Client)> {
    let opened = Home::open(home).with_context(|| format!("{}: 无法打开 / cannot be opened", home.display()))?;
    let client = Client::new(&ClientConfig::from_home(&opened)?)?;
    Ok((opened, client))
}

impl Common {
    fn office(&self) -> anyhow::Result<Office> {
        let (home, client) = client(&self.home)?;
        Ok(Office::open(&home, client)?)
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// `deposit`
pub async fn deposit(args: DepositArgs) -> anyhow::Result<()> {
    let DepositArgs { common, out, file, about, description } = args;
    let document = digest(&file)?;
    perform(&common, &out, Deed::Deposit { about, document, description }, Some(document)).await.map(drop)
}

/// `notarise`
pub async fn notarise(args: NotariseArgs) -> anyhow::Result<()> {
    let NotariseArgs { common, out, subject, number, file } = args;
    let document = digest(&file)?;
    perform(&common, &out, Deed::Notarise { subject, number, document }, Some(document)).await.map(drop)
}

/// `rule`
pub async fn rule(args: RuleArgs) -> anyhow::Result<()> {
    let RuleArgs { common, out, contract, form, effect, number, file } = args;
    let form = match form {
        Form::Judgment => RulingForm::Judgment,
        Form::Order => RulingForm::Order,
        Form::Mediation => RulingForm::Mediation,
        Form::Award => RulingForm::Award,
    };
    let effect = match effect {
        Effect::Interim => RulingEffect::Interim,
        Effect::InForce => RulingEffect::InForce,
        Effect::Terminated => RulingEffect::Terminated,
        Effect::Void => RulingEffect::Void,
    };
    let document = digest(&file)?;
    perform(&common, &out, Deed::Rule { contract, form, effect, number, document }, Some(document)).await.map(drop)
}

/// `finish`: goes on where an earlier attempt was stopped.
pub async fn finish(args: FinishArgs) -> anyhow::Result<()> {
    let FinishArgs { common, out } = args;
    let act = act_file::read(&act_file::path(&out.out))?;
    let office = common.office()?;
    let recorded = office.record(&act, common.timeout()).await?;
    report(&common, &out, &act, &recorded, None)
}

/// Composes, writes the act down, submits, writes the proof.
async fn perform(
    common: &Common, out: &Out, deed: Deed, document: Option<Hash32>,
) -> anyhow::Result<(Office, Act, Recorded)> {
    let kept = act_file::path(&out.out);
    act_file::refuse_existing(&out.out, &kept)?;
    let office = common.office()?;
    let act = office.compose(&deed).await?;
    act_file::write(&kept, &act)?;
    let recorded = match office.record(&act, common.timeout()).await {
        Ok(recorded) => recorded,
        Err(error) => {
            return Err(anyhow::Error::from(error).context(format!(
                "未确认上链；行为文件已保存于 {0}，可用 `qz-client finish` 继续，或核对原因后删除它再试 / not known to be recorded; the act is kept in {0}: go on with `qz-client finish`, or remove it once you know why",
                kept.display()
            )));
        }
    };
    report(common, out, &act, &recorded, document)?;
    Ok((office, act, recorded))
}

/// Writes the proof and says what was done.
fn report(common: &Common, out: &Out, act: &Act, recorded: &Recorded, document: Option<Hash32>) -> anyhow::Result<()> {
    std::fs::write(&out.out, &recorded.proof)
        .with_context(|| format!("{}: 无法写入 / cannot be written", out.out.display()))?;
    let body = act.body()?;
    let kind = body.payload.kind();
    let at = &recorded.at;
    if common.json {
        let value: Value = json!({
            "kind": kind.name, "record": at.record_hash, "height": at.height, "index": at.index,
            "time_ms": at.time_ms, "digest": at.digest, "subjects": at.subjects, "document_sha256": document,
            "proof": out.out, "act": act_file::path(&out.out),
        });
        println!("{value}");
        return Ok(());
    }
    println!("已上链 / recorded: {} {} / {}", kind.name, kind.zh, kind.en);
    println!("  区块 / block {}.{} · 记录 / record {}", at.height, at.index, at.record_hash);
    for subject in &at.subjects {
        println!("  主体 / subject {subject}");
    }
    if let Some(document) = document {
        println!("  文件 / file SHA-256 {document}");
    }
    println!("  证据包 / proof {} ({} bytes)", out.out.display(), recorded.proof.len());
    println!("  行为文件（含盐值，请保密保存）/ act (salts; keep it secret) {}", act_file::path(&out.out).display());
    Ok(())
}

fn digest(path: &Path) -> anyhow::Result<Hash32> {
    let size = std::fs::metadata(path).with_context(|| format!("{}: 无法读取 / cannot be read", path.display()))?.len();
    if size > MAX_FILE_BYTES {
        bail!("{}: 超过 1 GiB / larger than 1 GiB", path.display());
    }
    Ok(sha256(&[&std::fs::read(path).with_context(|| path.display().to_string())?]))
}
