//! What must be refused between the fixed version and the last signature (SPEC §11a). The platform holds the key of a
//! seal here: it makes an update of its own, has it signed, puts the digest on the ledger and completes the contract.
//! Everything but step 9 holds.

mod marks;
mod pages;
mod signatures;

use crate::attacks::draft::{CATALOG, Draft, FORM, FREE, PAGE, Wish};
use crate::pdf::{Signer, stream};
use crate::scene::Scene;
use crate::signing::completed;
use crate::vector::{Expect, Vector};

type Objects = Vec<(usize, Vec<u8>)>;
/// What is attacked, the version, the file.
type Case = (&'static str, Vec<u8>, Vec<u8>);

pub fn vectors() -> Vec<Vector> {
    let mut all = vec![];
    all.extend(pages::cases());
    all.extend(signatures::cases());
    all.extend(marks::cases());
    let refused = all.into_iter().map(|(a, version, file)| completed("between", a, &version, file, Expect::Refused(9)));
    let accepted = marks::honest()
        .into_iter()
        .map(|(a, version, file)| completed("accepted", a, &version, file, Expect::Accepted));
    let unreadable = marks::unreadable()
        .into_iter()
        .map(|(a, version, file)| completed("between", a, &version, file, Expect::Refused(1)));
    refused.chain(accepted).chain(unreadable).collect()
}

fn sealer() -> Signer {
    Scene::usual_sealer()
}

fn second<'a>() -> Wish<'a> {
    Wish { name: "party-b", rectangle: [200, 60, 300, 160], ..Wish::default() }
}

/// The version, signed in an update that has these objects too, or others in the place of its own.
fn signed_with(objects: &[(usize, Vec<u8>)]) -> (Vec<u8>, Vec<u8>) {
    let mut draft = Draft::new();
    let version = draft.bytes.clone();
    draft.sign_with(&sealer(), &Wish::default(), objects);
    (version, draft.bytes)
}

fn case(about: &'static str, objects: &[(usize, Vec<u8>)]) -> Case {
    let (version, file) = signed_with(objects);
    (about, version, file)
}

/// The version, then an update by `change`, which nobody signs, then the signature over both.
fn updated(about: &'static str, change: impl FnOnce(&mut Draft)) -> Case {
    let mut draft = Draft::new();
    let version = draft.bytes.clone();
    change(&mut draft);
    draft.sign(&sealer(), &Wish::default());
    (about, version, draft.bytes)
}

/// Text that is put where it was not.
fn other_text() -> Vec<u8> {
    crate::attacks::draft::text_of_page("9000")
}

fn form(more: &str, content: &[u8]) -> Vec<u8> {
    stream(&format!("/Type/XObject/Subtype/Form/BBox[0 0 100 100]{more}"), content)
}

/// Entries of a dictionary with something in the place of something else.
fn replaced(object: &[u8], what: &str, with: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(object);
    assert!(text.contains(what), "{text} has no {what}");
    text.replacen(what, with, 1).into_bytes()
}
