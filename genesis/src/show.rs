//! What a genesis says, for people (Chinese first) and as JSON for programs.

use crate::ceremony::tolerated_faults;
use crate::peer;
use qz_evidence::genesis::{Genesis, Params, Role};
use serde_json::{Value, json};
use std::fmt::Write;

/// A role's name.
pub fn role_name(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Platform => ("平台", "platform"),
        Role::Notary => ("公证处", "notary"),
        Role::Court => ("法院", "court"),
        Role::Arbitration => ("仲裁委员会", "arbitration"),
        Role::Attestor => ("身份证明方", "attestor"),
        Role::Observer => ("观察者", "observer"),
    }
}

/// Parses a role by its English name.
pub fn parse_role(text: &str) -> Option<Role> {
    use Role::{Arbitration, Attestor, Court, Notary, Observer, Platform};
    [Platform, Notary, Court, Arbitration, Attestor, Observer].into_iter().find(|role| role_name(*role).1 == text)
}

fn utc(time_ms: u64) -> String {
    i64::try_from(time_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{time_ms} ms"), |time| time.to_string())
}

/// The text that signers read before they sign.
pub fn text(genesis: &Genesis) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").expect("writing into a String cannot fail");
    let body = genesis.body();
    line(format!("联盟名称 Consortium      {}", body.name));
    line(format!("链标识   Chain id        {}", genesis.chain_id()));
    line(format!("创世时间 Genesis time    {}", utc(body.time_ms)));
    let params = &body.params;
    line(format!(
        "参数     Parameters      protocol {}, window {} blocks, block <= {} bytes / {} records, governance {} of {}",
        params.protocol,
        params.window,
        params.max_block_bytes,
        params.max_block_records,
        params.governance_quorum,
        genesis.organisations().len(),
    ));
    let validators = genesis.validators();
    let faults = tolerated_faults(validators);
    let count = validators.validators().len();
    line(format!("共识节点 Validators      {count}, 可容忍故障 tolerated faults {faults}"));
    if faults == 0 {
        line("注意：任何一个成员停机，整条链即停止。\nWARNING: any one stopped member stops the chain.".to_owned());
    }
    for organisation in genesis.organisations() {
        let roles: Vec<String> = organisation
            .roles
            .iter()
            .map(|role| {
                let (zh, en) = role_name(*role);
                format!("{zh} {en}")
            })
            .collect();
        line(format!(
            "\n{}  {} {}\n  角色 roles      {}",
            organisation.id,
            organisation.name_zh,
            organisation.name_en,
            roles.join(", ")
        ));
        for (purpose, key) in organisation.keys() {
            line(format!("  {purpose:<14}  {key}"));
        }
        if let Some(card) = &organisation.validator {
            line(format!(
                "  票权 power      {}\n  consensus       {}\n  mempool         {}\n  rpc             {}",
                card.power, card.consensus_address, card.mempool_address, card.rpc_url
            ));
        }
    }
    out
}

/// The same for programs; hashes and keys are lower-case hex.
pub fn json(genesis: &Genesis) -> Value {
    let body = genesis.body();
    let organisations: Vec<Value> = genesis
        .organisations()
        .iter()
        .map(|organisation| {
            let keys: serde_json::Map<String, Value> =
                organisation.keys().into_iter().map(|(purpose, key)| (purpose.to_owned(), json!(key))).collect();
            let validator = organisation.validator.as_ref().map(|card| {
                json!({
                    "power": card.power,
                    "consensus_address": card.consensus_address,
                    "mempool_address": card.mempool_address,
                    "rpc_url": card.rpc_url,
                    "peer_id": peer::peer_id(&card.network_key).ok().map(|id| id.to_string()),
                })
            });
            json!({
                "id": organisation.id,
                "name_zh": organisation.name_zh,
                "name_en": organisation.name_en,
                "roles": organisation.roles,
                "keys": keys,
                "tls_ca_sha256": qz_evidence::hash::sha256(&[&organisation.tls_ca]),
                "validator": validator,
            })
        })
        .collect();
    json!({
        "name": body.name,
        "chain_id": genesis.chain_id(),
        "time_ms": body.time_ms,
        "time": utc(body.time_ms),
        "params": params_json(&body.params),
        "validators": genesis.validators().validators().len(),
        "tolerated_faults": tolerated_faults(genesis.validators()),
        "organisations": organisations,
    })
}

/// The parameters as JSON.
pub(crate) fn params_json(params: &Params) -> Value {
    json!({
        "protocol": params.protocol,
        "window": params.window,
        "max_block_bytes": params.max_block_bytes,
        "max_block_records": params.max_block_records,
        "governance_quorum": params.governance_quorum,
        "foreign_attestor": params.foreign_attestor,
    })
}
