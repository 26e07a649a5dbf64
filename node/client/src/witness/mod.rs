//! An outside witness (C2SP tlog-witness): it keeps the last checkpoint that it has signed, signs another only
//! with the proof that it continues that one, and so never signs two histories.
//!
//! It trusts nobody: a checkpoint counts when members with more than two thirds of the validators' power at its
//! height have signed it. Who that is the genesis says, and the proven history of governance after it. Two such checkpoints that contradict each other are the proof of a split
//! view: both are kept in a file, the witness raises an alarm and signs nothing any more.

mod home;
mod serve;

pub use home::{GOVERNANCE_FILE, WitnessHome, WitnessHomeError};
pub use serve::{Follow, serve};

use crate::anchor::SIZE_TYPE;
use crate::membership::Membership;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::checkpoint::{SignedCheckpoint, origin};
use qz_evidence::genesis::Genesis;
use qz_evidence::history::is_consistent;
use qz_evidence::note::{MAX_NOTE_BYTES, NoteSignature, VerifierKey, cosigned_message};
use qz_evidence::{Hash32, Height};
use std::sync::{Mutex, PoisonError, RwLock};

/// Most lines of a consistency proof (C2SP tlog-witness).
const MAX_PROOF_LINES: usize = 63;
/// Largest request.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 8 * 1024;

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() + "\n" }
    }
}

/// A witness of one ledger.
pub struct Witness {
    home: WitnessHome,
    origin: String,
    members: RwLock<Membership>,
    state: Mutex<State>,
}

struct State {
    latest: Option<SignedCheckpoint>,
    alarm: Option<String>,
}

impl Witness {
    /// Opens a witness for the ledger of this genesis.
    pub fn open(home: WitnessHome, genesis: &Genesis) -> Result<Self, WitnessHomeError> {
        let members = home.members(genesis)?;
        let latest = home.latest(&origin(&genesis.chain_id()))?;
        let alarm = home.alarm()?;
        Ok(Self {
            home,
            origin: origin(&genesis.chain_id()),
            members: RwLock::new(members),
            state: Mutex::new(State { latest, alarm }),
        })
    }

    /// Whom it takes for the members.
    pub fn members(&self) -> Membership {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes newer members, as these bundles of one head prove them; kept over restarts if they are one bundle.
    pub fn renew_members(&self, newer: Membership, bundles: &[Vec<u8>]) -> Result<(), WitnessHomeError> {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if newer.as_of() <= members.as_of() || newer.changes() < members.changes() {
            return Ok(());
        }
        if let [bundle] = bundles {
            self.home.keep_members(bundle)?;
        }
        tracing::info!(as_of = %newer.as_of(), changes = newer.changes(), epoch = newer.epoch(), "members");
        *members = newer;
        Ok(())
    }

    /// The last checkpoint that it signed, with its own line.
    pub fn latest(&self) -> Option<SignedCheckpoint> {
        self.lock().latest.clone()
    }

    /// Why it signs nothing any more.
    pub fn alarm(&self) -> Option<String> {
        self.lock().alarm.clone()
    }

    /// Its key.
    pub fn key(&self) -> &VerifierKey {
        self.home.key()
    }

    /// `POST /add-checkpoint`, with the clock in seconds since 1970.
    pub fn add_checkpoint(&self, request: &[u8], seconds: u64) -> Answer {
        let Some((old, proof, note)) = parse(request) else {
            return Answer::text(400, "expected `old SIZE`, proof lines, an empty line and a checkpoint");
        };
        let checkpoint = match SignedCheckpoint::parse(note) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return Answer::text(400, error.to_string()),
        };
        if checkpoint.tree.origin != self.origin {
            return Answer::text(404, "another log");
        }
        if !self.is_of_the_log(&checkpoint) {
            return Answer::text(403, "not signed by members with more than two thirds of the voting power");
        }
        if old > checkpoint.tree.size {
            return Answer::text(400, "the old size is larger than the checkpoint's");
        }
        // Comparing with the last and keeping the new one is one step.
        let mut state = self.lock();
        if let Some(alarm) = &state.alarm {
            return Answer::text(503, alarm.clone());
        }
        let latest = state.latest.as_ref().map_or(0, |latest| latest.tree.size);
        if let Some(seen) = state.latest.as_ref().filter(|seen| contradicts(&seen.tree, &checkpoint.tree)) {
            let evidence = (seen.clone(), checkpoint);
            return self.raise(&mut state, &evidence.0, &evidence.1);
        }
        if old != latest {
            return Answer { status: 409, content_type: SIZE_TYPE, body: format!("{latest}\n") };
        }
        let root = state.latest.as_ref().map(|latest| latest.tree.root);
        let continues = match root {
            None => proof.is_empty(),
            Some(root) => is_consistent(old, &root, checkpoint.tree.size, &checkpoint.tree.root, &proof),
        };
        if !continues {
            return Answer::text(422, "the proof does not show that this continues what was signed last");
        }
        self.cosign(&mut state, checkpoint, seconds)
    }

    fn cosign(&self, state: &mut State, mut checkpoint: SignedCheckpoint, seconds: u64) -> Answer {
        let signature = self.home.sign(&cosigned_message(seconds, &checkpoint.note.text));
        let line = NoteSignature::new(self.home.key(), Some(seconds), &signature);
        // Lines of strangers are not kept, nor an older one of its own.
        let height = Height(checkpoint.tree.size.saturating_sub(1));
        let known = self.members().log_keys(height);
        checkpoint.note.signatures.retain(|line| known.iter().any(|known| known.key.signed(line)));
        if let Err(error) = checkpoint.note.add(line.clone()) {
            return Answer::text(500, error.to_string());
        }
        if let Err(error) = self.home.keep(&checkpoint.note) {
            tracing::error!(%error, "the state cannot be written: nothing is signed");
            return Answer::text(500, "the witness cannot keep its state");
        }
        tracing::info!(size = checkpoint.tree.size, root = %checkpoint.tree.root, "cosigned");
        state.latest = Some(checkpoint);
        Answer { status: 200, content_type: "text/plain; charset=utf-8", body: format!("{line}\n") }
    }

    /// Compares with what somebody else was shown (another witness, another node): alarm if it contradicts.
    pub fn compare(&self, other: &SignedCheckpoint, own: &SignedCheckpoint) -> bool {
        if !self.is_of_the_log(other) || !self.is_of_the_log(own) || !contradicts(&own.tree, &other.tree) {
            return false;
        }
        let mut state = self.lock();
        if state.alarm.is_none() {
            self.raise(&mut state, own, other);
        }
        true
    }

    /// Have members with more than two thirds of the power signed it?
    pub fn is_of_the_log(&self, checkpoint: &SignedCheckpoint) -> bool {
        let signed = |key: &VerifierKey| {
            let mut lines = checkpoint.note.signatures.iter();
            lines.any(|line| key.verify(&checkpoint.note.text, line).is_some())
        };
        let Some(height) = checkpoint.tree.size.checked_sub(1) else { return false };
        checkpoint.tree.origin == self.origin && self.members().is_signed(Height(height), signed)
    }

    fn raise(&self, state: &mut State, one: &SignedCheckpoint, other: &SignedCheckpoint) -> Answer {
        let size = one.tree.size;
        let alarm = format!("split view: two signed checkpoints of size {size} with different roots");
        if let Err(error) = self.home.keep_evidence(&one.note, &other.note) {
            tracing::error!(%error, "the evidence of a split view cannot be written");
        }
        tracing::error!(size, one = %one.tree.root, other = %other.tree.root, "分叉视图 · SPLIT VIEW: nothing is signed any more");
        state.alarm = Some(alarm.clone());
        Answer::text(409, alarm)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn contradicts(one: &qz_evidence::checkpoint::TreeHead, other: &qz_evidence::checkpoint::TreeHead) -> bool {
    one.origin == other.origin && one.size == other.size && one.root != other.root
}

/// Old size, consistency proof, note.
fn parse(request: &[u8]) -> Option<(u64, Vec<Hash32>, &[u8])> {
    if request.len() > MAX_REQUEST_BYTES {
        return None;
    }
    let end = request.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, note) = (std::str::from_utf8(&request[..end]).ok()?, &request[end + 2..]);
    let mut lines = head.split('\n');
    let digits = lines.next()?.strip_prefix("old ")?;
    let old: u64 = digits.parse().ok()?;
    let proof: Vec<Hash32> = lines.map(hash).collect::<Option<_>>()?;
    (old.to_string() == digits && proof.len() <= MAX_PROOF_LINES && (old > 0 || proof.is_empty()))
        .then_some((old, proof, note))
}

fn hash(line: &str) -> Option<Hash32> {
    BASE64.decode(line).ok()?.try_into().ok().map(Hash32)
}
