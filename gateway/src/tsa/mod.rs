//! `qz-gateway tsa`: a demonstration timestamp authority (RFC 3161 over HTTP) that a member, the notary in
//! the demo, runs beside its node. 演示时间戳: its name says so, and so does every page that shows it.
//!
//! It knows nothing of the ledger and keeps nothing of what it stamps. It never stamps with a clock that
//! went backwards, and never uses a number twice.

mod answer;
mod serial;

use crate::authority::random;
use crate::clock::{now_ms, signed};
use crate::key_files::{KeyFiles, NewPassphrase};
use answer::Clerk;
use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use qz_document::ca::{SealKey, to_pem};
use qz_document::tsa::{AuthorityRequest, authority, revocation_list, root};
use qz_evidence::timestamp::{QUERY_TYPE, REPLY_TYPE};
use serde::{Deserialize, Serialize};
use serial::Serials;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

const FILE: &str = "tsa.json";
/// What verifiers are given.
pub const ROOT_FILE: &str = "tsa-root.pem";
const ROOT_KEY: &str = "root.key";
const KEY: &str = "tsa.key";
const DAY_MS: u64 = 24 * 3_600_000;
const YEAR_MS: u64 = 365 * DAY_MS;
const SKEW_MS: u64 = 5 * 60_000;
/// Largest request: an imprint, a nonce, a policy.
const MAX_QUERY_BYTES: u64 = 4096;

/// Flags of `admin tsa-init`.
#[derive(Debug, Args)]
pub struct Init {
    /// 时间戳服务目录 / home folder of the timestamp authority
    #[arg(long)]
    home: PathBuf,
    /// 监听地址 / address of the HTTP server
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// 运营机构名称 / name of the organisation that runs it
    #[arg(long)]
    organisation: String,
    #[command(flatten)]
    passphrase: NewPassphrase,
}

/// Flags of `admin tsa-passwd`.
#[derive(Debug, Args)]
pub struct Passwd {
    /// 时间戳服务目录 / home folder of the timestamp authority
    #[arg(long)]
    home: PathBuf,
    #[command(flatten)]
    passphrase: NewPassphrase,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    listen: SocketAddr,
    root_certificate: String,
    certificate: String,
}

/// Makes a root, a key and its certificate.
pub fn init(flags: &Init) -> anyhow::Result<()> {
    let home = &flags.home;
    if home.join(FILE).exists() {
        bail!("{}: 已初始化 / is initialised already", home.display());
    }
    let passphrase = flags.passphrase.get()?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(home).with_context(|| home.display().to_string())?;
    let now = now_ms();
    let (root_key, key) = (SealKey::generate()?, SealKey::generate()?);
    let from = signed(now - SKEW_MS);
    let root_der = root(&root_key, from, signed(now + 20 * YEAR_MS), random::<16>())?;
    let request = AuthorityRequest {
        organisation: &flags.organisation,
        public_key_der: &key.public_key_der()?,
        revocation_url: &format!("http://{}/revoked.crl", flags.listen),
        not_before_ms: from,
        not_after_ms: signed(now + 5 * YEAR_MS),
        serial: random::<16>(),
    };
    let certificate = authority(&root_key, &root_der, &request)?;
    KeyFiles::create(home, passphrase, &[(ROOT_KEY, &root_key), (KEY, &key)])?;
    std::fs::write(home.join(ROOT_FILE), to_pem(&root_der)?)?;
    let config = Config {
        listen: flags.listen,
        root_certificate: hex::encode(&root_der),
        certificate: hex::encode(certificate),
    };
    let text = serde_json::to_string_pretty(&config).expect("strings have a JSON form");
    // Last: its presence says that everything else is there.
    std::fs::write(home.join(FILE), text + "\n")?;
    println!("已初始化演示时间戳服务 / demo TSA initialised: {}", home.display());
    println!("校验方使用的根证书 / root for verifiers: {}", home.join(ROOT_FILE).display());
    Ok(())
}

/// Encrypts the keys of an older folder, or changes their passphrase.
pub fn passwd(flags: &Passwd) -> anyhow::Result<()> {
    KeyFiles::open(&flags.home).reseal(&[ROOT_KEY, KEY], flags.passphrase.get()?)
}

/// What the routes work on.
struct Service {
    clerk: Clerk,
    root_key: SealKey,
    root_der: Vec<u8>,
}

/// Where it listens, and its routes.
pub fn open(
    home: &Path,
) -> anyhow::Result<(SocketAddr, impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + use<>)>
{
    let path = home.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("{}: 请先运行 qz-gateway admin tsa-init / run `qz-gateway admin tsa-init` first", path.display())
    })?;
    let config: Config =
        serde_json::from_str(&text).with_context(|| format!("{}: 格式错误 / malformed", path.display()))?;
    let keys = KeyFiles::open(home);
    keys.warn_of_plain(&[ROOT_KEY, KEY], "qz-gateway admin tsa-passwd")?;
    let (root_der, certificate) = (hex::decode(&config.root_certificate)?, hex::decode(&config.certificate)?);
    let clerk = Clerk::new(keys.read(KEY)?, certificate, Serials::open(&home.join("serial"))?);
    let service = Arc::new(Service { clerk, root_key: keys.read(ROOT_KEY)?, root_der });
    Ok((config.listen, routes(service)))
}

fn routes(
    service: Arc<Service>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + use<> {
    let with = warp::any().map(move || service.clone());
    let stamp = warp::path::end()
        .and(warp::post())
        .and(warp::header::exact_ignore_case("content-type", QUERY_TYPE))
        .and(warp::body::content_length_limit(MAX_QUERY_BYTES))
        .and(warp::body::bytes())
        .and(with.clone())
        .then(|body: Bytes, service: Arc<Service>| async move {
            // The number is reserved on disk now and then.
            let answer = tokio::task::spawn_blocking(move || service.clerk.answer(&body, now_ms())).await;
            match answer {
                Ok(Ok(bytes)) => typed(REPLY_TYPE, bytes),
                failed => {
                    tracing::error!(?failed, "no token can be made");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            }
        });
    let list = warp::path!("revoked.crl").and(warp::get()).and(with.clone()).map(|service: Arc<Service>| {
        let now = now_ms();
        let made =
            revocation_list(&service.root_key, &service.root_der, signed(now - SKEW_MS), signed(now + 7 * DAY_MS));
        match made {
            Ok(bytes) => typed("application/pkix-crl", bytes),
            Err(error) => {
                tracing::error!(%error, "no revocation list can be made");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    });
    let root = warp::path!("tsa-root.pem").and(warp::get()).and(with).map(|service: Arc<Service>| {
        let pem = to_pem(&service.root_der).map(String::into_bytes);
        pem.map_or_else(
            |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            |pem| typed("application/x-pem-file", pem),
        )
    });
    let health = warp::path!("health").and(warp::get()).map(|| StatusCode::OK.into_response());
    stamp
        .or(list)
        .unify()
        .or(root)
        .unify()
        .or(health)
        .unify()
        .recover(|_| async { Ok::<_, Infallible>(StatusCode::BAD_REQUEST.into_response()) })
        .unify()
}

fn typed(content_type: &'static str, bytes: Vec<u8>) -> Response {
    warp::reply::with_header(bytes, "content-type", content_type).into_response()
}
