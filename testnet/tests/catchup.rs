//! An empty node reaches the head of a chain that was made before, and every node has the same one. The
//! measurement itself (`make catchup`) is the same code with more records.
#![allow(clippy::unwrap_used)]

use qz_testnet::catchup::{Options, run};
use qz_testnet::ports::Ports;

#[tokio::test]
async fn an_empty_node_reaches_the_head() {
    let base_port = Some(Ports::find_apart().unwrap().base());
    let options = Options { records: 1_200, per_block: 25, starts: 1, base_port, data: None };
    let report = run(&options, &mut |line| eprintln!("{line}")).await.unwrap();
    // Registration and seals come before the 1,200's end, in blocks of their own.
    assert_eq!(report.records, 1_200);
    assert!(report.blocks > 1_200 / 25, "{report:?}");
    // Every record has at least its relay's signature, every block those of three validators.
    assert!(report.doctor_signatures > 1_200 + 3 * 1_200 / 25, "{report:?}");
    assert!(report.catch_up_s > 0.0 && report.long_start.answers_ms > 0.0, "{report:?}");
}
