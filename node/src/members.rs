//! Who belongs to the ledger, as of this node's head: the active members, their nodes, and the
//! validators that decide the next height. Networks, TLS and consensus all follow this one watch, which
//! is renewed after every commit.

use std::sync::Arc;

use libp2p::PeerId;
use malachitebft_app_channel::app::types::PeerId as EnginePeer;
use qz_evidence::genesis::{Organisation, ValidatorCard};
use qz_evidence::validators::{ValidatorSet, address};
use qz_evidence::{Hash32, OrgId};
use qz_genesis::peer;
use tokio::sync::watch;

/// The members as of one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    organisations: Vec<Organisation>,
    /// Organisations that governance has removed.
    former: Vec<OrgId>,
    validators: ValidatorSet,
}

/// Who this node is.
#[derive(Clone, Debug)]
pub(crate) struct OwnNode {
    pub organisation: OrgId,
    pub id: PeerId,
    pub consensus_key: Hash32,
}

/// What a node is to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It decides the next height.
    Validator,
    /// A member's node that follows the ledger without a vote.
    Observer,
    /// Not admitted yet, as far as this node knows.
    Candidate,
    /// Its organisation was removed, or has no node any more.
    Removed,
}

impl Standing {
    /// As the status calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Observer => "observer",
            Self::Candidate => "candidate",
            Self::Removed => "removed",
        }
    }
}

/// A member's node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberNode<'a> {
    pub organisation: &'a OrgId,
    pub id: PeerId,
    pub card: &'a ValidatorCard,
}

impl Membership {
    /// These active and these former organisations, with these validators of the next height.
    pub(crate) fn new(organisations: Vec<Organisation>, former: Vec<OrgId>, validators: ValidatorSet) -> Self {
        Self { organisations, former, validators }
    }

    /// What this node is to the ledger.
    pub(crate) fn standing(&self, own: &OwnNode) -> Standing {
        if self.nodes().any(|node| node.id == own.id) {
            return if self.is_validator(&own.consensus_key) { Standing::Validator } else { Standing::Observer };
        }
        let listed = self.organisations.iter().find(|organisation| organisation.id == own.organisation);
        match listed {
            // With another key in its card, this node may be the next one of its organisation.
            Some(organisation) if organisation.validator.is_some() => Standing::Candidate,
            Some(_) => Standing::Removed,
            None if self.former.contains(&own.organisation) => Standing::Removed,
            None => Standing::Candidate,
        }
    }

    /// The active organisations, ascending by id.
    pub(crate) fn organisations(&self) -> &[Organisation] {
        &self.organisations
    }

    /// The validators of the next height.
    pub(crate) fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// How many validators may be faulty; their word alone decides nothing.
    pub(crate) fn faulty(&self) -> usize {
        self.validators.validators().len().saturating_sub(1) / 3
    }

    /// Nodes of all active members that run one, validators of the next height or not.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = MemberNode<'_>> {
        self.organisations.iter().filter_map(|organisation| {
            let card = organisation.validator.as_ref()?;
            // A key that is none has no node: nobody can connect with it.
            let id = peer::peer_id(&card.network_key).ok()?;
            Some(MemberNode { organisation: &organisation.id, id, card })
        })
    }

    /// Whether this consensus key decides the next height.
    pub(crate) fn is_validator(&self, consensus_key: &Hash32) -> bool {
        self.validators.by_address(&address(consensus_key)).is_some()
    }
}

/// A peer as the engine names it: another type for the same multihash.
pub(crate) fn engine_peer(peer: &PeerId) -> Option<EnginePeer> {
    EnginePeer::from_bytes(&peer.to_bytes()).ok()
}

/// The watch.
#[derive(Debug)]
pub(crate) struct Members {
    current: watch::Sender<Arc<Membership>>,
}

impl Members {
    /// Starts with these.
    pub(crate) fn new(membership: Membership) -> Self {
        Self { current: watch::Sender::new(Arc::new(membership)) }
    }

    /// The members now.
    pub(crate) fn now(&self) -> Arc<Membership> {
        self.current.borrow().clone()
    }

    /// Replaces them; whoever follows wakes up only if something differs.
    pub(crate) fn set(&self, membership: Membership) {
        self.current.send_if_modified(|current| {
            let differs = **current != membership;
            if differs {
                *current = Arc::new(membership);
            }
            differs
        });
    }

    /// Follows the changes.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<Membership>> {
        self.current.subscribe()
    }
}
