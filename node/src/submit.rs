//! `qz-node submit`: relays a body that others have signed, such as a change of the consortium that the
//! offices approved (`qz-genesis combine`), through this organisation's own node or another member's.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use qz_evidence::codec::{Bytes, Format};
use qz_evidence::governance::SignedBody;
use qz_evidence::submission::{Parsed, SubmissionTag, UnsignedSubmission};
use qz_evidence::{OrgId, encode};
use qz_genesis::home::read_capped;
use qz_genesis::{Home, Purpose};
use serde_json::Value;

use crate::config::NodeConfig;
use crate::rpc::call::{Request, Target};

/// The node waits so long for finality before it answers.
const WAIT_SECONDS: u64 = 30;
/// Patience with the node.
const TIMEOUT: Duration = Duration::from_secs(WAIT_SECONDS + 10);

/// Relays the file by this organisation's relay key; gives what became of it. An error if it was refused
/// or is not final yet.
pub(crate) async fn submit(
    home: &Path, config: &NodeConfig, file: &Path, through: Option<&OrgId>,
) -> anyhow::Result<String> {
    let home = Home::open(home)?;
    let bytes = read_capped(file, SignedBody::MAX_BYTES)?;
    let (signed, body) = SignedBody::open(&bytes).with_context(|| format!("{}", file.display()))?;
    let chain_id = home.genesis_document().context("cannot use the genesis")?.chain_id();
    ensure!(body.chain_id == chain_id, "this is for the ledger {}, this organisation's is {chain_id}", body.chain_id);

    let relay = home.key(Purpose::Relay)?;
    let unsigned = UnsignedSubmission {
        tag: SubmissionTag,
        body: Bytes(signed.body.to_vec()),
        actors: signed.actors,
        relay: home.organisation().id.clone(),
        relay_key: relay.public(),
    };
    let signature = relay.sign(&unsigned.relay_message())?;
    let submission = encode(&unsigned.signed(signature));
    let digest = Parsed::new(&submission)?.digest();

    let target = match through {
        Some(member) => Target::of_member(&home, member)?,
        None => Target::own(&home, config)?,
    };
    let path = format!("/v1/submissions?wait={WAIT_SECONDS}");
    let request = Request { method: "POST", path: &path, body: &submission, timeout: TIMEOUT };
    match target.ask(&home, &request).await? {
        (200, answer) => Ok(serde_json::to_string_pretty(&answer)?),
        (202, _) => {
            bail!("已接收，尚未上链 · taken, but not final yet; the same command may be repeated. Digest {digest}")
        }
        (code, answer) => bail!("{} ({code})", refusal(&answer)),
    }
}

fn refusal(answer: &Value) -> String {
    let text = |member: &str| answer["error"][member].as_str().unwrap_or_default();
    format!("拒绝 refused: {}: {} · {}", text("code"), text("message_zh"), text("message_en"))
}
