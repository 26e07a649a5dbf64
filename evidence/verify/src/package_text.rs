//! Prints the outcome of a court package for people.

use crate::time;
use qz_evidence::verify::StepStatus;
use qz_verify::PackageReport;

pub fn print(report: &PackageReport) {
    let (word, zh, en) = report.heading();
    println!("{word}  {zh} / {en}");
    println!("法院调取包 / court package");
    if let Some(failure) = &report.failure {
        let path = failure.path.as_ref().map_or_else(String::new, |path| format!(" · {path}"));
        println!("  失败检查 / failed check {}{path}\n    {}\n    {}", failure.check, failure.zh, failure.en);
    }
    if let Some(manifest) = &report.manifest {
        println!("\n案号 / case: {}", manifest.case_number);
        match &report.court {
            Some(court) => println!("  法院 / court: {} / {} ({})", court.name_zh, court.name_en, court.org),
            None => println!("  法院 / court: {} (未核实 / not verified)", manifest.court),
        }
        let at = &manifest.retrieval;
        println!(
            "  调取上链 / retrieval: 区块 / block {}.{} · {} · {}",
            at.height,
            at.index,
            time(at.time_ms),
            at.record
        );
        println!("  制作 / made: {} · {} · {}", manifest.made_by.name, manifest.made_by.organisation, manifest.made);
        for contract in &manifest.contracts {
            println!("  {}: {}（{}）{}", contract.folder, contract.title, contract.number, contract.subject);
        }
    }
    println!("\n检查 / checks:");
    for check in &report.checks {
        let mark = match check.status {
            StepStatus::Pass => "✓",
            StepStatus::Fail => "✗",
            StepStatus::NotChecked => "–",
        };
        println!("  {mark} {}. {} / {}", check.n, check.title_zh, check.title_en);
        if !check.detail_zh.is_empty() {
            println!("      {}\n      {}", check.detail_zh, check.detail_en);
        }
    }
    if !report.parts.is_empty() {
        println!("\n逐件校验 / parts:");
    }
    for part in &report.parts {
        let (word, zh, _) = part.report.heading();
        println!("  {word} {zh} · {} · {} / {}", part.path, part.what_zh, part.what_en);
    }
    if !report.files.is_empty() {
        println!("\n文件 / files:");
    }
    for file in &report.files {
        println!("  {} · {} B · {} · {}", file.file.path, file.file.bytes, file.file.sha256, file.covered_zh);
    }
    for (title, notes) in [("未校验 / not checked", &report.not_checked), ("前提 / assumed", &report.assumptions)]
    {
        if !notes.is_empty() {
            println!("\n{title}:");
        }
        for note in notes {
            println!("  - {}\n    {}", note.zh, note.en);
        }
    }
}
