//! States of subjects as JSON, for people and programs that need no proof. The wire form is this
//! file's business, not the state types'.

use qz_chain::SubjectState;
use qz_evidence::keys::PublicKey;
use serde_json::{Value, json};

/// The state's clear fields.
pub(super) fn state_json(state: &SubjectState) -> Value {
    match state {
        SubjectState::Organisation(organisation) => json!({
            "id": organisation.id,
            "status": organisation.status,
            "roles": organisation.roles,
            "office_key": organisation.office_key,
            "relay_key": organisation.relay_key,
        }),
        SubjectState::Key(key) => json!({
            "status": key.status,
            "key": key_json(&key.key),
            "attestor": key.attestor,
        }),
        SubjectState::Seal(seal) => {
            let authorisations = seal.authorisations.iter().map(|authorisation| {
                json!({
                    "key": authorisation.key,
                    "count_left": authorisation.count_left,
                    "until": authorisation.until,
                })
            });
            json!({
                "status": seal.status,
                "owner": seal.owner,
                "kind": seal.kind,
                "authorisations": authorisations.collect::<Vec<_>>(),
            })
        }
        SubjectState::Contract(contract) => {
            let slots = contract.slots.iter().map(|slot| {
                json!({
                    "kind": slot.kind,
                    "subject": slot.subject,
                    "role": slot.role,
                    "group": slot.group,
                })
            });
            let rules = contract.rules.iter().map(|rule| json!({ "group": rule.group, "required": rule.required }));
            let signed = contract.signed.iter().map(|signed| json!({ "slot": signed.slot, "key": signed.key }));
            let obligations = contract
                .obligations
                .iter()
                .map(|obligation| json!({ "number": obligation.number, "step": obligation.step, "by": obligation.by }));
            json!({
                "status": contract.status,
                "initiator": contract.initiator,
                "slots": slots.collect::<Vec<_>>(),
                "rules": rules.collect::<Vec<_>>(),
                "amends": contract.amends,
                "version": contract.version,
                "document": contract.document,
                "signed": signed.collect::<Vec<_>>(),
                "final_document": contract.final_document,
                "obligations": obligations.collect::<Vec<_>>(),
                "amendments": contract.amendments,
                "dispute": contract.dispute.as_ref().map(|dispute| json!({
                    "forum": dispute.forum,
                    "before": dispute.before,
                })),
                "archived": contract.archived,
            })
        }
        SubjectState::Evidence(evidence) => json!({
            "document": evidence.document,
            "about": evidence.about,
        }),
        SubjectState::AuditLog(log) => json!({
            "organisation": log.organisation,
            "size": log.size,
            "root": log.root,
        }),
        SubjectState::Governance(governance) => json!({
            "members": governance.members,
            "validators_hash": governance.validators,
            "params_hash": governance.params,
            "upgrade": governance.upgrade.map(|upgrade| json!({ "version": upgrade.version, "height": upgrade.height })),
        }),
    }
}

fn key_json(key: &PublicKey) -> Value {
    json!({ "algorithm": key.algorithm, "bytes": hex::encode(&key.bytes[..]) })
}
