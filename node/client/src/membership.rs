//! Who belongs to the ledger, and with which keys: from the genesis on through every change of governance, as its
//! complete history proves it. For whoever follows a ledger over years, such as a witness.

use crate::client::Client;
use crate::history::HistoryFailure;
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::keys_of;
use qz_evidence::codec::{CodecError, decode_strict};
use qz_evidence::genesis::{Card, Genesis, GenesisError, Organisation};
use qz_evidence::header::Header;
use qz_evidence::note::VerifierKey;
use qz_evidence::payload::{Change, Payload};
use qz_evidence::record::Record;
use qz_evidence::submission::Parsed;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::verify::TrustInputs;
use qz_evidence::verify::history::{HistoryError, history, join};
use qz_evidence::{Hash32, Height, OrgId, SubjectId};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why bundles do not prove who the members are.
#[derive(Debug, Error)]
pub enum MembershipError {
    /// They are not the complete history of the consortium.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The nodes gave none.
    #[error(transparent)]
    Nodes(#[from] HistoryFailure),
    /// Something in them cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A record's submission.
    #[error("a change of the consortium cannot be read: {0}")]
    Record(String),
    /// This machine's clock.
    #[error("{0}")]
    Clock(String),
    /// A card.
    #[error("the card of a member does not hold: {0}")]
    Card(#[from] GenesisError),
}

/// A card and how long it was in force.
#[derive(Clone, Debug)]
struct Held {
    organisation: Organisation,
    /// Height of the block that replaced it; nothing while it is in force.
    until: Option<Height>,
}

/// The members as of a block, and before.
#[derive(Clone, Debug)]
pub struct Membership {
    chain_id: Hash32,
    /// Nothing is known of later blocks.
    as_of: Height,
    /// Records of governance up to then.
    changes: u64,
    /// Validator sets, each with the first height that it decides.
    sets: Vec<(Height, ValidatorSet)>,
    cards: BTreeMap<OrgId, Vec<Held>>,
}

/// A validator's key for checkpoints, with its power.
pub(crate) struct LogKey {
    pub key: VerifierKey,
    pub organisation: OrgId,
    pub power: u64,
}

impl Membership {
    /// As the genesis has it.
    pub fn of_genesis(genesis: &Genesis) -> Self {
        let held = |organisation: &Organisation| {
            (organisation.id.clone(), vec![Held { organisation: organisation.clone(), until: None }])
        };
        Self {
            chain_id: genesis.chain_id(),
            as_of: Height(0),
            changes: 0,
            sets: vec![(Height(0), genesis.validators().clone())],
            cards: genesis.organisations().iter().map(held).collect(),
        }
    }

    /// As the complete history of governance proves it, in one bundle or several under one head, at this time by
    /// the verifier's clock.
    pub fn proven_by(genesis: &Genesis, bundles: &[Vec<u8>], now_ms: u64) -> Result<Self, MembershipError> {
        let subject = SubjectId::governance(&genesis.chain_id());
        let trust = TrustInputs::new(genesis.bytes(), now_ms);
        let parts: Result<Vec<_>, _> = bundles.iter().map(|bundle| history(bundle, &trust, &subject)).collect();
        let whole = join(parts?)?;
        whole.complete()?;
        let mut found = Self::of_genesis(genesis);
        (found.as_of, found.changes) = (whole.head.height, whole.records());
        let mut changes: BTreeMap<(Height, u32), Change> = BTreeMap::new();
        for bundle in bundles {
            let bundle: Bundle = decode_strict(bundle)?;
            for entry in &bundle.entries {
                let record: Record = decode_strict(&entry.record)?;
                let parsed = Parsed::without_relay_check(&record.submission)
                    .map_err(|e| MembershipError::Record(e.to_string()))?;
                if let Payload::GovernanceChanged(fields) = &parsed.body().payload {
                    changes.insert((record.height, record.index), fields.change.clone());
                }
            }
            // All under one head, so the hand-overs are the same ones.
            found.sets.truncate(1);
            for hand_over in &bundle.hand_overs {
                let last: Header = decode_strict(&hand_over.header)?;
                found.sets.push((Height(last.height.0 + 1), decode_strict(&hand_over.next)?));
            }
        }
        for ((height, _), change) in &changes {
            found.apply(*height, change)?;
        }
        Ok(found)
    }

    fn apply(&mut self, height: Height, change: &Change) -> Result<(), MembershipError> {
        let (id, card) = match change {
            Change::PutOrganisation(card) => {
                let organisation = Card::open(card)?.1;
                (organisation.id.clone(), Some(organisation))
            }
            Change::RemoveOrganisation(id) => (id.clone(), None),
            Change::SetValidators(_) | Change::SetParams(_) | Change::Upgrade(..) => return Ok(()),
        };
        let held = self.cards.entry(id).or_default();
        if let Some(last) = held.last_mut().filter(|last| last.until.is_none()) {
            last.until = Some(height);
        }
        held.extend(card.map(|organisation| Held { organisation, until: None }));
        Ok(())
    }

    /// Up to which block this is proven.
    pub fn as_of(&self) -> Height {
        self.as_of
    }

    /// How many changes of governance it counts.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The epoch in which it is: how many times the validators changed.
    pub fn epoch(&self) -> usize {
        self.sets.len() - 1
    }

    /// Validators' cards, where their nodes are called.
    pub(crate) fn validators(&self) -> impl Iterator<Item = &Organisation> {
        let set = self.sets.last().map(|(_, set)| set.validators()).unwrap_or_default();
        set.iter().filter_map(|validator| self.organisation(&validator.organisation))
    }

    /// The cards in force as of [`Membership::as_of`].
    pub fn organisations(&self) -> impl Iterator<Item = &Organisation> {
        let in_force = |held: &'_ &Held| held.until.is_none();
        self.cards.values().filter_map(move |held| held.last().filter(in_force)).map(|held| &held.organisation)
    }

    /// The card in force of an organisation.
    pub fn organisation(&self, id: &OrgId) -> Option<&Organisation> {
        self.organisations().find(|organisation| organisation.id == *id)
    }

    /// Keys with which validators speak for the log at this height. A key that was replaced later counts up to the
    /// block that replaced it; one that came later counts, too, since nodes sign old checkpoints again with what
    /// they have.
    pub(crate) fn log_keys(&self, height: Height) -> Vec<LogKey> {
        let set = self.sets.iter().rev().find(|(from, _)| *from <= height).map(|(_, set)| set);
        let mut keys: Vec<LogKey> = vec![];
        for validator in set.into_iter().flat_map(ValidatorSet::validators) {
            let held = self.cards.get(&validator.organisation).into_iter().flatten();
            for held in held.filter(|held| held.until.is_none_or(|until| height <= until)) {
                let Ok([key, _]) = keys_of(&self.chain_id, &held.organisation) else { continue };
                if !keys.iter().any(|known| known.key == key) {
                    let (organisation, power) = (validator.organisation.clone(), validator.power);
                    keys.push(LogKey { key, organisation, power });
                }
            }
        }
        keys
    }

    /// Have validators with more than two thirds of the power at this height signed, as `signed` says of a key?
    pub(crate) fn is_signed(&self, height: Height, signed: impl Fn(&VerifierKey) -> bool) -> bool {
        let keys = self.log_keys(height);
        let mut powers: BTreeMap<&OrgId, (u64, bool)> = BTreeMap::new();
        for LogKey { key, organisation, power } in &keys {
            let entry = powers.entry(organisation).or_insert((*power, false));
            entry.1 = entry.1 || signed(key);
        }
        let total = self.total_power(height);
        let voted: u128 = powers.values().filter(|(_, signed)| *signed).map(|(power, _)| u128::from(*power)).sum();
        3 * voted > 2 * total
    }

    fn total_power(&self, height: Height) -> u128 {
        let set = self.sets.iter().rev().find(|(from, _)| *from <= height);
        set.map_or(0, |(_, set)| u128::from(set.total_power()))
    }
}

impl Client {
    /// Who the members are as of a node's last block, proven from this client's genesis on, with the bundles that
    /// prove it.
    pub async fn membership(&self) -> Result<(Membership, Vec<Vec<u8>>), MembershipError> {
        let genesis = self.genesis();
        let found = self.history(&SubjectId::governance(&genesis.chain_id()), None).await?;
        let now_ms = crate::history::now_ms().map_err(MembershipError::Clock)?;
        Ok((Membership::proven_by(genesis, &found.bundles, now_ms)?, found.bundles))
    }
}
