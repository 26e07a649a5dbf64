//! What `qz-node doctor` says of the stopped nodes' stores: every hash, root, signature and index, and all
//! blocks executed again from the genesis.

use super::cluster::Cluster;
use super::report::Report;
use crate::binaries::output;
use crate::ceremony::text;
use anyhow::Result;

/// Has every store examined; whatever the doctor finds is a violation.
pub fn examine(cluster: &Cluster, report: &mut Report) -> Result<()> {
    for (index, node) in cluster.nodes().iter().enumerate() {
        let arguments = ["doctor", "--home", text(node.home())?, "--replay"];
        let answer = output(&cluster.binaries.node, &arguments)?;
        if answer.status.success() {
            report.whole_stores += 1;
            continue;
        }
        let words = [answer.stdout, answer.stderr].concat();
        let words = String::from_utf8_lossy(&words);
        report.violations.push(format!("the doctor of node {index} ({}): {}", answer.status, words.trim()));
    }
    Ok(())
}
