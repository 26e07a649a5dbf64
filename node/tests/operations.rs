//! What `docs/OPERATIONS.md` and `docs/operations/` promise: the metrics that they name are there, and the
//! example configuration is accepted.
#![allow(clippy::unwrap_used)]

mod network;

use std::collections::BTreeSet;
use std::time::Duration;

use network::Network;
use serde_json::json;

const DOCS: &str = include_str!("../../docs/OPERATIONS.md");
const ALERTS: &str = include_str!("../../docs/operations/alerts.yml");
const EXAMPLE: &str = include_str!("../../docs/operations/node.json");

/// Every word of a text that looks like a metric's name.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("qz_") || word.starts_with("process_"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_rules_and_the_manual_is_served() {
    let monitor = format!("127.0.0.1:{}", network::free_ports(1)[0]);
    let mut network = Network::prepare(4);
    network.configure("court", &json!({ "monitor_listen": monitor }));
    network.start_node("court");
    network.wait_until_serving("court", Duration::from_secs(30)).await;
    let (_, text) = network::raw::plain(&monitor, "/metrics").await;

    // Families by their TYPE lines; a counter's samples end in _total, a histogram's in three ways.
    let mut served = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').unwrap();
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["", "_bucket", "_sum", "_count"],
            _ => &[""],
        };
        served.extend(suffixes.iter().map(|suffix| format!("{family}{suffix}")));
    }
    let manual = DOCS.split("\n## ").find(|section| section.starts_with("Health, metrics")).unwrap();
    for (source, text) in [("alerts.yml", ALERTS), ("OPERATIONS.md", manual)] {
        let names = named(text);
        assert!(names.len() > 15, "{source} names {names:?}");
        for name in names {
            assert!(served.contains(name), "{source} names {name}, which is not served; served: {served:#?}");
        }
    }
    // And the manual leaves out none of this program's own.
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE qz_")) {
        let name = format!("qz_{}", family.split(' ').next().unwrap());
        assert!(manual.contains(&name), "OPERATIONS.md does not describe {name}");
    }
}

#[test]
fn the_example_configuration_is_accepted() {
    let network = Network::prepare(4);
    network.configure("court", &serde_json::from_str(EXAMPLE).unwrap());
    let shown = network.run_output("config", "court", &["--json"]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["monitor_listen"]["source"], "node.json");
    assert_eq!(shown["peers.notary.mempool"]["source"], "node.json");
}
