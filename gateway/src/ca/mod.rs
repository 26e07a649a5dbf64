//! `qz-gateway ca`: a small CA for demonstration and private installations, a process and a folder of its own:
//! a root that rests, an issuing CA, certificates for seals and persons by request (PKCS #10), revocation
//! lists and an OCSP responder. 非依法设立的电子认证服务提供者, and every name that it writes says so.
//!
//! It never sees a subscriber's private key. The root's key is needed for the root's revocation list only
//! and may be taken out of the folder; then that list is served as it was last made.

mod register;
mod routes;

use crate::authority::random;
use crate::clock::{now_ms, signed};
use crate::key_files::{KeyFiles, NewPassphrase};
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use qz_document::ca::hierarchy::{self, AuthorityRequest, Services};
use qz_document::ca::revocation::{Reason, RevocationList};
use qz_document::ca::{CertificateAuthority, KeyAlgorithm, LeafRequest, SealKey, Subject, request, summarise, to_pem};
use register::{Issued, Register};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub use routes::open;

const FILE: &str = "ca.json";
const REGISTER: &str = "register.jsonl";
const ROOT_KEY: &str = "root.key";
const ISSUING_KEY: &str = "issuing.key";
const KEYS: [&str; 2] = [ROOT_KEY, ISSUING_KEY];
const ROOT_LIST: &str = "root.crl";
const DAY_MS: u64 = 24 * 3_600_000;
const YEAR_MS: u64 = 365 * DAY_MS;
/// Certificates begin this long before they are issued, since clocks differ.
const SKEW_MS: u64 = 5 * 60_000;

/// 证书服务 / the CA
#[derive(Debug, Args)]
pub struct Flags {
    /// 证书服务目录 / home folder of the CA
    #[arg(long, global = true, default_value = "ca")]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 建立根证书与签发证书 / make a root and an issuing CA
    Init(Init),
    /// 按证书请求签发 / issue a certificate for a request
    Issue(Issue),
    /// 为旧证书换发新证书，密钥与主体不变；旧签名不受影响 / renew a certificate for the same key and subject
    Renew(Renew),
    /// 吊销证书 / revoke a certificate
    Revoke(Revoke),
    /// 加密旧目录的密钥或更换口令 / encrypt the keys of an older folder, or change their passphrase
    Passwd(NewPassphrase),
    /// 列出证书 / list certificates
    List,
    /// 提供吊销列表与 OCSP / serve revocation lists and OCSP
    Serve,
}

#[derive(Debug, Args)]
struct Init {
    /// 监听地址 / address of the HTTP server
    #[arg(long, default_value = "127.0.0.1:8091")]
    listen: SocketAddr,
    /// 对外网址，写入证书 / its address as the world sees it, written into certificates
    #[arg(long)]
    url: Option<String>,
    /// 名称 / name of the CA
    #[arg(long, default_value = "契证演示 CA Qizheng Demo")]
    name: String,
    /// 密钥算法 p256、rsa3072 或 sm2 / kind of the keys
    #[arg(long, default_value = "p256")]
    algorithm: KeyAlgorithm,
    #[command(flatten)]
    passphrase: NewPassphrase,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A seal of an organisation.
    Seal,
    /// A seal maker 制章人, who signs seal data of GB/T 38540.
    Maker,
    /// A natural person.
    Person,
}

#[derive(Debug, Args)]
struct Issue {
    /// 证书请求文件（PKCS #10，PEM）/ the request
    #[arg(long)]
    request: PathBuf,
    /// 证书种类 / what it is for
    #[arg(long)]
    kind: Kind,
    /// 印章或个人名称 / name of the seal or person
    #[arg(long)]
    name: String,
    /// 机构名称 / name of the organisation; a seal has one
    #[arg(long)]
    organisation: Option<String>,
    /// 统一社会信用代码 / unified social credit code; a seal has one
    #[arg(long)]
    credit_code: Option<String>,
    /// 有效年数 / years of validity
    #[arg(long, default_value_t = 3)]
    years: u64,
}

#[derive(Debug, Args)]
struct Renew {
    /// 旧证书序列号 / serial number of the old one
    #[arg(long)]
    serial: String,
    /// 有效年数 / years of validity
    #[arg(long, default_value_t = 3)]
    years: u64,
}

#[derive(Debug, Args)]
struct Revoke {
    /// 序列号 / serial number
    #[arg(long)]
    serial: String,
    /// 原因 / key_compromise, superseded, affiliation_changed, cessation_of_operation
    #[arg(long)]
    reason: Reason,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    listen: SocketAddr,
    url: String,
    root_certificate: String,
    issuing_certificate: String,
}

/// Runs a command; `Some` for [`Command::Serve`], which the caller runs.
pub fn run(flags: &Flags) -> anyhow::Result<Option<&Path>> {
    let home = &flags.home;
    let keys = KeyFiles::open(home);
    match &flags.command {
        Command::Init(init) => initialise(home, init)?,
        Command::Issue(issue) => print!("{}", Ca::open(home, &keys)?.issue(issue)?),
        Command::Renew(renew) => print!("{}", Ca::open(home, &keys)?.renew(renew)?),
        Command::Passwd(new) => keys.reseal(&KEYS, new.get()?)?,
        Command::Revoke(revoke) => {
            let now = signed(now_ms());
            register(home)?.revoke(&revoke.serial, now, revoke.reason)?;
            println!("已吊销 / revoked: {}", revoke.serial);
        }
        Command::List => list(&register(home)?),
        Command::Serve => return Ok(Some(home)),
    }
    Ok(None)
}

fn initialise(home: &Path, flags: &Init) -> anyhow::Result<()> {
    if home.join(FILE).exists() {
        bail!("{}: 已初始化 / is initialised already", home.display());
    }
    let passphrase = flags.passphrase.get()?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(home).with_context(|| home.display().to_string())?;
    let now = now_ms();
    let url = flags.url.clone().unwrap_or_else(|| format!("http://{}", flags.listen));
    let (root_key, key) = (SealKey::generate_for(flags.algorithm)?, SealKey::generate_for(flags.algorithm)?);
    let authority = |name: &str, years: u64| AuthorityRequestOwned {
        name: format!("{} {name}", flags.name),
        not_before_ms: signed(now - SKEW_MS),
        not_after_ms: signed(now + years * YEAR_MS),
    };
    let (root_request, issuing_request) = (authority("Root", 30), authority("Issuing CA", 15));
    let root_der = hierarchy::root(&root_key, &root_request.with(random()))?;
    let services = Services {
        revocation_list_url: Some(format!("{url}/root.crl")),
        ocsp_url: None,
        issuer_url: Some(format!("{url}/root.crt")),
    };
    let public = key.public_key_der()?;
    let issuing_der = hierarchy::issuing(&root_key, &root_der, &public, &services, &issuing_request.with(random()))?;
    KeyFiles::create(home, passphrase, &[(ROOT_KEY, &root_key), (ISSUING_KEY, &key)])?;
    std::fs::write(home.join("root.pem"), to_pem(&root_der)?)?;
    std::fs::write(home.join("chain.pem"), to_pem(&issuing_der)? + &to_pem(&root_der)?)?;
    let config = Config {
        listen: flags.listen,
        url,
        root_certificate: hex::encode(&root_der),
        issuing_certificate: hex::encode(&issuing_der),
    };
    let text = serde_json::to_string_pretty(&config).expect("strings have a JSON form");
    // Last: its presence says that everything else is there.
    std::fs::write(home.join(FILE), text + "\n")?;
    println!("已建立演示 CA / demo CA made: {}", home.display());
    println!("校验方使用的根证书 / root for verifiers: {}", home.join("root.pem").display());
    Ok(())
}

struct AuthorityRequestOwned {
    name: String,
    not_before_ms: i64,
    not_after_ms: i64,
}

impl AuthorityRequestOwned {
    fn with(&self, serial: [u8; 16]) -> AuthorityRequest<'_> {
        AuthorityRequest {
            name: &self.name,
            not_before_ms: self.not_before_ms,
            not_after_ms: self.not_after_ms,
            serial,
        }
    }
}

fn config(home: &Path) -> anyhow::Result<Config> {
    let path = home.join(FILE);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: 请先运行 qz-gateway ca init / run `qz-gateway ca init` first", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: 格式错误 / malformed", path.display()))
}

/// The register needs no key.
fn register(home: &Path) -> anyhow::Result<Register> {
    config(home)?;
    Register::open(&home.join(REGISTER))
}

fn list(register: &Register) {
    for (issued, revoked) in register.all() {
        let state = match revoked {
            Some(revoked) => format!("已吊销 revoked {:?}", revoked.reason),
            None => "有效 good".to_owned(),
        };
        let until = crate::clock::rfc3339(u64::try_from(issued.not_after_ms).unwrap_or_default());
        println!("{}  {state}  {until}  {}", issued.serial, issued.subject);
    }
}

/// The CA with its folder.
struct Ca {
    home: PathBuf,
    keys: KeyFiles,
    config: Config,
    authority: CertificateAuthority,
    root_der: Vec<u8>,
    register: Register,
}

impl Ca {
    fn open(home: &Path, keys: &KeyFiles) -> anyhow::Result<Self> {
        let config = config(home)?;
        let services = Services {
            revocation_list_url: Some(format!("{}/issuing.crl", config.url)),
            ocsp_url: Some(format!("{}/ocsp", config.url)),
            issuer_url: Some(format!("{}/issuing.crt", config.url)),
        };
        let key = keys.read(ISSUING_KEY)?;
        let authority =
            CertificateAuthority::load(key, &hex::decode(&config.issuing_certificate)?)?.with_services(services);
        let root_der = hex::decode(&config.root_certificate)?;
        let register = Register::open(&home.join(REGISTER))?;
        Ok(Self { home: home.to_owned(), keys: keys.clone(), config, authority, root_der, register })
    }

    /// PEM: the certificate, then its issuers.
    fn issue(&mut self, flags: &Issue) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(&flags.request).with_context(|| flags.request.display().to_string())?;
        let asked = request::read(&text)?;
        let subject = match (flags.kind, &flags.organisation, &flags.credit_code) {
            (Kind::Seal, Some(organisation), Some(credit_code)) => {
                Subject::Seal { organisation, credit_code, seal: &flags.name }
            }
            (Kind::Seal, ..) => bail!("印章证书须有 --organisation 与 --credit-code / a seal needs both"),
            (Kind::Maker, Some(organisation), Some(credit_code)) => Subject::Maker { organisation, credit_code },
            (Kind::Maker, ..) => bail!("制章人证书须有 --organisation 与 --credit-code / a maker needs both"),
            (Kind::Person, organisation, _) => {
                Subject::Person { name: &flags.name, organisation: organisation.as_deref() }
            }
        };
        let now = now_ms();
        let certificate = self.authority.issue(&LeafRequest {
            subject,
            public_key_der: &asked.public_key_der,
            not_before_ms: signed(now - SKEW_MS),
            not_after_ms: signed(now + flags.years * YEAR_MS),
            serial: random(),
        })?;
        self.note(&certificate, None)
    }

    fn renew(&mut self, flags: &Renew) -> anyhow::Result<String> {
        let found = self.register.find(&flags.serial);
        let old = found.with_context(|| format!("没有证书 {} / no such certificate", flags.serial))?;
        if matches!(self.register.status(&hex::decode(&flags.serial)?), qz_document::ca::ocsp::Status::Revoked(..)) {
            bail!("证书 {} 已吊销，请用新密钥重新申请 / it was revoked: ask anew with a new key", flags.serial);
        }
        let now = now_ms();
        let certificate = self.authority.renew(
            &hex::decode(&old.certificate)?,
            signed(now - SKEW_MS),
            signed(now + flags.years * YEAR_MS),
            random(),
        )?;
        self.note(&certificate, Some(flags.serial.clone()))
    }

    fn note(&mut self, certificate: &[u8], renews: Option<String>) -> anyhow::Result<String> {
        let summary = summarise(certificate)?;
        self.register.issue(Issued {
            serial: summary.serial,
            subject: summary.subject,
            not_after_ms: summary.not_after_ms,
            certificate: hex::encode(certificate),
            renews,
        })?;
        Ok(to_pem(certificate)? + &to_pem(self.authority.certificate_der())? + &to_pem(&self.root_der)?)
    }

    /// The issuing CA's list of now.
    fn issuing_list(&self) -> anyhow::Result<Vec<u8>> {
        let now = now_ms();
        let list = RevocationList {
            number: now,
            this_update_ms: signed(now - SKEW_MS),
            next_update_ms: signed(now + DAY_MS),
            revoked: &self.register.revoked(),
        };
        Ok(list.sign(self.authority.key(), self.authority.certificate_der())?)
    }

    /// The root's list: made while its key is here, else as it was last made.
    fn root_list(&self) -> anyhow::Result<Vec<u8>> {
        let kept = self.home.join(ROOT_LIST);
        if !self.keys.has(ROOT_KEY) {
            return std::fs::read(&kept).with_context(|| kept.display().to_string());
        }
        let now = now_ms();
        let list = RevocationList {
            number: now,
            this_update_ms: signed(now - SKEW_MS),
            next_update_ms: signed(now + 90 * DAY_MS),
            revoked: &[],
        };
        let list = list.sign(&self.keys.read(ROOT_KEY)?, &self.root_der)?;
        std::fs::write(&kept, &list).with_context(|| kept.display().to_string())?;
        Ok(list)
    }
}
