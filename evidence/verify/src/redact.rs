//! Selective disclosure: a bundle that shows chosen fields only.
//!
//! What a record commits to stays as it was finalised; only openings (name, salt, value) are left out. Without
//! its salt a value cannot be guessed from its commitment. No step of the verification wants an opening, so
//! the verdict stays; a contract file can be checked only with the digests that its check names.

use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{CodecError, decode_strict, encode};
use qz_evidence::commitment::name;
use std::collections::BTreeSet;
use thiserror::Error;

/// What stays: a name in every record, or in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keep {
    /// Index of the record in the bundle, from 0; absent: every record.
    pub entry: Option<usize>,
    /// Name of the commitment.
    pub name: String,
}

impl std::str::FromStr for Keep {
    type Err = String;

    /// `name`, or `index:name`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None => Ok(Self { entry: None, name: text.to_owned() }),
            Some((entry, name)) => {
                let entry = entry.parse().map_err(|_| format!("`{entry}` is no index of a record"))?;
                Ok(Self { entry: Some(entry), name: name.to_owned() })
            }
        }
    }
}

/// A redacted bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The new bundle.
    pub bytes: Vec<u8>,
    /// What it still discloses: index of the record, name.
    pub kept: Vec<(usize, String)>,
    /// What it no longer discloses.
    pub hidden: Vec<(usize, String)>,
    /// X.509 certificates left out, since the digest that binds them is hidden.
    pub certificates_removed: usize,
}

impl Redacted {
    /// Can a contract file still be checked with it? (The digests that its check needs are all kept.)
    pub fn checks_files(&self) -> bool {
        const NEEDED: [&str; 3] = [name::DOCUMENT, name::TO_BE_SIGNED, name::CERTIFICATE];
        !self.hidden.iter().any(|(_, name)| NEEDED.contains(&name.as_str()))
    }
}

/// Why a bundle cannot be redacted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RedactError {
    /// Not a bundle.
    #[error("不是证明文件 / not a proof: {0}")]
    Codec(#[from] CodecError),
    /// Most likely misspelt: hiding more than was meant is noticed, but so it is noticed at once.
    #[error("证明中没有披露“{0}” / the proof discloses no `{0}`")]
    Unknown(String),
}

/// Leaves out every opening but the chosen ones.
///
/// # Errors
/// If the bytes are no bundle, or something to be kept is not there.
pub fn redact(bundle: &[u8], keep: &[Keep]) -> Result<Redacted, RedactError> {
    let mut bundle: Bundle = decode_strict(bundle)?;
    let (mut kept, mut hidden) = (vec![], vec![]);
    for (i, entry) in bundle.entries.iter_mut().enumerate() {
        entry.openings.retain(|opening| {
            let wanted = keep.iter().find(|k| k.name == opening.name && k.entry.is_none_or(|entry| entry == i));
            if wanted.is_some() { &mut kept } else { &mut hidden }.push((i, opening.name.clone()));
            wanted.is_some()
        });
    }
    let names: BTreeSet<_> = kept.iter().map(|(i, name)| (*i, name.as_str())).collect();
    for one in keep {
        let found = match one.entry {
            None => names.iter().any(|(_, name)| *name == one.name),
            Some(entry) => names.contains(&(entry, one.name.as_str())),
        };
        if !found {
            let entry = one.entry.map_or_else(String::new, |entry| format!("{entry}:"));
            return Err(RedactError::Unknown(format!("{entry}{}", one.name)));
        }
    }
    let before = bundle.certificates.len();
    bundle.certificates.retain(|certificate| {
        usize::try_from(certificate.entry).is_ok_and(|entry| names.contains(&(entry, name::CERTIFICATE)))
    });
    let certificates_removed = before - bundle.certificates.len();
    Ok(Redacted { bytes: encode(&bundle), kept, hidden, certificates_removed })
}
