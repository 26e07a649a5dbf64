//! What `qz-node doctor` says of the stopped nodes' stores: every hash, root, signature and index, and all
//! blocks executed again from the genesis.

use super::cluster::Cluster;
use super::report::Report;
use crate::doctor;

/// Has every store examined; whatever the doctor finds is a violation.
pub fn examine(cluster: &Cluster, report: &mut Report) {
    for (index, node) in cluster.nodes().iter().enumerate() {
        match doctor::examine(&cluster.binaries.node, node.home(), true) {
            Ok(_) => report.whole_stores += 1,
            Err(error) => report.violations.push(format!("the doctor of node {index} {error:#}")),
        }
    }
}
