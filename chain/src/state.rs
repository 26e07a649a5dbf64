//! Subjects: what the rules know about each, and how that goes into the state tree.

use crate::governance::{GovernanceState, organisation_digest};
use minicbor::{Decode, Encode};
use qz_evidence::codec::Format;
use qz_evidence::genesis::{Organisation, Role};
use qz_evidence::hash::{blake3, tag};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{FulfilmentStep, GroupRule, SealKind, Slot};
use qz_evidence::state_proof::{HeadTag, Status, SubjectHead, SubjectType};
use qz_evidence::{CodecError, Hash32, Height, OrgId, SubjectId, decode_strict, encode, format_tag};

format_tag!(
    /// Tag of a subject with its state.
    SubjectTag = "qz/subject-state/v1"
);

/// Most live authorisations of one seal.
pub const MAX_AUTHORISATIONS: usize = 64;
/// Most obligations of one contract.
pub const MAX_OBLIGATIONS: usize = 256;
/// Most amendments of one contract.
pub const MAX_AMENDMENTS: usize = 64;

/// An organisation of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OrganisationState {
    /// Its id.
    #[n(0)]
    pub id: OrgId,
    /// [`Status::Active`] or [`Status::Revoked`].
    #[n(1)]
    pub status: Status,
    /// Its roles, ascending.
    #[n(2)]
    pub roles: Vec<Role>,
    /// Office key (Ed25519).
    #[n(3)]
    pub office_key: Hash32,
    /// Relay key (Ed25519).
    #[n(4)]
    pub relay_key: Hash32,
    /// SHA-256 of its encoded [`Organisation`] (names, addresses, TLS authority, witness key).
    #[n(5)]
    pub organisation: Hash32,
}

impl OrganisationState {
    /// Its state when it enters.
    pub fn new(organisation: &Organisation) -> Self {
        Self {
            id: organisation.id.clone(),
            status: Status::Active,
            roles: organisation.roles.clone(),
            office_key: organisation.office_key,
            relay_key: organisation.relay_key,
            organisation: organisation_digest(organisation),
        }
    }

    /// Is it a member with this role?
    pub fn has(&self, role: Role) -> bool {
        self.status == Status::Active && self.roles.contains(&role)
    }

    /// The office key as a public key.
    pub fn office(&self) -> PublicKey {
        PublicKey::ed25519(self.office_key.0)
    }
}

/// A key of a person or of an organisation's handling person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyState {
    /// [`Status::Active`] or [`Status::Revoked`].
    #[n(0)]
    pub status: Status,
    /// The public key in force.
    #[n(1)]
    pub key: PublicKey,
    /// The organisation that attested to the holder's identity.
    #[n(2)]
    pub attestor: OrgId,
}

/// The right of a key to use a seal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Authorisation {
    /// The key subject.
    #[n(0)]
    pub key: SubjectId,
    /// Uses left; absent: any number.
    #[n(1)]
    pub count_left: Option<u32>,
    /// Last height of use; absent: no end.
    #[n(2)]
    pub until: Option<Height>,
}

/// A seal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealState {
    /// [`Status::Active`], [`Status::Suspended`] or [`Status::Destroyed`].
    #[n(0)]
    pub status: Status,
    /// The owner's key subject.
    #[n(1)]
    pub owner: SubjectId,
    /// Its kind.
    #[n(2)]
    pub kind: SealKind,
    /// Who besides the owner may use it, ascending by key.
    #[n(3)]
    pub authorisations: Vec<Authorisation>,
}

/// A slot that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedSlot {
    /// Index of the slot.
    #[n(0)]
    pub slot: u8,
    /// The key subject that signed.
    #[n(1)]
    pub key: SubjectId,
}

/// Where an obligation of a contract stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Obligation {
    /// Its number within the contract.
    #[n(0)]
    pub number: u16,
    /// Its last step.
    #[n(1)]
    pub step: FulfilmentStep,
    /// The key subject that recorded the last step.
    #[n(2)]
    pub by: SubjectId,
}

/// A pending dispute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Dispute {
    /// The court or arbitration body that it went to.
    #[n(0)]
    pub forum: OrgId,
    /// The contract's state before.
    #[n(1)]
    pub before: Status,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractState {
    /// From [`Status::Opened`] to [`Status::Disputed`].
    #[n(0)]
    pub status: Status,
    /// The initiator's key subject.
    #[n(1)]
    pub initiator: SubjectId,
    /// The slots, as opened.
    #[n(2)]
    pub slots: Vec<Slot>,
    /// n-of-m rules, groups ascending.
    #[n(3)]
    pub rules: Vec<GroupRule>,
    /// The contract that this one amends.
    #[n(4)]
    pub amends: Option<SubjectId>,
    /// Number of the fixed version; 0 before the first.
    #[n(5)]
    pub version: u32,
    /// The `document.sha256` commitment of the fixed version.
    #[n(6)]
    pub document: Option<Hash32>,
    /// Signed slots, ascending.
    #[n(7)]
    pub signed: Vec<SignedSlot>,
    /// The `document.sha256` commitment of the final file.
    #[n(8)]
    pub final_document: Option<Hash32>,
    /// Obligations, ascending by number.
    #[n(9)]
    pub obligations: Vec<Obligation>,
    /// Amendments that took effect, in their order.
    #[n(10)]
    pub amendments: Vec<SubjectId>,
    /// The dispute, while it is [`Status::Disputed`].
    #[n(11)]
    pub dispute: Option<Dispute>,
    /// The `document.sha256` commitment of the package that was archived last.
    #[n(12)]
    pub archived: Option<Hash32>,
}

impl ContractState {
    /// Is this slot signed?
    pub fn is_signed(&self, slot: u8) -> bool {
        self.signed.iter().any(|s| s.slot == slot)
    }

    /// Are the needed signatures of this order group in?
    pub fn group_is_satisfied(&self, group: u8) -> bool {
        let in_group = |slot: &usize| self.slots[*slot].group == group;
        let slots = (0..self.slots.len()).filter(in_group).count();
        let signed = self.signed.iter().map(|s| usize::from(s.slot)).filter(in_group).count();
        let rule = self.rules.iter().find(|r| r.group == group);
        signed >= rule.map_or(slots, |r| usize::from(r.required))
    }

    /// Are the needed signatures of every group in?
    pub fn is_fully_signed(&self) -> bool {
        self.slots.iter().all(|slot| self.group_is_satisfied(slot.group))
    }
}

/// A deposit of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EvidenceState {
    /// The `document.sha256` commitment.
    #[n(0)]
    pub document: Hash32,
    /// The subject that it is about.
    #[n(1)]
    pub about: Option<SubjectId>,
}

/// The audit log of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AuditLogState {
    /// Whose it is.
    #[n(0)]
    pub organisation: OrgId,
    /// Entries at the last anchor.
    #[n(1)]
    pub size: u64,
    /// Their root (RFC 9162, SHA-256).
    #[n(2)]
    pub root: Hash32,
}

/// What the rules know about a subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SubjectState {
    /// An organisation.
    #[n(1)]
    Organisation(#[n(0)] OrganisationState),
    /// A key.
    #[n(2)]
    Key(#[n(0)] KeyState),
    /// A seal.
    #[n(3)]
    Seal(#[n(0)] SealState),
    /// A contract.
    #[n(4)]
    Contract(#[n(0)] ContractState),
    /// A deposit.
    #[n(5)]
    Evidence(#[n(0)] EvidenceState),
    /// An audit log.
    #[n(6)]
    AuditLog(#[n(0)] AuditLogState),
    /// The consortium's governance.
    #[n(7)]
    Governance(#[n(0)] GovernanceState),
}

impl SubjectState {
    /// What kind of subject it is.
    pub fn subject_type(&self) -> SubjectType {
        match self {
            Self::Organisation(_) => SubjectType::Organisation,
            Self::Key(_) => SubjectType::Key,
            Self::Seal(_) => SubjectType::Seal,
            Self::Contract(_) => SubjectType::Contract,
            Self::Evidence(_) => SubjectType::Evidence,
            Self::AuditLog(_) => SubjectType::AuditLog,
            Self::Governance(_) => SubjectType::Governance,
        }
    }

    /// The state of its state machine.
    pub fn status(&self) -> Status {
        match self {
            Self::Organisation(state) => state.status,
            Self::Key(state) => state.status,
            Self::Seal(state) => state.status,
            Self::Contract(state) => state.status,
            Self::Evidence(_) | Self::AuditLog(_) => Status::Recorded,
            Self::Governance(_) => Status::Active,
        }
    }

    /// BLAKE3("qz/state/v1" ‖ encoded state).
    pub fn digest(&self) -> Hash32 {
        blake3(&[tag::STATE, &encode(self)])
    }
}

/// A subject: its state and the end of its sequence of records.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Subject {
    /// Format tag.
    #[n(0)]
    tag: SubjectTag,
    /// Records so far.
    #[n(1)]
    pub records: u64,
    /// Hash of the last record; zero if there is none.
    #[n(2)]
    pub last_record: Hash32,
    /// The state.
    #[n(3)]
    pub state: SubjectState,
}

impl Format for Subject {
    const NAME: &'static str = "subject state";
    const MAX_BYTES: usize = 32 * 1024;
}

impl Subject {
    /// A subject of these parts.
    pub fn new(records: u64, last_record: Hash32, state: SubjectState) -> Self {
        Self { tag: SubjectTag, records, last_record, state }
    }

    /// What the state tree holds under the subject's id.
    pub fn head(&self) -> SubjectHead {
        SubjectHead {
            tag: HeadTag,
            subject_type: self.state.subject_type(),
            status: self.state.status(),
            records: self.records,
            last_record: self.last_record,
            state_digest: self.state.digest(),
        }
    }

    /// Bytes for a store.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// From [`Subject::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode_strict(bytes)
    }
}
