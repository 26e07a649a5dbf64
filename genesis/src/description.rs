//! `organisation.json`: the public description of an organisation, written when its keys are made.
//!
//! It holds no secret and is not itself a trust input: the card is made from it, signed by every key,
//! and the genesis contains the card. Its form:
//! `{"format":"qz-organisation","version":1,"id","name_zh","name_en","roles":[…],"keys":{purpose: hex},
//! "tls_ca_sha256": hex,"validator":{"power","consensus_address","mempool_address","rpc_url"}}`.

use crate::keys::Purpose;
use crate::private_file::{self, FileError};
use qz_evidence::codec::Bytes;
use qz_evidence::genesis::{Organisation, OrganisationTag, Role, ValidatorCard};
use qz_evidence::hash::sha256;
use qz_evidence::{Hash32, OrgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the description could not be used.
#[derive(Debug, Error)]
pub enum DescriptionError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not JSON of this form.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        source: serde_json::Error,
    },
    /// Of another format or version.
    #[error("{}: format `{format}` version {version} is not supported by this program", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: String,
        /// Its version.
        version: u32,
    },
    /// A key is not named.
    #[error("{}: the {purpose} key is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The purpose.
        purpose: Purpose,
    },
    /// The TLS CA on disk is another one.
    #[error("{}: the TLS CA in tls/ca.crt is not the one described here", .0.display())]
    OtherCa(PathBuf),
}

/// Where a validator is reached, and its weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorDescription {
    /// Voting power.
    pub power: u64,
    /// Multiaddress of the consensus network.
    pub consensus_address: String,
    /// Multiaddress of the submission network.
    pub mempool_address: String,
    /// URL of the RPC.
    pub rpc_url: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: String,
    version: u32,
    id: OrgId,
    name_zh: String,
    name_en: String,
    roles: Vec<Role>,
    keys: BTreeMap<String, Hash32>,
    tls_ca_sha256: Hash32,
    #[serde(skip_serializing_if = "Option::is_none")]
    validator: Option<ValidatorDescription>,
}

const FORMAT: &str = "qz-organisation";
const VERSION: u32 = 1;

/// The file in an organisation's folder.
pub fn path(home: &Path) -> PathBuf {
    home.join("organisation.json")
}

/// Writes the description; never overwrites.
pub(crate) fn write(home: &Path, organisation: &Organisation) -> Result<(), DescriptionError> {
    let description = Description {
        format: FORMAT.to_owned(),
        version: VERSION,
        id: organisation.id.clone(),
        name_zh: organisation.name_zh.clone(),
        name_en: organisation.name_en.clone(),
        roles: organisation.roles.clone(),
        keys: organisation.keys().into_iter().map(|(purpose, key)| (purpose.to_owned(), key)).collect(),
        tls_ca_sha256: sha256(&[&organisation.tls_ca]),
        validator: organisation.validator.as_ref().map(|card| ValidatorDescription {
            power: card.power,
            consensus_address: card.consensus_address.clone(),
            mempool_address: card.mempool_address.clone(),
            rpc_url: card.rpc_url.clone(),
        }),
    };
    let text = serde_json::to_vec_pretty(&description).expect("strings and numbers are representable in JSON");
    Ok(private_file::write_public(&path(home), &[&text[..], b"\n"].concat())?)
}

/// Reads the description; `tls_ca` is the DER of `tls/ca.crt`, which must be the one described.
pub(crate) fn read(home: &Path, tls_ca: Vec<u8>) -> Result<Organisation, DescriptionError> {
    let path = path(home);
    let text = std::fs::read(&path).map_err(FileError::at(&path))?;
    let description: Description =
        serde_json::from_slice(&text).map_err(|source| DescriptionError::Malformed { path: path.clone(), source })?;
    let Description { format, version, id, name_zh, name_en, roles, keys, tls_ca_sha256, validator } = description;
    if format != FORMAT || version != VERSION {
        return Err(DescriptionError::Version { path, format, version });
    }
    if sha256(&[&tls_ca]) != tls_ca_sha256 {
        return Err(DescriptionError::OtherCa(path));
    }
    let key = |purpose: Purpose| {
        let missing = || DescriptionError::MissingKey { path: path.clone(), purpose };
        keys.get(purpose.as_str()).copied().ok_or_else(missing)
    };
    let validator = match validator {
        None => None,
        Some(ValidatorDescription { power, consensus_address, mempool_address, rpc_url }) => Some(ValidatorCard {
            consensus_key: key(Purpose::Consensus)?,
            network_key: key(Purpose::Network)?,
            power,
            consensus_address,
            mempool_address,
            rpc_url,
        }),
    };
    Ok(Organisation {
        tag: OrganisationTag,
        office_key: key(Purpose::Office)?,
        relay_key: key(Purpose::Relay)?,
        witness_key: key(Purpose::Witness)?,
        id,
        name_zh,
        name_en,
        roles,
        tls_ca: Bytes(tls_ca),
        validator,
    })
}
