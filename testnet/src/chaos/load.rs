//! The load: parties with keys of their own who go on submitting whatever happens to the nodes. Each
//! waits for its submission to be final, tries again with the same bytes, goes to other members' nodes,
//! and now and then has another member relay the same body at the same time, as somebody would who
//! distrusts the first.

use super::book::Book;
use super::seed::Numbers;
use crate::custody;
use crate::member::Office;
use crate::party::Party;
use anyhow::{Context, Result, anyhow};
use qz_client::{Client, ClientConfig, ClientError, Finalised, Relay};
use qz_evidence::commitment::{Opening, name};
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractOpened, ContractSigned, ContractVersionFixed, EvidenceDeposited, KeyRegistered, Payload, SealKind,
    SealMade, SealRef, Slot, SlotKind,
};
use qz_evidence::submission::{Actor, Body};
use qz_evidence::{Hash32, Height, SubjectId, SubmissionId};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longest time for one attempt; then the same bytes go out again.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Pause after a refusal that should not last.
const PAUSE: Duration = Duration::from_millis(250);
/// Expiry of every body: far beyond any run, within the ledger's window.
const EXPIRY: u64 = 15_000;

/// A member as the load uses it: a carrier with a way to all nodes, its own first.
struct Carrier {
    client: Client,
    relay: Relay,
}

/// What all workers share.
struct Shared {
    chain_id: Hash32,
    carriers: Vec<Carrier>,
    book: Mutex<Book>,
    stop: AtomicBool,
    give_up: AtomicBool,
}

/// The running load.
pub struct Load {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<Result<()>>>,
}

/// The workers' ground: members' folders, who attests, where clients keep their keys.
pub struct Ground<'a> {
    /// The members' folders.
    pub homes: Vec<&'a Path>,
    /// The office that attests to the parties' keys.
    pub attestor: Office,
    /// Its organisation.
    pub attestor_id: &'a str,
    /// Where parties keep their keys.
    pub clients: &'a Path,
}

impl Load {
    /// Registers one party for each of `workers`; they do not start yet.
    pub async fn prepare(ground: &Ground<'_>, workers: usize) -> Result<(Self, Vec<Party>)> {
        let mut carriers = vec![];
        for home in &ground.homes {
            let home = custody::open(home)?;
            let client = Client::new(&ClientConfig::from_home(&home)?)?;
            carriers.push(Carrier { client, relay: Relay::from_home(&home)? });
        }
        let chain_id = carriers.first().context("no members")?.client.genesis().chain_id();
        let shared = Shared {
            chain_id,
            carriers,
            book: Mutex::default(),
            stop: AtomicBool::new(false),
            give_up: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        let mut parties = vec![];
        for number in 0..workers {
            parties.push(register(&shared, ground, number).await?);
        }
        Ok((Self { shared, workers: vec![] }, parties))
    }

    /// Lets everybody work at this rate together, submissions a second.
    pub fn start(&mut self, parties: Vec<Party>, rate: f64, seed: u64) {
        let pause = Duration::from_secs_f64(parties.len() as f64 / rate);
        for (party, number) in parties.into_iter().zip(0..) {
            let worker = Worker {
                shared: self.shared.clone(),
                party,
                home: number % self.shared.carriers.len(),
                numbers: Numbers::new(seed, 100 + number as u64),
                pause,
                seal: None,
            };
            self.workers.push(tokio::spawn(worker.work()));
        }
    }

    /// The book, for a moment.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.shared)
    }

    /// Lets everybody finish what was begun, for so long at most, and gives the book.
    pub async fn finish(self, limit: Duration) -> Result<Book> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let deadline = tokio::time::Instant::now() + limit;
        for mut worker in self.workers {
            let ended = tokio::time::timeout_at(deadline, &mut worker).await;
            let ended = match ended {
                Ok(ended) => ended,
                Err(_) => {
                    // What is still open stands in the book as such.
                    self.shared.give_up.store(true, Ordering::Relaxed);
                    worker.await
                }
            };
            ended.context("a worker broke down")??;
        }
        Ok(std::mem::take(&mut *lock(&self.shared)))
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Book> {
    shared.book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a party with the attestor's signature, relayed by another member.
async fn register(shared: &Arc<Shared>, ground: &Ground<'_>, number: usize) -> Result<Party> {
    let mut party = Party::create(&ground.clients.join(format!("party-{number}")), "甲方", shared.chain_id)?;
    let payload = Payload::KeyRegistered(KeyRegistered {
        key: PublicKey::ed25519(party.public_key()),
        attestor: qz_evidence::OrgId::new(ground.attestor_id).context("an organisation's id")?,
    });
    let commitments = [name::NAME, name::ID_CODE, name::IDENTITY_CHECK];
    let body = body(shared, payload, &commitments)?;
    let digest = body.digest();
    let subject = SubjectId::created_by(&shared.chain_id, &digest);
    party.registered_as(subject);
    let office = ground.attestor.sign(&digest)?;
    let actors =
        vec![party.actor(&body)?, Actor { subject: ground.attestor.subject(), signature: office.to_vec().into() }];
    let relay = shared.carriers.iter().position(|carrier| carrier.relay.org().as_str() != ground.attestor_id);
    let mut numbers = Numbers::new(number as u64, 2);
    until_final(shared, &body, &actors, relay.unwrap_or(0), &mut numbers).await?.context("a key was not registered")?;
    Ok(party)
}

/// A body with random commitments of these names.
fn body(shared: &Shared, payload: Payload, commitments: &[&str]) -> Result<Body> {
    let openings = commitments.iter().map(|name| Ok(Opening::new(name, random()?, random::<32>()?)));
    let commitments = openings.map(|opening: Result<Opening>| Ok(opening?.commitment())).collect::<Result<_>>()?;
    let claimed_time_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    let id = SubmissionId(random()?);
    Ok(Body::new(shared.chain_id, id, Height(EXPIRY), payload, commitments, claimed_time_ms))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// Submits until some node says that it is final; nothing if the load gave up before.
async fn until_final(
    shared: &Shared, body: &Body, actors: &[Actor], home: usize, numbers: &mut Numbers,
) -> Result<Option<Finalised>> {
    let mut relay = home;
    while !shared.give_up.load(Ordering::Relaxed) {
        // Now and then two members carry the same body at once: it must be recorded once.
        let answer = if numbers.one_in(6) {
            let other = (relay + 1 + numbers.below(shared.carriers.len() - 1)) % shared.carriers.len();
            let (first, second) =
                tokio::join!(attempt(shared, body, actors, relay), attempt(shared, body, actors, other));
            if let (Ok(first), Ok(second)) = (&first, &second) {
                lock(shared).acknowledged(first);
                lock(shared).acknowledged(second);
            }
            first.or(second)
        } else {
            attempt(shared, body, actors, relay).await
        };
        match answer {
            Ok(at) => {
                lock(shared).acknowledged(&at);
                return Ok(Some(at));
            }
            Err(ClientError::Rejected { node, rejection, .. }) => {
                // A duplicate is recorded already, and the next attempt learns where.
                if rejection.code != "submission.duplicate" {
                    let words = format!("{node} refused {}: {rejection}", body.payload.kind().name);
                    lock(shared).refused(words);
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_temporary() => {}
            Err(error) => return Err(error.into()),
        }
        lock(shared).retries += 1;
        if numbers.one_in(2) {
            relay = (relay + 1) % shared.carriers.len();
        }
    }
    Ok(None)
}

async fn attempt(shared: &Shared, body: &Body, actors: &[Actor], relay: usize) -> Result<Finalised, ClientError> {
    let carrier = &shared.carriers[relay];
    // The relay's signature is deterministic: the same bytes each time.
    let submission = carrier.relay.wrap(body, actors.to_vec())?;
    lock(shared).sent(submission.digest, body.payload.kind().name, relay);
    carrier.client.submit_and_wait(&submission.bytes, ATTEMPT).await
}

/// One party at work.
struct Worker {
    shared: Arc<Shared>,
    party: Party,
    home: usize,
    numbers: Numbers,
    pause: Duration,
    /// Its seal, and whether it is suspended.
    seal: Option<(SubjectId, bool)>,
}

impl Worker {
    async fn work(mut self) -> Result<()> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.numbers.between(0, 9) {
                0..=4 => self.deposit().await?,
                5..=7 => self.use_seal().await?,
                _ => self.sign_contract().await?,
            };
            tokio::time::sleep(self.pause).await;
        }
        Ok(())
    }

    /// Submits a body of this party; gives the subject that it creates, unless the load gave up.
    async fn submit(&mut self, payload: Payload, commitments: &[&str], signed: bool) -> Result<Option<Body>> {
        let body = body(&self.shared, payload, commitments)?;
        let actors = if signed { vec![self.party.actor(&body)?] } else { vec![] };
        let done = until_final(&self.shared, &body, &actors, self.home, &mut self.numbers).await?;
        Ok(done.map(|_| body))
    }

    fn created_by(&self, body: &Body) -> SubjectId {
        SubjectId::created_by(&self.shared.chain_id, &body.digest())
    }

    async fn deposit(&mut self) -> Result<()> {
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
        self.submit(payload, &[name::DOCUMENT], false).await.map(drop)
    }

    /// The next step in the life of the party's seal, each of which only one state allows.
    async fn use_seal(&mut self) -> Result<()> {
        let owner = self.party.subject()?;
        let Some((seal, suspended)) = self.seal else {
            let payload = Payload::SealMade(SealMade { owner, kind: SealKind::Contract });
            let made = self.submit(payload, &[name::IMPRINT, name::CERTIFICATE], true).await?;
            self.seal = made.map(|body| (self.created_by(&body), false));
            return Ok(());
        };
        let fields = SealRef { seal };
        let (payload, next) = match suspended {
            true => (Payload::SealResumed(fields), Some((seal, false))),
            false if self.numbers.one_in(4) => (Payload::SealDestroyed(fields), None),
            false => (Payload::SealSuspended(fields), Some((seal, true))),
        };
        if self.submit(payload, &[], true).await?.is_some() {
            self.seal = next;
        }
        Ok(())
    }

    /// A contract with one slot: opened, fixed, signed.
    async fn sign_contract(&mut self) -> Result<()> {
        let key = self.party.subject()?;
        let slot = Slot { kind: SlotKind::Key, subject: key, role: 1, group: 0 };
        let opened = ContractOpened { initiator: key, slots: vec![slot], rules: vec![], amends: None };
        let commitments = [name::TITLE, name::NUMBER];
        let Some(body) = self.submit(Payload::ContractOpened(opened), &commitments, true).await? else { return Ok(()) };
        let contract = self.created_by(&body);
        let fixed = Payload::ContractVersionFixed(ContractVersionFixed { contract, version: 1 });
        let Some(body) = self.submit(fixed, &[name::DOCUMENT], true).await? else { return Ok(()) };
        let version = *body.commitment(name::DOCUMENT).unwrap_or(&sha256(&[b"absent"]));
        let signed = Payload::ContractSigned(ContractSigned { contract, slot: 0, version, seal: None });
        self.submit(signed, &[name::TO_BE_SIGNED], true).await.map(drop)
    }
}
