//! The ceremony by the commands that organisations type, with exit codes and what they print.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, line: &str) -> Output {
    let arguments = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_qz-genesis"))
        .current_dir(folder)
        .env("QZ_PASSPHRASE_FILE", "passphrase")
        .args(arguments)
        .output()
        .unwrap()
}

fn ok(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    assert_eq!(output.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_ceremony_as_it_is_typed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    std::fs::write(folder.join("passphrase"), "correct horse battery staple\n").unwrap();
    std::fs::set_permissions(folder.join("passphrase"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let members =
        [("platform", "platform"), ("notary", "notary,attestor"), ("court", "court"), ("arbitration", "arbitration")];
    for (number, (id, roles)) in members.iter().enumerate() {
        let addresses = format!(
            "--consensus-addr /ip4/127.0.0.1/tcp/2700{number} --mempool-addr /ip4/127.0.0.1/tcp/2710{number} \
             --rpc-url https://127.0.0.1:2720{number}"
        );
        let keygen =
            format!("keygen --home {id} --org {id} --name-zh 示范{id} --name-en Demo --roles {roles} {addresses}");
        ok(folder, &keygen);
        assert!(refused(folder, &keygen).contains("never overwritten"));
        ok(folder, &format!("card --home {id} -o {id}.qzcard"));
    }
    let three = "assemble --name 示范联盟 -o three.body platform.qzcard notary.qzcard court.qzcard";
    let error = refused(folder, three);
    assert!(error.contains("任何一个成员停机，整条链即停止") && error.contains("any one stopped member"), "{error}");
    assert!(!folder.join("three.body").exists());
    assert!(ok(folder, &format!("{three} --allow-no-fault-tolerance")).contains("WARNING"));

    ok(folder, "assemble --name 示范联盟 -o body platform.qzcard notary.qzcard court.qzcard arbitration.qzcard");
    let shown: serde_json::Value = serde_json::from_str(&ok(folder, "show --json body")).unwrap();
    assert_eq!((&shown["signed"], &shown["tolerated_faults"]), (&false.into(), &1.into()));
    let chain_id = shown["chain_id"].as_str().unwrap();
    for (id, _) in members {
        let signed = ok(folder, &format!("sign --home {id} --chain-id {chain_id} body -o {id}.sig"));
        assert!(signed.contains("示范court") && signed.contains(chain_id), "{signed}");
    }
    let wrong = format!("sign --home court --chain-id {} body -o x.sig", "0".repeat(64));
    assert!(refused(folder, &wrong).contains("expected 0000"));
    assert!(refused(folder, "sign --home court three.body -o court.sig").contains("never overwritten"));
    let error = refused(folder, "finish body platform.sig notary.sig court.sig -o genesis.qz");
    assert!(error.contains("not signed yet by: arbitration"), "{error}");
    ok(folder, "finish body platform.sig notary.sig court.sig arbitration.sig -o genesis.qz");

    assert!(ok(folder, &format!("verify genesis.qz --chain-id {chain_id}")).contains("校验通过 VALID"));
    assert!(refused(folder, &format!("verify genesis.qz --chain-id {}", "1".repeat(64))).contains("expected 1111"));
    assert!(refused(folder, "verify body").contains("genesis document"));
    let text = ok(folder, "show genesis.qz");
    assert!(text.contains("全部机构已签署") && text.contains("https://127.0.0.1:27203"), "{text}");
    let mut bytes = std::fs::read(folder.join("genesis.qz")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(folder.join("tampered.qz"), bytes).unwrap();
    refused(folder, "verify tampered.qz");
    assert!(refused(folder, "verify absent.qz").contains("absent.qz"));

    let card = folder.join("court.qzcard");
    let mut bytes = std::fs::read(&card).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&card, bytes).unwrap();
    let tampered = "assemble --name 示范联盟 -o y platform.qzcard notary.qzcard court.qzcard arbitration.qzcard";
    assert!(refused(folder, tampered).contains("court.qzcard"));

    assert_eq!(run(folder, "keygen --home z --org UPPER").status.code(), Some(2));
    assert_eq!(run(folder, "nonsense").status.code(), Some(2));
}
