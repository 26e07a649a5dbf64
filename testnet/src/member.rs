//! What a member organisation does by itself, with nothing but its own folder: ask its node, relay a
//! signed body to it, attest with its office key.

use crate::custody;
use anyhow::{Context, Result};
use qz_client::{Client, ClientConfig, ClientError, Finalised, Relay, Status};
use qz_evidence::codec::decode_strict;
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::submission::{Actor, actor_message};
use qz_evidence::{Hash32, OrgId, SubjectId};
use qz_genesis::{Home, Purpose, SecretKey};
use std::path::Path;
use std::time::Duration;

/// How long a direct submission may take.
const FINALITY: Duration = Duration::from_secs(30);

/// A member and its own node.
pub struct MemberClient {
    org: OrgId,
    home: Home,
    client: Client,
    relay: Relay,
}

impl MemberClient {
    /// Opens the folder; calls only this member's own node.
    pub fn open(home: &Path) -> Result<Self> {
        let home = custody::open(home)?;
        let org = home.organisation().id.clone();
        let config = ClientConfig::from_home(&home)?.only(std::slice::from_ref(&org))?;
        let relay = Relay::from_home(&home)?;
        Ok(Self { client: Client::new(&config)?, org, home, relay })
    }

    /// Whose it is.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// The genesis in its folder, with every signature checked.
    pub fn genesis(&self) -> &Genesis {
        self.client.genesis()
    }

    /// The client of its node.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// State of its node.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.client.status_of(&self.org).await
    }

    /// The header that its node has at this height.
    pub async fn header(&self, height: u64) -> Result<Option<Header>> {
        let Some(block) = self.client.block(height).await? else { return Ok(None) };
        Ok(Some(decode_strict(&block.header).context("a header from a node")?))
    }

    /// How many records its node has about this subject.
    pub async fn records_of(&self, subject: &SubjectId) -> Result<u64> {
        Ok(self.client.subject(subject).await?.and_then(|found| found.seq).map_or(0, |last| last + 1))
    }

    /// Relays a body with its actors' signatures to its own node and waits for finality or refusal.
    pub async fn relay(&self, body: Vec<u8>, actors: Vec<Actor>) -> Result<Finalised, ClientError> {
        let submission = self.relay.wrap_encoded(body, actors)?;
        self.client.submit_and_wait(&submission.bytes, FINALITY).await
    }

    /// Its office, which attests and rules.
    pub fn office(&self) -> Result<Office> {
        let subject = SubjectId::of_organisation(&self.genesis().chain_id(), &self.org);
        Ok(Office { subject, key: self.home.key(Purpose::Office)? })
    }
}

/// An organisation's office: its subject and key.
pub struct Office {
    subject: SubjectId,
    key: SecretKey,
}

impl Office {
    /// Its subject on the ledger.
    pub fn subject(&self) -> SubjectId {
        self.subject
    }

    /// Signs a body whose content the caller has looked at.
    pub fn sign(&self, body_digest: &Hash32) -> Result<[u8; 64]> {
        Ok(self.key.sign(&actor_message(body_digest))?)
    }
}
