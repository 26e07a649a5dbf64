//! `qz-verify pdf`: examines any PDF: its signatures, who signed, and what was changed afterwards.

use crate::{instant, read, time};
use anyhow::Context;
use clap::Args;
use qz_evidence_pdf::{DocumentReport, DocumentVerdict, SignatureKind, SignatureReport, TrustedRoots, Weight, examine};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "退出码 / exit codes:
  0  所有签名有效；给出 --roots 时证书链也可信 / all signatures hold, and are trusted when --roots is given
  1  签名无效、签署后被改动，或无法核验 / a signature does not hold, the file was changed later, or cannot be judged
  2  命令未能执行 / the command could not be carried out
  3  签名完好，但证书链不可信，或此后有被许可的可见改动 / intact, but not trusted by --roots, or visibly added to
  4  没有电子签名 / there is no signature";

/// 核验任意 PDF 的电子签名 · examines the signatures of any PDF, and what was changed after each.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Pdf {
    /// The PDF.
    file: PathBuf,
    /// 签署人的根证书 · roots that you trust for signers (PEM or DER).
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// 时间戳根证书 · roots that you trust for timestamp authorities (PEM or DER).
    #[arg(long, value_name = "FILE")]
    tsa_root: Option<PathBuf>,
    /// 核验时点 · judge certificates as of this time (RFC 3339) where no trusted timestamp says when.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<u64>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl Pdf {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let file = read(&self.file)?;
        let roots = self.roots.as_deref().map(read).transpose()?.unwrap_or_default();
        let tsa = self.tsa_root.as_deref().map(read).transpose()?.unwrap_or_default();
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).context("the clock is before 1970")?;
        let trusted = TrustedRoots::parse(&roots, &tsa, self.as_of.unwrap_or(now))?;
        let report = examine(&file, &trusted);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print(&report);
        }
        Ok(match report.verdict {
            DocumentVerdict::Valid => ExitCode::SUCCESS,
            DocumentVerdict::Intact if self.roots.is_none() => ExitCode::SUCCESS,
            DocumentVerdict::Intact | DocumentVerdict::Caution => ExitCode::from(3),
            DocumentVerdict::Unsigned => ExitCode::from(4),
            _ => ExitCode::FAILURE,
        })
    }
}

fn print(report: &DocumentReport) {
    println!("{}\n{}", report.words.zh, report.words.en);
    println!("SHA-256  {}", report.sha256);
    println!(
        "{} 字节 / bytes · {} 页 / pages · {} 个版本 / revisions · {} 个签名或时间戳 / signatures and timestamps",
        report.size,
        report.pages,
        report.revisions.len(),
        report.signatures.len()
    );
    for problem in &report.problems {
        println!("  ! {}\n    {}", problem.zh, problem.en);
    }
    for (number, signature) in report.signatures.iter().enumerate() {
        print_signature(number + 1, signature);
    }
    if !report.warnings.is_empty() {
        println!("\n提醒 / warnings");
        for warning in &report.warnings {
            println!("  · {}\n    {}", warning.words.zh, warning.words.en);
        }
    }
}

fn print_signature(number: usize, signature: &SignatureReport) {
    let kind = match signature.kind {
        SignatureKind::Approval => "签名 / signature",
        SignatureKind::Certification => "认证签名 / certification",
        SignatureKind::DocumentTimestamp => "文档时间戳 / document timestamp",
    };
    println!("\n[{number}] {kind} `{}`: {} / {}", signature.field, signature.words.zh, signature.words.en);
    for problem in &signature.problems {
        println!("    ! {}\n      {}", problem.zh, problem.en);
    }
    if let Some(revision) = signature.revision {
        let whole = if signature.covers_whole_file { " · 覆盖全文 / covers the whole file" } else { "" };
        println!("    版本 / revision {revision}{whole}");
    }
    if let Some(signer) = &signature.signer {
        println!("    签署人 / signer   {}", signer.subject);
        println!("    颁发者 / issuer   {} · {}", signer.issuer, signer.serial);
        println!("    证书 / certificate  {} / {}", signature.trust_words.zh, signature.trust_words.en);
    }
    let shown = [
        ("算法 / algorithm ", &signature.algorithm),
        ("自称时间 / claimed", &signature.claimed_time),
        ("名称 / name      ", &signature.name),
        ("事由 / reason    ", &signature.reason),
        ("地点 / location  ", &signature.location),
    ];
    for (title, value) in shown {
        if let Some(value) = value {
            println!("    {title}  {value}");
        }
    }
    if let Some(stamp) = &signature.timestamp {
        let when = stamp.time_ms.map_or_else(|| stamp.problem.clone().unwrap_or_default(), time);
        let trusted = if stamp.trusted { "可信 / trusted" } else { "未核验机构 / authority not verified" };
        println!("    时间戳 / timestamp  {when} · {} · {trusted}", stamp.authority.as_deref().unwrap_or("?"));
    }
    for placement in &signature.placements {
        let [left, bottom, right, top] = placement.rectangle;
        println!("    位置 / place     第 {} 页 / page · {left:.0},{bottom:.0}–{right:.0},{top:.0} pt", placement.page);
    }
    for later in &signature.later {
        let weight = match later.weight {
            Weight::Expected => "+",
            Weight::Permitted => "许可 / permitted",
            Weight::Forbidden => "不许可 / NOT PERMITTED",
        };
        println!("    此后版本 {} / later: [{weight}] {} / {}", later.revision, later.words.zh, later.words.en);
    }
}
