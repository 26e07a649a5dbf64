//! Why the rules refuse a submission: a stable code for programs, and for people what to do about it in
//! Chinese and English.

mod text;

use qz_evidence::genesis::{GenesisError, Role};
use qz_evidence::payload::RulingForm;
use qz_evidence::state_proof::{Status, SubjectType};
use qz_evidence::{Height, OrgId, SubjectId};
use std::fmt;

/// A refusal. The submission leaves no trace in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the two sentences of each are in `Reject::text`")]
pub enum Reject {
    // the envelope
    OtherLedger,
    Expired { expiry: Height, height: Height },
    ExpiryTooFar { expiry: Height, latest: Height },
    Duplicate { recorded: Height },
    IdReused { recorded: Height },
    AlgorithmNotYet,
    CommitmentMissing { name: &'static str },
    // the relay
    RelayUnknown { relay: OrgId },
    RelayKey { relay: OrgId },
    RelayRole { relay: OrgId, role: Role },
    RelaySignature { relay: OrgId },
    RelayObserver { relay: OrgId },
    // the actors
    ActorCount { needed: usize, found: usize },
    ActorNotEntitled { subject: SubjectId },
    ActorSignature { subject: SubjectId },
    OfficeRole { subject: SubjectId, role: Role },
    OfficeUnknown { organisation: OrgId },
    // subjects
    SubjectUnknown { subject: SubjectId },
    SubjectType { subject: SubjectId, found: SubjectType, expected: SubjectType },
    // keys
    KeyRevoked { subject: SubjectId },
    KeyMalformed,
    KeyUnchanged { subject: SubjectId },
    AttestorUnknown { attestor: OrgId },
    AttestorRole { attestor: OrgId },
    AttestorIsRelay { attestor: OrgId },
    // seals
    SealSuspended { seal: SubjectId },
    SealDestroyed { seal: SubjectId },
    SealNotSuspended { seal: SubjectId },
    SealNotAuthorised { seal: SubjectId, key: SubjectId },
    SealUsesExhausted { seal: SubjectId, key: SubjectId },
    SealAuthorisationEnded { seal: SubjectId, key: SubjectId, until: Height },
    SealAuthorisationEmpty,
    SealAuthorisationLimit { seal: SubjectId, limit: usize },
    // contracts
    ContractStatus { contract: SubjectId, status: Status },
    ContractSlotCount { found: usize },
    ContractSlotRepeated { subject: SubjectId },
    ContractSlotRole { role: u8 },
    ContractSlotUnknown { slot: u8 },
    ContractSlotSigned { slot: u8 },
    ContractSlotOrder { slot: u8, group: u8 },
    ContractGroupRule { group: u8 },
    ContractVersionNumber { expected: u32, found: u32 },
    ContractVersionOther,
    ContractPartlySigned { contract: SubjectId },
    ContractSealOfSlot { slot: u8 },
    ContractAmendmentOther { contract: SubjectId, amendment: SubjectId },
    ContractAmendmentParties { amendment: SubjectId },
    ContractAmendmentRepeated { amendment: SubjectId },
    ContractFulfilmentStep { obligation: u16 },
    ContractFulfilmentSelf { obligation: u16 },
    ContractLimit { contract: SubjectId, what: &'static str, limit: usize },
    ContractPartyMissing { contract: SubjectId, party: SubjectId },
    ContractForum { forum: OrgId },
    ContractDisputePending { contract: SubjectId },
    ContractRulingForm { forum: OrgId, form: RulingForm },
    ContractRulingInterim { form: RulingForm },
    // retrievals and audit logs
    RetrievalCount { found: usize },
    RetrievalRepeated { contract: SubjectId },
    AuditNotGrown { log: SubjectId, last: u64, found: u64 },
    // governance
    GovernanceQuorum { needed: u32, members: usize, found: usize },
    GovernanceSignedTwice { subject: SubjectId },
    GovernanceUnchanged,
    GovernanceCard { reason: Box<GenesisError> },
    GovernanceKeyShared { organisation: OrgId, purpose: &'static str },
    GovernanceAuthority { organisation: OrgId },
    GovernanceMembers { limit: usize },
    GovernanceMemberUnknown { organisation: OrgId },
    GovernanceTooFew { left: usize, needed: u32 },
    GovernanceValidators,
    GovernanceValidatorUnknown { organisation: OrgId },
    GovernanceParams { reason: Box<GenesisError> },
    GovernanceProtocol { found: u32, expected: u32 },
    GovernanceMajority { needed: usize, members: usize },
    GovernanceUpgrade { version: u32, now: u32, earliest: Height },
}

/// Code, Chinese and English of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectText {
    /// Stable code, such as `seal.suspended`.
    pub code: &'static str,
    /// What is wrong and what to do, in Chinese.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

impl Reject {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        self.text().code
    }

    /// What is wrong and what to do, in Chinese.
    pub fn message_zh(&self) -> String {
        self.text().zh
    }

    /// What is wrong and what to do, in English.
    pub fn message_en(&self) -> String {
        self.text().en
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RejectText { code, en, .. } = self.text();
        write!(f, "{en} ({code})")
    }
}

impl std::error::Error for Reject {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qz_evidence::Hash32;
    use std::collections::BTreeSet;

    /// One of each.
    fn all() -> Vec<Reject> {
        let subject = SubjectId(Hash32([1; 32]));
        let (seal, key, contract, amendment) = (subject, subject, subject, subject);
        let org = || OrgId::new("notary").unwrap();
        let height = Height(5);
        vec![
            Reject::OtherLedger,
            Reject::Expired { expiry: height, height },
            Reject::ExpiryTooFar { expiry: height, latest: height },
            Reject::Duplicate { recorded: height },
            Reject::IdReused { recorded: height },
            Reject::AlgorithmNotYet,
            Reject::CommitmentMissing { name: "name" },
            Reject::RelayUnknown { relay: org() },
            Reject::RelayKey { relay: org() },
            Reject::RelayRole { relay: org(), role: Role::Platform },
            Reject::RelaySignature { relay: org() },
            Reject::RelayObserver { relay: org() },
            Reject::ActorCount { needed: 1, found: 0 },
            Reject::ActorNotEntitled { subject },
            Reject::ActorSignature { subject },
            Reject::OfficeRole { subject, role: Role::Court },
            Reject::OfficeUnknown { organisation: org() },
            Reject::SubjectUnknown { subject },
            Reject::SubjectType { subject, found: SubjectType::Key, expected: SubjectType::Seal },
            Reject::KeyRevoked { subject },
            Reject::KeyMalformed,
            Reject::KeyUnchanged { subject },
            Reject::AttestorUnknown { attestor: org() },
            Reject::AttestorRole { attestor: org() },
            Reject::AttestorIsRelay { attestor: org() },
            Reject::SealSuspended { seal },
            Reject::SealDestroyed { seal },
            Reject::SealNotSuspended { seal },
            Reject::SealNotAuthorised { seal, key },
            Reject::SealUsesExhausted { seal, key },
            Reject::SealAuthorisationEnded { seal, key, until: height },
            Reject::SealAuthorisationEmpty,
            Reject::SealAuthorisationLimit { seal, limit: 1 },
            Reject::ContractStatus { contract, status: Status::Declined },
            Reject::ContractSlotCount { found: 0 },
            Reject::ContractSlotRepeated { subject },
            Reject::ContractSlotRole { role: 5 },
            Reject::ContractSlotUnknown { slot: 5 },
            Reject::ContractSlotSigned { slot: 5 },
            Reject::ContractSlotOrder { slot: 5, group: 5 },
            Reject::ContractGroupRule { group: 5 },
            Reject::ContractVersionNumber { expected: 1, found: 2 },
            Reject::ContractVersionOther,
            Reject::ContractPartlySigned { contract },
            Reject::ContractSealOfSlot { slot: 5 },
            Reject::ContractAmendmentOther { contract, amendment },
            Reject::ContractAmendmentParties { amendment },
            Reject::ContractAmendmentRepeated { amendment },
            Reject::ContractFulfilmentStep { obligation: 5 },
            Reject::ContractFulfilmentSelf { obligation: 5 },
            Reject::ContractLimit { contract, what: "amendments", limit: 5 },
            Reject::ContractPartyMissing { contract, party: key },
            Reject::ContractForum { forum: org() },
            Reject::ContractDisputePending { contract },
            Reject::ContractRulingForm { forum: org(), form: RulingForm::Award },
            Reject::ContractRulingInterim { form: RulingForm::Judgment },
            Reject::RetrievalCount { found: 5 },
            Reject::RetrievalRepeated { contract },
            Reject::AuditNotGrown { log: subject, last: 5, found: 5 },
            Reject::GovernanceQuorum { needed: 3, members: 4, found: 2 },
            Reject::GovernanceSignedTwice { subject },
            Reject::GovernanceUnchanged,
            Reject::GovernanceCard { reason: Box::new(GenesisError::Validators) },
            Reject::GovernanceKeyShared { organisation: org(), purpose: "relay" },
            Reject::GovernanceAuthority { organisation: org() },
            Reject::GovernanceMembers { limit: 5 },
            Reject::GovernanceMemberUnknown { organisation: org() },
            Reject::GovernanceTooFew { left: 2, needed: 3 },
            Reject::GovernanceValidators,
            Reject::GovernanceValidatorUnknown { organisation: org() },
            Reject::GovernanceParams { reason: Box::new(GenesisError::Validators) },
            Reject::GovernanceProtocol { found: 2, expected: 1 },
            Reject::GovernanceMajority { needed: 3, members: 4 },
            Reject::GovernanceUpgrade { version: 2, now: 1, earliest: height },
        ]
    }

    #[test]
    fn codes_are_unique_and_texts_are_in_both_languages() {
        let mut codes = BTreeSet::new();
        for reject in all() {
            let RejectText { code, zh, en } = reject.text();
            assert!(codes.insert(code), "{code} stands for two refusals");
            assert!(code.split_once('.').is_some(), "{code}");
            assert!(zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{code}: {zh}");
            assert!(en.is_ascii(), "{code}: {en}");
            assert_eq!(reject.to_string(), format!("{en} ({code})"));
        }
    }
}
