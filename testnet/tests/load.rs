//! A short load run with real nodes, through the command line: what it reports must have happened.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

#[test]
fn everything_offered_becomes_final_and_is_accounted_for() {
    let output = Command::new(env!("CARGO_BIN_EXE_qz-testnet"))
        .args(["load", "--rate", "60", "--seconds", "4", "--rounds", "1", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&report["offered"], &report["finalised"]), (&240.into(), &240.into()), "{report}");
    assert_eq!((&report["validators"], &report["unfinished"]), (&4.into(), &0.into()), "{report}");
    for positive in ["V", "J_us", "L", "ratio", "cpu_us_per_record", "p50_ms", "p99_ms", "bytes_per_record"] {
        assert!(report[positive].as_f64().unwrap() > 0.0, "{positive}: {report}");
    }
}
