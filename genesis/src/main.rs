//! `qz-genesis`: the ceremony on the command line. Every step reads and writes plain files, so that
//! cards, bodies and signatures can travel on any medium; secrets never leave their folder.
//!
//! Exit code 0: done, or the document verifies. 1: refused. 2: wrong usage.

mod governing;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use qz_evidence::codec::Format;
use qz_evidence::genesis::{Card, GenesisBody, GenesisDocument, Role};
use qz_evidence::{Hash32, OrgId, encode};
use qz_genesis::ceremony::{self, SignatureFile};
use qz_genesis::custody::{self, Rotation};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::{NewOrganisation, read_capped};
use qz_genesis::private_file::write_public;
use qz_genesis::sealed::Passphrase;
use qz_genesis::token::TokenLocation;
use qz_genesis::{Custody, Home, Purpose, passphrase, private_file, show};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// 契证创世仪式 The genesis ceremony of a Qizheng ledger.
#[derive(Parser)]
#[command(name = "qz-genesis", version)]
struct Cli {
    /// 口令文件（0600） File with the passphrase of the organisation's folder; without it the systemd
    /// credential `qz-passphrase`, else the terminal.
    #[arg(long, global = true, env = passphrase::PASSPHRASE_FILE)]
    passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 生成本机构的密钥与 TLS 证书 Make an organisation's keys and TLS certificates in its own folder.
    Keygen(Keygen),
    /// 更换口令或加密既有密钥 Change the passphrase of a folder, or encrypt one that is not yet.
    Passwd {
        /// The organisation's folder.
        #[arg(long)]
        home: PathBuf,
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// 备份（口令加密） Write keys, certificates and configuration into one encrypted file.
    Backup {
        /// The organisation's folder.
        #[arg(long)]
        home: PathBuf,
        /// Where to write the backup.
        #[arg(short, long)]
        output: PathBuf,
        /// File with the backup's own passphrase; without it the terminal asks.
        #[arg(long)]
        backup_passphrase_file: Option<PathBuf>,
    },
    /// 从备份恢复 Make a folder of a backup; nothing is overwritten.
    Restore {
        /// The folder to make.
        #[arg(long)]
        home: PathBuf,
        /// The backup.
        backup: PathBuf,
        /// File with the backup's own passphrase; without it the terminal asks.
        #[arg(long)]
        backup_passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// 轮换密钥 Make a successor folder with new keys in some places, to be put in force by governance.
    Rotate {
        /// The organisation's folder.
        #[arg(long)]
        home: PathBuf,
        /// The folder to make.
        #[arg(long)]
        to: PathBuf,
        /// What to replace: office, relay, witness, consensus, network, tls.
        #[arg(long, required = true, value_delimiter = ',', value_parser = parse_rotated)]
        keys: Vec<Rotated>,
        #[command(flatten)]
        new: NewPassphrase,
        #[command(flatten)]
        token: Token,
    },
    /// 导出公开名片 Write the public card, signed by every key.
    Card {
        /// The organisation's folder.
        #[arg(long)]
        home: PathBuf,
        /// Where to write the card.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// 汇总名片为创世正文 Put the cards together into a genesis body, not signed yet.
    Assemble {
        /// The consortium's name.
        #[arg(long)]
        name: String,
        /// 允许没有容错 Accept a set in which any one stopped member stops the chain.
        #[arg(long)]
        allow_no_fault_tolerance: bool,
        /// Where to write the body.
        #[arg(short, long)]
        output: PathBuf,
        /// The cards.
        #[arg(required = true)]
        cards: Vec<PathBuf>,
    },
    /// 以公章密钥签署创世正文 Sign a genesis body by the office key; shows what is signed.
    Sign {
        /// The organisation's folder.
        #[arg(long)]
        home: PathBuf,
        /// Sign only if this is the chain id (as the signers agreed on).
        #[arg(long, value_parser = parse_hash)]
        chain_id: Option<Hash32>,
        /// The body.
        body: PathBuf,
        /// Where to write the signature.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// 合并全部签名 Put a body and everybody's signatures together into the genesis document.
    Finish {
        /// The body.
        body: PathBuf,
        /// The signatures.
        signatures: Vec<PathBuf>,
        /// Where to write the document.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// 校验创世文件 Check every card and signature of a genesis document.
    Verify {
        /// The document.
        genesis: PathBuf,
        /// The expected chain id.
        #[arg(long, value_parser = parse_hash)]
        chain_id: Option<Hash32>,
    },
    /// 提出治理变更 Write down a change of the consortium, to be approved by its members.
    Propose(governing::Propose),
    /// 显示提案 Show what a proposal says.
    Proposal {
        /// The proposal.
        proposal: PathBuf,
        /// The genesis document of the ledger.
        #[arg(long)]
        genesis: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// 以公章密钥批准提案 Approve a proposal by the office key; shows what is approved.
    Approve(governing::Approve),
    /// 合并批准 Put a proposal and its approvals into one file that any member submits.
    Combine(governing::Combine),
    /// 显示创世文件内容 Show what a genesis document (or a body) says.
    Show {
        /// The document or body.
        genesis: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// The passphrase of new files.
#[derive(Args)]
struct NewPassphrase {
    /// File with the new passphrase (at least 12 characters); without it the terminal asks twice.
    #[arg(long)]
    new_passphrase_file: Option<PathBuf>,
    /// 不加密 Do not encrypt: file modes alone protect the keys.
    #[arg(long, conflicts_with = "new_passphrase_file")]
    no_passphrase: bool,
}

impl NewPassphrase {
    /// The passphrase for new files; `of_folder` names the file of the folder's own, if that is to be it.
    fn get(&self, of_folder: Option<&Path>) -> Result<Option<Passphrase>> {
        match (self.no_passphrase, self.new_passphrase_file.as_deref().or(of_folder)) {
            (true, _) => Ok(None),
            (false, Some(file)) => Ok(Some(passphrase::from_file(file)?)),
            (false, None) => Ok(Some(passphrase::chosen()?)),
        }
    }
}

/// Keys that are made in a PKCS#11 token.
#[derive(Args)]
struct Token {
    /// Keys to make in a PKCS#11 token, where they stay: office, relay, witness, consensus.
    #[arg(long, value_delimiter = ',', value_parser = parse_purpose, requires_all = ["module", "token", "pin_file"])]
    in_token: Vec<Purpose>,
    /// The PKCS#11 module of the token.
    #[arg(long)]
    module: Option<PathBuf>,
    /// The token's label.
    #[arg(long)]
    token: Option<String>,
    /// File with the token's user PIN.
    #[arg(long)]
    pin_file: Option<PathBuf>,
}

impl Token {
    fn locations(&self, organisation: &OrgId) -> Result<std::collections::BTreeMap<Purpose, TokenLocation>> {
        let (Some(module), Some(token), Some(pin_file)) = (&self.module, &self.token, &self.pin_file) else {
            return Ok(Default::default());
        };
        let pin = private_file::read_secret(pin_file)?;
        let pin = std::str::from_utf8(&pin).context("the PIN is not text")?.trim_end();
        let location = |purpose: &Purpose| TokenLocation {
            module: module.clone(),
            token: token.clone(),
            // A rotated key must not meet its predecessor's label.
            label: format!("{organisation} {purpose} {}", jiff::Timestamp::now().as_second()),
            pin: pin.to_owned(),
        };
        Ok(self.in_token.iter().map(|purpose| (*purpose, location(purpose))).collect())
    }
}

/// What a rotation may name.
#[derive(Clone, Copy)]
enum Rotated {
    Key(Purpose),
    Tls,
}

#[derive(Args)]
struct Keygen {
    /// The organisation's folder; made if it does not exist, nothing in it is overwritten.
    #[arg(long)]
    home: PathBuf,
    /// Its id: 1-32 of a-z, 0-9, -.
    #[arg(long, value_parser = parse_org)]
    org: OrgId,
    /// Its Chinese name.
    #[arg(long)]
    name_zh: String,
    /// Its English name.
    #[arg(long)]
    name_en: String,
    /// Its roles: platform, notary, court, arbitration, attestor, observer.
    #[arg(long, required = true, value_delimiter = ',', value_parser = parse_role)]
    roles: Vec<Role>,
    /// This organisation runs no validator.
    #[arg(long)]
    no_validator: bool,
    /// Voting power of its validator.
    #[arg(long, default_value_t = 1)]
    power: u64,
    /// Multiaddress of its consensus network.
    #[arg(long, default_value = "/ip4/127.0.0.1/tcp/27000")]
    consensus_addr: String,
    /// Multiaddress of its submission network.
    #[arg(long, default_value = "/ip4/127.0.0.1/tcp/27100")]
    mempool_addr: String,
    /// URL of its RPC.
    #[arg(long, default_value = "https://127.0.0.1:27200")]
    rpc_url: String,
    /// 不加密 Do not encrypt the keys: file modes alone protect them.
    #[arg(long)]
    no_passphrase: bool,
    #[command(flatten)]
    token: Token,
}

fn main() -> ExitCode {
    let Cli { passphrase_file, command } = Cli::parse();
    match run(command, passphrase_file.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("拒绝 Refused: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, passphrase: Option<&Path>) -> Result<()> {
    match command {
        Command::Keygen(arguments) => keygen(arguments, passphrase),
        Command::Passwd { home, new } => passwd(&open(&home, passphrase)?, &new),
        Command::Backup { home, output, backup_passphrase_file } => {
            backup(&open(&home, passphrase)?, backup_passphrase_file.as_deref(), &output)
        }
        Command::Restore { home, backup, backup_passphrase_file, new } => {
            restore(&backup, backup_passphrase_file.as_deref(), &home, new.get(passphrase)?)
        }
        Command::Rotate { home, to, keys, new, token } => {
            let home = open(&home, passphrase)?;
            let custody =
                Custody { passphrase: new.get(passphrase)?, tokens: token.locations(&home.organisation().id)? };
            rotate(&home, &to, &keys, custody)
        }
        Command::Card { home, output } => card(&open(&home, passphrase)?, &output),
        Command::Assemble { name, allow_no_fault_tolerance, output, cards } => {
            assemble(&name, &cards, allow_no_fault_tolerance, &output)
        }
        Command::Sign { home, chain_id, body, output } => {
            sign(&open(&home, passphrase)?, &body, chain_id.as_ref(), &output)
        }
        Command::Finish { body, signatures, output } => finish(&body, &signatures, &output),
        Command::Verify { genesis, chain_id } => verify(&genesis, chain_id.as_ref()),
        Command::Show { genesis, json } => show_genesis(&genesis, json),
        Command::Propose(arguments) => print(&governing::propose(arguments)?),
        Command::Proposal { proposal, genesis, json } => print(&governing::show(&genesis, &proposal, json)?),
        Command::Approve(arguments) => governing::approve(&arguments, &open(&arguments.home, passphrase)?, print),
        Command::Combine(arguments) => print(&governing::combine(&arguments)?),
    }
}

/// Prints; a reader that stops reading early (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Opens a folder, with the passphrase of a file if one is named.
fn open(home: &Path, passphrase: Option<&Path>) -> Result<Home> {
    Ok(match passphrase {
        Some(file) => Home::open_with(home, passphrase::from_file(file)?)?,
        None => Home::open(home)?,
    })
}

fn keygen(arguments: Keygen, passphrase: Option<&Path>) -> Result<()> {
    let Keygen {
        home,
        org,
        name_zh,
        name_en,
        roles,
        no_validator,
        power,
        consensus_addr,
        mempool_addr,
        rpc_url,
        no_passphrase,
        token,
    } = arguments;
    let tokens = token.locations(&org)?;
    let custody =
        Custody { passphrase: NewPassphrase { new_passphrase_file: None, no_passphrase }.get(passphrase)?, tokens };
    let encrypted = custody.passphrase.is_some();
    let validator = (!no_validator).then_some(ValidatorDescription {
        power,
        consensus_address: consensus_addr,
        mempool_address: mempool_addr,
        rpc_url,
    });
    let new = NewOrganisation { id: org, name_zh, name_en, roles, validator };
    let made = Home::create_in_custody(&home, new, today(), custody)?;
    println!("已生成密钥 Keys made in {}", made.path().display());
    for (purpose, key) in made.organisation().keys() {
        println!("  {purpose:<10} {key}");
    }
    if encrypted {
        println!("私钥已用口令加密；口令遗失则密钥无法恢复，请立即备份。");
        println!("Private keys are encrypted; without the passphrase they are lost. Make a backup now.");
    } else {
        println!("私钥未加密，仅靠文件权限保护。 Private keys are not encrypted; file permissions alone protect them.");
    }
    Ok(())
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn passwd(home: &Home, new: &NewPassphrase) -> Result<()> {
    let changed = custody::reseal(home, new.get(None)?)?;
    println!("已更换 {} 个文件的保护方式 Changed the protection of {} files:", changed.len(), changed.len());
    for name in changed {
        println!("  {name}");
    }
    Ok(())
}

fn backup_passphrase(file: Option<&Path>, choose: bool) -> Result<Passphrase> {
    Ok(match file {
        Some(file) => passphrase::from_file(file)?,
        None if choose => passphrase::from_terminal_twice("备份口令 Passphrase of the backup")?,
        None => passphrase::from_terminal("备份口令 Passphrase of the backup")?,
    })
}

fn backup(home: &Home, passphrase_file: Option<&Path>, output: &Path) -> Result<()> {
    let count = custody::backup(home, backup_passphrase(passphrase_file, true)?, output)?;
    println!("{count} 个文件已加密备份到 {count} files backed up, encrypted, to {}", output.display());
    println!("账本与签名日志不在其中。 The ledger and the signing journal are not in it.");
    Ok(())
}

fn restore(from: &Path, passphrase_file: Option<&Path>, to: &Path, new: Option<Passphrase>) -> Result<()> {
    let home = custody::restore(from, backup_passphrase(passphrase_file, false)?, to, new)?;
    println!("{} 已恢复到 restored to {}；全部密钥核对无误 every key checked", home.organisation().id, to.display());
    if home.organisation().validator.is_some() {
        println!("签名日志不在备份中：该节点先观察，再恢复投票。");
        println!("The signing journal is not in a backup: the node observes before it votes again.");
    }
    Ok(())
}

fn rotate(home: &Home, to: &Path, rotated: &[Rotated], custody: Custody) -> Result<()> {
    let mut rotation = Rotation::default();
    for rotated in rotated {
        match rotated {
            Rotated::Key(purpose) => rotation.keys.push(*purpose),
            Rotated::Tls => rotation.tls = true,
        }
    }
    let successor = custody::rotate(home, to, &rotation, today(), custody)?;
    println!("新文件夹 Successor folder {}", to.display());
    for (purpose, key) in successor.organisation().keys() {
        let same = home.organisation().keys().contains(&(purpose, key));
        println!("  {purpose:<10} {key} {}", if same { "" } else { "新 new" });
    }
    println!("经联盟治理生效后，停止节点并以此文件夹替换原文件夹。");
    println!("Once governance has put its card in force: stop the node and move this folder into the old one's place.");
    Ok(())
}

fn card(home: &Home, output: &Path) -> Result<()> {
    write_public(output, &home.card()?)?;
    println!("名片已写入 Card of {} written to {}", home.organisation().id, output.display());
    Ok(())
}

fn assemble(name: &str, cards: &[PathBuf], allow_no_fault_tolerance: bool, output: &Path) -> Result<()> {
    let mut bytes = vec![];
    for path in cards {
        let card = read_capped(path, Card::MAX_BYTES)?;
        // Opened here too, so that a refusal names the file.
        Card::open(&card).with_context(|| format!("{}", path.display()))?;
        bytes.push(card);
    }
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).context("the clock is before 1970")?;
    let assembled = match ceremony::assemble(name, &bytes, now, allow_no_fault_tolerance) {
        Err(ceremony::CeremonyError::NoFaultTolerance { validators }) => bail!(
            "只有 {validators} 个共识节点，任何一个成员停机，整条链即停止；至少需要四个。确要继续请加 \
             --allow-no-fault-tolerance。\n{}. To go on all the same: --allow-no-fault-tolerance",
            ceremony::CeremonyError::NoFaultTolerance { validators }
        ),
        other => other?,
    };
    write_public(output, &assembled.body)?;
    print(&show::text(&assembled.genesis))?;
    println!("\n创世正文已写入，待各机构签署。 Body written to {}, to be signed by everyone.", output.display());
    Ok(())
}

fn sign(home: &Home, body: &Path, chain_id: Option<&Hash32>, output: &Path) -> Result<()> {
    let bytes = read_capped(body, GenesisBody::MAX_BYTES)?;
    print(&show::text(&ceremony::open_body(&bytes)?))?;
    let signature = ceremony::sign(home, &bytes, chain_id)?;
    write_public(output, &encode(&signature))?;
    println!(
        "\n{} 已签署链 {}，签名写入 {}\n{} signed chain {}, signature written to {}",
        home.organisation().name_zh,
        signature.chain_id,
        output.display(),
        home.organisation().name_en,
        signature.chain_id,
        output.display()
    );
    Ok(())
}

fn finish(body: &Path, signatures: &[PathBuf], output: &Path) -> Result<()> {
    let body = read_capped(body, GenesisBody::MAX_BYTES)?;
    let mut files = vec![];
    for path in signatures {
        files.push(read_capped(path, SignatureFile::MAX_BYTES)?);
    }
    let genesis = ceremony::finish(&body, &files)?;
    write_public(output, genesis.bytes())?;
    println!("创世完成 Genesis finished: {}", output.display());
    println!("链标识 Chain id {}", genesis.chain_id());
    println!("SHA-256 {}", qz_evidence::hash::sha256(&[genesis.bytes()]));
    Ok(())
}

fn verify(path: &Path, chain_id: Option<&Hash32>) -> Result<()> {
    let genesis = ceremony::verify(&read_capped(path, GenesisDocument::MAX_BYTES)?, chain_id)?;
    println!(
        "校验通过 VALID: 链标识 chain id {}, {} 家机构均已签署 organisations, all signed",
        genesis.chain_id(),
        genesis.organisations().len()
    );
    Ok(())
}

fn show_genesis(path: &Path, as_json: bool) -> Result<()> {
    let bytes = read_capped(path, GenesisDocument::MAX_BYTES)?;
    // A body is shown too; for a document every signature must hold.
    let (genesis, signed) = match ceremony::verify(&bytes, None) {
        Ok(genesis) => (genesis, true),
        Err(error) => match ceremony::open_body(&bytes) {
            Ok(genesis) => (genesis, false),
            Err(_) => return Err(error.into()),
        },
    };
    if as_json {
        let mut value = show::json(&genesis);
        value["signed"] = signed.into();
        print(&format!("{value:#}\n"))
    } else {
        let state = if signed { "全部机构已签署 signed by all" } else { "尚未签署 not signed yet" };
        print(&format!("{}\n{state}\n", show::text(&genesis)))
    }
}

fn parse_org(text: &str) -> Result<OrgId, String> {
    OrgId::new(text).ok_or_else(|| "1-32 characters of a-z, 0-9, -".to_owned())
}

fn parse_role(text: &str) -> Result<Role, String> {
    show::parse_role(text).ok_or_else(|| "platform, notary, court, arbitration, attestor or observer".to_owned())
}

fn parse_hash(text: &str) -> Result<Hash32, String> {
    Hash32::from_hex(text).ok_or_else(|| "64 hexadecimal digits".to_owned())
}

fn parse_purpose(text: &str) -> Result<Purpose, String> {
    let known = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == text);
    known.ok_or_else(|| "office, relay, witness, consensus or network".to_owned())
}

fn parse_rotated(text: &str) -> Result<Rotated, String> {
    match text {
        "tls" => Ok(Rotated::Tls),
        _ => parse_purpose(text).map(Rotated::Key).map_err(|error| format!("{error}, or tls")),
    }
}
