//! Two short chaos runs with real nodes in network namespaces (root), through the command line as an
//! operator uses it: one with faults that the chain goes through, one that needs everybody back.
#![allow(clippy::unwrap_used)]

use qz_testnet::chaos::report::Report;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_qz-testnet");

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn short_runs_hold() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().to_str().unwrap();
    let (held, text) = run(&["chaos", "--seeds", "2..3", "--seconds", "10", "--data", data, "--json"]);
    assert!(held, "{text}");
    let reports: Vec<Report> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(reports.len(), 2, "{text}");
    for report in &reports {
        assert!(report.holds() && report.acknowledged > 0 && report.acknowledged == report.submitted, "{text}");
        // Every record, from each of the four nodes.
        assert_eq!(report.proofs, 4 * report.records, "{text}");
        assert_eq!(report.whole_stores, 4, "{text}");
        assert!(report.signatures > 0 && report.blocks as u64 == report.height + 1, "{text}");
    }
    assert!(reports[0].phases[0].must_be_live && !reports[1].phases[0].must_be_live, "{text}");
    // Nothing is left where everything held.
    let left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!std::fs::read_to_string("/proc/mounts").unwrap().contains("qz-chaos"), "a mount is left");
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    let plan = || run(&["chaos", "--seeds", "5", "--plan"]);
    let (held, text) = plan();
    assert!(held && text.contains("seed 5, 4 validators, 4 phases"), "{text}");
    assert_eq!(plan().1, text);
}
