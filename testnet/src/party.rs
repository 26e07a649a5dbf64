//! A party's own client: its actor key in its own folder, and the eyes that look at what is signed.
//!
//! The gateway composes bodies; the client decodes them, compares every member with what its owner
//! wants and with the files it has downloaded itself, and only then signs.

use crate::api::Operation;
use crate::folder::make;
use crate::gateway::write_private;
use anyhow::{Context, Result, bail, ensure};
use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::codec::decode_strict;
use qz_evidence::commitment::{Opening, name};
use qz_evidence::hash::sha256;
use qz_evidence::payload::Payload;
use qz_evidence::submission::{Actor, Body, actor_message, body_digest};
use qz_evidence::{Hash32, SubjectId};
use std::path::Path;

/// A party with its key.
pub struct Party {
    /// Its name.
    pub name: String,
    key: SigningKey,
    subject: Option<SubjectId>,
    chain_id: Hash32,
}

/// A body that its reader has understood.
pub struct Understood {
    digest: Hash32,
    body: Body,
    openings: Vec<Opening>,
}

impl Party {
    /// Makes a party with a new key in `folder/actor.key` (hexadecimal seed, readable by its owner only).
    pub fn create(folder: &Path, name: &str, chain_id: Hash32) -> Result<Self> {
        make(folder)?;
        let mut seed = [0u8; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let key = SigningKey::from_bytes(&seed);
        write_private(&folder.join("actor.key"), hex::encode(seed).as_bytes())?;
        Ok(Self { name: name.to_owned(), key, subject: None, chain_id })
    }

    /// Its public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Its subject on the ledger, once registered.
    pub fn subject(&self) -> Result<SubjectId> {
        self.subject.with_context(|| format!("{} is not registered yet", self.name))
    }

    /// Notes its subject.
    pub fn registered_as(&mut self, subject: SubjectId) {
        self.subject = Some(subject);
    }

    /// Signs what it has understood.
    pub fn sign(&self, understood: &Understood) -> [u8; 64] {
        self.key.sign(&actor_message(&understood.digest)).to_bytes()
    }

    /// Its signature of a body that its own program has composed.
    pub fn actor(&self, body: &Body) -> Result<Actor> {
        let signature = self.key.sign(&actor_message(&body.digest())).to_bytes();
        Ok(Actor { subject: self.subject()?, signature: signature.to_vec().into() })
    }

    /// Decodes the body of an operation and checks what every body must satisfy: canonical bytes, this
    /// ledger, the digest, and that each commitment is opened (so that nothing is signed unseen).
    pub fn understand(&self, operation: &Operation) -> Result<Understood> {
        understand(operation, &self.chain_id)
    }
}

/// See [`Party::understand`].
pub fn understand(operation: &Operation, chain_id: &Hash32) -> Result<Understood> {
    let bytes = operation.body_bytes()?;
    let body: Body = decode_strict(&bytes).context("the body to be signed")?;
    let digest = body_digest(&bytes);
    ensure!(digest == operation.digest, "the body's digest is not the one that the gateway names");
    ensure!(body.chain_id == *chain_id, "the body is for another ledger");
    ensure!(
        body.payload.kind().name == operation.kind,
        "the body is a {}, not {}",
        body.payload.kind().name,
        operation.kind
    );
    let openings = operation.openings()?;
    for commitment in &body.commitments {
        let opened = openings.iter().any(|opening| opening.commitment() == *commitment);
        ensure!(opened, "the commitment {} is not opened by what the gateway shows", commitment.name);
    }
    Ok(Understood { digest, body, openings })
}

impl Understood {
    /// Kind and clear fields.
    pub fn payload(&self) -> &Payload {
        &self.body.payload
    }

    /// The body's digest.
    pub fn digest(&self) -> Hash32 {
        self.digest
    }

    /// The body itself.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// What a commitment of the body opens to.
    pub fn value(&self, name: &str) -> Result<&[u8]> {
        let hash = self.body.commitment(name).with_context(|| format!("the body commits to no {name}"))?;
        let opening = self.openings.iter().find(|opening| opening.name == name && opening.commitment().hash == *hash);
        Ok(&opening.with_context(|| format!("nothing opens {name}"))?.value)
    }

    /// An error unless this commitment opens to exactly this value.
    pub fn expect(&self, name: &str, value: &[u8]) -> Result<()> {
        if self.value(name)? != value {
            bail!("{name} is not what is to be signed");
        }
        Ok(())
    }

    /// An error unless the commitment `document.sha256` is this file's digest.
    pub fn expect_document(&self, file: &[u8]) -> Result<()> {
        self.expect(name::DOCUMENT, &sha256(&[file]).0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use qz_evidence::payload::ContractRef;
    use qz_evidence::{Height, SubmissionId, encode};
    use serde_json::json;

    const CHAIN: Hash32 = Hash32([1; 32]);

    fn operation(chain: Hash32, shown: &[Opening]) -> Operation {
        let committed = [Opening::new(name::DOCUMENT, [2; 32], [3; 32])];
        let payload = Payload::ContractCompleted(ContractRef { contract: SubjectId(Hash32([4; 32])) });
        let commitments = committed.iter().map(Opening::commitment).collect();
        let body = encode(&Body::new(chain, SubmissionId([5; 16]), Height(9), payload, commitments, 0));
        let openings: Vec<_> = shown
            .iter()
            .map(|o| json!({ "name": o.name, "salt": o.salt.to_string(), "value": STANDARD.encode(&o.value.0) }))
            .collect();
        serde_json::from_value(json!({
            "id": "1", "kind": "contract.completed", "body": STANDARD.encode(&body), "digest": body_digest(&body).to_string(),
            "openings": openings, "status": "awaiting_signatures",
        }))
        .unwrap()
    }

    #[test]
    fn nothing_is_signed_unseen() {
        let honest = Opening::new(name::DOCUMENT, [2; 32], [3; 32]);
        let lie = Opening::new(name::DOCUMENT, [2; 32], [9; 32]);
        let understood = understand(&operation(CHAIN, std::slice::from_ref(&honest)), &CHAIN).unwrap();
        assert!(understood.expect(name::DOCUMENT, &[3; 32]).is_ok());
        assert!(understood.expect(name::DOCUMENT, &[9; 32]).is_err());
        assert!(understand(&operation(CHAIN, &[lie]), &CHAIN).is_err());
        assert!(understand(&operation(CHAIN, &[]), &CHAIN).is_err());
        assert!(understand(&operation(Hash32([7; 32]), &[honest]), &CHAIN).is_err());
    }
}
