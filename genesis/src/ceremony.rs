//! Assembling cards into a genesis, signing it, and finishing the document.
//!
//! `assemble` writes the *body* (no signatures), each organisation signs the body apart and hands back
//! a small signature file, `finish` puts all of them together. Nobody's secret leaves its folder, and
//! the order of signing does not matter. Everything here is bytes to bytes; files are the caller's.

use crate::address::{self, AddressError};
use crate::home::{Home, HomeError};
use crate::keys::Purpose;
use crate::peer::{self, PeerError};
use crate::tls::{self, TlsError};
use minicbor::{Decode, Encode};
use qz_evidence::codec::{Bytes, CodecError, Format, decode_strict};
use qz_evidence::format_tag;
use qz_evidence::genesis::{
    Card, Genesis, GenesisBody, GenesisBodyTag, GenesisDocument, GenesisError, GenesisSignature, GenesisTag,
    Organisation, Params, signature_message,
};
use qz_evidence::keys::verify_ed25519;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, OrgId, encode};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

format_tag!(
    /// Tag of a signature file.
    SignatureFileTag = "qz/genesis-signature-file/v1"
);

/// What `sign` hands back: one organisation's signature and the chain that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignatureFile {
    /// Format tag.
    #[n(0)]
    pub tag: SignatureFileTag,
    /// The chain id of the signed body.
    #[n(1)]
    pub chain_id: Hash32,
    /// The signature.
    #[n(2)]
    pub signature: GenesisSignature,
}

impl Format for SignatureFile {
    const NAME: &'static str = "genesis signature";
    const MAX_BYTES: usize = 512;
}

/// Why the ceremony stopped.
#[derive(Debug, Error)]
pub enum CeremonyError {
    /// A card, a body or a document fails its own checks.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Not canonical bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The signer's own folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Two cards of one organisation.
    #[error("two cards of organisation {0}")]
    DuplicateOrganisation(OrgId),
    /// A TLS authority is none.
    #[error("organisation {organisation}: {source}")]
    TlsCa {
        /// Whose.
        organisation: OrgId,
        /// Why.
        source: TlsError,
    },
    /// A validator's address is unusable.
    #[error("organisation {organisation}: {source}")]
    Address {
        /// Whose.
        organisation: OrgId,
        /// Why.
        source: AddressError,
    },
    /// A network key is no key.
    #[error("organisation {organisation}: {source}")]
    NetworkKey {
        /// Whose.
        organisation: OrgId,
        /// Why.
        source: PeerError,
    },
    /// Two validators claim one address.
    #[error("organisation {organisation}: the address {address} is used twice")]
    DuplicateAddress {
        /// The second one to claim it.
        organisation: OrgId,
        /// The address.
        address: String,
    },
    /// Any one stopped member would stop the chain.
    #[error(
        "with {validators} validator(s) of these powers any one stopped member stops the chain; four equal \
         validators are the least that tolerate one (n >= 3f + 1)"
    )]
    NoFaultTolerance {
        /// How many validators there are.
        validators: usize,
    },
    /// The chain id is not the one that the signers agreed on.
    #[error("the chain id is {found}, expected {expected}")]
    ChainId {
        /// Of the bytes given.
        found: Hash32,
        /// As agreed.
        expected: Hash32,
    },
    /// A signature file is for another body.
    #[error("the signature of organisation {organisation} is for chain {signed}, this genesis is chain {chain_id}")]
    OtherGenesis {
        /// Whose.
        organisation: OrgId,
        /// What it signed.
        signed: Hash32,
        /// What is being finished.
        chain_id: Hash32,
    },
    /// Two signature files of one organisation.
    #[error("two signatures of organisation {0}")]
    DuplicateSignature(OrgId),
    /// A signature of an organisation that is not in the genesis.
    #[error("organisation {0} is not in this genesis")]
    UnknownSigner(OrgId),
    /// Some have not signed yet.
    #[error("not signed yet by: {}", .0.iter().map(OrgId::as_str).collect::<Vec<_>>().join(", "))]
    Missing(Vec<OrgId>),
}

/// A body together with what it says.
#[derive(Debug)]
pub struct Assembled {
    /// The body's bytes.
    pub body: Vec<u8>,
    /// What it says; not signed yet.
    pub genesis: Genesis,
    /// How many validators may fail with the chain going on.
    pub tolerated_faults: usize,
}

/// Puts cards together. `time_ms` becomes the time of header 0. A set that tolerates no fault is refused
/// unless `allow_no_fault_tolerance`.
pub fn assemble(
    name: &str, cards: &[Vec<u8>], time_ms: u64, allow_no_fault_tolerance: bool,
) -> Result<Assembled, CeremonyError> {
    let mut by_id: BTreeMap<OrgId, Card> = BTreeMap::new();
    for bytes in cards {
        let (card, organisation) = Card::open(bytes)?;
        if by_id.insert(organisation.id.clone(), card).is_some() {
            return Err(CeremonyError::DuplicateOrganisation(organisation.id));
        }
    }
    let params = Params::default_for(by_id.len());
    let cards = by_id.into_values().collect();
    let body = encode(&GenesisBody { tag: GenesisBodyTag, name: name.to_owned(), time_ms, cards, params });
    let genesis = open_body(&body)?;
    let tolerated_faults = tolerated_faults(genesis.validators());
    if tolerated_faults == 0 && !allow_no_fault_tolerance {
        return Err(CeremonyError::NoFaultTolerance { validators: genesis.validators().validators().len() });
    }
    Ok(Assembled { body, genesis, tolerated_faults })
}

/// How many of the strongest validators may fail while the rest still holds more than two thirds of the
/// voting power.
pub fn tolerated_faults(validators: &ValidatorSet) -> usize {
    let mut powers: Vec<u64> = validators.validators().iter().map(|v| v.power).collect();
    powers.sort_unstable();
    let total = validators.total_power();
    let mut left = total;
    let failing_strongest_first = powers.into_iter().rev();
    failing_strongest_first
        .take_while(|power| {
            left -= power;
            left * 3 > total * 2
        })
        .count()
}

/// Opens a body that need not be signed yet, with every check of the ceremony.
pub fn open_body(body: &[u8]) -> Result<Genesis, CeremonyError> {
    let genesis = Genesis::open_unsigned(&[], body)?;
    check_reachability(genesis.organisations())?;
    Ok(genesis)
}

/// What the formats leave open: usable addresses, network keys and TLS authorities, none of them shared.
fn check_reachability(organisations: &[Organisation]) -> Result<(), CeremonyError> {
    let mut addresses = BTreeSet::new();
    for organisation in organisations {
        let id = || organisation.id.clone();
        tls::public_key_of_ca(&organisation.tls_ca)
            .map_err(|source| CeremonyError::TlsCa { organisation: id(), source })?;
        let Some(validator) = &organisation.validator else { continue };
        address::check(validator).map_err(|source| CeremonyError::Address { organisation: id(), source })?;
        peer::peer_id(&validator.network_key)
            .map_err(|source| CeremonyError::NetworkKey { organisation: id(), source })?;
        for address in [&validator.consensus_address, &validator.mempool_address, &validator.rpc_url] {
            if !addresses.insert(address.clone()) {
                return Err(CeremonyError::DuplicateAddress { organisation: id(), address: address.clone() });
            }
        }
    }
    Ok(())
}

/// Signs a body by the office key of this folder. Refuses a body that does not contain this organisation
/// exactly as it is here, or that is not the chain which the signers agreed on.
pub fn sign(home: &Home, body: &[u8], expected: Option<&Hash32>) -> Result<SignatureFile, CeremonyError> {
    let genesis = open_body(body)?;
    check_chain_id(&genesis, expected)?;
    home.check_is_in(&genesis)?;
    let chain_id = genesis.chain_id();
    let signature = home.key(Purpose::Office)?.sign(&signature_message(&chain_id)).map_err(HomeError::from)?;
    let signature =
        GenesisSignature { organisation: home.organisation().id.clone(), signature: Bytes(signature.to_vec()) };
    Ok(SignatureFile { tag: SignatureFileTag, chain_id, signature })
}

/// Puts a body and everybody's signatures together into the finished document.
pub fn finish(body: &[u8], signatures: &[Vec<u8>]) -> Result<Genesis, CeremonyError> {
    let genesis = open_body(body)?;
    let message = signature_message(&genesis.chain_id());
    let mut given: BTreeMap<OrgId, GenesisSignature> = BTreeMap::new();
    for bytes in signatures {
        let SignatureFile { chain_id, signature, .. } = decode_strict(bytes)?;
        let id = signature.organisation.clone();
        let Some(organisation) = genesis.organisation(&id) else {
            return Err(CeremonyError::UnknownSigner(id));
        };
        if chain_id != genesis.chain_id() {
            return Err(CeremonyError::OtherGenesis {
                organisation: id,
                signed: chain_id,
                chain_id: genesis.chain_id(),
            });
        }
        let verifies = <[u8; 64]>::try_from(&signature.signature[..])
            .is_ok_and(|s| verify_ed25519(&organisation.office_key.0, &message, &s));
        if !verifies {
            return Err(GenesisError::Signature(id).into());
        }
        if given.insert(id.clone(), signature).is_some() {
            return Err(CeremonyError::DuplicateSignature(id));
        }
    }
    let ids = genesis.organisations().iter().map(|o| o.id.clone());
    let missing: Vec<OrgId> = ids.filter(|id| !given.contains_key(id)).collect();
    if !missing.is_empty() {
        return Err(CeremonyError::Missing(missing));
    }
    let signatures = given.into_values().collect();
    let document = encode(&GenesisDocument { tag: GenesisTag, body: Bytes(body.to_vec()), signatures });
    verify(&document, None)
}

/// Checks a finished document, and that it is the expected chain if one is given.
pub fn verify(document: &[u8], expected: Option<&Hash32>) -> Result<Genesis, CeremonyError> {
    let genesis = Genesis::open(document)?;
    check_reachability(genesis.organisations())?;
    check_chain_id(&genesis, expected)?;
    Ok(genesis)
}

fn check_chain_id(genesis: &Genesis, expected: Option<&Hash32>) -> Result<(), CeremonyError> {
    match expected {
        Some(expected) if *expected != genesis.chain_id() => {
            Err(CeremonyError::ChainId { found: genesis.chain_id(), expected: *expected })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qz_evidence::validators::Validator;

    #[test]
    fn the_signature_file_is_frozen() {
        let signature = GenesisSignature { organisation: OrgId::new("court").unwrap(), signature: Bytes(vec![7; 64]) };
        let file = SignatureFile { tag: SignatureFileTag, chain_id: Hash32([1; 32]), signature };
        let golden = format!(
            "a300{}01{}02a200{}01{}",
            format_args!("781c{}", hex::encode("qz/genesis-signature-file/v1")),
            format_args!("5820{}", "01".repeat(32)),
            format_args!("65{}", hex::encode("court")),
            format_args!("5840{}", "07".repeat(64)),
        );
        assert_eq!(hex::encode(encode(&file)), golden);
        assert_eq!(decode_strict::<SignatureFile>(&encode(&file)).unwrap(), file);
    }

    #[test]
    fn faults_count_by_voting_power() {
        let cases: [(&[u64], usize); 9] = [
            (&[1], 0),
            (&[1, 1], 0),
            (&[1, 1, 1], 0),
            (&[1, 1, 1, 1], 1),
            (&[1; 6], 1),
            (&[1; 7], 2),
            (&[2, 1, 1, 1], 0),
            (&[3, 3, 3, 1], 1),
            (&[10, 10, 10, 10, 1], 1),
        ];
        for (powers, expected) in cases {
            let validator = |(number, power): (u8, &u64)| Validator {
                organisation: OrgId::new("court").unwrap(),
                key: Hash32([number; 32]),
                power: *power,
            };
            let set = ValidatorSet::new((0..).zip(powers).map(validator).collect()).unwrap();
            assert_eq!(tolerated_faults(&set), expected, "{powers:?}");
        }
    }
}
