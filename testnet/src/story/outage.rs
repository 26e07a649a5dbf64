//! One validator is killed with kill -9 in the middle of the story, and comes back.

use super::Story;
use crate::network::Network;
use anyhow::{Context, Result, ensure};
use qz_evidence::Hash32;

/// Whose node is killed.
const VICTIM: &str = "arbitration";
/// Heights below the lowest tip at which states are compared, at most.
const COMPARED: u64 = 64;

impl Story {
    /// kill -9.
    pub(super) async fn kill_validator(&mut self) -> Result<()> {
        let height = self.network.height().await;
        self.network.kill9(VICTIM)?;
        self.screen.note(&format!(
            "kill -9 仲裁节点（高度 {height}），签署继续 · the arbitration node is killed, the story goes on"
        ));
        Ok(())
    }

    /// Restarts the killed node and waits until it has caught up.
    pub(super) async fn bring_validator_back(&mut self) -> Result<()> {
        let height = self.network.height().await;
        self.screen.note(&format!("重启仲裁节点，其余节点高度 {height} · restarted; the others are at {height}"));
        let status = self.network.restart(VICTIM, height).await?;
        self.screen.check(
            &format!("被 kill -9 的节点已追上，高度 {} · the killed node caught up", status.height),
            status.height >= height,
            || format!("{} < {height}", status.height),
        )?;
        let (height, root) = compare_states(&self.network).await?;
        let root = root.to_string();
        self.screen.confirm(&format!("四条链在高度 {height} 的状态根相同 · four equal state roots ({root:.12}…)"));
        Ok(())
    }
}

/// Compares the four nodes' headers at every recent common height; gives the highest with its state root.
pub async fn compare_states(network: &Network) -> Result<(u64, Hash32)> {
    let mut tips = vec![];
    for (id, status) in network.status().await {
        tips.push(status.map_err(|error| anyhow::anyhow!("{id}: {error}"))?.height);
    }
    let top = tips.into_iter().min().context("there is no node")?;
    let mut last = Hash32::ZERO;
    for height in top.saturating_sub(COMPARED)..=top {
        let mut headers = vec![];
        for node in network.nodes() {
            let header = node.member.header(height).await?;
            headers.push((node.id, header.with_context(|| format!("{} lacks block {height}", node.id))?));
        }
        let (_, first) = headers.first().context("there is no node")?;
        for (id, header) in &headers {
            ensure!(header == first, "{id} has another block {height}");
        }
        last = first.state_root;
    }
    Ok((top, last))
}
