//! A member's way in: its own node, its own relay key, its own client certificate.

use crate::custody;
use crate::member::MemberClient;
use anyhow::Result;
use qz_client::{Client, ClientConfig, Relay, SignedSubmission};
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::submission::{Actor, Body};
use qz_evidence::{OrgId, decode_strict};
use std::path::{Path, PathBuf};

/// One member as the load sees it.
pub struct Door {
    org: OrgId,
    home: PathBuf,
    client: Client,
    relay: Relay,
}

impl Door {
    /// Opens a member's folder.
    pub fn open(home_path: &Path) -> Result<Self> {
        let home = custody::open(home_path)?;
        let org = home.organisation().id.clone();
        let config = ClientConfig::from_home(&home)?.only(std::slice::from_ref(&org))?;
        Ok(Self { client: Client::new(&config)?, relay: Relay::from_home(&home)?, home: home_path.to_owned(), org })
    }

    /// Whose it is.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// The ledger's genesis.
    pub fn genesis(&self) -> &Genesis {
        self.client.genesis()
    }

    /// The member's office, which attests.
    pub fn office(&self) -> Result<crate::member::Office> {
        MemberClient::open(&self.home)?.office()
    }

    /// A client of this member's own node.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Height of its node.
    pub async fn height(&self) -> Result<u64> {
        Ok(self.client.status_of(&self.org).await?.height)
    }

    /// Puts a body into the member's envelope.
    pub fn wrap(&self, body: &Body, actors: Vec<Actor>) -> Result<SignedSubmission> {
        Ok(self.relay.wrap(body, actors)?)
    }

    /// Records of the blocks above `from` up to `to`, by the headers: (blocks with records, records).
    pub async fn count_records(&self, from: u64, to: u64) -> Result<(u64, u64)> {
        let (mut blocks, mut records) = (0, 0);
        for height in from + 1..=to {
            let Some(block) = self.client.block(height).await? else { continue };
            let header: Header = decode_strict(&block.header)?;
            blocks += u64::from(header.record_count > 0);
            records += u64::from(header.record_count);
        }
        Ok((blocks, records))
    }
}
