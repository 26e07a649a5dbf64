//! Checkpoints: the whole history up to a block as one signed note (C2SP tlog-checkpoint), so that outside
//! witnesses and timestamp authorities can speak about the ledger without knowing its formats.
//!
//! Leaf N of the log is header N. The checkpoint of block M covers M + 1 headers, M included.

use crate::codec::{Bytes, Format, encode};
use crate::format_tag;
use crate::genesis::Organisation;
use crate::hash::{Hash32, sha256, tag};
use crate::header::Header;
use crate::history::{empty_root, leaf_hash, node_hash};
use crate::ids::{Height, OrgId};
use crate::note::{KeyType, NoteError, SignedNote, VerifierKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minicbor::{Decode, Encode};
use std::fmt;
use thiserror::Error;

format_tag!(
    /// Tag of a checkpoint.
    CheckpointTag = "qz/checkpoint/v1"
);
format_tag!(
    /// Tag of an anchor.
    AnchorTag = "qz/anchor/v1"
);
format_tag!(
    /// Tag of former evidence.
    FormerTag = "qz/former/v1"
);

/// Most anchors over one checkpoint.
pub const MAX_ANCHORS: usize = 8;
/// Most former evidence.
pub const MAX_FORMER: usize = 64;
/// Most certificates, most revocation lists and most OCSP answers that an anchor keeps.
pub const MAX_KEPT: usize = 8;

/// The log's name: what stands in the first line of every checkpoint of this ledger.
pub fn origin(chain_id: &Hash32) -> String {
    format!("qizheng/{chain_id}")
}

/// The two keys of a member: speaking for the log, and as a witness. Both are its witness key.
pub fn member_keys(chain_id: &Hash32, id: &OrgId, witness_key: &Hash32) -> Result<[VerifierKey; 2], NoteError> {
    let origin = origin(chain_id);
    let cosigner = format!("{origin}/{id}");
    Ok([
        VerifierKey::new(&origin, KeyType::Log, witness_key.0)?,
        VerifierKey::new(&cosigner, KeyType::Cosigner, witness_key.0)?,
    ])
}

/// The same of an organisation.
pub fn keys_of(chain_id: &Hash32, organisation: &Organisation) -> Result<[VerifierKey; 2], NoteError> {
    member_keys(chain_id, &organisation.id, &organisation.witness_key)
}

/// Why a checkpoint does not hold.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// It is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text is not three lines.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// Another log.
    #[error("it is of the log {0}")]
    Origin(String),
    /// Another size.
    #[error("it covers {found} headers, not {expected}")]
    Size {
        /// In the note.
        found: u64,
        /// Of the block.
        expected: u64,
    },
    /// The path does not show this history.
    #[error("the path does not show the history that the header carries")]
    History,
    /// The path does not lead to the note's root.
    #[error("the root is not that of the history with this header")]
    Root,
}

/// What a checkpoint says: the first three lines of the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// The log's name.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash32,
}

impl TreeHead {
    /// Of a ledger's history.
    pub fn new(chain_id: &Hash32, size: u64, root: Hash32) -> Self {
        Self { origin: origin(chain_id), size, root }
    }

    /// Reads a note's text; no further lines are accepted.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let bad = CheckpointError::Malformed;
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(bad("no last newline"))?.split('\n').collect();
        let [origin, size, root] = lines[..] else { return Err(bad("expected origin, size and root, no more")) };
        if origin.is_empty() {
            return Err(bad("the origin is empty"));
        }
        let number: u64 = size.parse().map_err(|_| bad("the size is not a number"))?;
        if number.to_string() != size {
            return Err(bad("the size is not written in its one form"));
        }
        let root = BASE64.decode(root).ok().and_then(|root| <[u8; 32]>::try_from(root).ok());
        let root = root.ok_or(bad("the root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size: number, root: Hash32(root) })
    }

    /// Is it the one that this header and path make?
    pub fn check(
        &self, chain_id: &Hash32, header: &[u8], height: Height, history_root: &Hash32, path: &[Hash32],
    ) -> Result<(), CheckpointError> {
        if self.origin != origin(chain_id) {
            return Err(CheckpointError::Origin(self.origin.clone()));
        }
        if self.size.checked_sub(1) != Some(height.0) {
            return Err(CheckpointError::Size { found: self.size, expected: height.0.saturating_add(1) });
        }
        let (before, with) = fold(header, height, path).ok_or(CheckpointError::History)?;
        if before != *history_root {
            return Err(CheckpointError::History);
        }
        if with == self.root { Ok(()) } else { Err(CheckpointError::Root) }
    }
}

impl fmt::Display for TreeHead {
    /// The note's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root.0))
    }
}

/// Roots of the history before a header and with it. The header is the last leaf, so its path holds the
/// peaks of the history before it, smallest first; nothing if there are not as many as that history has.
fn fold(header: &[u8], height: Height, path: &[Hash32]) -> Option<(Hash32, Hash32)> {
    if u32::try_from(path.len()).ok()? != height.0.count_ones() {
        return None;
    }
    let over = |start: Hash32, peaks: &[Hash32]| peaks.iter().fold(start, |right, left| node_hash(left, &right));
    let before = path.split_first().map_or_else(empty_root, |(first, rest)| over(*first, rest));
    Some((before, over(leaf_hash(header), path)))
}

/// A note that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub tree: TreeHead,
    /// With its signatures.
    pub note: SignedNote,
}

impl SignedCheckpoint {
    /// Reads a note whose text is a checkpoint. No signature is checked.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        Ok(Self { tree: TreeHead::parse(&note.text)?, note })
    }

    /// The same, that of a block: its text holds (see [`TreeHead::check`]).
    pub fn of_block(
        bytes: &[u8], chain_id: &Hash32, header: &[u8], decoded: &Header, path: &[Hash32],
    ) -> Result<Self, CheckpointError> {
        let found = Self::parse(bytes)?;
        found.tree.check(chain_id, header, decoded.height, &decoded.history_root, path)?;
        Ok(found)
    }
}

/// Member 8 of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Checkpoint {
    /// Format tag.
    #[n(0)]
    pub tag: CheckpointTag,
    /// The signed note, verbatim.
    #[n(1)]
    pub note: Bytes,
    /// Inclusion path of the head's header under the note's root.
    #[n(2)]
    pub path: Vec<Hash32>,
    /// Encoded [`Former`] evidence, oldest first.
    #[n(3)]
    pub former: Vec<Bytes>,
}

impl Format for Checkpoint {
    const NAME: &'static str = "checkpoint";
    const MAX_BYTES: usize = 8 * 1024 * 1024;
}

/// What an anchor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AnchorKind {
    /// A time-stamp token (RFC 3161).
    #[n(1)]
    Timestamp,
}

/// Member 9 of a bundle, one of them: somebody else's word on when a checkpoint existed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Anchor {
    /// Format tag.
    #[n(0)]
    pub tag: AnchorTag,
    /// What it is.
    #[n(1)]
    pub kind: AnchorKind,
    /// The token (ContentInfo, DER), as the authority sent it.
    #[n(2)]
    pub token: Bytes,
    /// X.509 certificates (DER) that the token does not carry.
    #[n(3)]
    pub certificates: Vec<Bytes>,
    /// Certificate revocation lists (DER).
    #[n(4)]
    pub revocations: Vec<Bytes>,
    /// Answers of OCSP responders (DER); the member is absent if there is none.
    #[n(5)]
    #[cbor(with = "crate::codec::if_any", has_nil)]
    pub ocsp: Vec<Bytes>,
}

impl Format for Anchor {
    const NAME: &'static str = "anchor";
    const MAX_BYTES: usize = 64 * 1024;
}

impl Anchor {
    /// A token without anything beside it.
    pub fn of_token(token: Vec<u8>) -> Self {
        Self {
            tag: AnchorTag,
            kind: AnchorKind::Timestamp,
            token: Bytes(token),
            certificates: vec![],
            revocations: vec![],
            ocsp: vec![],
        }
    }
}

/// What a renewed bundle keeps of the one before: a former head, its checkpoint and its anchors.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Former {
    /// Format tag.
    #[n(0)]
    pub tag: FormerTag,
    /// Encoded header of the former head.
    #[n(1)]
    pub header: Bytes,
    /// Its path in the history of the next evidence's header: the next former one's, at last the head's.
    #[n(2)]
    pub history_path: Vec<Hash32>,
    /// The former note.
    #[n(3)]
    pub note: Bytes,
    /// Inclusion path of the former header under the former note's root.
    #[n(4)]
    pub path: Vec<Hash32>,
    /// Its encoded [`Anchor`]s.
    #[n(5)]
    pub anchors: Vec<Bytes>,
}

impl Format for Former {
    const NAME: &'static str = "former evidence";
    const MAX_BYTES: usize = 1024 * 1024;
}

/// What a timestamp over a checkpoint is about: the note's text, and after a renewal the hashes of the
/// former evidence, so that a later timestamp keeps the earlier ones believable.
pub fn anchored_message(text: &str, former: &[Bytes]) -> Vec<u8> {
    let mut message = text.as_bytes().to_vec();
    if !former.is_empty() {
        message.extend_from_slice(tag::RENEWAL);
        former.iter().for_each(|bytes| message.extend_from_slice(&sha256(&[bytes]).0));
    }
    message
}

/// Encodes a checkpoint.
pub fn encoded(note: &SignedNote, path: Vec<Hash32>, former: Vec<Bytes>) -> Bytes {
    let note = Bytes(note.to_string().into_bytes());
    Bytes(encode(&Checkpoint { tag: CheckpointTag, note, path, former }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::{Frontier, inclusion_path};
    use std::collections::HashMap;

    #[test]
    fn the_path_shows_the_history_before_and_with_a_header() {
        let chain = Hash32([7; 32]);
        let mut frontier = Frontier::default();
        let mut nodes = HashMap::new();
        for height in 0..70u64 {
            let header = height.to_be_bytes();
            let before = frontier.root();
            let leaf = leaf_hash(&header);
            nodes.insert((0, height), leaf);
            nodes.extend(frontier.append(leaf).into_iter().map(|(l, i, h)| ((l, i), h)));
            let path = inclusion_path(height, height + 1, &mut |l, i| nodes.get(&(l, i)).copied().ok_or(())).unwrap();
            let tree = TreeHead::new(&chain, height + 1, frontier.root());
            let check = |tree: &TreeHead, path: &[Hash32]| tree.check(&chain, &header, Height(height), &before, path);
            assert_eq!(check(&tree, &path), Ok(()));
            assert_eq!(TreeHead::parse(&tree.to_string()), Ok(tree.clone()));
            assert!(check(&TreeHead { size: height, ..tree.clone() }, &path).is_err());
            assert_eq!(check(&TreeHead { root: before, ..tree.clone() }, &path), Err(CheckpointError::Root));
            assert!(check(&TreeHead { origin: "qizheng/".into(), ..tree.clone() }, &path).is_err());
            assert!(check(&tree, &[&path[..], &[leaf]].concat()).is_err());
            if let Some((_, shorter)) = path.split_last() {
                assert!(check(&tree, shorter).is_err());
                let mut flipped = path.clone();
                flipped[0].0[9] ^= 1;
                assert_eq!(check(&tree, &flipped), Err(CheckpointError::History));
            }
        }
    }

    #[test]
    fn a_text_has_three_lines_in_their_one_form() {
        let root = BASE64.encode([1; 32]);
        for bad in [
            format!("a\n1\n{root}"),
            format!("a\n1\n{root}\nextension\n"),
            format!("a\n01\n{root}\n"),
            format!("a\n+1\n{root}\n"),
            format!("a\n-1\n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            format!("\n1\n{root}\n"),
            "a\n1\nAAAA\n".to_owned(),
            format!("a\n1\n{}\n", root.trim_end_matches('=')),
        ] {
            assert!(TreeHead::parse(&bad).is_err(), "{bad}");
        }
    }
}
