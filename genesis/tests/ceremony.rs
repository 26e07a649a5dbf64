//! The whole ceremony of four organisations in folders of their own, and everything that it refuses.
#![allow(clippy::unwrap_used)]

use qz_evidence::codec::{Bytes, decode_strict};
use qz_evidence::genesis::{
    Card, CardSignature, CardTag, Genesis, GenesisBody, GenesisDocument, GenesisError, Organisation, Role, card_message,
};
use qz_evidence::{OrgId, encode};
use qz_genesis::ceremony::{self, CeremonyError, SignatureFile};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::{HomeError, NewOrganisation};
use qz_genesis::private_file::FileError;
use qz_genesis::{Home, Purpose, peer};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const NAMES: [&str; 4] = ["arbitration", "court", "notary", "platform"];
const TIME_MS: u64 = 1_790_000_000_000;

fn today() -> jiff::civil::Date {
    jiff::civil::date(2026, 11, 22)
}

fn description(id: &str) -> NewOrganisation {
    let number = NAMES.iter().position(|name| *name == id).unwrap_or(9);
    let role = match id {
        "arbitration" => Role::Arbitration,
        "court" => Role::Court,
        "notary" => Role::Notary,
        _ => Role::Platform,
    };
    NewOrganisation {
        id: OrgId::new(id).unwrap(),
        name_zh: format!("示范机构{id}"),
        name_en: format!("Demo {id}"),
        roles: vec![Role::Attestor, role],
        validator: Some(ValidatorDescription {
            power: 1,
            consensus_address: format!("/ip4/127.0.0.1/tcp/2700{number}"),
            mempool_address: format!("/ip4/127.0.0.1/tcp/2710{number}"),
            rpc_url: format!("https://127.0.0.1:2720{number}"),
        }),
    }
}

struct Ceremony {
    folder: TempDir,
    homes: Vec<Home>,
}

impl Ceremony {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = |id: &&str| Home::create(&folder.path().join(id), description(id), today()).unwrap();
        let homes = NAMES.iter().map(home).collect();
        Self { folder, homes }
    }

    fn cards(&self) -> Vec<Vec<u8>> {
        self.homes.iter().map(|home| home.card().unwrap()).collect()
    }

    fn body(&self) -> Vec<u8> {
        ceremony::assemble("示范联盟", &self.cards(), TIME_MS, false).unwrap().body
    }

    fn signatures(&self, body: &[u8]) -> Vec<Vec<u8>> {
        self.homes.iter().map(|home| encode(&ceremony::sign(home, body, None).unwrap())).collect()
    }
}

#[test]
fn four_organisations_make_a_genesis() {
    let ceremony = Ceremony::new();
    let mut cards = ceremony.cards();
    cards.reverse();
    let assembled = ceremony::assemble("示范联盟", &cards, TIME_MS, false).unwrap();
    assert_eq!(assembled.tolerated_faults, 1);
    assert_eq!(assembled.body, ceremony.body(), "the order of the cards does not matter");

    let mut signatures = ceremony.signatures(&assembled.body);
    signatures.rotate_left(1);
    let genesis = ceremony::finish(&assembled.body, &signatures).unwrap();
    assert_eq!(genesis.chain_id(), assembled.genesis.chain_id());
    let opened = Genesis::open(genesis.bytes()).unwrap();
    assert_eq!(opened.organisations().len(), 4);
    assert_eq!(opened.validators().total_power(), 4);
    assert!(ceremony::verify(genesis.bytes(), Some(&genesis.chain_id())).is_ok());

    for home in &ceremony.homes {
        fs::write(home.genesis_path(), genesis.bytes()).unwrap();
        let again = Home::open(home.path()).unwrap();
        assert_eq!(again.organisation(), home.organisation());
        assert_eq!(again.genesis().unwrap().chain_id(), genesis.chain_id());
        let network = again.key(Purpose::Network).unwrap();
        let card = again.organisation().validator.clone().unwrap();
        let peer_id = peer::peer_id(&card.network_key).unwrap();
        assert_eq!(peer::keypair(&network).unwrap().public().to_peer_id(), peer_id);
        assert!(again.tls_server().unwrap().certificate_pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
        assert!(again.tls_client().unwrap().key_pem.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    }
}

#[test]
fn secrets_are_private_and_never_overwritten() {
    let ceremony = Ceremony::new();
    let path = ceremony.folder.path().join("court");
    let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("keys"), mode("tls")], [0o700; 3]);
    let keys = ["keys/office.key", "keys/relay.key", "keys/witness.key", "keys/consensus.key", "keys/network.key"];
    let tls_keys = ["tls/ca.key", "tls/server.key", "tls/client.key"];
    for key in keys.iter().chain(&tls_keys) {
        assert_eq!(mode(key), 0o600, "{key}");
    }

    let exists = |result: Result<Home, HomeError>| matches!(result.unwrap_err(), HomeError::File(FileError::Exists(_)));
    let before = fs::read(path.join("keys/office.key")).unwrap();
    assert!(exists(Home::create(&path, description("court"), today())));
    assert_eq!(fs::read(path.join("keys/office.key")).unwrap(), before);
    // One leftover file is enough, and nothing is written beside it.
    let leftover = ceremony.folder.path().join("leftover");
    fs::create_dir_all(leftover.join("keys")).unwrap();
    fs::write(leftover.join("keys/network.key"), "x").unwrap();
    assert!(exists(Home::create(&leftover, description("court"), today())));
    assert!(!leftover.join("tls").exists() && !leftover.join("keys/office.key").exists());

    for key in tls_keys {
        fs::set_permissions(path.join(key), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let home = Home::open(&path).unwrap();
    assert!(home.tls_server().unwrap_err().to_string().contains("0644"));
    assert!(home.tls_client().unwrap_err().to_string().contains("0644"));
    fs::set_permissions(path.join("keys/office.key"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(home.card().unwrap_err().to_string().contains("0640"));
}

#[test]
fn every_altered_byte_of_a_card_is_refused() {
    let ceremony = Ceremony::new();
    let cards = ceremony.cards();
    let mut accepted = vec![];
    for position in 0..cards[0].len() {
        let mut card = cards[0].clone();
        card[position] ^= 1;
        let altered = [card, cards[1].clone(), cards[2].clone(), cards[3].clone()];
        if ceremony::assemble("示范联盟", &altered, TIME_MS, false).is_ok() {
            accepted.push(position);
        }
    }
    assert_eq!(accepted, Vec::<usize>::new());
}

#[test]
fn keys_and_organisations_stand_once() {
    let ceremony = Ceremony::new();
    let cards = ceremony.cards();
    let twice = [cards.clone(), vec![cards[2].clone()]].concat();
    let error = ceremony::assemble("示范联盟", &twice, TIME_MS, false).unwrap_err();
    assert!(matches!(&error, CeremonyError::DuplicateOrganisation(id) if id.as_str() == "notary"), "{error}");

    // The notary signs a card that carries the same office key under another id.
    let relabelled = relabelled_card(&ceremony.homes[2], |organisation| {
        organisation.id = OrgId::new("zz").unwrap();
    });
    let error =
        ceremony::assemble("示范联盟", &[cards.clone(), vec![relabelled]].concat(), TIME_MS, false).unwrap_err();
    assert!(
        matches!(&error, CeremonyError::Genesis(GenesisError::DuplicateKey(id, _)) if id.as_str() == "zz"),
        "{error}"
    );

    // One key for two purposes within a card.
    let shared = relabelled_card(&ceremony.homes[2], |organisation| organisation.witness_key = organisation.office_key);
    assert!(Card::open(&shared).is_err(), "the witness signature is by another key");

    // The same certificate authority in two cards.
    let ca = ceremony.homes[0].organisation().tls_ca.clone();
    let borrowed = relabelled_card(&ceremony.homes[2], |organisation| organisation.tls_ca = ca);
    let set = [cards[0].clone(), cards[1].clone(), borrowed, cards[3].clone()];
    let error = ceremony::assemble("示范联盟", &set, TIME_MS, false).unwrap_err();
    assert!(
        matches!(&error, CeremonyError::Genesis(GenesisError::SharedAuthority(id, _)) if id.as_str() == "notary"),
        "{error}"
    );

    // A certificate that is no authority.
    let leaf = fs::read_to_string(ceremony.folder.path().join("notary/tls/server.crt")).unwrap();
    let leaf = der::SecretDocument::from_pem(&leaf).unwrap().1.as_bytes().to_vec();
    let no_ca = relabelled_card(&ceremony.homes[2], |organisation| organisation.tls_ca = Bytes(leaf));
    let set = [cards[0].clone(), cards[1].clone(), no_ca, cards[3].clone()];
    let error = ceremony::assemble("示范联盟", &set, TIME_MS, false).unwrap_err();
    assert!(matches!(&error, CeremonyError::TlsCa { .. }), "{error}");

    // An address that another validator has, and one of wrong form.
    for (address, expected) in [("https://127.0.0.1:27200", "used twice"), ("http://127.0.0.1:1", "is not a URL")] {
        let moved = relabelled_card(&ceremony.homes[2], |organisation| {
            organisation.validator.as_mut().unwrap().rpc_url = address.to_owned();
        });
        let set = [cards[0].clone(), cards[1].clone(), moved, cards[3].clone()];
        let error = ceremony::assemble("示范联盟", &set, TIME_MS, false).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A card of changed content that the organisation's own keys sign properly.
fn relabelled_card(home: &Home, change: impl FnOnce(&mut Organisation)) -> Vec<u8> {
    let mut organisation = home.organisation().clone();
    change(&mut organisation);
    let bytes = encode(&organisation);
    let message = card_message(&bytes);
    let sign = |purpose: Purpose| CardSignature {
        purpose: purpose.as_str().to_owned(),
        signature: Bytes(home.key(purpose).unwrap().sign(&message).unwrap().to_vec()),
    };
    encode(&Card { tag: CardTag, organisation: Bytes(bytes), signatures: Purpose::ALL.map(sign).to_vec() })
}

#[test]
fn fewer_than_four_validators_need_a_word() {
    let ceremony = Ceremony::new();
    for count in 1..=3 {
        let cards = &ceremony.cards()[..count];
        let error = ceremony::assemble("示范联盟", cards, TIME_MS, false).unwrap_err();
        assert!(matches!(error, CeremonyError::NoFaultTolerance { validators } if validators == count), "{error}");
        let allowed = ceremony::assemble("示范联盟", cards, TIME_MS, true).unwrap();
        assert_eq!(allowed.tolerated_faults, 0);
        assert!(qz_genesis::show::text(&allowed.genesis).contains("any one stopped member stops the chain"));
    }
    // Four of which one holds a third of the power tolerate nothing either.
    let heavy = relabelled_card(&ceremony.homes[0], |organisation| organisation.validator.as_mut().unwrap().power = 2);
    let cards = [vec![heavy], ceremony.cards()[1..].to_vec()].concat();
    assert!(matches!(
        ceremony::assemble("示范联盟", &cards, TIME_MS, false),
        Err(CeremonyError::NoFaultTolerance { validators: 4 })
    ));
}

#[test]
fn a_member_without_validator_takes_part() {
    let ceremony = Ceremony::new();
    let path = ceremony.folder.path().join("observer");
    let new = NewOrganisation { roles: vec![Role::Observer], validator: None, ..description("observer") };
    let observer = Home::create(&path, new, today()).unwrap();
    assert!(!path.join("keys/consensus.key").exists());
    let cards = [ceremony.cards(), vec![observer.card().unwrap()]].concat();
    let assembled = ceremony::assemble("示范联盟", &cards, TIME_MS, false).unwrap();
    let mut signatures = ceremony.signatures(&assembled.body);
    let without = ceremony::finish(&assembled.body, &signatures).unwrap_err();
    assert!(matches!(&without, CeremonyError::Missing(ids) if ids[0].as_str() == "observer"), "{without}");
    signatures.push(encode(&ceremony::sign(&observer, &assembled.body, None).unwrap()));
    let genesis = ceremony::finish(&assembled.body, &signatures).unwrap();
    assert_eq!((genesis.organisations().len(), genesis.validators().validators().len()), (5, 4));
}

#[test]
fn signing_refuses_what_is_not_ours() {
    let ceremony = Ceremony::new();
    let body = ceremony.body();
    let home = &ceremony.homes[1];
    let chain_id = ceremony::open_body(&body).unwrap().chain_id();
    assert!(ceremony::sign(home, &body, Some(&chain_id)).is_ok());

    let other = ceremony::assemble("另一联盟", &ceremony.cards(), TIME_MS, false).unwrap();
    let error = ceremony::sign(home, &other.body, Some(&chain_id)).unwrap_err();
    assert!(matches!(error, CeremonyError::ChainId { .. }), "{error}");

    // A stranger's folder, and this court's id with other keys.
    for folder in ["stranger", "other-keys"] {
        let id = if folder == "stranger" { "stranger" } else { "court" };
        let stranger = Home::create(&ceremony.folder.path().join(folder), description(id), today()).unwrap();
        let error = ceremony::sign(&stranger, &body, None).unwrap_err();
        assert!(matches!(&error, CeremonyError::Home(HomeError::NotInGenesis(_))), "{folder}: {error}");
    }

    // A folder whose office key was exchanged for the notary's, then for one that claims to be the court's.
    let exchanged = home.path().join("keys/office.key");
    fs::copy(ceremony.folder.path().join("notary/keys/office.key"), &exchanged).unwrap();
    let error = ceremony::sign(home, &body, None).unwrap_err();
    assert!(matches!(&error, CeremonyError::Home(HomeError::OtherOrganisation { .. })), "{error}");
    fs::copy(ceremony.folder.path().join("other-keys/keys/office.key"), &exchanged).unwrap();
    let error = ceremony::sign(home, &body, None).unwrap_err();
    assert!(matches!(&error, CeremonyError::Home(HomeError::OtherKey { .. })), "{error}");
}

#[test]
fn finishing_needs_everybodys_own_signature_once() {
    let ceremony = Ceremony::new();
    let body = ceremony.body();
    let signatures = ceremony.signatures(&body);

    for (absent, name) in NAMES.iter().enumerate() {
        let mut some = signatures.clone();
        some.remove(absent);
        let error = ceremony::finish(&body, &some).unwrap_err();
        assert!(matches!(&error, CeremonyError::Missing(ids) if ids[0].as_str() == *name), "{error}");
    }
    let twice = [signatures.clone(), vec![signatures[0].clone()]].concat();
    assert!(matches!(ceremony::finish(&body, &twice), Err(CeremonyError::DuplicateSignature(_))));

    let other = ceremony::assemble("示范联盟", &ceremony.cards(), TIME_MS + 1, false).unwrap();
    let mut mixed = signatures.clone();
    mixed[3] = ceremony.signatures(&other.body)[3].clone();
    assert!(matches!(ceremony::finish(&body, &mixed), Err(CeremonyError::OtherGenesis { .. })));

    let change = |change: &dyn Fn(&mut SignatureFile)| {
        let mut file: SignatureFile = decode_strict(&signatures[0]).unwrap();
        change(&mut file);
        ceremony::finish(&body, &[vec![encode(&file)], signatures[1..].to_vec()].concat())
    };
    assert!(change(&|_| ()).is_ok());
    let flipped = change(&|file| file.signature.signature.0[5] ^= 1).unwrap_err();
    assert!(matches!(flipped, CeremonyError::Genesis(GenesisError::Signature(_))), "{flipped}");
    let stranger = change(&|file| file.signature.organisation = OrgId::new("stranger").unwrap()).unwrap_err();
    assert!(matches!(stranger, CeremonyError::UnknownSigner(_)), "{stranger}");
    let another = change(&|file| file.signature.organisation = OrgId::new("court").unwrap()).unwrap_err();
    assert!(matches!(another, CeremonyError::Genesis(GenesisError::Signature(_))), "{another}");
}

#[test]
fn an_altered_document_is_refused() {
    let ceremony = Ceremony::new();
    let body = ceremony.body();
    let genesis = ceremony::finish(&body, &ceremony.signatures(&body)).unwrap();
    let document = genesis.bytes();
    // Every seventh byte; each flip costs a full check of 24 signatures.
    for position in (0..document.len()).step_by(7) {
        let mut altered = document.to_vec();
        altered[position] ^= 0x01;
        assert!(ceremony::verify(&altered, None).is_err(), "byte {position}");
    }
    let decoded: GenesisDocument = decode_strict(document).unwrap();
    for absent in 0..4 {
        let mut fewer = decoded.clone();
        fewer.signatures.remove(absent);
        let error = ceremony::verify(&encode(&fewer), None).unwrap_err();
        assert!(matches!(error, CeremonyError::Genesis(GenesisError::MissingSignature(_))), "{error}");
    }
    // An organisation dropped from the body makes another chain, which nobody signed.
    let mut smaller: GenesisBody = decode_strict(&decoded.body).unwrap();
    smaller.cards.remove(0);
    let altered = GenesisDocument { body: Bytes(encode(&smaller)), ..decoded };
    assert!(ceremony::verify(&encode(&altered), None).is_err());

    // A node's folder whose genesis names other keys for it.
    let stranger_home = ceremony.folder.path().join("other-court");
    let stranger = Home::create(&stranger_home, description("court"), today()).unwrap();
    fs::write(stranger.genesis_path(), document).unwrap();
    assert!(matches!(stranger.genesis(), Err(HomeError::NotInGenesis(_))));
}

#[test]
fn the_descriptions_own_files_must_agree() {
    let ceremony = Ceremony::new();
    let path = ceremony.folder.path();
    fs::copy(path.join("notary/tls/ca.crt"), path.join("court/tls/ca.crt")).unwrap();
    let error = Home::open(&path.join("court")).unwrap_err();
    assert!(error.to_string().contains("not the one described"), "{error}");

    let json = path.join("platform/organisation.json");
    let good = fs::read_to_string(&json).unwrap();
    let cases = [
        (good.replace("\"version\": 1", "\"version\": 2"), "version 2"),
        (good.replace("\"relay\"", "\"rely\""), "the relay key is missing"),
        (good.replace("\"name_en\"", "\"nom\""), "unknown field"),
    ];
    for (text, expected) in cases {
        assert_ne!(text, good);
        fs::write(&json, text).unwrap();
        let error = Home::open(&path.join("platform")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn refused_descriptions_leave_no_complete_folder() {
    let folder = tempfile::tempdir().unwrap();
    type Change = fn(&mut NewOrganisation);
    let cases: [(&str, Change); 4] = [
        ("no role", |new| new.roles.clear()),
        ("control character", |new| new.name_zh.push('\n')),
        ("power", |new| new.validator.as_mut().unwrap().power = 0),
        ("address", |new| new.validator.as_mut().unwrap().mempool_address = "127.0.0.1:1".into()),
    ];
    for (name, change) in cases {
        let mut new = description("court");
        change(&mut new);
        let path = folder.path().join(name);
        assert!(Home::create(&path, new, today()).is_err(), "{name}");
        assert!(Home::open(Path::new(&path)).is_err(), "{name}");
        // Nothing of the attempt is in the way of the next one.
        assert!(Home::create(&path, description("court"), today()).is_ok(), "{name}");
    }
}
