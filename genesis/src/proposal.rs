//! Proposals: a change of the consortium, written down, shown in words, approved office by office, and put
//! together into one file that any member relays.
//!
//! A proposal file is exactly the bytes that the offices sign. Everybody looks at it with the same words
//! ([`text`]) and names it by the same digest. Whether a change is allowed is decided by the ledger, whose
//! state these functions do not know; they refuse what could never be.

use crate::address::{self, AddressError};
use crate::home::{Home, HomeError};
use crate::keys::{KeyError, Purpose};
use crate::peer::{self, PeerError};
use crate::show::{params_json, role_name};
use crate::tls::{self, TlsError};
use qz_evidence::codec::{Bytes, CodecError, decode_strict};
use qz_evidence::genesis::{Card, Genesis, GenesisError, Organisation, Params};
use qz_evidence::governance::{Approval, ApprovalTag, GovernanceFileError, Proposal, SignedBody};
use qz_evidence::keys::verify_ed25519;
use qz_evidence::payload::{Change, GovernanceChanged, Payload};
use qz_evidence::submission::{Actor, Body, actor_message};
use qz_evidence::validators::{Validator, ValidatorSet};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId, encode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use thiserror::Error;

/// Why a proposal was not made, approved or put together.
#[derive(Debug, Error)]
pub enum ProposalError {
    /// Not a file of governance.
    #[error(transparent)]
    File(#[from] GovernanceFileError),
    /// Not canonical bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A card or parameters that do not hold.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The signer's own folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The signer's office key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A TLS authority is none.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address is unusable.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A network key is no key.
    #[error(transparent)]
    NetworkKey(#[from] PeerError),
    /// For another ledger.
    #[error("the proposal is for chain {found}, the genesis is chain {expected}")]
    OtherLedger {
        /// Of the proposal.
        found: Hash32,
        /// Of the genesis.
        expected: Hash32,
    },
    /// Not the proposal that the signers agreed on.
    #[error("the proposal's digest is {found}, not {expected}: it is another one than was agreed on")]
    Digest {
        /// Of the file.
        found: Hash32,
        /// As agreed.
        expected: Hash32,
    },
    /// The validators make no set.
    #[error("these validators make no valid set (each once, powers 1 to 1000000, at least one)")]
    Validators,
    /// A validator of whom no card is known.
    #[error("organisation {0} has no card with a validator in the genesis; give its card with --card")]
    NoValidator(OrgId),
    /// An approval of another proposal.
    #[error("the approval of {organisation} is for {found}, this proposal is {expected}")]
    OtherProposal {
        /// Whose.
        organisation: OrgId,
        /// What it approved.
        found: Hash32,
        /// What is put together.
        expected: Hash32,
    },
    /// Two approvals of one organisation.
    #[error("two approvals of organisation {0}")]
    ApprovedTwice(OrgId),
    /// An approval whose signature does not verify with a known office key.
    #[error(
        "the approval of {0} does not verify; if its office key changed since the genesis, give its card with --card"
    )]
    Signature(OrgId),
    /// No approval.
    #[error("no approval was given")]
    NoApproval,
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// Writes a change down, to be recorded at `expiry` at the latest.
pub fn propose(genesis: &Genesis, change: Change, expiry: Height, now_ms: u64) -> Result<Proposal, ProposalError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| ProposalError::Random(error.to_string()))?;
    let payload = Payload::GovernanceChanged(GovernanceChanged { change });
    let body = Body::new(genesis.chain_id(), SubmissionId(id), expiry, payload, vec![], now_ms);
    open(genesis, &encode(&body))
}

/// Opens a proposal of this ledger and refuses what the ledger would refuse in any state.
pub fn open(genesis: &Genesis, bytes: &[u8]) -> Result<Proposal, ProposalError> {
    let proposal = Proposal::open(bytes)?;
    let (found, expected) = (proposal.body().chain_id, genesis.chain_id());
    if found != expected {
        return Err(ProposalError::OtherLedger { found, expected });
    }
    match proposal.change() {
        Change::PutOrganisation(card) => {
            let (_, organisation) = Card::open(card)?;
            tls::public_key_of_ca(&organisation.tls_ca)?;
            if let Some(validator) = &organisation.validator {
                address::check(validator)?;
                peer::peer_id(&validator.network_key)?;
            }
        }
        Change::SetValidators(validators) => {
            let set = ValidatorSet::new(validators.clone()).filter(|set| set.validators() == &validators[..]);
            set.ok_or(ProposalError::Validators)?;
        }
        Change::SetParams(params) => {
            decode_strict::<Params>(params)?.check(qz_evidence::genesis::MAX_ORGANISATIONS)?;
        }
        Change::RemoveOrganisation(_) | Change::Upgrade(..) => {}
    }
    Ok(proposal)
}

/// A set of these organisations' validators with these powers, by their cards or the genesis.
pub fn validators(genesis: &Genesis, cards: &[Organisation], wanted: &[(OrgId, u64)]) -> Result<Change, ProposalError> {
    let validator = |(id, power): &(OrgId, u64)| {
        let organisation = cards.iter().find(|card| card.id == *id).or_else(|| genesis.organisation(id));
        let card = organisation.and_then(|organisation| organisation.validator.as_ref());
        let card = card.ok_or_else(|| ProposalError::NoValidator(id.clone()))?;
        Ok(Validator { organisation: id.clone(), key: card.consensus_key, power: *power })
    };
    let validators = wanted.iter().map(validator).collect::<Result<_, ProposalError>>()?;
    let set = ValidatorSet::new(validators).ok_or(ProposalError::Validators)?;
    Ok(Change::SetValidators(set.validators().to_vec()))
}

/// Signs by the office key of this folder, if the proposal is the one of this digest.
pub fn approve(home: &Home, proposal: &Proposal, expected: &Hash32) -> Result<Approval, ProposalError> {
    let digest = proposal.digest();
    if digest != *expected {
        return Err(ProposalError::Digest { found: digest, expected: *expected });
    }
    let signature = home.key(Purpose::Office)?.sign(&actor_message(&digest))?;
    let organisation = home.organisation().id.clone();
    Ok(Approval { tag: ApprovalTag, digest, organisation, signature: Bytes(signature.to_vec()) })
}

/// Puts a proposal and its approvals together. Every approval must verify with the office key of the
/// organisation's card, given or in the genesis.
pub fn combine(
    genesis: &Genesis, proposal: &Proposal, cards: &[Organisation], approvals: &[Approval],
) -> Result<SignedBody, ProposalError> {
    let expected = proposal.digest();
    let mut actors = BTreeMap::new();
    for Approval { digest, organisation, signature, .. } in approvals {
        if *digest != expected {
            return Err(ProposalError::OtherProposal { organisation: organisation.clone(), found: *digest, expected });
        }
        let known = cards.iter().find(|card| card.id == *organisation).or_else(|| genesis.organisation(organisation));
        let verifies = known.zip(<[u8; 64]>::try_from(&signature[..]).ok()).is_some_and(|(known, signature)| {
            verify_ed25519(&known.office_key.0, &actor_message(&expected), &signature)
        });
        if !verifies {
            return Err(ProposalError::Signature(organisation.clone()));
        }
        let subject = SubjectId::of_organisation(&genesis.chain_id(), organisation);
        let actor = Actor { subject, signature: signature.clone() };
        if actors.insert(organisation.clone(), actor).is_some() {
            return Err(ProposalError::ApprovedTwice(organisation.clone()));
        }
    }
    if actors.is_empty() {
        return Err(ProposalError::NoApproval);
    }
    let signed = SignedBody::new(proposal.bytes().to_vec(), actors.into_values().collect());
    SignedBody::open(&signed.to_bytes())?;
    Ok(signed)
}

/// What the offices read before they approve.
pub fn text(genesis: &Genesis, proposal: &Proposal) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").expect("writing into a String cannot fail");
    line(format!("联盟     Consortium   {}", genesis.body().name));
    line(format!("链标识   Chain id     {}", genesis.chain_id()));
    line(format!("提案摘要 Digest       {}", proposal.digest()));
    line(format!("最晚高度 Expiry       {}", proposal.body().expiry));
    match proposal.change() {
        Change::PutOrganisation(card) => match Card::open(card) {
            Ok((_, organisation)) => organisation_text(genesis, &organisation, &mut line),
            Err(error) => line(format!("名片无效 The card does not hold: {error}")),
        },
        Change::RemoveOrganisation(id) => {
            line(format!("变更     Change       移除机构 remove organisation {id}"));
        }
        Change::SetValidators(validators) => {
            line("变更     Change       验证人集合 the validator set becomes".to_owned());
            for Validator { organisation, key, power } in validators {
                line(format!("  {organisation:<20} 投票权 power {power:<8} {key}"));
            }
            if let Some(set) = ValidatorSet::new(validators.clone()) {
                let faults = crate::ceremony::tolerated_faults(&set);
                line(format!("  可容忍故障 tolerated faults {faults}"));
                if faults == 0 {
                    line(
                        "注意：任何一个验证人停机，整条链即停止。 WARNING: any one stopped validator stops the chain."
                            .into(),
                    );
                }
            }
        }
        Change::SetParams(bytes) => {
            line("变更     Change       参数 the parameters become".to_owned());
            match decode_strict::<Params>(bytes) {
                Ok(params) => line(format!(
                    "  protocol {}, window {}, block <= {} bytes / {} records, governance quorum {}, foreign attestor {}",
                    params.protocol,
                    params.window,
                    params.max_block_bytes,
                    params.max_block_records,
                    params.governance_quorum,
                    params.foreign_attestor,
                )),
                Err(error) => line(format!("  无效 not valid: {error}")),
            }
        }
        Change::Upgrade(version, height) => {
            line(format!("变更     Change       自高度 {height} 起协议版本 {version}"));
            line(format!("                      protocol version {version} from height {height} on"));
        }
    }
    out
}

fn organisation_text(genesis: &Genesis, organisation: &Organisation, line: &mut impl FnMut(String)) {
    let Organisation { id, name_zh, name_en, roles, tls_ca, validator, .. } = organisation;
    let what = match genesis.organisation(id) {
        Some(_) => "更换机构名片 replace the card of organisation",
        None => "接纳机构（或更换其名片） admit (or replace the card of) organisation",
    };
    line(format!("变更     Change       {what} {id}"));
    line(format!("  名称 names          {name_zh} {name_en}"));
    let roles: Vec<_> = roles.iter().map(|role| format!("{} {}", role_name(*role).0, role_name(*role).1)).collect();
    line(format!("  角色 roles          {}", roles.join(", ")));
    let before = genesis.organisation(id).map(Organisation::keys).unwrap_or_default();
    for (purpose, key) in organisation.keys() {
        let old = before.iter().find(|(other, _)| *other == purpose).map(|(_, key)| key);
        let note = match old {
            Some(old) if *old == key => "（与创世相同 as in the genesis）",
            Some(_) => "（与创世不同 not as in the genesis）",
            None => "",
        };
        line(format!("  {purpose:<19} {key} {note}"));
    }
    line(format!("  TLS CA SHA-256      {}", qz_evidence::hash::sha256(&[tls_ca])));
    if let Some(card) = validator {
        line(format!("  地址 addresses      {}  {}  {}", card.consensus_address, card.mempool_address, card.rpc_url));
    }
}

/// The same for programs.
pub fn json(proposal: &Proposal) -> Value {
    let change = match proposal.change() {
        Change::PutOrganisation(card) => {
            let organisation = Card::open(card).map(|(_, organisation)| organisation).ok();
            json!({
                "kind": "put-organisation",
                "organisation": organisation.as_ref().map(|o| &o.id),
                "keys": organisation.as_ref().map(|o| {
                    o.keys().into_iter().map(|(purpose, key)| (purpose.to_owned(), json!(key))).collect::<serde_json::Map<_, _>>()
                }),
            })
        }
        Change::RemoveOrganisation(id) => json!({ "kind": "remove", "organisation": id }),
        Change::SetValidators(validators) => {
            let validator = |v: &Validator| json!({ "organisation": v.organisation, "key": v.key, "power": v.power });
            json!({ "kind": "validators", "validators": validators.iter().map(validator).collect::<Vec<_>>() })
        }
        Change::SetParams(bytes) => match decode_strict::<Params>(bytes) {
            Ok(params) => {
                let mut shown = params_json(&params);
                shown["kind"] = "params".into();
                shown
            }
            Err(error) => json!({ "kind": "params", "error": error.to_string() }),
        },
        Change::Upgrade(version, height) => json!({ "kind": "upgrade", "version": version, "height": height }),
    };
    json!({
        "chain_id": proposal.body().chain_id,
        "digest": proposal.digest(),
        "expiry": proposal.body().expiry,
        "change": change,
    })
}
