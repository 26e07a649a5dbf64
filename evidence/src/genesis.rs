//! The genesis document: the organisations that start a ledger, signed by every one of them.
//!
//! Its body fixes everything (organisations, keys, validators, parameters); the chain id is a hash of
//! the body, so one pinned chain id or genesis file is all that a verifier must trust beforehand.
//! Making keys and cards is the business of `qz-genesis`; here are only formats and checks.

use crate::codec::{Bytes, CodecError, Format, decode_strict, encode};
use crate::format_tag;
use crate::hash::{Hash32, sha256, tag};
use crate::ids::OrgId;
use crate::keys::verify_ed25519;
use crate::submission::MAX_ACTORS;
use crate::validators::{MAX_POWER, Validator, ValidatorSet};
use der::Encode as _;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;
use thiserror::Error;

/// Most members of a consortium, so that a majority of them fits into the actors of one submission.
pub const MAX_ORGANISATIONS: usize = 2 * MAX_ACTORS - 1;

format_tag!(
    /// Tag of an organisation.
    OrganisationTag = "qz/organisation/v1"
);
format_tag!(
    /// Tag of a card.
    CardTag = "qz/card/v1"
);
format_tag!(
    /// Tag of a genesis body.
    GenesisBodyTag = "qz/genesis-body/v1"
);
format_tag!(
    /// Tag of a genesis document.
    GenesisTag = "qz/genesis/v1"
);
format_tag!(
    /// Tag of parameters.
    ParamsTag = "qz/params/v1"
);

/// What an organisation may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs a signing platform; may complete and archive contracts.
    #[n(1)]
    Platform,
    /// 公证处; may register notarial deeds.
    #[n(2)]
    Notary,
    /// 法院; may rule and retrieve.
    #[n(3)]
    Court,
    /// 仲裁委员会; may rule.
    #[n(4)]
    Arbitration,
    /// May attest to the identity of key holders.
    #[n(5)]
    Attestor,
    /// Reads only.
    #[n(6)]
    Observer,
}

/// The validator that an organisation runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ValidatorCard {
    /// Consensus key (Ed25519).
    #[n(0)]
    pub consensus_key: Hash32,
    /// Network key (Ed25519), from which the libp2p peer id derives.
    #[n(1)]
    pub network_key: Hash32,
    /// Voting power.
    #[n(2)]
    pub power: u64,
    /// Multiaddress of the consensus network, such as `/ip4/127.0.0.1/tcp/27000`.
    #[n(3)]
    pub consensus_address: String,
    /// Multiaddress of the submission network.
    #[n(4)]
    pub mempool_address: String,
    /// URL of the RPC, such as `https://127.0.0.1:27200`.
    #[n(5)]
    pub rpc_url: String,
}

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Organisation {
    /// Format tag.
    #[n(0)]
    pub tag: OrganisationTag,
    /// Its id.
    #[n(1)]
    pub id: OrgId,
    /// Its Chinese name.
    #[n(2)]
    pub name_zh: String,
    /// Its English name.
    #[n(3)]
    pub name_en: String,
    /// Its roles, ascending, each once.
    #[n(4)]
    pub roles: Vec<Role>,
    /// Office key (Ed25519): official acts, attestations, governance, genesis signature.
    #[n(5)]
    pub office_key: Hash32,
    /// Relay key (Ed25519): submissions that this member relays.
    #[n(6)]
    pub relay_key: Hash32,
    /// Witness key (Ed25519): cosignatures of checkpoints.
    #[n(7)]
    pub witness_key: Hash32,
    /// Its TLS certificate authority (X.509, DER) for clients and servers of the RPC.
    #[n(8)]
    pub tls_ca: Bytes,
    /// Its validator, if it runs one.
    #[n(9)]
    pub validator: Option<ValidatorCard>,
}

impl Organisation {
    /// Does it have this role?
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Every Ed25519 key with its purpose.
    pub fn keys(&self) -> Vec<(&'static str, Hash32)> {
        let mut keys = vec![("office", self.office_key), ("relay", self.relay_key), ("witness", self.witness_key)];
        if let Some(validator) = &self.validator {
            keys.extend([("consensus", validator.consensus_key), ("network", validator.network_key)]);
        }
        keys
    }

    fn check(&self) -> Result<(), GenesisError> {
        let bad = |reason| GenesisError::Organisation(self.id.clone(), reason);
        let name_ok = |name: &str| (1..=128).contains(&name.len()) && !name.chars().any(char::is_control);
        if !name_ok(&self.name_zh) || !name_ok(&self.name_en) {
            return Err(bad("a name is empty, longer than 128 bytes or has control characters"));
        }
        if self.roles.is_empty() || self.roles.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(bad("roles must be ascending, at least one, each once"));
        }
        if self.tls_ca.len() > 8192 {
            return Err(bad("the TLS CA certificate is larger than 8192 bytes"));
        }
        if let Some(card) = &self.validator {
            if !(1..=MAX_POWER).contains(&card.power) {
                return Err(bad("the voting power is out of range"));
            }
            if [&card.consensus_address, &card.mempool_address, &card.rpc_url].iter().any(|a| a.len() > 256) {
                return Err(bad("an address is longer than 256 bytes"));
            }
        }
        Ok(())
    }
}

/// A signature by one of an organisation's keys, over its card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CardSignature {
    /// The purpose of the key: `office`, `relay`, `witness`, `consensus`, `network`.
    #[n(0)]
    pub purpose: String,
    /// Signature over `"qz/card/v1" ‖ SHA-256(organisation bytes)`.
    #[n(1)]
    pub signature: Bytes,
}

/// A public card: an organisation, signed with every key that it names (proof of possession).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Card {
    /// Format tag.
    #[n(0)]
    pub tag: CardTag,
    /// Encoded [`Organisation`], verbatim.
    #[n(1)]
    pub organisation: Bytes,
    /// One signature per key, in the order of [`Organisation::keys`].
    #[n(2)]
    pub signatures: Vec<CardSignature>,
}

impl Format for Organisation {
    const NAME: &'static str = "organisation";
    const MAX_BYTES: usize = 16 * 1024;
}

impl Format for Card {
    const NAME: &'static str = "organisation card";
    const MAX_BYTES: usize = 20 * 1024;
}

/// What each key of a card signs.
pub fn card_message(organisation: &[u8]) -> Vec<u8> {
    [tag::CARD, &sha256(&[organisation]).0[..]].concat()
}

impl Card {
    /// Decodes a card and checks every signature.
    pub fn open(bytes: &[u8]) -> Result<(Self, Organisation), GenesisError> {
        let card: Self = decode_strict(bytes)?;
        let organisation: Organisation = decode_strict(&card.organisation)?;
        organisation.check()?;
        let message = card_message(&card.organisation);
        let keys = organisation.keys();
        if keys.len() != card.signatures.len() {
            return Err(GenesisError::Organisation(organisation.id, "the card lacks a signature for one of its keys"));
        }
        for ((purpose, key), given) in keys.iter().zip(&card.signatures) {
            let verified = given.purpose == *purpose
                && <[u8; 64]>::try_from(&given.signature[..]).is_ok_and(|s| verify_ed25519(&key.0, &message, &s));
            if !verified {
                return Err(GenesisError::CardSignature(organisation.id, purpose));
            }
        }
        Ok((card, organisation))
    }
}

/// Parameters that governance can change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Params {
    /// Format tag.
    #[n(0)]
    pub tag: ParamsTag,
    /// Protocol version of the rules.
    #[n(1)]
    pub protocol: u32,
    /// W: a submission expires at most this many blocks ahead, and its id is unique within them.
    #[n(2)]
    pub window: u64,
    /// Largest block, in bytes.
    #[n(3)]
    pub max_block_bytes: u32,
    /// Most records of a block.
    #[n(4)]
    pub max_block_records: u32,
    /// Organisations that must sign a governance change.
    #[n(5)]
    pub governance_quorum: u32,
    /// Must the attestor of a key be another organisation than the relay?
    #[n(6)]
    pub foreign_attestor: bool,
}

impl Format for Params {
    const NAME: &'static str = "parameters";
    const MAX_BYTES: usize = 256;
}

impl Params {
    /// Defaults of a new consortium of `organisations` members.
    pub fn default_for(organisations: usize) -> Self {
        let quorum = u32::try_from((organisations * 2 / 3 + 1).min(MAX_ACTORS)).unwrap_or(u32::MAX);
        Self {
            tag: ParamsTag,
            protocol: 1,
            window: 20_000,
            max_block_bytes: 1024 * 1024,
            max_block_records: 4096,
            governance_quorum: quorum,
            foreign_attestor: true,
        }
    }

    /// The hash that headers carry.
    pub fn hash(&self) -> Hash32 {
        sha256(&[tag::PARAMS, &encode(self)])
    }

    /// Bounds of everything but the protocol version, for a consortium of `organisations` members.
    pub fn check(&self, organisations: usize) -> Result<(), GenesisError> {
        let quorum = usize::try_from(self.governance_quorum).unwrap_or(usize::MAX);
        let checks = [
            ((16..=1_000_000).contains(&self.window), "window must be 16 to 1000000"),
            ((65_536..=2_097_152).contains(&self.max_block_bytes), "max_block_bytes must be 65536 to 2097152"),
            ((1..=65_536).contains(&self.max_block_records), "max_block_records must be 1 to 65536"),
            (
                (1..=organisations.min(MAX_ACTORS)).contains(&quorum),
                "governance_quorum must be 1 to the number of organisations, and at most 32",
            ),
        ];
        match checks.iter().find(|(ok, _)| !ok) {
            Some((_, reason)) => Err(GenesisError::Params(reason)),
            None => Ok(()),
        }
    }
}

/// What the organisations sign.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GenesisBody {
    /// Format tag.
    #[n(0)]
    pub tag: GenesisBodyTag,
    /// The consortium's name.
    #[n(1)]
    pub name: String,
    /// Time of header 0, milliseconds since 1970-01-01T00:00Z.
    #[n(2)]
    pub time_ms: u64,
    /// The organisations' cards, ascending by organisation id.
    #[n(3)]
    pub cards: Vec<Card>,
    /// Parameters from height 0.
    #[n(4)]
    pub params: Params,
}

impl Format for GenesisBody {
    const NAME: &'static str = "genesis body";
    const MAX_BYTES: usize = 1024 * 1024;
}

/// An organisation's signature of the genesis, by its office key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GenesisSignature {
    /// The organisation.
    #[n(0)]
    pub organisation: OrgId,
    /// Signature over `"qz/genesis-signature/v1" ‖ chain id`.
    #[n(1)]
    pub signature: Bytes,
}

/// The document: body and signatures, ascending by organisation id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GenesisDocument {
    /// Format tag.
    #[n(0)]
    pub tag: GenesisTag,
    /// Encoded [`GenesisBody`], verbatim.
    #[n(1)]
    pub body: Bytes,
    /// The signatures.
    #[n(2)]
    pub signatures: Vec<GenesisSignature>,
}

impl Format for GenesisDocument {
    const NAME: &'static str = "genesis document";
    const MAX_BYTES: usize = 1024 * 1024 + 64 * 1024;
}

/// Why a genesis or card was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GenesisError {
    /// Not canonical bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Something about one organisation.
    #[error("organisation {0}: {1}")]
    Organisation(OrgId, &'static str),
    /// A card's signature fails.
    #[error("organisation {0}: the {1} key's signature of the card does not verify; the card was altered")]
    CardSignature(OrgId, &'static str),
    /// Order or repetition of organisations.
    #[error("organisations are not in ascending order of unique ids")]
    OrganisationOrder,
    /// The same key stands twice.
    #[error("organisation {0}: its {1} key is used elsewhere too; every key must be its own")]
    DuplicateKey(OrgId, &'static str),
    /// Two organisations have one TLS authority, so that each could speak as the other.
    #[error("organisation {0}: its TLS CA is that of {1} too; every organisation must make its own")]
    SharedAuthority(OrgId, OrgId),
    /// More organisations than a consortium may have.
    #[error("{0} organisations; a consortium has at most {MAX_ORGANISATIONS}")]
    TooManyOrganisations(usize),
    /// No validator, or more than allowed.
    #[error("the genesis has no valid set of validators")]
    Validators,
    /// Parameters out of range.
    #[error("the parameters are out of range: {0}")]
    Params(&'static str),
    /// Somebody has not signed.
    #[error("organisation {0} has not signed the genesis")]
    MissingSignature(OrgId),
    /// A signature fails or belongs to nobody.
    #[error("the genesis signature of organisation {0} does not verify")]
    Signature(OrgId),
}

/// The chain id of a genesis body.
pub fn chain_id(body: &[u8]) -> Hash32 {
    sha256(&[tag::CHAIN_ID, body])
}

/// What an organisation signs.
pub fn signature_message(chain_id: &Hash32) -> Vec<u8> {
    [tag::GENESIS_SIGNATURE, &chain_id.0[..]].concat()
}

/// A checked genesis: every card and every organisation's signature verified.
#[derive(Clone, Debug)]
pub struct Genesis {
    bytes: Vec<u8>,
    chain_id: Hash32,
    body: GenesisBody,
    organisations: Vec<Organisation>,
    validators: ValidatorSet,
}

impl Genesis {
    /// Decodes and checks a complete genesis document.
    pub fn open(bytes: &[u8]) -> Result<Self, GenesisError> {
        let document: GenesisDocument = decode_strict(bytes)?;
        let genesis = Self::open_unsigned(bytes, &document.body)?;
        let message = signature_message(&genesis.chain_id);
        for (organisation, given) in genesis.organisations.iter().zip(&document.signatures) {
            if given.organisation != organisation.id {
                return Err(GenesisError::MissingSignature(organisation.id.clone()));
            }
            let verified = <[u8; 64]>::try_from(&given.signature[..])
                .is_ok_and(|s| verify_ed25519(&organisation.office_key.0, &message, &s));
            if !verified {
                return Err(GenesisError::Signature(organisation.id.clone()));
            }
        }
        if let Some(organisation) = genesis.organisations.get(document.signatures.len()) {
            return Err(GenesisError::MissingSignature(organisation.id.clone()));
        }
        if let Some(extra) = document.signatures.get(genesis.organisations.len()) {
            return Err(GenesisError::Signature(extra.organisation.clone()));
        }
        Ok(genesis)
    }

    /// Checks all but the signatures of the genesis itself; for the ceremony, before all have signed.
    /// `document` is kept as the document's bytes.
    pub fn open_unsigned(document: &[u8], body_bytes: &[u8]) -> Result<Self, GenesisError> {
        let body: GenesisBody = decode_strict(body_bytes)?;
        let mut organisations = vec![];
        let mut keys = BTreeSet::new();
        for card in &body.cards {
            let (_, organisation) = Card::open(&encode(card))?;
            for (purpose, key) in organisation.keys() {
                if !keys.insert(key) {
                    return Err(GenesisError::DuplicateKey(organisation.id, purpose));
                }
            }
            organisations.push(organisation);
        }
        if organisations.windows(2).any(|pair| pair[0].id >= pair[1].id) {
            return Err(GenesisError::OrganisationOrder);
        }
        check_authorities(&organisations)?;
        if organisations.len() > MAX_ORGANISATIONS {
            return Err(GenesisError::TooManyOrganisations(organisations.len()));
        }
        if body.params.protocol != 1 {
            return Err(GenesisError::Params("protocol must be 1"));
        }
        body.params.check(organisations.len())?;
        let validators = organisations.iter().filter_map(|organisation| {
            let card = organisation.validator.as_ref()?;
            Some(Validator { organisation: organisation.id.clone(), key: card.consensus_key, power: card.power })
        });
        let validators = ValidatorSet::new(validators.collect()).ok_or(GenesisError::Validators)?;
        let chain_id = chain_id(body_bytes);
        Ok(Self { bytes: document.to_vec(), chain_id, body, organisations, validators })
    }

    /// The document's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The ledger's id.
    pub fn chain_id(&self) -> Hash32 {
        self.chain_id
    }

    /// The body.
    pub fn body(&self) -> &GenesisBody {
        &self.body
    }

    /// The organisations, ascending by id.
    pub fn organisations(&self) -> &[Organisation] {
        &self.organisations
    }

    /// One organisation.
    pub fn organisation(&self, id: &OrgId) -> Option<&Organisation> {
        self.organisations.iter().find(|o| o.id == *id)
    }

    /// The validators of epoch 0.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }
}

/// Public key (SPKI, DER) of a TLS authority; nothing if the bytes are no X.509 certificate.
pub fn authority_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = <x509_cert::Certificate as der::Decode>::from_der(der).ok()?;
    certificate.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// Is the TLS authority of both the same, whatever else their certificates say? What is no X.509
/// certificate is nobody's authority, and like no other.
pub fn same_authority(a: &[u8], b: &[u8]) -> bool {
    authority_key(a).is_some_and(|key| authority_key(b) == Some(key))
}

fn check_authorities(organisations: &[Organisation]) -> Result<(), GenesisError> {
    for (i, organisation) in organisations.iter().enumerate() {
        if let Some(other) = organisations[..i].iter().find(|o| same_authority(&o.tls_ca, &organisation.tls_ca)) {
            return Err(GenesisError::SharedAuthority(organisation.id.clone(), other.id.clone()));
        }
    }
    Ok(())
}
