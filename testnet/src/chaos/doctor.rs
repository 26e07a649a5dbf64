//! What `qz-node doctor` says of the stopped nodes' stores: every hash, root, signature and index, and all
//! blocks executed again from the genesis.

use super::cluster::Cluster;
use super::report::Report;
use crate::ceremony::text;
use crate::custody;
use anyhow::{Context, Result};
use std::process::{Command, Stdio};

/// Has every store examined; whatever the doctor finds is a violation.
pub fn examine(cluster: &Cluster, report: &mut Report) -> Result<()> {
    for (index, node) in cluster.nodes().iter().enumerate() {
        let program = &cluster.binaries.node;
        let mut command = Command::new(program);
        command.args(["doctor", "--home", text(node.home())?, "--replay"]);
        command.env(custody::VARIABLE, custody::passphrase_file(node.home())).stdin(Stdio::null());
        let answer = command.output().with_context(|| format!("cannot run {}", program.display()))?;
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
