//! The consortium as the ledger knows it: members, validators, parameters, and the next version of the
//! rules. Which changes are allowed is decided in `rules/governance.rs`; here is what they are made of.
//!
//! What a block changes takes effect at the next height, so that everybody knows beforehand who decides a
//! height and under which parameters. (Keys and the standing of a member are state like any other: the next
//! submission sees them.)

use crate::state::{OrganisationState, SubjectState};
use crate::view::{View, ViewError};
use minicbor::{Decode, Encode};
use qz_evidence::codec::{Bytes, Format};
use qz_evidence::genesis::{Card, GenesisError, Organisation, Params};
use qz_evidence::hash::sha256;
use qz_evidence::state_proof::Status;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{CodecError, Hash32, Height, OrgId, SubjectId, decode_strict, encode, format_tag};
use thiserror::Error;

/// The newest protocol version whose rules this code has. Version 2 has the rules of version 1: it is there
/// so that a consortium can rehearse an upgrade on a running network before it needs one.
pub const SUPPORTED_PROTOCOL: u32 = 2;

/// An upgrade is recorded at least this many heights before it takes effect.
pub const UPGRADE_NOTICE: u64 = 10;

format_tag!(
    /// Tag of a stored member.
    MemberTag = "qz/member/v1"
);

/// Another version of the rules from a height on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Upgrade {
    /// The protocol version.
    #[n(0)]
    pub version: u32,
    /// The first height decided under it.
    #[n(1)]
    pub height: Height,
}

/// State of the governance subject, after its last record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GovernanceState {
    /// The active members, ascending.
    #[n(0)]
    pub members: Vec<OrgId>,
    /// Hash of the validator set from the next height on.
    #[n(1)]
    pub validators: Hash32,
    /// Hash of the parameters from the next height on, before a pending upgrade.
    #[n(2)]
    pub params: Hash32,
    /// The pending upgrade; one whose height is reached has taken effect.
    #[n(3)]
    pub upgrade: Option<Upgrade>,
    /// For how many heights a recorded submission counts against replays: the largest window so far.
    #[n(4)]
    pub replay_window: u64,
    /// What was recorded below this height no longer counts: nodes may have forgotten it before the window
    /// grew, and all of it has expired.
    #[n(5)]
    pub replay_from: Height,
}

/// Which recorded submissions count against replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Heights back.
    pub window: u64,
    /// Not below this height.
    pub from: Height,
}

impl GovernanceState {
    pub(crate) fn replay(&self) -> Replay {
        Replay { window: self.replay_window, from: self.replay_from }
    }
}

impl Replay {
    /// Before any change of the consortium.
    pub(crate) fn since_genesis(params: &Params) -> Self {
        Self { window: params.window, from: Height(0) }
    }

    /// With these parameters decided on at `height`. The window never shrinks: what was recorded before may
    /// expire later than the new window says. When it grows, what the old one let nodes forget must not
    /// count, or nodes that forget late would judge otherwise than those that did not.
    pub(crate) fn with(self, params: &Params, height: Height) -> Self {
        if params.window <= self.window {
            return self;
        }
        let from = self.from.max(Height(height.0.saturating_sub(self.window)));
        Self { window: params.window, from }
    }

    /// Does a submission recorded at this height count at `height`?
    pub fn counts(&self, recorded: Height, height: Height) -> bool {
        recorded >= self.from && recorded.0.saturating_add(self.window) >= height.0
    }
}

/// An organisation that is or was a member, with the card that is or was last in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The signed card's bytes.
    pub card: Vec<u8>,
    /// What it says.
    pub organisation: Organisation,
    /// [`Status::Active`], or [`Status::Revoked`] once removed.
    pub status: Status,
    /// Height of its admission, last replacement or removal.
    pub since: Height,
}

/// [`Member`] as it is stored.
#[derive(Encode, Decode)]
#[cbor(map)]
struct StoredMember {
    #[n(0)]
    tag: MemberTag,
    #[n(1)]
    card: Bytes,
    #[n(2)]
    status: Status,
    #[n(3)]
    since: Height,
}

impl Format for StoredMember {
    const NAME: &'static str = "member";
    const MAX_BYTES: usize = 24 * 1024;
}

/// Why stored bytes are no member.
#[derive(Debug, Error)]
pub enum MemberError {
    /// Not canonical bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The card in them does not hold.
    #[error(transparent)]
    Card(#[from] GenesisError),
}

impl Member {
    /// An active member by its signed card.
    pub fn admitted(card: &[u8], since: Height) -> Result<Self, GenesisError> {
        let (_, organisation) = Card::open(card)?;
        Ok(Self { card: card.to_vec(), organisation, status: Status::Active, since })
    }

    /// Its id.
    pub fn id(&self) -> &OrgId {
        &self.organisation.id
    }

    /// Is it a member now?
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Bytes for a store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { card, organisation: _, status, since } = self;
        encode(&StoredMember { tag: MemberTag, card: Bytes(card.clone()), status: *status, since: *since })
    }

    /// From [`Member::to_bytes`]. The card's signatures are not verified again: they were on admission.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MemberError> {
        let StoredMember { tag: _, card, status, since } = decode_strict(bytes)?;
        let organisation = decode_strict(&decode_strict::<Card>(&card)?.organisation)?;
        Ok(Self { card: card.0, organisation, status, since })
    }

    /// The state of its subject.
    pub fn state(&self) -> OrganisationState {
        OrganisationState { status: self.status, ..OrganisationState::new(&self.organisation) }
    }
}

/// The consortium while a block is made: members as they are now, the rest as it will be in force from the
/// next height on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consortium {
    /// Present and former, ascending by id.
    pub members: Vec<Member>,
    pub validators: ValidatorSet,
    pub params: Params,
    /// What has not taken effect yet.
    pub upgrade: Option<Upgrade>,
    pub replay: Replay,
}

impl Consortium {
    /// As of the view's tip.
    pub fn of<V: View>(view: &V) -> Result<Self, ViewError> {
        Ok(Self {
            members: view.organisations()?,
            validators: view.validators()?,
            params: view.params()?,
            upgrade: governance_state(view)?.and_then(|state| state.upgrade),
            replay: replay(view)?,
        })
    }

    /// The state of the governance subject.
    pub fn state(&self) -> GovernanceState {
        GovernanceState {
            members: self.active().map(|member| member.id().clone()).collect(),
            validators: self.validators.hash(),
            params: self.params.hash(),
            upgrade: self.upgrade,
            replay_window: self.replay.window,
            replay_from: self.replay.from,
        }
    }

    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_active())
    }

    pub fn member(&self, id: &OrgId) -> Option<&Member> {
        self.members.iter().find(|member| member.id() == id)
    }

    pub fn active_member(&self, id: &OrgId) -> Option<&Member> {
        self.member(id).filter(|member| member.is_active())
    }

    /// Puts a member in the place of what stood under its id.
    pub fn put(&mut self, member: Member) {
        match self.members.binary_search_by(|other| other.id().cmp(member.id())) {
            Ok(index) => self.members[index] = member,
            Err(index) => self.members.insert(index, member),
        }
    }
}

/// This code does not have the rules of a version that is or will be in force. Not a verdict about anybody's
/// block: the program has to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "height {height} needs protocol version {needed}, this program supports versions up to {supported}; install the new version"
)]
pub struct UnsupportedProtocol {
    /// From this height on.
    pub height: Height,
    /// The version needed.
    pub needed: u32,
    /// [`SUPPORTED_PROTOCOL`].
    pub supported: u32,
}

/// Is this version, of this height, among those whose rules this code has?
pub fn check_protocol(protocol: u32, height: Height) -> Result<(), UnsupportedProtocol> {
    if (1..=SUPPORTED_PROTOCOL).contains(&protocol) {
        return Ok(());
    }
    Err(UnsupportedProtocol { height, needed: protocol, supported: SUPPORTED_PROTOCOL })
}

/// State of the governance subject; nothing before the first change of the consortium.
pub fn governance_state<V: View>(view: &V) -> Result<Option<GovernanceState>, ViewError> {
    let subject = SubjectId::governance(&view.chain_id());
    match view.subject(&subject)?.as_deref().map(|subject| &subject.state) {
        None => Ok(None),
        Some(SubjectState::Governance(state)) => Ok(Some(state.clone())),
        Some(_) => Err(ViewError::new("the governance subject is of another type")),
    }
}

/// The upgrade that has not taken effect at the view's tip.
pub fn pending_upgrade<V: View>(view: &V) -> Result<Option<Upgrade>, ViewError> {
    let next = view.tip()?.height.next();
    // At the last height before it, it stands in the parameters of the next already.
    let pending = governance_state(view)?.and_then(|state| state.upgrade);
    Ok(pending.filter(|upgrade| upgrade.height > next))
}

/// Which recorded submissions count at the height after the view's tip.
pub fn replay<V: View>(view: &V) -> Result<Replay, ViewError> {
    match governance_state(view)? {
        Some(state) => Ok(state.replay()),
        None => Ok(Replay::since_genesis(&view.params()?)),
    }
}

/// SHA-256 of an organisation's bytes, as its subject's state has it.
pub(crate) fn organisation_digest(organisation: &Organisation) -> Hash32 {
    sha256(&[&encode(organisation)])
}
