//! `qz-gateway admin`: what an operator does on the machine itself.

use crate::app::open_storage;
use crate::authority::{Authority, random};
use crate::clock::{now_ms, rfc3339};
use crate::config::{
    AnchoringConfig, ArchivingConfig, Config, IssuerConfig, SealDataConfig, SignerRevocation, WitnessConfig,
};
use crate::custody::SealKeysConfig;
use crate::portal::config::PortalSettings;
use crate::portal::init::{PortalInit, portal_init};
use crate::portal::trust::TrustFiles;
use crate::server::token_digest;
use crate::settings::Settings;
use crate::worker::FOLLOW_UP;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use qz_document::key::KeyAlgorithm;
use qz_evidence::{Hash32, OrgId};
use qz_storage::audit::{self, AuditLine};
use qz_storage::operations::{self, FollowupStatus};
use qz_storage::ownership::{self, Owned};
use qz_storage::tokens::{self, Token};
use qz_storage::{KeyEncryption, Storage, StorageError, TokenId, Tx, jobs, master_key_path};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Most failed jobs that are looked at.
const MAX_JOBS: u64 = 10_000;

/// What an operator can do.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// 初始化网关目录：主密钥、数据库、演示 CA、配置 / make the home folder
    Init(Init),
    /// 初始化演示时间戳服务目录 / make the home folder of a demonstration timestamp authority
    TsaInit(crate::tsa::Init),
    /// 加密旧时间戳服务目录的密钥或更换口令 / encrypt the keys of an older timestamp authority, or change their passphrase
    TsaPasswd(crate::tsa::Passwd),
    /// 管理访问令牌 / manage API tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// 将已登记的密钥划归账户，该账户即可见相应合同 / assign registered keys to an account, which then sees their contracts
    Assign(Assign),
    /// 由机构目录建立公众门户目录，不含任何签名密钥 / make the folder of a portal, without signing keys
    PortalInit(PortalInit),
    /// 查看、重试失败的任务 / jobs that failed for good
    #[command(subcommand)]
    Job(JobCommand),
}

/// Flags of `admin init`.
#[derive(Debug, Args)]
pub struct Init {
    /// 网关目录 / home folder of the gateway
    #[arg(long)]
    home: PathBuf,
    /// 机构目录（qz-genesis 生成）/ folder of the organisation
    #[arg(long)]
    organisation: PathBuf,
    /// 监听地址 / address of the HTTP server
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// 对外的校验页面地址 / address of the portal as the world sees it
    #[arg(long)]
    portal_url: Option<String>,
    /// 依次使用哪些机构的节点 / whose nodes to call, in order
    #[arg(long = "node", value_name = "ORG")]
    nodes: Vec<String>,
    /// 身份认证机构 / the organisation that attests to identities
    #[arg(long)]
    attestor: Option<String>,
    /// 出证方名称 / name of the issuer of signing certificates
    #[arg(long, default_value = "契证演示平台")]
    issuer_name: String,
    /// 出证方统一社会信用代码 / its unified social credit code
    #[arg(long, default_value = "91110105MA01DEM31Q")]
    issuer_id_code: String,
    /// 时间戳服务地址（RFC 3161）/ the timestamp authority that stamps proofs, http:// or https://
    #[arg(long, value_name = "URL")]
    tsa: Option<String>,
    /// 外部见证人：公钥=地址 / an outside witness of proofs; may be repeated
    #[arg(long, value_name = "KEY=URL")]
    witness: Vec<WitnessConfig>,
    /// 以上 https 地址的证书颁发机构（PEM），缺省为本机信任的 / who issued the certificates of https addresses
    #[arg(long, value_name = "FILE")]
    anchor_ca: Option<PathBuf>,
    /// 以时间戳存档已完成的合同（B-LTA），需 --tsa / archive completed contracts with timestamps; needs --tsa
    #[arg(long, requires = "tsa")]
    archive: bool,
    /// 印章密钥算法 p256、rsa3072 或 sm2 / kind of the keys of seals
    #[arg(long, default_value = "p256")]
    seal_algorithm: KeyAlgorithm,
    /// 为每枚新印章制作 GB/T 38540 电子印章数据（SM2）/ make seal data of GB/T 38540 for every new seal
    #[arg(long)]
    seal_data: bool,
    /// 以电子印章数据对已完成的合同制作电子签章，需 --seal-data / sign completed contracts with seal data
    #[arg(long, requires = "seal_data")]
    seal_signatures: bool,
    #[command(flatten)]
    trust: TrustFiles,
}

/// API tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// 新建令牌；只显示一次 / make a token; it is shown once
    Create(NewToken),
    /// 撤销令牌 / revoke a token
    Revoke(Named),
    /// 列出令牌 / list the tokens
    List {
        /// 网关目录 / home folder of the gateway
        #[arg(long)]
        home: PathBuf,
    },
}

/// Jobs that failed for good.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// 列出失败的与等待重试的任务 / list those that failed for good and those that are tried again
    List {
        /// 网关目录 / home folder of the gateway
        #[arg(long)]
        home: PathBuf,
    },
    /// 重试一个任务 / try one again
    Retry {
        /// 任务编号 / number of the job
        id: i64,
        /// 网关目录 / home folder of the gateway
        #[arg(long)]
        home: PathBuf,
    },
}

/// A new token.
#[derive(Debug, Args)]
pub struct NewToken {
    #[command(flatten)]
    named: Named,
    /// 所属账户：只能看到该账户经办的合同；不给出则为运营方令牌，可见全部 / the account whose contracts it
    /// sees; without one it is an operator's and sees all
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

/// Whose something is from now on.
#[derive(Debug, Args)]
pub struct Assign {
    /// 网关目录 / home folder of the gateway
    #[arg(long)]
    home: PathBuf,
    /// 账户 / the account
    #[arg(long)]
    account: String,
    /// 密钥的主体编号，可重复 / subject of a key; may be repeated
    #[arg(long = "key", value_name = "SUBJECT", required = true)]
    keys: Vec<String>,
}

/// A token by its name.
#[derive(Debug, Args)]
pub struct Named {
    /// 网关目录 / home folder of the gateway
    #[arg(long)]
    home: PathBuf,
    /// 令牌名称 / name of the token
    #[arg(long)]
    name: String,
}

/// Does it.
pub async fn run(command: Admin) -> anyhow::Result<()> {
    match command {
        Admin::Init(flags) => init(flags).await,
        Admin::TsaInit(flags) => crate::tsa::init(&flags),
        Admin::TsaPasswd(flags) => crate::tsa::passwd(&flags),
        Admin::PortalInit(flags) => portal_init(flags),
        Admin::Assign(flags) => assign(flags).await,
        Admin::Token(TokenCommand::Create(NewToken { named: Named { home, name }, account })) => {
            create_token(&home, &name, account).await
        }
        Admin::Token(TokenCommand::Revoke(Named { home, name })) => revoke_token(&home, &name).await,
        Admin::Token(TokenCommand::List { home }) => list_tokens(&home).await,
        Admin::Job(JobCommand::List { home }) => list_jobs(&home).await,
        Admin::Job(JobCommand::Retry { id, home }) => retry_job(&home, id).await,
    }
}

async fn init(flags: Init) -> anyhow::Result<()> {
    let home = &flags.home;
    let org = |id: &String| OrgId::new(id).with_context(|| format!("`{id}` 不是机构编号 / is not an organisation id"));
    let organisation = flags
        .organisation
        .canonicalize()
        .with_context(|| format!("{}: 机构目录不存在 / no such folder", flags.organisation.display()))?;
    let https_ca = flags.anchor_ca.as_ref().map(std::path::absolute).transpose().context("--anchor-ca")?;
    let config = Config {
        listen: flags.listen,
        portal_url: flags.portal_url.unwrap_or_else(|| format!("http://localhost:{}", flags.listen.port())),
        organisation,
        nodes: flags.nodes.iter().map(org).collect::<anyhow::Result<_>>()?,
        attestor: flags.attestor.as_ref().map(org).transpose()?,
        issuer: IssuerConfig { name: flags.issuer_name, id_code: flags.issuer_id_code },
        portal: PortalSettings { trust: flags.trust.settings(), ..PortalSettings::default() },
        seal_keys: SealKeysConfig { algorithm: flags.seal_algorithm, ..SealKeysConfig::default() },
        archiving: flags.archive.then(ArchivingConfig::default),
        seal_data: flags
            .seal_data
            .then(|| SealDataConfig { sign_contracts: flags.seal_signatures, ..SealDataConfig::default() }),
        signer_revocation: SignerRevocation::default(),
        anchoring: (flags.tsa.is_some() || !flags.witness.is_empty()).then(|| AnchoringConfig {
            tsa: flags.tsa.clone(),
            witnesses: flags.witness.clone(),
            https_ca,
        }),
    };
    // A wrong organisation folder, witness key or trust file is refused before anything is made.
    let trust = flags.trust.read()?;
    config.anchoring.as_ref().map(AnchoringConfig::open).transpose()?;
    qz_client::Home::open(&config.organisation).with_context(|| config.organisation.display().to_string())?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)
        .with_context(|| format!("{}: 无法创建 / cannot be made", home.display()))?;
    if home.join(Config::FILE).exists() {
        bail!("{}: 已初始化 / is initialised already", home.display());
    }
    let encryption = KeyEncryption::create(&master_key_path(home))?;
    let storage = Storage::open(home).await?;
    storage.bind_key(&encryption).await?;
    Authority::create(home, &storage, &encryption, &config.issuer.name, &config.issuer.id_code, now_ms()).await?;
    let tx = storage.begin().await?;
    audit::append(&tx, &line("gateway.initialised", None)).await?;
    tx.commit().await?;
    storage.close().await?;
    trust.write(home)?;
    // Last: its presence says that everything else is there.
    config.create(home)?;
    println!("已初始化 / initialised: {}", home.display());
    Ok(())
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

async fn create_token(home: &Path, name: &str, account: Option<String>) -> anyhow::Result<()> {
    if !is_name(name) || !account.as_deref().is_none_or(is_name) {
        bail!("令牌与账户的名称须为 1–64 个字符 / names of tokens and accounts have 1 to 64 characters");
    }
    let (storage, _) = open_storage(home).await?;
    let secret = format!("qz_{}", hex::encode(random::<32>()));
    let token = Token {
        id: TokenId::random(),
        name: name.to_owned(),
        sha256: token_digest(&secret),
        created_ms: now_ms(),
        revoked_ms: None,
        account,
    };
    let tx: Tx = storage.begin().await?;
    match tokens::insert(&tx, &token).await {
        Err(StorageError::Conflict { .. }) => bail!("令牌“{name}”已存在 / a token of this name exists"),
        other => other?,
    }
    audit::append(&tx, &line("token.created", Some(name))).await?;
    tx.commit().await?;
    storage.close().await?;
    println!("{secret}");
    Ok(())
}

async fn revoke_token(home: &Path, name: &str) -> anyhow::Result<()> {
    let (storage, _) = open_storage(home).await?;
    let tx = storage.begin().await?;
    match tokens::revoke(&tx, name, now_ms()).await {
        Err(StorageError::NotFound { .. }) => bail!("没有名为“{name}”的有效令牌 / no active token of this name"),
        other => other?,
    }
    audit::append(&tx, &line("token.revoked", Some(name))).await?;
    tx.commit().await?;
    storage.close().await?;
    println!("已撤销 / revoked: {name}");
    Ok(())
}

async fn list_tokens(home: &Path) -> anyhow::Result<()> {
    let (storage, _) = open_storage(home).await?;
    for token in tokens::list(&storage).await? {
        let state =
            token.revoked_ms.map_or_else(|| "有效 active".to_owned(), |at| format!("已撤销 revoked {}", rfc3339(at)));
        let account = token.account.as_deref().unwrap_or("运营方 operator");
        println!("{}\t{}\t{state}\t{account}", token.name, rfc3339(token.created_ms));
    }
    Ok(storage.close().await?)
}

async fn assign(flags: Assign) -> anyhow::Result<()> {
    let Assign { home, account, keys } = flags;
    if !is_name(&account) {
        bail!("账户名称须为 1–64 个字符 / an account's name has 1 to 64 characters");
    }
    let (storage, _) = open_storage(&home).await?;
    let tx = storage.begin().await?;
    for key in &keys {
        let subject = Hash32::from_hex(key).with_context(|| format!("{key}: 不是主体编号 / no subject"))?;
        if qz_storage::keys::find(&tx, &subject.0).await?.is_none() {
            bail!("{key}: 没有此密钥 / no such key");
        }
        ownership::put(&tx, Owned::Key, &subject.to_string(), &account).await?;
        audit::append(&tx, &line("key.assigned", Some(key))).await?;
    }
    tx.commit().await?;
    storage.close().await?;
    println!("已划归 / assigned: {account}");
    Ok(())
}

async fn list_jobs(home: &Path) -> anyhow::Result<()> {
    let (storage, _) = open_storage(home).await?;
    let (failed, retrying) = (jobs::failed(&storage, MAX_JOBS).await?, jobs::retrying(&storage, MAX_JOBS).await?);
    let state = |job: &jobs::Job| match job.status {
        jobs::JobStatus::Failed => "失败 failed".to_owned(),
        _ => format!("重试于 again at {}", rfc3339(job.run_after_ms)),
    };
    for job in failed.iter().chain(&retrying) {
        let error = job.last_error.as_deref().unwrap_or_default();
        println!("{}\t{}\t{}\t{}\t{error}", job.id.0, job.kind, job.ref_id, state(job));
    }
    Ok(storage.close().await?)
}

async fn retry_job(home: &Path, id: i64) -> anyhow::Result<()> {
    let (storage, _) = open_storage(home).await?;
    let now = now_ms();
    let tx = storage.begin().await?;
    let failed = jobs::failed(&tx, MAX_JOBS).await?;
    let Some(job) = failed.into_iter().find(|job| job.id.0 == id) else {
        bail!("没有编号为 {id} 的失败任务 / there is no failed job {id}");
    };
    jobs::retry_failed(&tx, job.id, now).await?;
    if job.kind == FOLLOW_UP {
        let operation = job.ref_id.parse().context("operation")?;
        operations::set_followup(&tx, &operation, FollowupStatus::Pending, None, now).await?;
    }
    audit::append(&tx, &line("job.retried", Some(&job.ref_id))).await?;
    tx.commit().await?;
    storage.close().await?;
    println!("已重新排队 / queued again: {id}");
    Ok(())
}

fn line(action: &str, subject: Option<&str>) -> AuditLine {
    AuditLine {
        time_ms: now_ms(),
        actor: "admin".into(),
        ip: None,
        action: action.into(),
        subject: subject.map(str::to_owned),
        detail: String::new(),
    }
}
