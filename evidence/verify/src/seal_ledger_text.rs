//! The ledger of a seal as text for people and as CSV for a spreadsheet.

use crate::time;
use qz_verify::{Row, SealLedger};

/// Prints text: what was asked, the table, what is proven and what is not.
pub fn print(ledger: &SealLedger) {
    let (word, zh, en) = ledger.verdict.words();
    println!("用印台账 / seal ledger · {word}  {zh} / {en}");
    println!("印章 / seal   {}", ledger.seal);
    let end = |ms: Option<u64>, zh: &str, en: &str| ms.map_or_else(|| format!("{zh} / {en}"), time);
    println!("起 / from     {}", end(ledger.period.from_ms, "自制作", "its making"));
    println!("止 / to       {}", end(ledger.period.to_ms, "至区块时间", "the time of the block"));
    println!("证明至 / proven up to  {}", time(ledger.covered_to_ms));
    println!("区块 / block  {} · {} · {}", ledger.head.height, time(ledger.head.time_ms), ledger.head.block_id);
    println!("状态 / state  {} / {}", ledger.status_zh, ledger.status);
    println!(
        "\n期间内 / in the period: {} 条记录 / records, {} 次用印 / uses",
        ledger.rows.len(),
        ledger.uses_in_period
    );
    for row in &ledger.rows {
        println!("  [{}] {} · {} / {}", row.sequence, time(row.time_ms), row.title_zh, row.title_en);
        if let Some(contract) = row.contract {
            let named: Vec<_> = [&row.contract_title, &row.contract_number].into_iter().flatten().cloned().collect();
            println!("      合同 / contract: {} {contract}", named.join(" · "));
        }
        println!("      签名 / signed by: {}", row.signers.join(", "));
        println!("      区块 / block {}.{} · {} · {}", row.height, row.index, row.record_hash, row.status_zh);
    }
    for (title, notes) in [
        ("已证明 / proven", &ledger.proven),
        ("不能证明 / not proven", &ledger.not_proven),
        ("前提 / assumptions", &ledger.assumptions),
    ] {
        println!("\n{title}:");
        for note in notes {
            println!("  · {}\n    {}", note.zh, note.en);
        }
    }
}

/// One line a record; UTF-8 with a byte order mark, so that spreadsheets show Chinese.
pub fn csv(ledger: &SealLedger) -> String {
    const TITLES: [&str; 11] = [
        "序号 no.",
        "时间 time",
        "事项 record",
        "用印 use",
        "合同 contract",
        "合同名称 title",
        "合同编号 number",
        "签名 signed by",
        "区块 block",
        "记录哈希 record hash",
        "其后状态 state after",
    ];
    let line = |row: &Row| {
        [
            row.sequence.to_string(),
            time(row.time_ms),
            format!("{} {}", row.title_zh, row.kind),
            if row.is_use { "是 yes".into() } else { String::new() },
            row.contract.map(|contract| contract.to_string()).unwrap_or_default(),
            row.contract_title.clone().unwrap_or_default(),
            row.contract_number.clone().unwrap_or_default(),
            row.signers.join(", "),
            format!("{}.{}", row.height, row.index),
            row.record_hash.to_string(),
            format!("{} {}", row.status_zh, row.status),
        ]
    };
    let mut lines = vec![TITLES.map(field).join(",")];
    lines.extend(ledger.rows.iter().map(|row| line(row).map(|text| field(&text)).join(",")));
    let until = format!("证明至 / proven up to {} (block {})", time(ledger.covered_to_ms), ledger.head.height);
    lines.push(field(&until));
    format!("\u{feff}{}\r\n", lines.join("\r\n"))
}

/// Quoted (RFC 4180); what a spreadsheet would take for a formula is text.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_quoted_and_no_formulas() {
        assert_eq!(super::field("a \"b\""), "\"a \"\"b\"\"\"");
        assert_eq!(super::field("=1+1"), "\"'=1+1\"");
    }
}
