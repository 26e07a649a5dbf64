//! Makes a long chain quickly: blocks of signed submissions are proposed, executed and committed on a
//! stopped node's store by the code that its node runs, with final certificates by the validators' own keys.
//! What comes out is what consensus would have left, without its rounds and waits.

use crate::custody;
use crate::folder::Folder;
use anyhow::{Context, Result, ensure};
use ed25519_dalek::{Signer, SigningKey};
use qz_chain::{Verified, View, propose};
use qz_client::Relay;
use qz_evidence::commit::{CommitCertificate, CommitSignature, VoteType, vote_message};
use qz_evidence::commitment::{Commitment, name};
use qz_evidence::genesis::Genesis;
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{EvidenceDeposited, KeyRegistered, Payload, SealKind, SealMade, SealRef};
use qz_evidence::submission::{Actor, Body, Parsed, actor_message};
use qz_evidence::validators::address;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use qz_genesis::{Home, Purpose, SecretKey};
use qz_store::Store;
use std::path::Path;

/// Seals that are suspended and resumed.
const SEALS: usize = 64;
/// Blocks until a submission of the chain expires, at most.
const LIFE: u64 = 1_000;
/// Who vouches for the seals' owner.
const ATTESTOR: &str = "notary";

/// What was added to a store.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// Records that were added.
    pub records: usize,
    /// The last height.
    pub height: u64,
}

/// Adds blocks of `per_block` records to the ledger in `data` until it has got `records` more. Of four
/// records three deposit evidence (the relay's signature) and one suspends or resumes a seal (relay and
/// owner), as in the growth benchmark; members relay in turn.
pub fn fill(
    folder: &Folder, data: &Path, members: &[&str], records: usize, per_block: usize, progress: &mut dyn FnMut(&str),
) -> Result<Filled> {
    let homes = members.iter().map(|id| custody::open(&folder.organisation(id))).collect::<Result<Vec<_>>>()?;
    let mut filler = Filler::open(&homes, data)?;
    let registration = filler.registration(&homes)?;
    filler.block(&[registration])?;
    let made = (0..SEALS.min(per_block)).map(|_| filler.seal_made()).collect::<Result<Vec<_>>>()?;
    let chain_id = filler.genesis.chain_id();
    filler.seals = made.iter().map(|parsed| SubjectId::created_by(&chain_id, &parsed.digest())).collect();
    filler.block(&made)?;
    let (mut told, tenth) = (0, (records / 10).max(1));
    while filler.records < records {
        let submissions =
            (0..per_block.min(records - filler.records)).map(|_| filler.next()).collect::<Result<Vec<_>>>()?;
        filler.block(&submissions)?;
        if filler.records / tenth > told {
            told = filler.records / tenth;
            progress(&format!("已写入 {0} 条记录 · {0} records written", filler.records));
        }
    }
    Ok(Filled { records: filler.records, height: filler.store.tip_height()?.0 })
}

struct Filler {
    genesis: Genesis,
    store: Store,
    verified: Verified,
    relays: Vec<Relay>,
    validators: Vec<(Hash32, SecretKey)>,
    owner: SigningKey,
    owner_subject: SubjectId,
    seals: Vec<SubjectId>,
    counter: u64,
    seal_turns: usize,
    records: usize,
}

impl Filler {
    fn open(homes: &[Home], data: &Path) -> Result<Self> {
        let genesis = homes.first().context("no member")?.genesis_document()?;
        let store = Store::open(data, &genesis)?;
        let validator = |home: &Home| -> Result<_> {
            let key = home.key(Purpose::Consensus)?;
            Ok((address(&key.public()), key))
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        Ok(Self {
            genesis,
            store,
            verified: Verified::default(),
            relays: homes.iter().map(Relay::from_home).collect::<Result<_, _>>()?,
            validators: homes.iter().map(validator).collect::<Result<_>>()?,
            owner: SigningKey::from_bytes(&seed),
            owner_subject: SubjectId(Hash32::ZERO),
            seals: vec![],
            counter: 0,
            seal_turns: 0,
            records: 0,
        })
    }

    /// The owner of the seals, attested by a member that does not relay it.
    fn registration(&mut self, homes: &[Home]) -> Result<Parsed> {
        let attestor = OrgId::new(ATTESTOR).context("no well-formed id")?;
        let home = homes.iter().find(|home| home.organisation().id == attestor).context("the attestor is needed")?;
        let payload = Payload::KeyRegistered(KeyRegistered {
            key: PublicKey::ed25519(self.owner.verifying_key().to_bytes()),
            attestor: attestor.clone(),
        });
        let body = self.body(payload, &[name::NAME, name::ID_CODE, name::IDENTITY_CHECK])?;
        self.owner_subject = SubjectId::created_by(&self.genesis.chain_id(), &body.digest());
        let office = home.key(Purpose::Office)?.sign(&actor_message(&body.digest()))?;
        let office = Actor {
            subject: SubjectId::of_organisation(&self.genesis.chain_id(), &attestor),
            signature: office.to_vec().into(),
        };
        let other = self.relays.iter().position(|relay| *relay.org() != attestor).context("no second member")?;
        let actors = vec![self.signed_by_owner(&body), office];
        self.wrap(other, &body, actors)
    }

    fn seal_made(&mut self) -> Result<Parsed> {
        let payload = Payload::SealMade(SealMade { owner: self.owner_subject, kind: SealKind::Contract });
        self.by_owner(payload, &[name::CERTIFICATE, name::IMPRINT])
    }

    fn next(&mut self) -> Result<Parsed> {
        if self.counter % 4 != 3 {
            let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
            let body = self.body(payload, &[name::DOCUMENT])?;
            return self.wrap(self.turn(), &body, vec![]);
        }
        let seal = SealRef { seal: self.seals[self.seal_turns % self.seals.len()] };
        let suspend = (self.seal_turns / self.seals.len()).is_multiple_of(2);
        self.seal_turns += 1;
        let payload = if suspend { Payload::SealSuspended(seal) } else { Payload::SealResumed(seal) };
        self.by_owner(payload, &[name::DESCRIPTION])
    }

    fn by_owner(&mut self, payload: Payload, commitments: &[&str]) -> Result<Parsed> {
        let body = self.body(payload, commitments)?;
        let actor = self.signed_by_owner(&body);
        self.wrap(self.turn(), &body, vec![actor])
    }

    fn signed_by_owner(&self, body: &Body) -> Actor {
        let signature = self.owner.sign(&actor_message(&body.digest())).to_bytes();
        Actor { subject: self.owner_subject, signature: signature.to_vec().into() }
    }

    fn turn(&self) -> usize {
        (self.counter / 4) as usize % self.relays.len()
    }

    fn wrap(&self, relay: usize, body: &Body, actors: Vec<Actor>) -> Result<Parsed> {
        Ok(Parsed::new(&self.relays[relay].wrap(body, actors)?.bytes)?)
    }

    fn body(&mut self, payload: Payload, commitments: &[&str]) -> Result<Body> {
        self.counter += 1;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.counter.to_be_bytes());
        let commitment = |name: &&str| Commitment { name: (*name).to_owned(), hash: sha256(&[name.as_bytes(), &id]) };
        let commitments = commitments.iter().map(commitment).collect();
        let life = LIFE.min(self.genesis.body().params.window);
        let expiry = Height(self.store.tip_height()?.0 + life);
        Ok(Body::new(self.genesis.chain_id(), SubmissionId(id), expiry, payload, commitments, now_ms()))
    }

    /// Proposes, executes and commits a block as a node does, and signs it for all members.
    fn block(&mut self, submissions: &[Parsed]) -> Result<()> {
        let height = Height(self.store.tip_height()?.0 + 1);
        let proposer = self.validators[height.0 as usize % self.validators.len()].0;
        let changes = {
            let view = self.store.view()?;
            let time_ms = now_ms().max(view.tip()?.time_ms + 1);
            let proposed = propose(&view, submissions, time_ms, proposer, &self.verified)?;
            ensure!(proposed.rejected.is_empty(), "the rules refuse: {:?}", proposed.rejected);
            proposed.changes
        };
        ensure!(changes.records.len() == submissions.len(), "a block has no room for {} records", submissions.len());
        let sign = |(address, key): &(Hash32, SecretKey)| -> Result<CommitSignature> {
            let chain_id = self.genesis.chain_id();
            let message = vote_message(&chain_id, VoteType::Precommit, height, 0, Some(&changes.block_id), address);
            Ok(CommitSignature { address: *address, signature: key.sign(&message)?.to_vec().into() })
        };
        let signatures = self.validators.iter().map(sign).collect::<Result<_>>()?;
        let certificate = CommitCertificate::new(height, 0, changes.block_id, signatures);
        self.store.commit(&changes, &certificate)?;
        self.records += submissions.len();
        Ok(())
    }
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}
