//! The commands besides verification: `redact` and `seal-ledger`.

use crate::{instant, proof_of, read, seal_ledger_text, subject, usable};
use anyhow::{Context, bail};
use clap::Args;
use qz_evidence::SubjectId;
use qz_evidence::verify::{TrustInputs, Verdict};
use qz_verify::{Keep, Period, redact, seal_ledger};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// What a verification trusts.
#[derive(Args)]
pub struct Trust {
    /// 创世文件 · the consortium's genesis file, from a source that you trust.
    #[arg(long)]
    genesis: PathBuf,
    /// 外部见证策略 · the outside witnesses that you trust (a C2SP tlog-policy file); needed for VALID.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
    /// 时间戳根证书 · roots of the timestamp authorities that you trust (PEM or DER); needed for VALID.
    #[arg(long, value_name = "FILE")]
    tsa_root: Option<PathBuf>,
    /// 校验时点 · verify as of this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<u64>,
}

/// Show chosen fields only: writes a proof that hides the others; the verdict stays 选择性披露.
#[derive(Args)]
pub struct Redact {
    /// Certificate or proof bundle.
    file: PathBuf,
    /// What stays disclosed: `name` in every record, or `N:name` in record N (from 0, as `show` lists them);
    /// several with commas. None: nothing.
    #[arg(long, value_delimiter = ',')]
    keep: Vec<Keep>,
    /// Where to write the proof.
    #[arg(short, long, alias = "out")]
    output: PathBuf,
    /// Print what was kept and hidden as JSON.
    #[arg(long)]
    json: bool,
}

/// Every use of a seal between two dates, proven to be all 用印台账.
#[derive(Args)]
pub struct SealLedger {
    /// The proof of the seal's history (`qz-client history SEAL`), or its parts under one block.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// Which seal, if the proof has the state of several.
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    seal: Option<SubjectId>,
    /// 起 · first day (YYYY-MM-DD, China time) or moment (RFC 3339).
    #[arg(long, value_name = "DATE", value_parser = first_moment)]
    from: Option<u64>,
    /// 止 · last day or moment, included.
    #[arg(long, value_name = "DATE", value_parser = last_moment)]
    to: Option<u64>,
    /// Print as JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the table as CSV.
    #[arg(long)]
    csv: bool,
}

/// The first moment of a day in China (UTC+08:00), or a moment.
fn first_moment(text: &str) -> Result<u64, String> {
    let Ok(day) = text.parse::<jiff::civil::Date>() else { return instant(text) };
    day_begin(day)
}

/// The last millisecond of a day in China, or a moment.
fn last_moment(text: &str) -> Result<u64, String> {
    let Ok(day) = text.parse::<jiff::civil::Date>() else { return instant(text) };
    let next = day.tomorrow().map_err(|error| error.to_string())?;
    Ok(day_begin(next)?.saturating_sub(1))
}

fn day_begin(day: jiff::civil::Date) -> Result<u64, String> {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let begin = day.to_zoned(zone).map_err(|error| error.to_string())?;
    u64::try_from(begin.timestamp().as_millisecond()).map_err(|_| "a time before 1970".to_owned())
}

impl Redact {
    /// Writes the redacted proof.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let redacted = redact(&proof_of(&self.file)?, &self.keep)?;
        std::fs::write(&self.output, &redacted.bytes)
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        let list = |names: &[(usize, String)]| names.iter().map(|(i, name)| format!("{i}:{name}")).collect::<Vec<_>>();
        let (kept, hidden) = (list(&redacted.kept), list(&redacted.hidden));
        if self.json {
            let report = json!({
                "output": self.output, "bytes": redacted.bytes.len(), "kept": kept, "hidden": hidden,
                "certificates_removed": redacted.certificates_removed, "checks_files": redacted.checks_files(),
            });
            println!("{}", serde_json::to_string_pretty(&report)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("{} ({} bytes)", self.output.display(), redacted.bytes.len());
        println!("保留 / kept:   {}", kept.join(" "));
        println!("隐去 / hidden: {}", hidden.join(" "));
        if redacted.certificates_removed > 0 {
            println!("移除数字证书 / X.509 certificates left out: {}", redacted.certificates_removed);
        }
        if !redacted.checks_files() {
            println!(
                "隐去了文件、签署或数字证书的摘要：凭此证明可能无法再核对合同文件 / digests of files, signings or certificates are hidden: contract files may no longer be checked with it"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl SealLedger {
    /// Verifies the parts and prints what they prove.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let parts = self.files.iter().map(|file| proof_of(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let genesis = read(&self.trust.genesis)?;
        let policy = self.trust.witness_policy.as_deref().map(read).transpose()?;
        let roots = self.trust.tsa_root.as_deref().map(read).transpose()?;
        usable(policy.as_deref(), roots.as_deref())?;
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).context("the clock is before 1970")?;
        let trust = TrustInputs {
            witness_policy: policy.as_deref(),
            tsa_roots: roots.as_deref().unwrap_or_default(),
            ..TrustInputs::new(&genesis, self.trust.as_of.unwrap_or(now))
        };
        let period = Period { from_ms: self.from, to_ms: self.to };
        let ledger = match seal_ledger(&parts, &trust, self.seal, period) {
            Ok(ledger) => ledger,
            Err(error) if error.is_of_the_proof() => {
                let note = error.note();
                if self.json {
                    println!("{}", serde_json::to_string_pretty(&json!({"verdict": Verdict::Invalid, "note": note}))?);
                } else {
                    println!("INVALID  不能证明 / not proven\n  {}\n  {}", note.zh, note.en);
                }
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => bail!("{error}"),
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&ledger)?);
        } else if self.csv {
            print!("{}", seal_ledger_text::csv(&ledger));
        } else {
            seal_ledger_text::print(&ledger);
        }
        let wanted = policy.is_some() && roots.is_some();
        Ok(match ledger.verdict {
            Verdict::ValidUnanchored if wanted => ExitCode::from(3),
            _ => ExitCode::SUCCESS,
        })
    }
}
