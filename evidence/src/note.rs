//! Signed notes: a text and the lines of those who signed it (C2SP signed-note), with Ed25519 keys of the
//! two types that logs and witnesses use (C2SP tlog-checkpoint, tlog-cosignature).
//!
//! Reading is strict: one text has one form. What a signature means is the caller's business.

use crate::hash::sha256;
use crate::keys::verify_ed25519;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use thiserror::Error;

/// Most bytes of a note.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;
/// Most signature lines of a note.
pub const MAX_SIGNATURES: usize = 256;
/// Most bytes of a key name.
const MAX_KEY_NAME: usize = 255;
/// What a signature line begins with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Why a note or key was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// It is larger than [`MAX_NOTE_BYTES`].
    #[error("the note has {0} bytes, at most {MAX_NOTE_BYTES} are allowed")]
    TooLarge(usize),
    /// It is no signed note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// The same key twice.
    #[error("the key {0} signed twice")]
    Repeated(String),
    /// A verifier key is not one.
    #[error("not a verifier key: {0}")]
    VerifierKey(&'static str),
}

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// 0x01: Ed25519 over the text.
    Log,
    /// 0x04: a time and Ed25519 over the time and the text (`cosignature/v1`).
    Cosigner,
}

impl KeyType {
    fn byte(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Cosigner => 0x04,
        }
    }
}

/// First four bytes of SHA-256(name ‖ newline ‖ type ‖ public key).
pub type KeyId = [u8; 4];

/// A key that verifies lines of a note.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifierKey {
    name: String,
    key_type: KeyType,
    key: [u8; 32],
    id: KeyId,
}

impl VerifierKey {
    /// A key by its name.
    pub fn new(name: &str, key_type: KeyType, key: [u8; 32]) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::VerifierKey("the name is empty, too long, or has a space, a plus or a control"));
        }
        let hash = sha256(&[name.as_bytes(), b"\n", &[key_type.byte()], &key]);
        Ok(Self { name: name.to_owned(), key_type, key, id: first_four(&hash.0) })
    }

    /// Reads a vkey: `name+hexadecimal id+base64(type ‖ key)`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let bad = NoteError::VerifierKey;
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("expected NAME+ID+KEY"));
        };
        let bytes = BASE64.decode(key).map_err(|_| bad("the key is not base64"))?;
        let (key_type, key) = match bytes.split_first() {
            Some((0x01, key)) => (KeyType::Log, key),
            Some((0x04, key)) => (KeyType::Cosigner, key),
            _ => return Err(bad("only keys of type 1 (log) and 4 (cosigner) are known")),
        };
        let key = <[u8; 32]>::try_from(key).map_err(|_| bad("an Ed25519 key has 32 bytes"))?;
        let found = Self::new(name, key_type, key)?;
        match id == hex::encode(found.id) {
            true => Ok(found),
            false => Err(bad("the key id is not that of the name and key")),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The Ed25519 public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.key
    }

    /// Is this line one of this key, by name and id?
    pub fn signed(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.id == self.id
    }

    /// Does the line hold over the text? Gives the time of a cosignature in seconds since 1970 (nothing
    /// for a log's signature).
    pub fn verify(&self, text: &str, line: &NoteSignature) -> Option<Option<u64>> {
        if !self.signed(line) {
            return None;
        }
        let (time, message, signature) = match self.key_type {
            KeyType::Log => (None, text.as_bytes().to_vec(), line.bytes.as_slice()),
            KeyType::Cosigner => {
                let (time, signature) = line.bytes.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                i64::try_from(time).ok()?;
                (Some(time), cosigned_message(time, text), signature)
            }
        };
        verify_ed25519(&self.key, &message, signature.try_into().ok()?).then_some(time)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.key_type.byte()], &self.key[..]].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id), BASE64.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a cosigner signs: `cosignature/v1`, the time in seconds, the text.
pub fn cosigned_message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: KeyId,
    /// What comes after the id: 64 bytes of a log, 8 + 64 of a cosigner, anything of unknown keys.
    pub bytes: Vec<u8>,
}

impl NoteSignature {
    /// The line of `key` with a signature over the text (log) or over [`cosigned_message`] at this time.
    pub fn new(key: &VerifierKey, time: Option<u64>, signature: &[u8; 64]) -> Self {
        let mut bytes = time.map_or_else(Vec::new, |time| time.to_be_bytes().to_vec());
        bytes.extend_from_slice(signature);
        Self { name: key.name.clone(), id: key.id, bytes }
    }

    /// Reads one line, without its newline.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let bad = NoteError::Malformed;
        let rest = line.strip_prefix(LINE_START).ok_or(bad("a signature line does not begin with an em dash"))?;
        let (name, signature) = rest.split_once(' ').ok_or(bad("a signature line has no signature"))?;
        if !is_key_name(name) {
            return Err(bad("a key name is empty, too long, or has a space, a plus or a control"));
        }
        let bytes = BASE64.decode(signature).map_err(|_| bad("a signature is not base64"))?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(bad("a signature is shorter than a key id"))?;
        if bytes.is_empty() {
            return Err(bad("a signature is empty"));
        }
        Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        write!(f, "{LINE_START}{} {}", self.name, BASE64.encode(bytes))
    }
}

/// A text with signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// The text, with its last newline.
    pub text: String,
    /// Its signature lines, none of the same key twice.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let bad = NoteError::Malformed;
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge(bytes.len()));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| bad("not UTF-8"))?;
        if whole.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(bad("a control character"));
        }
        let end = whole.rfind("\n\n").ok_or(bad("no empty line"))?;
        let (text, lines) = (&whole[..=end], &whole[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(bad("the last line has no end"))?;
        let mut note = Self { text: text.to_owned(), signatures: vec![] };
        for line in lines.split('\n') {
            if note.signatures.len() == MAX_SIGNATURES {
                return Err(bad("too many signature lines"));
            }
            note.add(NoteSignature::parse(line)?)?;
        }
        Ok(note)
    }

    /// Adds a line; refuses a second one of the same key.
    pub fn add(&mut self, line: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.iter().any(|other| other.name == line.name && other.id == line.id) {
            return Err(NoteError::Repeated(line.name));
        }
        self.signatures.push(line);
        Ok(())
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn is_key_name(name: &str) -> bool {
    (1..=MAX_KEY_NAME).contains(&name.len()) && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn first_four(hash: &[u8; 32]) -> KeyId {
    let [a, b, c, d, ..] = *hash;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    fn keys() -> (SigningKey, VerifierKey, VerifierKey) {
        let secret = SigningKey::from_bytes(&[5; 32]);
        let public = secret.verifying_key().to_bytes();
        let log = VerifierKey::new("example.com/log", KeyType::Log, public).unwrap();
        let witness = VerifierKey::new("witness.example/w1", KeyType::Cosigner, public).unwrap();
        (secret, log, witness)
    }

    fn note() -> SignedNote {
        let (secret, log, witness) = keys();
        let text = "example.com/log\n3\nAAAA\n";
        let mut note = SignedNote { text: text.into(), signatures: vec![] };
        note.add(NoteSignature::new(&log, None, &secret.sign(text.as_bytes()).to_bytes())).unwrap();
        let signature = secret.sign(&cosigned_message(77, text)).to_bytes();
        note.add(NoteSignature::new(&witness, Some(77), &signature)).unwrap();
        note
    }

    #[test]
    fn a_note_is_read_back_and_its_lines_hold() {
        let (_, log, witness) = keys();
        let note = note();
        let again = SignedNote::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(again, note);
        assert_eq!(log.verify(&again.text, &again.signatures[0]), Some(None));
        assert_eq!(witness.verify(&again.text, &again.signatures[1]), Some(Some(77)));
        assert_eq!(log.verify(&again.text, &again.signatures[1]), None, "another key's line");
        assert_eq!(log.verify("another text\n", &again.signatures[0]), None);
        let mut later = again.signatures[1].clone();
        later.bytes[7] += 1;
        assert_eq!(witness.verify(&again.text, &later), None, "the time is signed");
        assert_eq!(VerifierKey::parse(&witness.to_string()).unwrap(), witness);
        assert_eq!(VerifierKey::parse(&log.to_string()).unwrap(), log);
    }

    /// The example of C2SP tlog-cosignature: known-good key ids and lines from outside this project.
    #[test]
    fn a_published_note_is_read() {
        let published = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let note = SignedNote::parse(published.as_bytes()).unwrap();
        assert_eq!(note.to_string(), published);
        assert_eq!(note.signatures[1].bytes.len(), 72);
    }

    /// A checkpoint of Sigsum's public test log of 2025-12-12 and the cosignatures of two of its public witnesses:
    /// made by other implementations, with keys that they publish.
    #[test]
    fn lines_that_other_implementations_signed_hold() {
        let key = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
        let signature = |text: &str| <[u8; 64]>::try_from(hex::decode(text).unwrap()).unwrap();
        let log = key("4644af2abd40f4895a003bca350f9d5912ab301a49c77f13e5b6d905c20a5fe6");
        let origin = format!("sigsum.org/v1/tree/{}", sha256(&[&log]));
        let root = BASE64.encode(key("86c07a3959a75a8640dd01c33a62cf4222ef88ace47f706a06905d915e705a3d"));
        let mut note = SignedNote { text: format!("{origin}\n17157\n{root}\n"), signatures: vec![] };
        let lines = [
            (
                &origin[..],
                KeyType::Log,
                log,
                "fb48647e55d12145b6e3169d33cd167f0c24ce6c002ce794d82edd9e055ad535d94f4f0e142792194e713561d9040e94a744a73b4afa34b6697fdd8a32a0d509",
            ),
            (
                "poc.sigsum.org/nisse",
                KeyType::Cosigner,
                key("1c25f8a44c635457e2e391d1efbca7d4c2951a0aef06225a881e46b98962ac6c"),
                "b67271161de5010cae38a210c55e10b89ea07cb233ebba4802b34133d38de14933d81b40793a4a041bf428a632e48bd7f532f556485bc31580367df4fdae6a08",
            ),
            (
                "witness.navigli.sunlight.geomys.org",
                KeyType::Cosigner,
                key("dcbf728e02d479f5a7e20dc09adf525833ed6e797526517aeb07fc6854849fc6"),
                "0bd36c6f510e36939758d6b4df06bb90ad332ef2a590ef82a831d50876748387540891d0e4f77253b396ec57c20f07a33a2dfa644b7b44383000a62924c7e20d",
            ),
        ];
        for (name, key_type, public, bytes) in lines {
            let time = (key_type == KeyType::Cosigner).then_some(1_765_558_886);
            let verifier = VerifierKey::new(name, key_type, public).unwrap();
            let line = NoteSignature::new(&verifier, time, &signature(bytes));
            assert_eq!(verifier.verify(&note.text, &line), Some(time), "{name}");
            assert_eq!(verifier.verify(&note.text.replace("17157", "17158"), &line), None, "{name}");
            note.add(line).unwrap();
        }
        assert_eq!(SignedNote::parse(note.to_string().as_bytes()).unwrap(), note);
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let good = note().to_string();
        let lines: Vec<&str> = good.lines().collect();
        let cases = [
            ("no signature", format!("{}\n", note().text)),
            ("no empty line", note().text),
            ("no end", good.trim_end().to_owned()),
            ("a control", good.replace("AAAA", "AA\tAA")),
            ("a carriage return", good.replace('\n', "\r\n")),
            ("a hyphen", good.replace('\u{2014}', "-")),
            ("two spaces", good.replace("\u{2014} ", "\u{2014}  ")),
            ("a plus", good.replace("\u{2014} example.com", "\u{2014} example+com")),
            ("a space at the end", good.replace("=\n", "= \n")),
            ("the same line twice", format!("{good}{}\n", lines[4])),
            ("no padding", good.replace("==\n", "\n").replace("=\n", "\n")),
            ("an empty signature", good.replace(lines[4], "\u{2014} example.com/log AAAAAA==")),
        ];
        for (what, text) in cases {
            assert_ne!(text, good, "{what}");
            assert!(SignedNote::parse(text.as_bytes()).is_err(), "{what} was accepted");
        }
        assert!(matches!(SignedNote::parse(&[b'a'; MAX_NOTE_BYTES + 1]), Err(NoteError::TooLarge(_))));
        let (_, log, _) = keys();
        let key = log.to_string();
        for bad in
            ["", "a+b", &key.replace("+AW", "+AV"), &key.replacen("example", "exampl3", 1), &key.replacen('+', "+0", 1)]
        {
            assert!(VerifierKey::parse(bad).is_err(), "{bad}");
        }
    }
}
