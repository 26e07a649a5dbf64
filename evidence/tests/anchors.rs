//! Steps 10 and 11: when a proof is VALID, when it is merely not anchored, and what must be refused.
#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::anchoring::{Authority, DAY_MS, Style, cosign, policy, witness};
use ledger::{Ledger, START_MS, key};
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Anchor, Checkpoint, Former, FormerTag, anchored_message, encoded};
use qz_evidence::codec::{Bytes, Format, decode_strict, encode};
use qz_evidence::hash::sha256;
use qz_evidence::note::{KeyType, SignedNote, VerifierKey};
use qz_evidence::verify::{Report, StepStatus, TrustInputs, Verdict, verify};
use x509_cert::ext::pkix::CrlReason;

/// Block 5's time, and a minute later.
const HEAD_MS: u64 = START_MS + 5000;
const NOW_MS: u64 = START_MS + 60_000;

struct Case {
    ledger: Ledger,
    authority: Authority,
}

impl Case {
    fn new() -> Self {
        Self { ledger: Ledger::sample(), authority: Authority::new(40, Style::default()) }
    }

    fn bundle(&self) -> Bundle {
        self.ledger.anchored_bundle(&self.authority)
    }

    fn check(&self, bundle: &Bundle) -> Report {
        self.check_at(bundle, NOW_MS, Some(&policy("all")), &self.authority.root_pem())
    }

    fn check_at(&self, bundle: &Bundle, as_of_ms: u64, policy: Option<&[u8]>, roots: &[u8]) -> Report {
        let trust = TrustInputs {
            witness_policy: policy,
            tsa_roots: roots,
            ..TrustInputs::new(&self.ledger.genesis, as_of_ms)
        };
        verify(&encode(bundle), &trust, &[])
    }
}

fn edit<T: Format>(bytes: &mut Bytes, change: impl FnOnce(&mut T)) {
    let mut value: T = decode_strict(bytes).unwrap();
    change(&mut value);
    *bytes = Bytes(encode(&value));
}

fn statuses(report: &Report) -> (StepStatus, StepStatus) {
    (report.steps[9].status, report.steps[10].status)
}

#[test]
fn a_proof_with_witnesses_and_a_timestamp_is_valid_for_who_trusts_them() {
    let case = Case::new();
    let report = case.check(&case.bundle());
    assert_eq!(report.verdict, Verdict::Valid, "{:?}", report.steps);
    let checkpoint = report.checkpoint.unwrap();
    assert_eq!((checkpoint.size, checkpoint.cosigners.len()), (6, 10));
    assert_eq!(checkpoint.cosigners.iter().filter(|one| one.outside).count(), 2);
    assert_eq!(checkpoint.cosigners.iter().filter(|one| one.member.is_some()).count(), 8);
    // Three times, none in the place of another.
    let [anchor] = &report.anchors[..] else { panic!("{:?}", report.anchors) };
    assert_eq!((anchor.block_time_ms, anchor.tsa_time_ms), (HEAD_MS, HEAD_MS + 2000));
    assert_eq!(report.verified_at_ms, Some(NOW_MS));
    assert!(anchor.relied_on && anchor.revocation_unchecked.is_empty());
    assert!(!report.not_checked.iter().any(|note| note.en.contains("witness") || note.en.contains("timestamp")));
}

#[test]
fn without_trust_inputs_or_with_others_it_is_valid_but_not_anchored() {
    use StepStatus::{NotChecked, Pass};
    let case = Case::new();
    let bundle = case.bundle();
    let (root, all, stranger) =
        (case.authority.root_pem(), policy("all"), Authority::new(60, Style::default()).root_pem());
    let own = {
        let [_, cosigner] = qz_evidence::checkpoint::member_keys(
            &case.ledger.chain_id,
            &qz_evidence::OrgId::new("notary").unwrap(),
            &qz_evidence::Hash32(key(2, "witness").verifying_key().to_bytes()),
        )
        .unwrap();
        format!("witness notary {cosigner}\nquorum notary").into_bytes()
    };
    let three = format!("{}witness three {}\n", String::from_utf8(policy("any")).unwrap(), witness(3).1);
    let three = format!("{}group more all outside three\nquorum more\n", three.replace("quorum outside\n", ""));
    let mut bare = case.ledger.bundle();
    assert_eq!(case.check(&bare).verdict, Verdict::ValidUnanchored);
    bare.checkpoint = bundle.checkpoint.clone();
    for (what, bundle, policy, roots, expected) in [
        ("nothing given", &bundle, None, &b""[..], (NotChecked, NotChecked)),
        ("no root", &bundle, Some(&all[..]), b"", (Pass, NotChecked)),
        ("another root", &bundle, Some(&all), &stranger, (Pass, NotChecked)),
        ("no policy", &bundle, None, &root, (NotChecked, Pass)),
        ("a policy of members only", &bundle, Some(&own), &root, (NotChecked, Pass)),
        ("a witness that did not sign", &bundle, Some(three.as_bytes()), &root, (NotChecked, Pass)),
        ("a checkpoint without timestamp", &bare, Some(&all), &root, (Pass, NotChecked)),
    ] {
        let report = case.check_at(bundle, NOW_MS, policy, roots);
        assert_eq!(report.verdict, Verdict::ValidUnanchored, "{what}: {:?}", report.failed_step());
        assert_eq!(statuses(&report), expected, "{what}");
    }
    // Two roots in one file: one of them suffices.
    let both = [stranger, root].concat();
    assert_eq!(case.check_at(&bundle, NOW_MS, Some(&all), &both).verdict, Verdict::Valid);
}

#[test]
fn checkpoints_that_contradict_are_refused() {
    type Attack = (&'static str, fn(&Case, &mut Checkpoint));
    fn note(checkpoint: &mut Checkpoint, change: impl FnOnce(&mut SignedNote)) {
        let mut note = SignedNote::parse(&checkpoint.note).unwrap();
        change(&mut note);
        checkpoint.note = Bytes(note.to_string().into_bytes());
    }
    let attacks: [Attack; 14] = [
        ("not a note", |_, c| c.note.0.clear()),
        ("carriage returns", |_, c| {
            c.note = Bytes(String::from_utf8_lossy(&c.note).replace('\n', "\r\n").into_bytes())
        }),
        ("another size", |_, c| note(c, |n| n.text = n.text.replace("\n6\n", "\n7\n"))),
        ("another root", |_, c| note(c, |n| n.text = n.text.replace("\n6\n", "\n6\nA"))),
        ("another ledger", |_, c| note(c, |n| n.text = n.text.replace("qizheng/", "qizheng/0"))),
        ("an extension line", |_, c| note(c, |n| n.text.push_str("more\n"))),
        ("a flipped sibling", |_, c| c.path[0].0[0] ^= 1),
        ("a sibling too many", |_, c| c.path.push(qz_evidence::Hash32::ZERO)),
        ("no path", |_, c| c.path.clear()),
        ("a member's broken log signature", |_, c| note(c, |n| n.signatures[0].bytes[5] ^= 1)),
        ("a member's broken cosignature", |_, c| note(c, |n| n.signatures[1].bytes[20] ^= 1)),
        ("a witness' changed time", |_, c| note(c, |n| n.signatures[8].bytes[7] ^= 1)),
        ("a cosigner twice", |_, c| {
            let text = String::from_utf8(c.note.0.clone()).unwrap();
            let last = text.lines().last().unwrap().to_owned();
            c.note = Bytes(format!("{text}{last}\n").into_bytes());
        }),
        ("a cosignature from the future", |_, c| {
            note(c, |n| {
                let (secret, key) = witness(1);
                n.signatures[8] = cosign(&secret, &key, &n.text, NOW_MS / 1000 + 301);
            });
        }),
    ];
    let case = Case::new();
    for (what, attack) in attacks {
        let mut bundle = case.bundle();
        edit::<Checkpoint>(bundle.checkpoint.as_mut().unwrap(), |c| attack(&case, c));
        let report = case.check(&bundle);
        assert_eq!(report.failed_step().map(|s| s.n), Some(10), "{what}: {:?}", report.verdict);
    }
    // Lines of keys that nobody named mean nothing, even if they are broken.
    let mut bundle = case.bundle();
    edit::<Checkpoint>(bundle.checkpoint.as_mut().unwrap(), |c| {
        note(c, |n| {
            let secret = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
            let stranger = VerifierKey::new("stranger", KeyType::Cosigner, secret.verifying_key().to_bytes()).unwrap();
            let mut line = cosign(&secret, &stranger, &n.text, 5);
            line.bytes[30] ^= 1;
            n.add(line).unwrap();
        });
    });
    assert_eq!(case.check(&bundle).verdict, Verdict::Valid);
    let mut bundle = case.bundle();
    bundle.checkpoint.as_mut().unwrap().0.push(0);
    assert_eq!(case.check(&bundle).failed_step().map(|s| s.n), Some(1), "trailing byte");
}

#[test]
fn timestamps_that_contradict_are_refused() {
    let case = Case::new();
    let (text, _) = case.ledger.tree_head();
    let message = anchored_message(&text, &[]);
    let good = |time_ms| case.authority.anchor(&message, time_ms);
    let by = |style: Style| Authority::new(40, style).anchor(&message, HEAD_MS + 2000);
    let with = |change: &dyn Fn(&mut Anchor)| {
        let mut anchor = good(HEAD_MS + 2000);
        change(&mut anchor);
        anchor
    };
    let style = Style::default();
    let revoked =
        |at_ms, reason| with(&|a| a.revocations = vec![Bytes(case.authority.revocations(Some((at_ms, reason))))]);
    let flipped = |from_end: usize| {
        with(&|a| {
            let last = a.token.len() - from_end;
            a.token.0[last] ^= 1;
        })
    };
    let cases = [
        ("over something else", case.authority.anchor(b"another text", HEAD_MS + 2000)),
        ("not DER", with(&|a| a.token.0.truncate(40))),
        ("a trailing byte", with(&|a| a.token.0.push(0))),
        ("a broken signature", flipped(3)),
        ("no list at all", with(&|a| a.revocations = vec![Bytes(vec![0x30, 0])])),
        ("not certified for timestamps", by(Style { for_timestamps: false, ..style })),
        ("not critically", by(Style { critical: false, ..style })),
        ("expired before it signed", by(Style { to_ms: HEAD_MS - 1000, ..style })),
        ("not yet valid", by(Style { from_ms: HEAD_MS + DAY_MS, ..style })),
        ("long before the block", good(HEAD_MS - 301_000)),
        ("long after the block", good(HEAD_MS + 3_601_000)),
        ("revoked before", revoked(HEAD_MS, CrlReason::Superseded)),
        ("its key stolen, even later", revoked(HEAD_MS + DAY_MS, CrlReason::KeyCompromise)),
    ];
    for (what, anchor) in cases {
        let mut bundle = case.bundle();
        bundle.anchors = vec![Bytes(encode(&anchor))];
        let report = case.check_at(&bundle, NOW_MS + 2 * DAY_MS, Some(&policy("any")), &case.authority.root_pem());
        assert_eq!(report.failed_step().map(|s| s.n), Some(11), "{what}: {:?}", report.steps[10]);
    }
    let from_the_future = case.check_at(&case.bundle(), HEAD_MS - 299_000, None, b"");
    assert_eq!(from_the_future.failed_step().map(|s| s.n), Some(11));
    let mut alone = case.bundle();
    alone.checkpoint = None;
    assert_eq!(case.check(&alone).failed_step().map(|s| s.n), Some(11), "a timestamp without checkpoint");
    // Superseded later leaves earlier tokens good; without a list the certificate is named as not checked.
    for (what, anchor, unchecked) in [
        ("superseded later", revoked(HEAD_MS + DAY_MS, CrlReason::Superseded), 0),
        ("no list", with(&|a| a.revocations.clear()), 1),
    ] {
        let mut bundle = case.bundle();
        bundle.anchors = vec![Bytes(encode(&anchor))];
        let report = case.check(&bundle);
        assert_eq!(report.verdict, Verdict::Valid, "{what}: {:?}", report.steps[10]);
        assert_eq!(report.anchors[0].revocation_unchecked.len(), unchecked, "{what}");
    }
}

#[test]
fn an_expired_authority_is_not_relied_on_until_the_proof_is_renewed() {
    let mut case = Case::new();
    let old = case.bundle();
    let later = START_MS + 400 * DAY_MS;
    let (all, old_root) = (policy("all"), case.authority.root_pem());
    let expired = case.check_at(&old, later, Some(&all), &old_root);
    assert_eq!(expired.verdict, Verdict::ValidUnanchored, "{:?}", expired.failed_step());
    assert_eq!(statuses(&expired), (StepStatus::Pass, StepStatus::NotChecked));
    assert_eq!(case.check_at(&old, START_MS + DAY_MS, Some(&all), &old_root).verdict, Verdict::Valid, "as of then");

    // The renewal, while the old authority is still good: a new head, the old evidence under a new timestamp.
    let old_path = case.ledger.tree_head().1;
    let former = |ledger: &Ledger| Former {
        tag: FormerTag,
        header: old.head.clone(),
        history_path: ledger.history_path(5),
        note: Bytes(ledger_note(&old)),
        path: old_path.clone(),
        anchors: old.anchors.clone(),
    };
    case.ledger.block(vec![]);
    case.ledger.block(vec![]);
    let head_ms = START_MS + 7000;
    let young = Authority::new(70, Style { to_ms: START_MS + 3000 * DAY_MS, ..Style::default() });
    let renewed = |change: &dyn Fn(&mut Former), former_in_message: bool| {
        let mut kept = former(&case.ledger);
        change(&mut kept);
        let kept = vec![Bytes(encode(&kept))];
        let note = case.ledger.note(head_ms / 1000);
        let mut bundle = case.ledger.bundle();
        let message = anchored_message(&note.text, if former_in_message { &kept } else { &[] });
        bundle.anchors = vec![Bytes(encode(&young.anchor(&message, head_ms + 1000)))];
        bundle.checkpoint = Some(encoded(&note, case.ledger.tree_head().1, kept));
        bundle
    };
    let roots = [old_root, young.root_pem()].concat();
    let check = |bundle: &Bundle| case.check_at(bundle, later, Some(&all), &roots);
    let report = check(&renewed(&|_| {}, true));
    assert_eq!(report.verdict, Verdict::Valid, "{:?}", report.steps);
    let relied: Vec<_> = report.anchors.iter().map(|a| (a.height.0, a.relied_on, a.former)).collect();
    assert_eq!(relied, [(5, true, true), (7, true, false)], "the old timestamp is good again");
    assert!(report.steps[10].detail_en.contains("block 5"), "{}", report.steps[10].detail_en);

    type Change = (&'static str, u8, &'static dyn Fn(&mut Former));
    let attacks: [Change; 4] = [
        ("another former note", 10, &|f| f.note.0.truncate(60)),
        ("a former header of another place", 10, &|f| f.history_path[0].0[0] ^= 1),
        ("a former path", 10, &|f| f.path[0].0[0] ^= 1),
        ("no former anchor", 1, &|f| f.anchors.clear()),
    ];
    for (what, step, attack) in attacks {
        assert_eq!(check(&renewed(attack, true)).failed_step().map(|s| s.n), Some(step), "{what}");
    }
    let uncovered = check(&renewed(&|_| {}, false));
    assert_eq!(uncovered.failed_step().map(|s| s.n), Some(11), "the new timestamp does not cover the old evidence");
}

fn ledger_note(bundle: &Bundle) -> Vec<u8> {
    decode_strict::<Checkpoint>(bundle.checkpoint.as_ref().unwrap()).unwrap().note.0
}

#[test]
fn no_flipped_byte_changes_what_witnesses_and_timestamps_say() {
    let case = Case::new();
    let bundle = case.bundle();
    let whole = encode(&bundle);
    let start = whole.len() - bundle.checkpoint.as_ref().unwrap().len() - bundle.anchors[0].len() - 8;
    let (policy, roots) = (policy("all"), case.authority.root_pem());
    let trust = TrustInputs {
        witness_policy: Some(&policy),
        tsa_roots: &roots,
        ..TrustInputs::new(&case.ledger.genesis, NOW_MS)
    };
    let good = verify(&whole, &trust, &[]);
    assert_eq!(good.verdict, Verdict::Valid);
    let mut accepted = 0;
    assert_eq!(sha256(&[&whole]), sha256(&[&encode(&case.bundle())]), "everything here is deterministic");
    for position in (start..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        let report = verify(&bytes, &trust, &[]);
        // A name that changed makes a member's line a stranger's, a broken list counts no more; nothing else
        // may change and still be valid.
        let said = |report: &Report| {
            let anchors: Vec<_> =
                report.anchors.iter().map(|a| (a.tsa_time_ms, a.tsa.clone(), a.serial.clone())).collect();
            (report.checkpoint.as_ref().map(|c| c.root), anchors)
        };
        if report.verdict == Verdict::Valid {
            assert_eq!(said(&report), said(&good), "flipping byte {position} was accepted");
            accepted += 1;
        }
    }
    assert!(accepted < 400, "{accepted} flipped bytes were accepted");
}
