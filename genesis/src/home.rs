//! An organisation's folder: making it, opening it, and its card.
//!
//! A folder is complete once `organisation.json` stands in it, which is written last; a folder in which
//! any file of the ceremony stands already is refused before anything is written.

use crate::address::{self, AddressError};
use crate::description::{self, DescriptionError, ValidatorDescription};
use crate::keys::{self, KeyError, Purpose, SecretKey};
use crate::private_file::{self, FileError};
use crate::sealed::Passphrase;
use crate::tls::{self, TlsError, TlsIdentity, TlsPaths};
use crate::token::TokenLocation;
use crate::vault::{Vault, VaultError};
use qz_evidence::codec::{Bytes, Format};
use qz_evidence::genesis::{
    Card, CardSignature, CardTag, Genesis, GenesisDocument, GenesisError, Organisation, OrganisationTag, Role,
    ValidatorCard, card_message,
};
use qz_evidence::{Hash32, OrgId, encode};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why an organisation's folder could not be made or used.
#[derive(Debug, Error)]
pub enum HomeError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A secret file.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The description.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The organisation or a genesis is not well formed.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A key file is not the one that the description names.
    #[error("the {purpose} key in keys/ ({found}) is not the one in organisation.json ({described})")]
    OtherKey {
        /// Its purpose.
        purpose: Purpose,
        /// In the key file.
        found: Hash32,
        /// In the description.
        described: Hash32,
    },
    /// A key file says that it belongs to another organisation.
    #[error("the {purpose} key belongs to organisation {found}, this folder to {expected}")]
    OtherOrganisation {
        /// Its purpose.
        purpose: Purpose,
        /// In the key file.
        found: OrgId,
        /// Of this folder.
        expected: OrgId,
    },
    /// The genesis has no or another card of this organisation.
    #[error("the genesis does not contain organisation {0} with the keys and addresses of this folder")]
    NotInGenesis(OrgId),
    /// An input is larger than its format allows.
    #[error("{}: larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
}

/// What an organisation says about itself when it makes its keys.
#[derive(Clone, Debug)]
pub struct NewOrganisation {
    /// Its id.
    pub id: OrgId,
    /// Its Chinese name.
    pub name_zh: String,
    /// Its English name.
    pub name_en: String,
    /// Its roles, in any order.
    pub roles: Vec<Role>,
    /// Its validator, if it runs one.
    pub validator: Option<ValidatorDescription>,
}

/// How the secrets of a new folder are kept.
#[derive(Clone, Debug, Default)]
pub struct Custody {
    /// Encrypts every secret file; without it file modes alone protect them.
    pub passphrase: Option<Passphrase>,
    /// Keys that are made in a PKCS#11 token and stay there.
    pub tokens: BTreeMap<Purpose, TokenLocation>,
}

/// An organisation's folder.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    organisation: Organisation,
    vault: Vault,
}

impl Home {
    /// Makes all keys and certificates of a new organisation, not encrypted. Certificates are valid from
    /// the day before `today` on.
    pub fn create(path: &Path, new: NewOrganisation, today: jiff::civil::Date) -> Result<Self, HomeError> {
        Self::create_in_custody(path, new, today, Custody::default())
    }

    /// As [`Home::create`], with the secrets encrypted or in tokens.
    pub fn create_in_custody(
        path: &Path, new: NewOrganisation, today: jiff::civil::Date, custody: Custody,
    ) -> Result<Self, HomeError> {
        refuse_existing(path)?;
        Self::create_files(path, new, today, custody).inspect_err(|_| {
            // None of them was there before, so whatever stands now is an unfinished folder's; what
            // cannot be removed makes the next attempt fail with its name.
            for file in ceremony_files(path) {
                let _ = std::fs::remove_file(file);
            }
        })
    }

    fn create_files(
        path: &Path, new: NewOrganisation, today: jiff::civil::Date, custody: Custody,
    ) -> Result<Self, HomeError> {
        let NewOrganisation { id, name_zh, name_en, mut roles, validator } = new;
        let rpc = validator.as_ref().map(|v| address::rpc_url(&v.rpc_url)).transpose()?;
        roles.sort();
        roles.dedup();

        make_folders(path)?;
        let Custody { passphrase, tokens } = custody;
        let vault = match passphrase {
            Some(passphrase) => Vault::with_passphrase(path, passphrase),
            None => Vault::new(path),
        };
        let writer = vault.writer()?;
        let make = |purpose: Purpose| -> Result<Hash32, KeyError> {
            let key = match tokens.get(&purpose) {
                Some(token) => SecretKey::generate_in_token(id.clone(), purpose, token.clone())?,
                None => SecretKey::generate(id.clone(), purpose)?,
            };
            key.save(&writer)?;
            Ok(key.public())
        };
        let (office_key, relay_key, witness_key) =
            (make(Purpose::Office)?, make(Purpose::Relay)?, make(Purpose::Witness)?);
        let validator = match validator {
            None => None,
            Some(ValidatorDescription { power, consensus_address, mempool_address, rpc_url }) => Some(ValidatorCard {
                consensus_key: make(Purpose::Consensus)?,
                network_key: make(Purpose::Network)?,
                power,
                consensus_address,
                mempool_address,
                rpc_url,
            }),
        };
        tls::create(&writer, id.as_str(), rpc.as_ref().map(|r| r.host.as_str()), today)?;
        let tls_ca = Bytes(tls::ca_der(path)?);
        let organisation = Organisation {
            tag: OrganisationTag,
            id,
            name_zh,
            name_en,
            roles,
            office_key,
            relay_key,
            witness_key,
            tls_ca,
            validator,
        };
        let home = Self { path: path.to_owned(), organisation, vault };
        // The card's own checks (names, roles, power) run before the folder counts as complete.
        home.card()?;
        description::write(path, &home.organisation)?;
        Ok(home)
    }

    /// Opens a complete folder. Secrets are not read yet; if they are encrypted, the passphrase comes
    /// from the environment or the terminal when the first is needed (see [`crate::passphrase`]).
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        Self::open_vault(path, Vault::new(path))
    }

    /// Opens a complete folder whose passphrase is at hand.
    pub fn open_with(path: &Path, passphrase: Passphrase) -> Result<Self, HomeError> {
        Self::open_vault(path, Vault::with_passphrase(path, passphrase))
    }

    pub(crate) fn open_vault(path: &Path, vault: Vault) -> Result<Self, HomeError> {
        let organisation = description::read(path, tls::ca_der(path)?)?;
        Ok(Self { path: path.to_owned(), organisation, vault })
    }

    /// The secret files.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The organisation.
    pub fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// The key of a purpose; it must be the one that the description names.
    pub fn key(&self, purpose: Purpose) -> Result<SecretKey, HomeError> {
        let key = keys::load(&self.vault, purpose)?;
        if *key.organisation() != self.organisation.id {
            return Err(HomeError::OtherOrganisation {
                purpose,
                found: key.organisation().clone(),
                expected: self.organisation.id.clone(),
            });
        }
        let described = self.organisation.keys().into_iter().find(|(name, _)| *name == purpose.as_str());
        match described {
            Some((_, described)) if described == key.public() => Ok(key),
            described => Err(HomeError::OtherKey {
                purpose,
                found: key.public(),
                described: described.map_or(Hash32::ZERO, |(_, key)| key),
            }),
        }
    }

    /// The RPC server's TLS identity.
    pub fn tls_server(&self) -> Result<TlsIdentity, HomeError> {
        Ok(tls::server(&self.path, &self.vault)?)
    }

    /// The TLS identity of this organisation's clients.
    pub fn tls_client(&self) -> Result<TlsIdentity, HomeError> {
        Ok(tls::client(&self.path, &self.vault)?)
    }

    /// The card: the organisation, signed by each of its keys.
    pub fn card(&self) -> Result<Vec<u8>, HomeError> {
        if let Some(validator) = &self.organisation.validator {
            address::check(validator)?;
        }
        let organisation = encode(&self.organisation);
        let message = card_message(&organisation);
        let mut signatures = vec![];
        for purpose in Purpose::ALL {
            if purpose.is_of_validator() && self.organisation.validator.is_none() {
                continue;
            }
            let signature = Bytes(self.key(purpose)?.sign(&message)?.to_vec());
            signatures.push(CardSignature { purpose: purpose.as_str().to_owned(), signature });
        }
        let card = encode(&Card { tag: CardTag, organisation: Bytes(organisation), signatures });
        Card::open(&card)?;
        Ok(card)
    }

    /// Where the finished genesis document is kept.
    pub fn genesis_path(&self) -> PathBuf {
        self.path.join("genesis.qz")
    }

    /// The finished genesis of this folder: every signature verified, and this organisation's card in
    /// it is the one of this folder.
    pub fn genesis(&self) -> Result<Genesis, HomeError> {
        let genesis = self.genesis_document()?;
        self.check_is_in(&genesis)?;
        Ok(genesis)
    }

    /// The same for an organisation that may have joined the ledger, or changed its keys, after the
    /// genesis: whether and with which card it is a member, the ledger knows.
    pub fn genesis_document(&self) -> Result<Genesis, HomeError> {
        Ok(Genesis::open(&read_capped(&self.genesis_path(), GenesisDocument::MAX_BYTES)?)?)
    }

    /// Is this organisation in the genesis exactly as it is here?
    pub fn check_is_in(&self, genesis: &Genesis) -> Result<(), HomeError> {
        match genesis.organisation(&self.organisation.id) {
            Some(organisation) if *organisation == self.organisation => Ok(()),
            _ => Err(HomeError::NotInGenesis(self.organisation.id.clone())),
        }
    }
}

/// The folders that hold secrets.
pub(crate) fn make_folders(path: &Path) -> Result<(), FileError> {
    private_file::make_folder(path)?;
    private_file::make_folder(&path.join("keys"))?;
    private_file::make_folder(&path.join("tls"))
}

/// Every file that making an organisation's keys writes.
pub(crate) fn ceremony_files(home: &Path) -> Vec<PathBuf> {
    let key_files = Purpose::ALL.map(|purpose| keys::path(home, purpose));
    let tls_files = TlsPaths::of(home).all().map(Path::to_owned);
    key_files.into_iter().chain(tls_files).chain([description::path(home)]).collect()
}

pub(crate) fn refuse_existing(home: &Path) -> Result<(), FileError> {
    match ceremony_files(home).into_iter().find(|file| file.symlink_metadata().is_ok()) {
        Some(file) => Err(FileError::Exists(file)),
        None => Ok(()),
    }
}

/// Reads a public file of at most `limit` bytes.
pub fn read_capped(path: &Path, limit: usize) -> Result<Vec<u8>, HomeError> {
    let file = std::fs::File::open(path).map_err(FileError::at(path))?;
    let mut bytes = vec![];
    let more_than_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(more_than_limit).read_to_end(&mut bytes).map_err(FileError::at(path))?;
    if bytes.len() > limit {
        return Err(HomeError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
