//! `GET /v1/checkpoint` and `GET /v1/consistency`: the history as a transparency log. The checkpoint of
//! block M covers the headers 0 ..= M.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::Hash32;
use qz_evidence::checkpoint::{TreeHead, member_keys};
use qz_evidence::note::{NoteSignature, cosigned_message};
use serde_json::json;
use warp::reply::Response;

use super::Api;
use super::answer::{Problem, json_answer, settle};

/// `GET /v1/checkpoint?height=M`, of the last block if none is named.
pub(super) fn checkpoint(api: &Api, height: Option<u64>) -> Response {
    settle(tokio::task::block_in_place(|| {
        api.ledger.whole()?;
        let height = height.unwrap_or_else(|| api.ledger.head().height);
        let checkpoint = api.ledger.checkpoint(height)?.ok_or_else(|| Problem::not_found("区块", "block"))?;
        let hand_overs: Vec<_> = checkpoint
            .hand_overs
            .iter()
            .map(|hand_over| {
                json!({
                    "header": BASE64.encode(&*hand_over.header),
                    "commit": BASE64.encode(&*hand_over.commit),
                    "next": BASE64.encode(&*hand_over.next),
                    "path": hand_over.history_path,
                })
            })
            .collect();
        let body = json!({
            "height": height,
            "size": height.saturating_add(1),
            "root": checkpoint.root,
            "header": BASE64.encode(&checkpoint.header),
            "commit": checkpoint.commit.map(|commit| BASE64.encode(commit)),
            "path": checkpoint.path,
            "hand_overs": hand_overs,
            "signatures": signatures(api, height, checkpoint.root)?,
        });
        Ok(json_answer(200, &body))
    }))
}

/// This member's lines of the note (C2SP tlog-checkpoint, tlog-cosignature): it speaks for the log, and as
/// a witness of it. The time is the block's, so that the same question has the same answer: as of that
/// time there was no later block.
fn signatures(api: &Api, height: u64, root: Hash32) -> Result<Vec<String>, Problem> {
    let Some(witness) = &api.witness else { return Ok(vec![]) };
    let chain_id = api.genesis.chain_id();
    let text = TreeHead::new(&chain_id, height.saturating_add(1), root).to_string();
    let keys = member_keys(&chain_id, &api.organisation, &witness.public());
    let [log, cosigner] = keys.expect("organisation ids and chain ids make key names");
    let seconds = api.ledger.time_of(height)? / 1000;
    let sign = |message: &[u8]| {
        witness.sign(message).map_err(|error| {
            Problem::new(500, "internal", format!("见证密钥无法签名：{error}"), format!("the witness key: {error}"))
        })
    };
    let lines = [
        NoteSignature::new(&log, None, &sign(text.as_bytes())?),
        NoteSignature::new(&cosigner, Some(seconds), &sign(&cosigned_message(seconds, &text))?),
    ];
    Ok(lines.iter().map(ToString::to_string).collect())
}

/// `GET /v1/consistency?from=SIZE&to=SIZE`.
pub(super) fn consistency(api: &Api, from: u64, to: u64) -> Response {
    settle(tokio::task::block_in_place(|| {
        api.ledger.whole()?;
        if from == 0 || from > to {
            return Err(Problem::malformed("expected 1 <= from <= to; both are numbers of headers"));
        }
        if to > api.ledger.head().height.saturating_add(1) {
            return Err(Problem::not_found("区块", "block"));
        }
        let consistency = api.ledger.consistency(from, to)?;
        let body = json!({
            "from": from,
            "from_root": consistency.from_root,
            "to": to,
            "to_root": consistency.to_root,
            "path": consistency.path,
        });
        Ok(json_answer(200, &body))
    }))
}

/// `GET /v1/inclusion?height=H&size=SIZE`.
pub(super) fn inclusion(api: &Api, height: u64, size: u64) -> Response {
    settle(tokio::task::block_in_place(|| {
        api.ledger.whole()?;
        if height >= size {
            return Err(Problem::malformed("expected height < size; size is a number of headers"));
        }
        if size > api.ledger.head().height.saturating_add(1) {
            return Err(Problem::not_found("区块", "block"));
        }
        let path = api.ledger.inclusion(height, size)?;
        Ok(json_answer(200, &json!({ "height": height, "size": size, "path": path })))
    }))
}
