//! A change of the consortium by the commands that organisations type.
#![allow(clippy::unwrap_used)]

use qz_evidence::governance::SignedBody;
use qz_evidence::payload::{Change, GovernanceChanged, Payload};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qz-genesis"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn ok(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, line: &str, reason: &str) {
    let output = run(folder, line);
    assert_eq!(output.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(reason), "{line}: {error}");
}

fn organisation(folder: &Path, number: usize, id: &str) {
    let addresses = format!(
        "--consensus-addr /ip4/127.0.0.1/tcp/2700{number} --mempool-addr /ip4/127.0.0.1/tcp/2710{number} \
         --rpc-url https://127.0.0.1:2720{number}"
    );
    ok(
        folder,
        &format!(
            "keygen --no-passphrase --home {id} --org {id} --name-zh 示范{id} --name-en {id} --roles platform,attestor {addresses}"
        ),
    );
    ok(folder, &format!("card --home {id} -o {id}.qzcard"));
}

fn digest(folder: &Path, file: &str) -> String {
    let shown = ok(folder, &format!("proposal --genesis genesis.qz --json {file}"));
    serde_json::from_str::<serde_json::Value>(&shown).unwrap()["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_change_is_proposed_shown_approved_and_put_together() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for (number, id) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        organisation(folder, number, id);
    }
    ok(folder, "assemble --name 示范联盟 -o body a.qzcard b.qzcard c.qzcard d.qzcard");
    for id in ["a", "b", "c", "d"] {
        ok(folder, &format!("sign --home {id} body -o {id}.sig"));
    }
    ok(folder, "finish body a.sig b.sig c.sig d.sig -o genesis.qz");

    let made = ok(folder, "propose put-organisation e.qzcard --genesis genesis.qz --expiry 500 --out admit.qzp");
    assert!(made.contains("接纳机构") && made.contains("admit") && made.contains("示范e"), "{made}");
    let admit = digest(folder, "admit.qzp");
    assert!(ok(folder, "proposal --genesis genesis.qz admit.qzp").contains(&admit));

    // Nobody signs what was not shown and agreed on.
    refused(folder, "approve --home a --genesis genesis.qz admit.qzp --out a.approval", "--digest");
    let wrong = format!("approve --home a --genesis genesis.qz --digest {} admit.qzp --out a.approval", "0".repeat(64));
    refused(folder, &wrong, "another one than was agreed on");
    for id in ["a", "b", "c", "e"] {
        let shown = ok(
            folder,
            &format!("approve --home {id} --genesis genesis.qz --digest {admit} admit.qzp --out {id}.approval"),
        );
        assert!(shown.contains(&admit) && shown.contains("示范e") && shown.contains("已批准"), "{shown}");
    }
    let all = "combine --genesis genesis.qz admit.qzp a.approval b.approval c.approval --out change.signed";
    assert!(ok(folder, all).contains("3 organisations approved"));
    let (signed, body) = SignedBody::open(&std::fs::read(folder.join("change.signed")).unwrap()).unwrap();
    assert_eq!(signed.actors.len(), 3);
    let Payload::GovernanceChanged(GovernanceChanged { change: Change::PutOrganisation(card) }) = body.payload else {
        panic!("another change")
    };
    assert_eq!(card.0, std::fs::read(folder.join("e.qzcard")).unwrap());

    // What `combine` refuses.
    let combine = |approvals: &str| format!("combine --genesis genesis.qz admit.qzp {approvals} --out x.signed");
    refused(folder, &combine("a.approval a.approval"), "two approvals");
    refused(folder, &combine("a.approval e.approval"), "does not verify");
    ok(folder, "combine --genesis genesis.qz --card e.qzcard admit.qzp a.approval e.approval --out with-e.signed");
    ok(folder, "propose remove d --genesis genesis.qz --expiry 500 --out remove.qzp");
    let remove = digest(folder, "remove.qzp");
    ok(folder, &format!("approve --home b --genesis genesis.qz --digest {remove} remove.qzp --out b2.approval"));
    refused(folder, &combine("a.approval b2.approval"), "the approval of b is for");
    let mut forged = std::fs::read(folder.join("a.approval")).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    std::fs::write(folder.join("forged.approval"), forged).unwrap();
    refused(folder, &combine("forged.approval b.approval"), "does not verify");

    // The other kinds of change, in words.
    let set = "propose validators a b=2 e --card e.qzcard --genesis genesis.qz --expiry 9 --out set.qzp";
    let shown = ok(folder, set);
    assert!(shown.contains("验证人集合") && shown.contains("power 2") && shown.contains("WARNING"), "{shown}");
    let params = "propose params --governance-quorum 4 --window 1000 --genesis genesis.qz --expiry 9 --out params.qzp";
    assert!(
        ok(folder, params).contains("window 1000")
            && ok(folder, "proposal --genesis genesis.qz params.qzp").contains("quorum 4")
    );
    let upgrade = "propose upgrade 2 1234 --genesis genesis.qz --expiry 9 --out upgrade.qzp";
    assert!(ok(folder, upgrade).contains("protocol version 2 from height 1234"));

    // What `propose` refuses.
    for (line, reason) in [
        ("validators a e", "give its card with --card"),
        ("validators a a", "no valid set"),
        ("validators a=0", "no valid set"),
        ("params --window 3", "window must be"),
        ("put-organisation genesis.qz", "card"),
        ("remove UPPER", "no organisation id"),
    ] {
        refused(folder, &format!("propose {line} --genesis genesis.qz --expiry 9 --out y.qzp"), reason);
    }
    let mut altered = std::fs::read(folder.join("e.qzcard")).unwrap();
    altered[60] ^= 1;
    std::fs::write(folder.join("altered.qzcard"), altered).unwrap();
    refused(folder, "propose put-organisation altered.qzcard --genesis genesis.qz --expiry 9 --out y.qzp", "card");

    // A proposal of another ledger, and a file that is none.
    ok(folder, "assemble --name 另一联盟 -o other a.qzcard b.qzcard c.qzcard d.qzcard");
    for id in ["a", "b", "c", "d"] {
        ok(folder, &format!("sign --home {id} other -o {id}.other"));
    }
    ok(folder, "finish other a.other b.other c.other d.other -o other.qz");
    refused(folder, "proposal --genesis other.qz admit.qzp", "the proposal is for chain");
    refused(folder, "proposal --genesis genesis.qz e.qzcard", "body");
}
