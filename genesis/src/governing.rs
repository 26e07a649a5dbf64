//! The commands of `qz-genesis` by which a running consortium is changed: `propose`, `proposal`, `approve`,
//! `combine`. Only files in, files out; what they do is in `qz_genesis::proposal`.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use qz_evidence::codec::{Bytes, Format, decode_strict};
use qz_evidence::genesis::{Card, Genesis, GenesisDocument, Organisation, Params};
use qz_evidence::governance::{Approval, Proposal};
use qz_evidence::payload::Change;
use qz_evidence::submission::Body;
use qz_evidence::{Hash32, Height, OrgId, encode};
use qz_genesis::home::read_capped;
use qz_genesis::private_file::write_public;
use qz_genesis::{Home, ceremony, proposal};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// A change to propose.
#[derive(Args)]
pub(crate) struct Propose {
    /// 创世文件 The genesis document of the ledger.
    #[arg(long, global = true)]
    genesis: Option<PathBuf>,
    /// 最晚上链高度 Last height at which it may be recorded.
    #[arg(long, global = true)]
    expiry: Option<u64>,
    /// Where to write the proposal.
    #[arg(short, long, global = true)]
    out: Option<PathBuf>,
    #[command(subcommand)]
    change: Proposed,
}

#[derive(Subcommand)]
enum Proposed {
    /// 接纳机构或更换其名片（更换密钥） Admit an organisation, or replace its card (new keys, addresses, roles).
    PutOrganisation {
        /// The signed card.
        card: PathBuf,
    },
    /// 移除机构 Remove an organisation.
    Remove {
        /// Its id.
        organisation: String,
    },
    /// 设定验证人集合 Set the validators, all of them.
    Validators {
        /// `ORG` or `ORG=POWER`.
        #[arg(required = true)]
        validators: Vec<String>,
        /// Cards of organisations that are not, or not as they are now, in the genesis.
        #[arg(long)]
        card: Vec<PathBuf>,
    },
    /// 变更参数（未给出的取创世值） Change parameters; those not given are the genesis' own.
    Params {
        /// Protocol version in force (parameters cannot change it).
        #[arg(long)]
        protocol: Option<u32>,
        /// Blocks after which a submission expires at the latest.
        #[arg(long)]
        window: Option<u64>,
        /// Largest block, in bytes.
        #[arg(long)]
        max_block_bytes: Option<u32>,
        /// Most records of a block.
        #[arg(long)]
        max_block_records: Option<u32>,
        /// Organisations that must approve a change.
        #[arg(long)]
        governance_quorum: Option<u32>,
        /// Must the attestor of a key be another organisation than the relay?
        #[arg(long)]
        foreign_attestor: Option<bool>,
    },
    /// 升级协议版本 Another protocol version from a height on.
    Upgrade {
        /// The version.
        version: u32,
        /// The first height under it.
        height: u64,
    },
}

/// An office's approval.
#[derive(Args)]
pub(crate) struct Approve {
    /// The organisation's folder.
    #[arg(long)]
    pub(crate) home: PathBuf,
    /// The genesis document.
    #[arg(long)]
    genesis: PathBuf,
    /// Approve only the proposal of this digest; without it the terminal asks.
    #[arg(long, value_parser = parse_hash)]
    digest: Option<Hash32>,
    /// The proposal.
    proposal: PathBuf,
    /// Where to write the approval.
    #[arg(short, long)]
    out: PathBuf,
}

/// Everything for one relayable file.
#[derive(Args)]
pub(crate) struct Combine {
    /// The genesis document.
    #[arg(long)]
    genesis: PathBuf,
    /// Cards of organisations whose office key is not that of the genesis.
    #[arg(long)]
    card: Vec<PathBuf>,
    /// The proposal.
    proposal: PathBuf,
    /// The approvals.
    #[arg(required = true)]
    approvals: Vec<PathBuf>,
    /// Where to write the signed change.
    #[arg(short, long)]
    out: PathBuf,
}

fn parse_hash(text: &str) -> Result<Hash32, String> {
    Hash32::from_hex(text).ok_or_else(|| "64 hexadecimal digits".to_owned())
}

fn parse_org(text: &str) -> Result<OrgId> {
    OrgId::new(text).with_context(|| format!("`{text}` is no organisation id (1-32 of a-z, 0-9, -)"))
}

fn genesis(path: &Path) -> Result<Genesis> {
    Ok(ceremony::verify(&read_capped(path, GenesisDocument::MAX_BYTES)?, None)?)
}

fn open(genesis: &Genesis, path: &Path) -> Result<Proposal> {
    let bytes = read_capped(path, Body::MAX_BYTES)?;
    proposal::open(genesis, &bytes).with_context(|| format!("{}", path.display()))
}

fn cards(paths: &[PathBuf]) -> Result<Vec<Organisation>> {
    let card = |path: &PathBuf| {
        let (_, organisation) =
            Card::open(&read_capped(path, Card::MAX_BYTES)?).with_context(|| format!("{}", path.display()))?;
        Ok(organisation)
    };
    paths.iter().map(card).collect()
}

/// Makes a proposal file; gives its text.
pub(crate) fn propose(arguments: Propose) -> Result<String> {
    let Propose { genesis: path, expiry, out, change } = arguments;
    let genesis = genesis(&path.context("--genesis is needed")?)?;
    let (expiry, out) = (Height(expiry.context("--expiry is needed")?), out.context("--out is needed")?);
    let change = change_of(&genesis, change)?;
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).context("the clock is before 1970")?;
    let made = proposal::propose(&genesis, change, expiry, now)?;
    write_public(&out, made.bytes())?;
    Ok(format!(
        "{}\n提案已写入，待各机构批准。 Proposal written to {}, to be approved.\n",
        proposal::text(&genesis, &made),
        out.display()
    ))
}

fn change_of(genesis: &Genesis, change: Proposed) -> Result<Change> {
    Ok(match change {
        Proposed::PutOrganisation { card } => Change::PutOrganisation(Bytes(read_capped(&card, Card::MAX_BYTES)?)),
        Proposed::Remove { organisation } => Change::RemoveOrganisation(parse_org(&organisation)?),
        Proposed::Validators { validators, card } => {
            let wanted = validators.iter().map(|text| {
                let (id, power) = text.split_once('=').unwrap_or((text, "1"));
                let power = power.parse().with_context(|| format!("`{power}` is no voting power"))?;
                Ok((parse_org(id)?, power))
            });
            proposal::validators(genesis, &cards(&card)?, &wanted.collect::<Result<Vec<_>>>()?)?
        }
        Proposed::Params {
            protocol,
            window,
            max_block_bytes,
            max_block_records,
            governance_quorum,
            foreign_attestor,
        } => {
            let now = &genesis.body().params;
            let params = Params {
                tag: now.tag,
                protocol: protocol.unwrap_or(now.protocol),
                window: window.unwrap_or(now.window),
                max_block_bytes: max_block_bytes.unwrap_or(now.max_block_bytes),
                max_block_records: max_block_records.unwrap_or(now.max_block_records),
                governance_quorum: governance_quorum.unwrap_or(now.governance_quorum),
                foreign_attestor: foreign_attestor.unwrap_or(now.foreign_attestor),
            };
            Change::SetParams(Bytes(encode(&params)))
        }
        Proposed::Upgrade { version, height } => Change::Upgrade(version, Height(height)),
    })
}

/// What a proposal says.
pub(crate) fn show(genesis_path: &Path, path: &Path, as_json: bool) -> Result<String> {
    let genesis = genesis(genesis_path)?;
    let found = open(&genesis, path)?;
    Ok(if as_json { format!("{:#}\n", proposal::json(&found)) } else { proposal::text(&genesis, &found) })
}

/// Shows the proposal, and signs exactly the bytes that were shown.
pub(crate) fn approve(arguments: &Approve, home: &Home, print: impl Fn(&str) -> Result<()>) -> Result<()> {
    let genesis = genesis(&arguments.genesis)?;
    let found = open(&genesis, &arguments.proposal)?;
    print(&proposal::text(&genesis, &found))?;
    let expected = match arguments.digest {
        Some(digest) => digest,
        None => confirmed(found.digest())?,
    };
    let approval = proposal::approve(home, &found, &expected)?;
    write_public(&arguments.out, &encode(&approval))?;
    let Organisation { name_zh, name_en, .. } = home.organisation();
    let out = arguments.out.display();
    print(&format!("\n{name_zh} 已批准，写入 {out}\n{name_en} approved, written to {out}\n"))
}

fn confirmed(digest: Hash32) -> Result<Hash32> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "没有终端可供确认；请以 --digest 给出已商定的提案摘要。 No terminal to ask; give the agreed digest with --digest"
        );
    }
    println!("\n批准请输入 yes。 Type yes to approve.");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("未批准 Not approved");
    }
    Ok(digest)
}

/// Writes the file that any member relays.
pub(crate) fn combine(arguments: &Combine) -> Result<String> {
    let genesis = genesis(&arguments.genesis)?;
    let found = open(&genesis, &arguments.proposal)?;
    let mut approvals: Vec<Approval> = vec![];
    for path in &arguments.approvals {
        let bytes = read_capped(path, Approval::MAX_BYTES)?;
        approvals.push(decode_strict(&bytes).with_context(|| format!("{}", path.display()))?);
    }
    let signed = proposal::combine(&genesis, &found, &cards(&arguments.card)?, &approvals)?;
    write_public(&arguments.out, &signed.to_bytes())?;
    Ok(format!(
        "{} 家机构已批准提案 {}；任一成员可提交 {}\n{} organisations approved proposal {}; any member can submit {}\n",
        signed.actors.len(),
        found.digest(),
        arguments.out.display(),
        signed.actors.len(),
        found.digest(),
        arguments.out.display()
    ))
}
