//! `qz-node status`: asks the running node.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use qz_genesis::Home;

use super::call::{Request, Target};
use crate::config::NodeConfig;

/// Patience with the node.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The status as JSON text.
pub(crate) async fn ask(home: &Path, config: &NodeConfig) -> anyhow::Result<String> {
    let home = Home::open(home)?;
    let request = Request { method: "GET", path: "/v1/status", body: &[], timeout: TIMEOUT };
    match Target::own(&home, config)?.ask(&home, &request).await? {
        (200, status) => Ok(serde_json::to_string_pretty(&status)?),
        (code, problem) => bail!("the node answered {code}: {problem}"),
    }
}
