//! `qz-verify`: checks a signing certificate, a proof, a signed contract or a court package offline.
//!
//! Exit codes: 0 VALID, or VALID-UNANCHORED when not both a witness policy and a TSA root were given; 3
//! VALID-UNANCHORED although both were; 1 INVALID; 2 the command itself could not be carried out.

mod commands;
mod online;
mod package_text;
mod pdf_command;
mod seal_ledger_text;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use qz_evidence::verify::history::{History, HistoryError};
use qz_evidence::verify::{Report, StepStatus, Verdict};
use qz_evidence::{Hash32, SubjectId};
use qz_verify::Input;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXIT_CODES: &str = "退出码 / exit codes:
  0  VALID 校验通过；或 VALID-UNANCHORED（未同时给出见证策略与时间戳根证书）
     verified; or VALID-UNANCHORED when not both a witness policy and a TSA root were given
  1  INVALID 校验不通过，或记录不完整 / refused, or records are missing
  2  命令未能执行（参数、文件）/ the command could not be carried out (options, files)
  3  VALID-UNANCHORED，虽然两者均已给出 / although both were given";

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = qz_verify::archive::MAX_ARCHIVE_BYTES as u64;

/// Verify evidence offline 离线校验存证.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Signing certificate (PDF), proof bundle (.qzproof), court package (.zip), or a contract (PDF)
    /// together with --proof.
    file: Option<PathBuf>,
    /// The consortium's genesis file, from a source that you trust.
    #[arg(long)]
    genesis: Option<PathBuf>,
    /// The proof bundle of a contract file.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// 外部见证策略 · the outside witnesses that you trust (a C2SP tlog-policy file); needed for VALID.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
    /// 时间戳根证书 · roots of the timestamp authorities that you trust (PEM or DER); needed for VALID.
    #[arg(long, value_name = "FILE")]
    tsa_root: Option<PathBuf>,
    /// 校验时点 · verify as of this time (RFC 3339, such as 2026-11-22T08:00:00Z) instead of now.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<u64>,
    /// Refuse a proof whose state is older than this many seconds.
    #[arg(long)]
    max_age: Option<u64>,
    /// Also check that the proof shows every record of this subject as of its block, or that there is no
    /// such subject; fails if one record is missing.
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    complete: Option<SubjectId>,
    /// A further part of the same history, under the same block, with --complete.
    #[arg(long, value_name = "FILE", requires = "complete")]
    part: Vec<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn subject(text: &str) -> Result<SubjectId, String> {
    Hash32::from_hex(text).map(SubjectId).ok_or_else(|| "a subject is 64 hexadecimal digits".to_owned())
}

/// A time in milliseconds since 1970.
fn instant(text: &str) -> Result<u64, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    u64::try_from(time.as_millisecond()).map_err(|_| "a time before 1970".to_owned())
}

#[derive(Subcommand)]
enum Command {
    /// Print what is inside a proof (of a certificate or .qzproof) as JSON, without verifying it.
    Show {
        /// Certificate or proof bundle.
        file: PathBuf,
    },
    /// Write the proof attached to a signing certificate to a file.
    Extract {
        /// The certificate.
        file: PathBuf,
        /// Where to write the proof.
        #[arg(short, long)]
        output: PathBuf,
    },
    Pdf(pdf_command::Pdf),
    Redact(commands::Redact),
    SealLedger(commands::SealLedger),
    /// 联盟以外的见证人（由 qz-client 执行）· an outside witness of the ledger; done by qz-client.
    #[command(disable_help_flag = true)]
    Witness {
        /// See `qz-client witness --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// 证明续期（由 qz-client 执行）· renews a proof under the newest block; done by qz-client.
    #[command(disable_help_flag = true)]
    Renew {
        /// See `qz-client renew --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qz-verify: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Some(Command::Show { file }) => {
            let shown = qz_verify::show::bundle(&proof_of(&file)?).map_err(anyhow::Error::msg)?;
            println!("{}", serde_json::to_string_pretty(&shown)?);
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Extract { file, output }) => {
            let proof = proof_of(&file)?;
            std::fs::write(&output, &proof).with_context(|| format!("cannot write {}", output.display()))?;
            println!("{} ({} bytes)", output.display(), proof.len());
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Pdf(pdf)) => return pdf.run(),
        Some(Command::Redact(redact)) => return redact.run(),
        Some(Command::SealLedger(ledger)) => return ledger.run(),
        Some(Command::Witness { arguments }) => return Err(online::hand_over("witness", &arguments)),
        Some(Command::Renew { arguments }) => return Err(online::hand_over("renew", &arguments)),
        None => {}
    }
    let (Some(file), Some(genesis)) = (&cli.file, &cli.genesis) else {
        bail!("give a file and the genesis: qz-verify FILE --genesis genesis.qz [--proof FILE.qzproof]");
    };
    let proof = cli.proof.as_deref().map(read).transpose()?;
    let parts = match (&cli.complete, &cli.proof) {
        (None, _) => vec![],
        (Some(_), Some(_)) => cli.proof.iter().chain(&cli.part).map(|path| proof_of(path)).collect::<Result<_, _>>()?,
        (Some(_), None) => [file].into_iter().chain(&cli.part).map(|path| proof_of(path)).collect::<Result<_, _>>()?,
    };
    let (file, genesis) = (read(file)?, read(genesis)?);
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).context("the clock is before 1970")?;
    let policy = cli.witness_policy.as_deref().map(read).transpose()?;
    let roots = cli.tsa_root.as_deref().map(read).transpose()?;
    usable(policy.as_deref(), roots.as_deref())?;
    let input = Input {
        file: &file,
        genesis: &genesis,
        proof: proof.as_deref(),
        now_ms: cli.as_of.unwrap_or(now_ms),
        witness_policy: policy.as_deref(),
        tsa_roots: roots.as_deref().unwrap_or_default(),
    };
    let max_age_ms = cli.max_age.map(|seconds| seconds.saturating_mul(1000));
    if qz_verify::is_package(&file) {
        return package(&cli, &input, max_age_ms);
    }
    let report = qz_verify::verify_with(&input, max_age_ms);
    let trust = input.trust().with_max_age(max_age_ms);
    let history = cli.complete.map(|subject| qz_verify::complete(&parts, &trust, &subject));
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&with_history(&report, history.as_ref())?)?);
    } else {
        print(&report);
        if let Some(history) = &history {
            print_history(history);
        }
    }
    let holds = report.verdict != Verdict::Invalid && history.is_none_or(|history| history.is_ok());
    let wants_anchors = policy.is_some() && roots.is_some();
    Ok(match report.verdict {
        _ if !holds => ExitCode::FAILURE,
        Verdict::ValidUnanchored if wants_anchors => ExitCode::from(3),
        _ => ExitCode::SUCCESS,
    })
}

/// A trust input that cannot be read is the caller's mistake, not the proof's.
fn usable(policy: Option<&[u8]>, roots: Option<&[u8]>) -> anyhow::Result<()> {
    if let Some(policy) = policy {
        qz_evidence::policy::WitnessPolicy::parse(policy).context("the witness policy")?;
    }
    if let Some(roots) = roots {
        let found = qz_evidence::timestamp::Roots::parse(roots)?;
        anyhow::ensure!(!found.is_empty(), "the file of TSA roots is empty");
    }
    Ok(())
}

/// A court package: its proofs are inside, so that nothing else goes with it.
fn package(cli: &Cli, input: &Input<'_>, max_age_ms: Option<u64>) -> anyhow::Result<ExitCode> {
    if cli.proof.is_some() || cli.complete.is_some() {
        bail!("a court package carries its proofs: --proof and --complete do not go with it");
    }
    let report = qz_verify::verify_package(input, max_age_ms);
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        package_text::print(&report);
    }
    Ok(if report.verdict == Verdict::Invalid { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The report, with a member `history` if a complete one was asked for.
fn with_history(report: &Report, history: Option<&Result<History, HistoryError>>) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(report)?;
    let shown = match history {
        None => return Ok(value),
        Some(Ok(history)) => json!({"complete": true, "note": history.words(), "proven": history}),
        Some(Err(error)) => json!({"complete": false, "note": error.note()}),
    };
    value["history"] = shown;
    Ok(value)
}

fn print_history(history: &Result<History, HistoryError>) {
    println!("\n全部记录 / complete history:");
    let note = match history {
        Ok(history) => {
            for record in &history.shown {
                println!(
                    "  [{}] {} · {}.{} · {}",
                    record.sequence, record.kind, record.height, record.index, record.hash
                );
            }
            history.words()
        }
        Err(error) => error.note(),
    };
    let mark = if history.is_ok() { "✓" } else { "✗" };
    println!("  {mark} {}\n    {}", note.zh, note.en);
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    if size > MAX_FILE_BYTES {
        bail!("{} has {size} bytes, at most {MAX_FILE_BYTES} are read", path.display());
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn proof_of(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = read(path)?;
    if !bytes.starts_with(b"%PDF-") {
        return Ok(bytes);
    }
    match qz_verify::attached_proof(&bytes)? {
        Some(attachment) => Ok(attachment.bytes),
        None => bail!("{} carries no proof", path.display()),
    }
}

/// A time in Beijing (UTC+08:00) and UTC, both with their zone.
fn time(ms: u64) -> String {
    let Some(timestamp) = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) else {
        return format!("{ms} ms");
    };
    let beijing = timestamp.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
    format!("{} ({timestamp})", beijing.strftime("%Y-%m-%d %H:%M:%S%.3f +08:00"))
}

/// What those outside say, and the times that must not be taken for one another.
fn print_outside(report: &Report) {
    for cosigner in report.checkpoint.iter().flat_map(|checkpoint| &checkpoint.cosigners) {
        let who = match (&cosigner.member, cosigner.outside) {
            (Some(member), _) => format!("成员 / member {member}"),
            (None, true) => "联盟以外的见证人 / outside witness".to_owned(),
            (None, false) => "见证人 / witness".to_owned(),
        };
        let at = cosigner.time_ms.map_or_else(String::new, |ms| format!(" · {}", time(ms)));
        println!("\n检查点签名 / cosigned: {who}\n  {} {}{at}", cosigner.name, cosigner.key_id);
    }
    for anchor in &report.anchors {
        let relied = if anchor.relied_on { "采信 / relied on" } else { "未采信 / not relied on" };
        println!("\n时间戳 / timestamp ({relied}): {}", anchor.tsa);
        println!("  序号 / serial {} · 策略 / policy {}", anchor.serial, anchor.policy);
        println!("  时间戳时间 / TSA time   {}", time(anchor.tsa_time_ms));
        println!("  区块时间 / block time   {} ({})", time(anchor.block_time_ms), anchor.height);
    }
    if let Some(verified_at) = report.verified_at_ms {
        println!("\n校验时点 / verified as of {}", time(verified_at));
    }
}

fn print(report: &Report) {
    let (word, zh, en) = report.heading();
    println!("{word}  {zh} / {en}");
    if let Some(step) = report.failed_step() {
        println!("  失败步骤 / failed step {}: {} / {}", step.n, step.title_zh, step.title_en);
        println!("    {}\n    {}", step.detail_zh, step.detail_en);
    }
    if let Some(head) = &report.head {
        println!("\n区块 / block {} · {} · {}", head.height, time(head.time_ms), head.block_id);
        println!("共识确认 / finalised by:");
        for organisation in &report.finalised_by {
            println!("  {} · {} ({})", organisation.name_zh, organisation.name_en, organisation.org);
        }
    }
    if !report.events.is_empty() {
        println!("\n记录 / records:");
    }
    for (i, event) in report.events.iter().enumerate() {
        println!("  [{i}] {} {} / {} · {}", event.kind, event.title_zh, event.title_en, time(event.time_ms));
        println!("      区块 / block {}.{} · {}", event.height, event.index, event.record_hash);
        println!("      签名 / signed by: {}", event.signers.join(", "));
        for disclosure in report.disclosures.iter().filter(|d| d.event == i) {
            println!("      {}: {}", disclosure.name, disclosure.value);
        }
        if !event.hidden.is_empty() {
            println!("      未披露 / not disclosed: {}", event.hidden.join(", "));
        }
    }
    for subject in &report.subjects {
        let complete = if subject.complete {
            "全部记录已列出 / every record is shown"
        } else {
            "部分记录 / some records"
        };
        println!(
            "  {} {} / {} · {} records · {complete}",
            subject.subject, subject.status_zh, subject.status, subject.records
        );
    }
    for document in &report.documents {
        println!("\n文件 / file {}: {} / {}", document.sha256, document.what_zh, document.what_en);
    }
    for certificate in &report.certificates {
        println!("\n数字证书 / X.509: {}\n  签发 / issued by: {}", certificate.subject, certificate.issuer);
        println!("  {} – {}", time(certificate.not_before_ms), time(certificate.not_after_ms));
    }
    print_outside(report);
    println!("\n步骤 / steps:");
    for step in &report.steps {
        let mark = match step.status {
            StepStatus::Pass => "✓",
            StepStatus::Fail => "✗",
            StepStatus::NotChecked => "–",
        };
        println!(
            "  {mark} {:>2} {} / {}: {} / {}",
            step.n, step.title_zh, step.title_en, step.detail_zh, step.detail_en
        );
    }
    for (title, notes) in [("未校验 / not checked", &report.not_checked), ("前提 / assumptions", &report.assumptions)]
    {
        if !notes.is_empty() {
            println!("\n{title}:");
        }
        for note in notes {
            println!("  · {}\n    {}", note.zh, note.en);
        }
    }
}
