//! `qz-genesis`: the ceremony on the command line. Every step reads and writes plain files, so that
//! cards, bodies and signatures can travel on any medium; secrets never leave their folder.
//!
//! Exit code 0: done, or the document verifies. 1: refused. 2: wrong usage.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use qz_evidence::codec::Format;
use qz_evidence::genesis::{Card, GenesisBody, GenesisDocument, Role};
use qz_evidence::{Hash32, OrgId, encode};
use qz_genesis::ceremony::{self, SignatureFile};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::{NewOrganisation, read_capped};
use qz_genesis::private_file::write_public;
use qz_genesis::{Home, show};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// 契证创世仪式 The genesis ceremony of a Qizheng ledger.
#[derive(Parser)]
#[command(name = "qz-genesis", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 生成本机构的密钥与 TLS 证书 Make an organisation's keys and TLS certificates in its own folder.
    Keygen(Keygen),
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
    /// 显示创世文件内容 Show what a genesis document (or a body) says.
    Show {
        /// The document or body.
        genesis: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
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
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("拒绝 Refused: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Keygen(arguments) => keygen(arguments),
        Command::Card { home, output } => card(&home, &output),
        Command::Assemble { name, allow_no_fault_tolerance, output, cards } => {
            assemble(&name, &cards, allow_no_fault_tolerance, &output)
        }
        Command::Sign { home, chain_id, body, output } => sign(&home, &body, chain_id.as_ref(), &output),
        Command::Finish { body, signatures, output } => finish(&body, &signatures, &output),
        Command::Verify { genesis, chain_id } => verify(&genesis, chain_id.as_ref()),
        Command::Show { genesis, json } => show_genesis(&genesis, json),
    }
}

/// Prints; a reader that stops reading early (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn keygen(arguments: Keygen) -> Result<()> {
    let Keygen { home, org, name_zh, name_en, roles, no_validator, power, consensus_addr, mempool_addr, rpc_url } =
        arguments;
    let validator = (!no_validator).then_some(ValidatorDescription {
        power,
        consensus_address: consensus_addr,
        mempool_address: mempool_addr,
        rpc_url,
    });
    let new = NewOrganisation { id: org, name_zh, name_en, roles, validator };
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let made = Home::create(&home, new, today)?;
    println!("已生成密钥 Keys made in {}", made.path().display());
    for (purpose, key) in made.organisation().keys() {
        println!("  {purpose:<10} {key}");
    }
    println!("私钥未加密，仅靠文件权限保护。 Private keys are not encrypted; file permissions alone protect them.");
    Ok(())
}

fn card(home: &Path, output: &Path) -> Result<()> {
    let home = Home::open(home)?;
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

fn sign(home: &Path, body: &Path, chain_id: Option<&Hash32>, output: &Path) -> Result<()> {
    let home = Home::open(home)?;
    let bytes = read_capped(body, GenesisBody::MAX_BYTES)?;
    print(&show::text(&ceremony::open_body(&bytes)?))?;
    let signature = ceremony::sign(&home, &bytes, chain_id)?;
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
