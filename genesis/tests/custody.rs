//! How an organisation keeps its secrets: encrypted at rest, changed, backed up, restored, rotated, and in
//! a PKCS#11 token (SoftHSM2); by the library and by the commands that an administrator types.
#![allow(clippy::unwrap_used)]

use qz_evidence::genesis::{Card, Role};
use qz_evidence::keys::verify_ed25519;
use qz_evidence::{Hash32, OrgId};
use qz_genesis::custody::{self, CustodyError, Rotation};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::NewOrganisation;
use qz_genesis::private_file::FileError;
use qz_genesis::sealed::{Passphrase, SealError};
use qz_genesis::vault::VaultError;
use qz_genesis::{Custody, Home, HomeError, KeyError, Purpose, keys};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TODAY: jiff::civil::Date = jiff::civil::date(2026, 11, 22);

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.as_bytes())
}

fn notary() -> NewOrganisation {
    NewOrganisation {
        id: OrgId::new("notary").unwrap(),
        name_zh: "示范公证处".to_owned(),
        name_en: "Notary".to_owned(),
        roles: vec![Role::Notary, Role::Attestor],
        validator: Some(ValidatorDescription {
            power: 1,
            consensus_address: "/ip4/127.0.0.1/tcp/27000".to_owned(),
            mempool_address: "/ip4/127.0.0.1/tcp/27100".to_owned(),
            rpc_url: "https://127.0.0.1:27200".to_owned(),
        }),
    }
}

fn encrypted(path: &Path, text: &str) -> Home {
    let custody = Custody { passphrase: Some(passphrase(text)), ..Custody::default() };
    Home::create_in_custody(path, notary(), TODAY, custody).unwrap()
}

fn secret_paths(home: &Path) -> Vec<PathBuf> {
    let tls = ["tls/ca.key", "tls/server.key", "tls/client.key"].map(|name| home.join(name));
    Purpose::ALL.map(|purpose| keys::path(home, purpose)).into_iter().chain(tls).collect()
}

#[test]
fn no_secret_of_an_encrypted_folder_is_readable_without_the_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notary");
    let home = encrypted(&path, "correct horse battery");
    for file in secret_paths(&path) {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(r#""format":"qz-sealed""#), "{}", file.display());
        assert!(!text.contains("PRIVATE KEY") && !text.contains("\"secret\""), "{}", file.display());
    }
    let again = Home::open_with(&path, passphrase("correct horse battery")).unwrap();
    assert_eq!(again.key(Purpose::Relay).unwrap().public(), home.key(Purpose::Relay).unwrap().public());
    assert!(again.tls_server().unwrap().key_pem.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    Card::open(&again.card().unwrap()).unwrap();

    let wrong = Home::open_with(&path, passphrase("correct horse batterx")).unwrap();
    let error = wrong.key(Purpose::Relay).unwrap_err();
    let refused = |error: &HomeError| {
        matches!(error, HomeError::Key(KeyError::Vault(VaultError::Seal { source: SealError::Refused, .. })))
    };
    assert!(refused(&error), "{error}");
    // A sealed key in another key's place is refused even by the right passphrase.
    fs::copy(keys::path(&path, Purpose::Relay), keys::path(&path, Purpose::Witness)).unwrap();
    let error = again.key(Purpose::Witness).unwrap_err();
    assert!(refused(&error), "{error}");
}

#[test]
fn a_passphrase_is_changed_for_every_file_and_a_stopped_change_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notary");
    let plain = Home::create(&path, notary(), TODAY).unwrap();
    let relay = plain.key(Purpose::Relay).unwrap().public();
    assert_eq!(custody::reseal(&plain, Some(passphrase("the first passphrase"))).unwrap().len(), 8);

    let first = Home::open_with(&path, passphrase("the first passphrase")).unwrap();
    // As if the machine had stopped after the first file: one file is old, the others are new.
    let old = fs::read(keys::path(&path, Purpose::Office)).unwrap();
    custody::reseal(&first, Some(passphrase("the second passphrase"))).unwrap();
    fs::write(keys::path(&path, Purpose::Office), old).unwrap();
    fs::write(path.join("keys/office.new"), "left behind").unwrap();
    let changed = custody::reseal(&first, Some(passphrase("the second passphrase"))).unwrap();
    assert_eq!(changed, ["keys/office.key"]);

    let second = Home::open_with(&path, passphrase("the second passphrase")).unwrap();
    assert_eq!(second.key(Purpose::Relay).unwrap().public(), relay);
    Card::open(&second.card().unwrap()).unwrap();
    assert!(Home::open_with(&path, passphrase("the first passphrase")).unwrap().key(Purpose::Relay).is_err());
    for file in secret_paths(&path) {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let error = custody::reseal(&second, Some(passphrase("short"))).unwrap_err();
    assert!(error.to_string().contains("at least 12"), "{error}");
}

#[test]
fn a_backup_restores_the_same_organisation_and_nothing_else_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = encrypted(&folder.path().join("notary"), "correct horse battery");
    fs::write(home.path().join("genesis.qz"), b"the genesis").unwrap();
    let file = folder.path().join("notary.qzbackup");
    assert_eq!(custody::backup(&home, passphrase("passphrase of the backup"), &file).unwrap(), 8 + 3 + 2);
    let again = custody::backup(&home, passphrase("passphrase of the backup"), &file).unwrap_err();
    assert!(again.to_string().contains("never overwritten"), "{again}");

    let to = folder.path().join("restored");
    let new = || Some(passphrase("passphrase of the new place"));
    let restored = custody::restore(&file, passphrase("passphrase of the backup"), &to, new()).unwrap();
    assert_eq!(restored.organisation(), home.organisation());
    assert_eq!(fs::read(to.join("genesis.qz")).unwrap(), b"the genesis");
    let reopened = Home::open_with(&to, passphrase("passphrase of the new place")).unwrap();
    assert_eq!(reopened.card().unwrap(), home.card().unwrap());
    let over = custody::restore(&file, passphrase("passphrase of the backup"), &to, new()).unwrap_err();
    assert!(matches!(over, CustodyError::Home(HomeError::File(FileError::Exists(_)))), "{over}");

    let fresh = folder.path().join("fresh");
    let wrong = custody::restore(&file, passphrase("another passphrase"), &fresh, None).unwrap_err();
    assert!(matches!(wrong, CustodyError::Seal { source: SealError::Refused, .. }), "{wrong}");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'0' { b'1' } else { b'0' };
    fs::write(&file, bytes).unwrap();
    let altered = custody::restore(&file, passphrase("passphrase of the backup"), &fresh, None).unwrap_err();
    assert!(matches!(altered, CustodyError::Seal { source: SealError::Refused, .. }), "{altered}");
    assert!(!fresh.join("organisation.json").exists());
}

#[test]
fn a_rotation_makes_a_successor_with_new_keys_only_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let home = encrypted(&folder.path().join("notary"), "correct horse battery");
    let rotation = Rotation { keys: vec![Purpose::Relay, Purpose::Consensus], tls: true };
    let custody = || Custody { passphrase: Some(passphrase("correct horse battery")), ..Custody::default() };
    let to = folder.path().join("successor");
    let successor = custody::rotate(&home, &to, &rotation, TODAY, custody()).unwrap();
    let (old, new) = (home.organisation(), successor.organisation());
    assert_ne!(old.relay_key, new.relay_key);
    assert_ne!(old.tls_ca, new.tls_ca);
    let validators = (old.validator.as_ref().unwrap(), new.validator.as_ref().unwrap());
    assert_ne!(validators.0.consensus_key, validators.1.consensus_key);
    assert_eq!(validators.0.network_key, validators.1.network_key);
    assert_eq!((&old.office_key, &old.witness_key, &old.id), (&new.office_key, &new.witness_key, &new.id));
    Card::open(&successor.card().unwrap()).unwrap();

    let nothing = custody::rotate(&home, &folder.path().join("x"), &Rotation::default(), TODAY, custody());
    assert!(matches!(nothing, Err(CustodyError::NothingToRotate)));
    let taken = custody::rotate(&home, &to, &rotation, TODAY, custody()).unwrap_err();
    assert!(taken.to_string().contains("never overwritten"), "{taken}");
}

fn typed(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qz-genesis"))
        .current_dir(folder)
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        .env_remove("QZ_PASSPHRASE_FILE")
        .env_remove("CREDENTIALS_DIRECTORY")
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

fn ok(folder: &Path, line: &str) -> String {
    let output = typed(folder, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, line: &str) -> String {
    let output = typed(folder, line);
    assert_eq!(output.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn secret_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_administrator_encrypts_backs_up_restores_and_rotates() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    secret_file(&folder.join("p1"), "correct horse battery\n");
    secret_file(&folder.join("p2"), "passphrase of the backup\n");
    let keygen = "keygen --home notary --org notary --name-zh 示范公证处 --name-en Notary --roles notary";
    // No terminal, no file: nothing is made that is not encrypted.
    let error = refused(folder, keygen);
    assert!(error.contains("QZ_PASSPHRASE_FILE"), "{error}");
    assert!(!folder.join("notary").exists());
    assert!(ok(folder, &format!("{keygen} --passphrase-file p1")).contains("已用口令加密"));
    assert!(refused(folder, "card --home notary -o c").contains("QZ_PASSPHRASE_FILE"));
    assert!(refused(folder, "card --home notary -o c --passphrase-file p2").contains("passphrase is wrong"));
    ok(folder, "card --home notary -o c --passphrase-file p1");

    ok(folder, "backup --home notary -o b --backup-passphrase-file p2 --passphrase-file p1");
    ok(folder, "restore --home copy b --backup-passphrase-file p2 --new-passphrase-file p1");
    ok(folder, "card --home copy -o c2 --passphrase-file p1");
    assert_eq!(fs::read(folder.join("c")).unwrap(), fs::read(folder.join("c2")).unwrap());

    ok(folder, "passwd --home copy --new-passphrase-file p2 --passphrase-file p1");
    assert!(refused(folder, "card --home copy -o c3 --passphrase-file p1").contains("passphrase is wrong"));
    ok(folder, "card --home copy -o c3 --passphrase-file p2");

    let rotated = ok(folder, "rotate --home notary --to next --keys relay,tls --passphrase-file p1");
    assert!(rotated.contains("新 new"), "{rotated}");
    ok(folder, "card --home next -o c4 --passphrase-file p1");
    let error = refused(folder, "restore --home copy b --backup-passphrase-file p2 --no-passphrase");
    assert!(error.contains("never overwritten"), "{error}");
}

#[test]
fn a_consensus_key_in_a_token_signs_and_never_leaves_it() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    fs::create_dir(folder.join("tokens")).unwrap();
    let configuration = format!("directories.tokendir = {}\n", folder.join("tokens").display());
    fs::write(folder.join("softhsm2.conf"), configuration).unwrap();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        .args(["--init-token", "--free", "--label", "notary", "--pin", "123456", "--so-pin", "12345678"])
        .output()
        .expect("softhsm2 is installed (testnet/setup.sh test)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    secret_file(&folder.join("pin"), "123456\n");
    secret_file(&folder.join("bad-pin"), "999999\n");
    secret_file(&folder.join("p1"), "correct horse battery\n");

    let keygen = |home: &str, pin: &str| {
        format!(
            "keygen --home {home} --org notary --name-zh 示范公证处 --name-en Notary --roles notary --passphrase-file p1 \
             --in-token consensus --module /usr/lib/softhsm/libsofthsm2.so --token notary --pin-file {pin}"
        )
    };
    assert!(refused(folder, &keygen("bad", "bad-pin")).contains("PIN"));
    let shown = ok(folder, &keygen("notary", "pin"));
    ok(folder, "card --home notary -o card --passphrase-file p1");
    let card = fs::read(folder.join("card")).unwrap();
    let organisation = Card::open(&card).unwrap();
    let key = organisation.1.validator.as_ref().unwrap().consensus_key;
    assert!(shown.contains(&key.to_string()));
    // Card::open verified the token's signature strictly; the secret stands nowhere in the folder.
    let home = Home::open_with(&folder.join("notary"), passphrase("correct horse battery")).unwrap();
    let stored = home.vault().read("keys/consensus.key").unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["protection"], "pkcs11");
    assert!(stored.get("secret").is_none());
    assert_eq!(stored["public"], serde_json::to_value(Hash32(key.0)).unwrap());
    let relay = home.key(Purpose::Relay).unwrap();
    assert!(verify_ed25519(&relay.public().0, b"message", &relay.sign(b"message").unwrap()));

    let network = keygen("other", "pin").replace("--in-token consensus", "--in-token network");
    assert!(refused(folder, &network).contains("cannot leave it"));
    assert!(refused(folder, &keygen("third", "pin").replace("--token notary", "--token absent")).contains("absent"));
}
