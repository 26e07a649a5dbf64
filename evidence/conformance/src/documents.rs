//! Contract files with their proof, and signing certificates (SPEC §11, steps 7 and 9).

use crate::bundles::vector;
use crate::ledger::{Ledger, START_MS};
use crate::pdf::{Pdf, Signer};
use crate::scene::{NOTE, Scene, seal_history};
use crate::vector::{Expect, Vector};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, encode};

const DAY: u64 = 86_400_000;

pub fn vectors() -> Vec<Vector> {
    let scene = Scene::new();
    let mut all = contracts(&scene);
    all.extend(bundles(&scene));
    all.extend(certificates(&scene));
    all.extend(validity());
    let history = seal_history();
    all.push(vector("accepted", "history of a seal", &scene.ledger, history.proof, Expect::Accepted));
    all
}

/// A file with the proof of everything.
fn contracts(scene: &Scene) -> Vec<Vector> {
    let proof = encode(&scene.bundle());
    let final_file = &scene.contract.bytes;
    let mut flipped = final_file.clone();
    let place = flipped.windows(8).position(|w| w == b"Purchase").unwrap();
    flipped[place] ^= 1;
    let mut signed_again = scene.contract.clone();
    signed_again.sign(&scene.issuer);
    let mut by_another = Pdf::new("Purchase contract", &[]);
    by_another.sign(&scene.issuer);
    let cases = [
        ("accepted", "the final file", final_file.clone(), Expect::Accepted),
        ("accepted", "the version put up for signing", scene.version.clone(), Expect::Accepted),
        ("accepted", "a deposited text", NOTE.to_vec(), Expect::Accepted),
        ("file", "a flipped bit in the text", flipped, Expect::Refused(9)),
        ("file", "a byte appended", [final_file, b"\n".as_slice()].concat(), Expect::Refused(9)),
        ("file", "signed once more", signed_again.bytes, Expect::Refused(9)),
        ("file", "signed by another key", by_another.bytes, Expect::Refused(9)),
        ("file", "another text", b"another text".to_vec(), Expect::Refused(9)),
        ("file", "an empty file", vec![], Expect::Refused(9)),
    ];
    let made = cases.into_iter().map(|(group, about, file, expect)| {
        let mut vector = vector(group, about, &scene.ledger, file, expect);
        vector.proof = Some(proof.clone());
        vector
    });
    made.collect()
}

/// The final file with a proof that hides or lacks something.
fn bundles(scene: &Scene) -> Vec<Vector> {
    type Case = (&'static str, fn(&mut Bundle));
    fn hide(bundle: &mut Bundle, name: &str, entries: std::ops::Range<usize>) {
        bundle.entries[entries].iter_mut().for_each(|entry| entry.openings.retain(|o| o.name != name));
    }
    const CASES: &[Case] = &[
        ("the signature's record left out", |b| drop(b.entries.remove(5))),
        ("the version's record left out", |b| drop(b.entries.remove(4))),
        ("the opening's record left out", |b| drop(b.entries.remove(3))),
        ("the seal's record left out", |b| {
            b.entries.remove(2);
            b.certificates.clear();
        }),
        ("the digest to be signed not disclosed", |b| hide(b, "to_be_signed.sha256", 0..7)),
        ("the seal's certificate not disclosed", |b| {
            hide(b, "certificate.sha256", 2..3);
            b.certificates.clear();
        }),
        ("the fixed version not disclosed", |b| hide(b, "document.sha256", 0..6)),
        ("the final file not disclosed", |b| hide(b, "document.sha256", 6..7)),
    ];
    let made = CASES.iter().map(|(about, change)| {
        let mut bundle = scene.bundle();
        change(&mut bundle);
        let mut vector = vector("proof", about, &scene.ledger, scene.contract.bytes.clone(), Expect::Refused(9));
        vector.proof = Some(encode(&bundle));
        vector
    });
    let mut all: Vec<_> = made.collect();
    all.extend(completed_wrongly());
    all.push(deposited_as_well());
    all
}

/// A platform completes a contract with a file that is not what was signed.
fn completed_wrongly() -> Vec<Vector> {
    type Make = (&'static str, fn(&Scene) -> Vec<u8>);
    const CASES: &[Make] = &[
        ("completed without the signature", |s| s.version.clone()),
        ("completed with a signature too many", |s| {
            let mut pdf = s.contract.clone();
            pdf.sign(&s.issuer);
            pdf.bytes
        }),
        ("completed with another text", |s| {
            let mut pdf = Pdf::new("Another contract", &[]);
            pdf.sign(&s.sealer);
            pdf.bytes
        }),
        ("completed with something behind the signature", |s| [&s.contract.bytes, b"\n%\n".as_slice()].concat()),
    ];
    let made = CASES.iter().map(|(about, make)| {
        let mut scene = Scene::new();
        let file = make(&scene);
        scene.complete_with(&file);
        let mut vector = vector("completed", about, &scene.ledger, file, Expect::Refused(9));
        vector.about = (*about).into();
        vector.proof = Some(encode(&scene.bundle()));
        vector
    });
    made.collect()
}

/// A file that lacks the signature completes the contract and is deposited besides, as if it were any file.
fn deposited_as_well() -> Vector {
    let mut scene = Scene::new();
    let file = scene.version.clone();
    scene.complete_with(&file);
    scene.deposit(&file);
    let mut vector =
        vector("completed", "an unsigned file that is deposited too", &scene.ledger, file, Expect::Refused(9));
    vector.proof = Some(encode(&scene.bundle()));
    vector
}

fn certificates(scene: &Scene) -> Vec<Vector> {
    let proof = encode(&scene.bundle());
    let good = scene.certificate(&proof);
    let mut undeposited = scene.bundle();
    undeposited.entries[0].openings.retain(|o| o.name != "certificate.sha256");
    let mut by_sealer = Pdf::new("Signing certificate", &[("proof.qzproof", proof.as_slice())]);
    by_sealer.sign(&scene.sealer);
    let mut altered = good.bytes.clone();
    let place = altered.windows(7).position(|w| w == b"Signing").unwrap();
    altered[place] = b's';
    let mut two = Pdf::new("Signing certificate", &[("a.qzproof", proof.as_slice()), ("b.qzproof", &proof)]);
    two.sign(&scene.issuer);
    let mut none = Pdf::new("Signing certificate", &[("proof.txt", proof.as_slice())]);
    none.sign(&scene.issuer);
    let mut broken_proof = scene.bundle();
    broken_proof.states[0].siblings.reverse();
    broken_proof.states[0].siblings.push(qz_evidence::Hash32::ZERO);
    let unsigned = Pdf::new("Signing certificate", &[("proof.qzproof", proof.as_slice())]);
    let mut foreign = Ledger::sample().bundle();
    foreign.genesis = Bytes(vec![0]);
    let cases = [
        ("accepted", "a signing certificate", good.bytes.clone(), Expect::Accepted),
        ("certificate", "its text altered", altered, Expect::Refused(9)),
        ("certificate", "a byte behind the signature", [good.bytes.as_slice(), b"\n"].concat(), Expect::Refused(9)),
        ("certificate", "not signed", unsigned.bytes, Expect::Refused(9)),
        ("certificate", "signed by who is no issuer", by_sealer.bytes, Expect::Refused(9)),
        ("certificate", "the issuer not disclosed", scene.certificate(&encode(&undeposited)).bytes, Expect::Refused(9)),
        ("certificate", "two proofs", two.bytes, Expect::Refused(1)),
        ("certificate", "no proof", none.bytes, Expect::Refused(1)),
        (
            "certificate",
            "a proof that does not hold",
            scene.certificate(&encode(&broken_proof)).bytes,
            Expect::Refused(8),
        ),
        ("certificate", "a proof of another ledger", scene.certificate(&encode(&foreign)).bytes, Expect::Refused(2)),
        ("certificate", "a PDF cut short", good.bytes[..good.bytes.len() / 2].to_vec(), Expect::Refused(1)),
        ("certificate", "a PDF in name only", b"%PDF-1.7\n".to_vec(), Expect::Refused(1)),
    ];
    let made = cases.into_iter().map(|(group, about, file, expect)| vector(group, about, &scene.ledger, file, expect));
    made.collect()
}

/// X.509 certificates that were not valid when the seal was used.
fn validity() -> Vec<Vector> {
    let cases = [
        ("X.509 certificate expired before its use", START_MS - 9 * DAY, START_MS - DAY),
        ("X.509 certificate not yet valid at its use", START_MS + DAY, START_MS + 9 * DAY),
        ("X.509 certificate expired between seal and signature", START_MS - DAY, START_MS + 3000),
    ];
    let made = cases.into_iter().map(|(about, from, to)| {
        let scene = Scene::sealed_by(Signer::new(11, "sealer", from, to));
        vector("record", about, &scene.ledger, encode(&scene.bundle()), Expect::Refused(7))
    });
    made.collect()
}
