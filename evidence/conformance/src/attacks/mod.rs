//! Attacks on signed PDFs, one file each, and honest files beside them: what an examination must say.
//!
//! The classes are those of the literature: universal forgery, incremental saving and signature wrapping
//! (Mladenov et al., CCS 2019), shadow attacks (NDSS 2021), attacks on certified documents (IEEE S&P 2021).

mod certified;
pub(crate) mod draft;
mod forged;
mod honest;
mod shadow;

use crate::pdf::Signer;
use draft::{Draft, Wish};

/// What an examination must say of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All signatures hold, nothing was changed.
    Intact,
    /// Permitted, but visible additions.
    Caution,
    /// Changed after signing.
    Changed,
    /// A signature does not hold.
    Invalid,
    /// Cannot be judged; never accepted.
    Undetermined,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Class, such as `shadow-hide`; `honest` for what must not be refused.
    pub class: &'static str,
    /// Unique name.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// What must be said.
    pub expected: Verdict,
}

impl Attack {
    fn new(class: &'static str, name: &str, bytes: Vec<u8>, expected: Verdict) -> Self {
        Self { class, name: format!("{class}-{name}"), bytes, expected }
    }
}

/// Who signs, and an attacker with a certificate of the attacker's own.
struct People {
    a: Signer,
    b: Signer,
    mallory: Signer,
}

impl People {
    fn new() -> Self {
        let signer = |n, name| Signer::new(n, name, 1_790_000_000_000, 1_990_000_000_000);
        Self { a: signer(21, "party a"), b: signer(22, "party b"), mallory: signer(23, "mallory") }
    }

    /// Signed by the first party.
    fn signed(&self) -> Draft {
        let mut draft = Draft::new();
        draft.sign(&self.a, &Wish::default());
        draft
    }

    /// Certified by the first party.
    fn certified(&self, permits: u8) -> Draft {
        let mut draft = Draft::new();
        draft.sign(&self.a, &Wish { permits: Some(permits), ..Wish::default() });
        draft
    }
}

/// All files, each name once.
pub fn all() -> Vec<Attack> {
    let people = People::new();
    let mut all = vec![];
    all.extend(honest::files(&people));
    all.extend(forged::files(&people));
    all.extend(shadow::files(&people));
    all.extend(certified::files(&people));
    all
}

/// Files prepared for shadow attacks, as they are before anyone signs, by what must be found in them.
pub fn planted() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("covered-text", shadow::planted_cover()),
        ("hidden-object", shadow::planted_page(true)),
        ("hidden-bytes", shadow::planted_page(false)),
    ]
}

/// The root that the parties' certificates lead to, DER.
pub fn root() -> Vec<u8> {
    People::new().a.issuer
}
