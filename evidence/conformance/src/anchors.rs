//! Checkpoints with outside witnesses and third-party timestamps (SPEC §10a, §10b; steps 10 and 11): what a
//! verifier with a policy and a root must accept, and what it must refuse.

use crate::bundles::{edit, vector};
use crate::ledger::anchoring::{Authority, DAY_MS, Style, cosign, policy, witness};
use crate::ledger::{Ledger, START_MS};
use crate::vector::{Expect, Vector};
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Anchor, Checkpoint, Former, FormerTag, anchored_message, encoded};
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::hash::Hash32;
use qz_evidence::note::{KeyType, SignedNote, VerifierKey};
use x509_cert::ext::pkix::CrlReason;

/// Time of the sample's head, and of its verification.
pub(crate) const HEAD_MS: u64 = START_MS + 5000;
pub(crate) const NOW_MS: u64 = START_MS + 60_000;

/// A bundle for a verifier who has a policy and a root.
pub(crate) fn trusting(about: &str, ledger: &Ledger, bundle: &Bundle, authority: &Authority, expect: Expect) -> Vector {
    let group = if expect.is_positive() { "accepted" } else { "anchor" };
    let mut vector = vector(group, about, ledger, encode(bundle), expect);
    vector.witness_policy = Some(policy("all"));
    vector.tsa_roots = authority.root_pem();
    vector
}

pub fn vectors() -> Vec<Vector> {
    let (ledger, authority) = (Ledger::sample(), Authority::new(40, Style::default()));
    let bundle = ledger.anchored_bundle(&authority);
    let mut all = inputs(&ledger, &bundle, &authority);
    all.extend(checkpoints(&ledger, &bundle, &authority));
    all.extend(timestamps(&ledger, &bundle, &authority));
    all.extend(crate::answers::vectors(&ledger, &bundle, &authority));
    all.extend(crate::algorithms::vectors(&ledger, &bundle, &authority));
    all.extend(crate::sm2::roots(&ledger, &bundle));
    all.extend(renewals());
    all.extend(renewed_twice());
    all
}

/// The same bundle for verifiers who trust differently.
fn inputs(ledger: &Ledger, bundle: &Bundle, authority: &Authority) -> Vec<Vector> {
    let stranger = Authority::new(60, Style::default()).root_pem();
    let three = String::from_utf8(policy("any")).unwrap().replace("quorum outside\n", "");
    let three = format!("{three}witness three {}\ngroup more all outside three\nquorum more\n", witness(3).1);
    let root = authority.root_pem();
    let commented = [b"# who watches\n\n".as_slice(), &policy("2")].concat();
    let cases = [
        ("anchored and witnessed", Some(policy("all")), root.clone(), NOW_MS, Expect::Valid),
        ("one of two witnesses suffices", Some(policy("any")), root.clone(), NOW_MS, Expect::Valid),
        ("two of two witnesses and comments", Some(commented), root.clone(), NOW_MS, Expect::Valid),
        ("two roots", Some(policy("all")), [stranger.clone(), root.clone()].concat(), NOW_MS, Expect::Valid),
        ("anchored without trust inputs", None, vec![], NOW_MS, Expect::Accepted),
        ("no root given", Some(policy("all")), vec![], NOW_MS, Expect::Accepted),
        ("another root given", Some(policy("all")), stranger, NOW_MS, Expect::Accepted),
        ("no policy given", None, root.clone(), NOW_MS, Expect::Accepted),
        ("a witness that did not sign", Some(three.into_bytes()), root.clone(), NOW_MS, Expect::Accepted),
        ("an authority expired since", Some(policy("all")), root.clone(), START_MS + 400 * DAY_MS, Expect::Accepted),
        ("a timestamp from the future", Some(policy("all")), root, HEAD_MS - 299_000, Expect::Refused(11)),
    ];
    let made = cases.into_iter().map(|(about, witness_policy, tsa_roots, as_of_ms, expect)| Vector {
        witness_policy,
        tsa_roots,
        as_of_ms,
        ..trusting(about, ledger, bundle, authority, expect)
    });
    made.collect()
}

fn note(checkpoint: &mut Checkpoint, change: impl FnOnce(&mut SignedNote)) {
    let mut note = SignedNote::parse(&checkpoint.note).unwrap();
    change(&mut note);
    checkpoint.note = Bytes(note.to_string().into_bytes());
}

fn text(checkpoint: &mut Checkpoint, change: impl FnOnce(String) -> String) {
    checkpoint.note = Bytes(change(String::from_utf8(checkpoint.note.0.clone()).unwrap()).into_bytes());
}

type Change = (&'static str, fn(&mut Checkpoint));

const CHECKPOINTS: &[Change] = &[
    ("no note", |c| c.note.0.clear()),
    ("a note without signatures", |c| text(c, |t| t.split_inclusive("\n\n").next().unwrap().to_owned())),
    ("a note with carriage returns", |c| text(c, |t| t.replace('\n', "\r\n"))),
    ("a note without last newline", |c| text(c, |t| t.trim_end().to_owned())),
    ("a note of another size", |c| note(c, |n| n.text = n.text.replace("\n6\n", "\n7\n"))),
    ("a size with a leading zero", |c| text(c, |t| t.replace("\n6\n", "\n06\n"))),
    ("a note of another root", |c| note(c, |n| n.text = n.text.replace("\n6\n", "\n6\nA"))),
    ("a root without padding", |c| text(c, |t| t.replacen('=', "", 1))),
    ("a note of another ledger", |c| note(c, |n| n.text = n.text.replace("qizheng/", "qizheng/0"))),
    ("an extension line", |c| note(c, |n| n.text.push_str("more\n"))),
    ("a hyphen for a dash", |c| text(c, |t| t.replacen('—', "-", 1))),
    ("a flipped sibling of the checkpoint", |c| c.path[0].0[0] ^= 1),
    ("a sibling too many in the checkpoint", |c| c.path.push(Hash32::ZERO)),
    ("no path in the checkpoint", |c| c.path.clear()),
    ("broken log signature of a member", |c| note(c, |n| n.signatures[0].bytes[5] ^= 1)),
    ("short log signature of a member", |c| note(c, |n| n.signatures[0].bytes.truncate(60))),
    ("broken cosignature of a member", |c| note(c, |n| n.signatures[1].bytes[20] ^= 1)),
    ("changed time of a witness", |c| note(c, |n| n.signatures[8].bytes[7] ^= 1)),
    ("a cosigner twice", |c| {
        text(c, |t| {
            let last = t.lines().last().unwrap().to_owned();
            format!("{t}{last}\n")
        });
    }),
    ("a cosignature from the future", |c| {
        note(c, |n| {
            let (secret, key) = witness(1);
            n.signatures[8] = cosign(&secret, &key, &n.text, NOW_MS / 1000 + 301);
        });
    }),
];

fn checkpoints(ledger: &Ledger, bundle: &Bundle, authority: &Authority) -> Vec<Vector> {
    let changed = |about: &str, change: &dyn Fn(&mut Checkpoint), expect| {
        let mut bundle = bundle.clone();
        edit::<Checkpoint>(bundle.checkpoint.as_mut().unwrap(), change);
        trusting(about, ledger, &bundle, authority, expect)
    };
    let mut all: Vec<_> =
        CHECKPOINTS.iter().map(|(about, change)| changed(about, change, Expect::Refused(10))).collect();
    let stranger = |c: &mut Checkpoint| {
        note(c, |n| {
            let secret = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
            let key = VerifierKey::new("stranger", KeyType::Cosigner, secret.verifying_key().to_bytes()).unwrap();
            let mut line = cosign(&secret, &key, &n.text, 5);
            line.bytes[30] ^= 1;
            n.add(line).unwrap();
        });
    };
    all.push(changed("a broken line of a stranger", &stranger, Expect::Valid));
    let unwitnessed = |c: &mut Checkpoint| note(c, |n| n.signatures.truncate(8));
    all.push(changed("no outside witness", &unwitnessed, Expect::Accepted));
    let mut trailing = bundle.clone();
    trailing.checkpoint.as_mut().unwrap().0.push(0);
    all.push(trusting("trailing byte in the checkpoint", ledger, &trailing, authority, Expect::Refused(1)));
    all
}

fn timestamps(ledger: &Ledger, bundle: &Bundle, authority: &Authority) -> Vec<Vector> {
    let message = anchored_message(&ledger.tree_head().0, &[]);
    let good = |time_ms| authority.anchor(&message, time_ms);
    let style = Style::default();
    let by = |style: Style| Authority::new(40, style).anchor(&message, HEAD_MS + 2000);
    let with = |change: &dyn Fn(&mut Anchor)| {
        let mut anchor = good(HEAD_MS + 2000);
        change(&mut anchor);
        anchor
    };
    let revoked = |at_ms, reason| with(&|a| a.revocations = vec![Bytes(authority.revocations(Some((at_ms, reason))))]);
    let because =
        |at_ms, reason| with(&|a| a.revocations = vec![Bytes(authority.revocations_because(Some((at_ms, reason))))]);
    let flipped = |from_end: usize| {
        with(&|a| {
            let place = a.token.len() - from_end;
            a.token.0[place] ^= 1;
        })
    };
    let refused = Expect::Refused(11);
    let cases = [
        ("token over another digest", authority.anchor(b"another text", HEAD_MS + 2000), refused),
        ("token that is not DER", with(&|a| a.token.0.truncate(40)), refused),
        ("token with a trailing byte", with(&|a| a.token.0.push(0)), refused),
        ("token with a broken signature", flipped(3), refused),
        ("revocation list that is none", with(&|a| a.revocations = vec![Bytes(vec![0x30, 0])]), refused),
        ("authority not certified for timestamps", by(Style { for_timestamps: false, ..style }), refused),
        ("authority not critically certified", by(Style { critical: false, ..style }), refused),
        ("authority expired before it signed", by(Style { to_ms: HEAD_MS - 1000, ..style }), refused),
        ("authority not yet valid", by(Style { from_ms: HEAD_MS + DAY_MS, ..style }), refused),
        ("timestamp long before the block", good(HEAD_MS - 301_000), refused),
        ("timestamp long after the block", good(HEAD_MS + 3_601_000), refused),
        ("timestamp an hour after the block", good(HEAD_MS + 3_600_000), Expect::Valid),
        ("authority revoked before", revoked(HEAD_MS, CrlReason::Superseded), refused),
        ("key of the authority stolen even later", revoked(HEAD_MS + DAY_MS, CrlReason::KeyCompromise), refused),
        ("authority superseded later", revoked(HEAD_MS + DAY_MS, CrlReason::Superseded), Expect::Valid),
        ("authority revoked later without a reason", because(HEAD_MS + DAY_MS, None), refused),
        ("no revocation list", with(&|a| a.revocations.clear()), Expect::Valid),
        ("nine revocation lists", with(&|a| a.revocations = vec![a.revocations[0].clone(); 9]), Expect::Refused(1)),
    ];
    let made = cases.into_iter().map(|(about, anchor, expect)| {
        let mut bundle = bundle.clone();
        bundle.anchors = vec![Bytes(encode(&anchor))];
        let mut vector = trusting(about, ledger, &bundle, authority, expect);
        vector.as_of_ms = NOW_MS + 2 * DAY_MS;
        vector
    });
    let mut all: Vec<_> = made.collect();
    let mut alone = bundle.clone();
    alone.checkpoint = None;
    all.push(trusting("timestamp without checkpoint", ledger, &alone, authority, refused));
    let mut nine = bundle.clone();
    nine.anchors = vec![nine.anchors[0].clone(); 9];
    all.push(trusting("nine anchors", ledger, &nine, authority, Expect::Refused(1)));
    let mut trailing = bundle.clone();
    trailing.anchors[0].0.push(0);
    all.push(trusting("trailing byte in an anchor", ledger, &trailing, authority, Expect::Refused(1)));
    all
}

/// Proofs renewed under a later head, years after.
fn renewals() -> Vec<Vector> {
    let (mut ledger, authority) = (Ledger::sample(), Authority::new(40, Style::default()));
    let old = ledger.anchored_bundle(&authority);
    let old_path = ledger.tree_head().1;
    ledger.block(vec![]);
    ledger.block(vec![]);
    let head_ms = START_MS + 7000;
    let young = Authority::new(70, Style { to_ms: START_MS + 3000 * DAY_MS, ..Style::default() });
    let renewed = |change: fn(&mut Former), covered: bool| {
        let mut kept = Former {
            tag: FormerTag,
            header: old.head.clone(),
            history_path: ledger.history_path(5),
            note: decode_strict::<Checkpoint>(old.checkpoint.as_ref().unwrap()).unwrap().note,
            path: old_path.clone(),
            anchors: old.anchors.clone(),
        };
        change(&mut kept);
        let kept = vec![Bytes(encode(&kept))];
        let note = ledger.note(head_ms / 1000);
        let mut bundle = ledger.bundle();
        let message = anchored_message(&note.text, if covered { &kept } else { &[] });
        bundle.anchors = vec![Bytes(encode(&young.anchor(&message, head_ms + 1000)))];
        bundle.checkpoint = Some(encoded(&note, ledger.tree_head().1, kept));
        bundle
    };
    type Case = (&'static str, Expect, bool, fn(&mut Former));
    const CASES: &[Case] = &[
        ("a renewed proof", Expect::Valid, true, |_| {}),
        ("former note cut short", Expect::Refused(10), true, |f| f.note.0.truncate(60)),
        ("former header of another place", Expect::Refused(10), true, |f| f.history_path[0].0[0] ^= 1),
        ("flipped sibling of a former checkpoint", Expect::Refused(10), true, |f| f.path[0].0[0] ^= 1),
        ("former evidence without anchor", Expect::Refused(1), true, |f| f.anchors.clear()),
        ("former evidence that the new timestamp does not cover", Expect::Refused(11), false, |_| {}),
    ];
    let made = CASES.iter().map(|(about, expect, covered, change)| {
        let mut vector = trusting(about, &ledger, &renewed(*change, *covered), &young, *expect);
        vector.tsa_roots = [authority.root_pem(), young.root_pem()].concat();
        vector.as_of_ms = START_MS + 400 * DAY_MS;
        vector
    });
    made.collect()
}

/// Renewed under block 7 and again under block 9. The path of the first former evidence leads to block 7.
fn renewed_twice() -> Vec<Vector> {
    let (mut ledger, authority) = (Ledger::sample(), Authority::new(40, Style::default()));
    let note_of = |bundle: &Bundle| decode_strict::<Checkpoint>(bundle.checkpoint.as_ref().unwrap()).unwrap().note;
    let first = ledger.anchored_bundle(&authority);
    let first_path = ledger.tree_head().1;
    ledger.block(vec![]);
    ledger.block(vec![]);
    let young = Authority::new(70, Style { to_ms: START_MS + 3000 * DAY_MS, ..Style::default() });
    let former = |bundle: &Bundle, history_path, path| Former {
        tag: FormerTag,
        header: bundle.head.clone(),
        history_path,
        note: note_of(bundle),
        path,
        anchors: bundle.anchors.clone(),
    };
    let renew = |ledger: &Ledger, kept: Vec<Bytes>, height: u64| {
        let at_ms = START_MS + height * 1000;
        let note = ledger.note(at_ms / 1000);
        let mut bundle = ledger.bundle();
        let anchor = young.anchor(&anchored_message(&note.text, &kept), at_ms + 1000);
        bundle.anchors = vec![Bytes(encode(&anchor))];
        bundle.checkpoint = Some(encoded(&note, ledger.tree_head().1, kept));
        bundle
    };
    let one = former(&first, ledger.history_path(5), first_path);
    let second = renew(&ledger, vec![Bytes(encode(&one))], 7);
    let second_path = ledger.tree_head().1;
    ledger.block(vec![]);
    ledger.block(vec![]);
    let two = former(&second, ledger.history_path(7), second_path);
    let astray = Former { history_path: ledger.history_path(5), ..one.clone() };
    let cases = [
        ("a proof renewed twice", vec![&one, &two], Expect::Valid),
        ("former evidence whose path leads past the next", vec![&astray, &two], Expect::Refused(10)),
        ("former evidence in another order", vec![&two, &one], Expect::Refused(10)),
        ("former evidence twice", vec![&one, &one], Expect::Refused(10)),
    ];
    let made = cases.into_iter().map(|(about, kept, expect)| {
        let kept = kept.into_iter().map(|former| Bytes(encode(former))).collect();
        let mut vector = trusting(about, &ledger, &renew(&ledger, kept, 9), &young, expect);
        vector.tsa_roots = [authority.root_pem(), young.root_pem()].concat();
        vector.as_of_ms = START_MS + 400 * DAY_MS;
        vector
    });
    made.collect()
}
