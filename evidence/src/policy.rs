//! Witness policies: which outside witnesses a verifier trusts, and how many of them it wants (C2SP
//! tlog-policy). A trust input; nothing of it ever comes from a bundle.

use crate::note::{KeyType, NoteError, VerifierKey};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Most bytes of a policy file.
const MAX_POLICY_BYTES: usize = 64 * 1024;
/// Most witnesses and groups.
const MAX_NAMES: usize = 128;

/// Why a policy file cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// Not a text of at most 64 KiB.
    #[error("a witness policy is a text of at most {MAX_POLICY_BYTES} bytes")]
    NotText,
    /// A line.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is no quorum line.
    #[error("there is no quorum line")]
    NoQuorum,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in the policy.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where it takes checkpoints, if the policy says so.
    pub url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    required: usize,
    members: Vec<String>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessPolicy {
    witnesses: Vec<PolicyWitness>,
    groups: BTreeMap<String, Group>,
    quorum: String,
}

impl WitnessPolicy {
    /// Reads a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::NotText);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::NotText)?;
        let mut reading = Reading::default();
        for (line, number) in text.split('\n').zip(1..) {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            reading.line(&words).map_err(|reason| PolicyError::Line { line: number, reason })?;
        }
        let Reading { witnesses, groups, quorum, .. } = reading;
        Ok(Self { witnesses, groups, quorum: quorum.ok_or(PolicyError::NoQuorum)? })
    }

    /// The witnesses, as the file has them.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Do these witnesses (by their names in the policy) suffice?
    pub fn is_met(&self, cosigned: &BTreeSet<&str>) -> bool {
        self.holds(&self.quorum, cosigned)
    }

    /// Groups refer to earlier lines only, so this ends.
    fn holds(&self, name: &str, cosigned: &BTreeSet<&str>) -> bool {
        match self.groups.get(name) {
            None => cosigned.contains(name),
            Some(group) => group.members.iter().filter(|member| self.holds(member, cosigned)).count() >= group.required,
        }
    }
}

#[derive(Default)]
struct Reading {
    witnesses: Vec<PolicyWitness>,
    groups: BTreeMap<String, Group>,
    names: BTreeSet<String>,
    members: BTreeSet<String>,
    quorum: Option<String>,
}

impl Reading {
    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            [] => Ok(()),
            [comment, ..] if comment.starts_with('#') => Ok(()),
            ["log", key] | ["log", key, _] => VerifierKey::parse(key).map(|_| ()).map_err(of_key),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, required, members @ ..] if !members.is_empty() => self.group(name, required, members),
            ["quorum", "none"] => Err("`quorum none` demands no witness, so nothing would be witnessed".to_owned()),
            ["quorum", name] => {
                self.known(name)?;
                match self.quorum.replace((*name).to_owned()) {
                    None => Ok(()),
                    Some(_) => Err("a second quorum line".to_owned()),
                }
            }
            _ => Err("expected `witness NAME KEY [URL]`, `group NAME all|any|K NAME…` or `quorum NAME`".to_owned()),
        }
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&str>) -> Result<(), String> {
        let key = VerifierKey::parse(key).map_err(of_key)?;
        if key.key_type() != KeyType::Cosigner {
            return Err("a witness' key has type 4".to_owned());
        }
        if self.witnesses.iter().any(|other| other.key.public() == key.public()) {
            return Err("this public key is another witness' too".to_owned());
        }
        self.define(name)?;
        self.witnesses.push(PolicyWitness { name: name.to_owned(), key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn group(&mut self, name: &str, required: &str, members: &[&str]) -> Result<(), String> {
        let required = match required {
            "all" => members.len(),
            "any" => 1,
            number => number.parse().map_err(|_| "expected all, any or a number".to_owned())?,
        };
        if !(1..=members.len()).contains(&required) {
            return Err(format!("{required} of {} cannot be met", members.len()));
        }
        for member in members {
            self.known(member)?;
            if !self.members.insert((*member).to_owned()) {
                return Err(format!("{member} is in two groups"));
            }
        }
        self.define(name)?;
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.groups.insert(name.to_owned(), Group { required, members });
        Ok(())
    }

    fn define(&mut self, name: &str) -> Result<(), String> {
        if name == "none" || !self.names.insert(name.to_owned()) {
            return Err(format!("the name {name} is taken"));
        }
        if self.names.len() > MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} witnesses and groups"));
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(), String> {
        if self.names.contains(name) { Ok(()) } else { Err(format!("{name} is not defined above")) }
    }
}

fn of_key(error: NoteError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(n: u8) -> String {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[n; 32]);
        VerifierKey::new(&format!("w{n}.example"), KeyType::Cosigner, secret.verifying_key().to_bytes())
            .unwrap()
            .to_string()
    }

    #[test]
    fn quorums_are_counted() {
        let text = format!(
            "# ours\n\n witness\ta {} https://a.example\nwitness b {}\nwitness c {}\ngroup two 2 a b\ngroup all all two c\nquorum all\n",
            key(1),
            key(2),
            key(3)
        );
        let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
        assert_eq!(policy.witnesses()[0].url.as_deref(), Some("https://a.example"));
        for (cosigned, met) in [(&["a", "b", "c"][..], true), (&["a", "c"], false), (&["a", "b"], false), (&[], false)]
        {
            assert_eq!(policy.is_met(&cosigned.iter().copied().collect()), met, "{cosigned:?}");
        }
        let any = WitnessPolicy::parse(
            format!("witness a {}\nwitness b {}\ngroup g any a b\nquorum g", key(1), key(2)).as_bytes(),
        );
        assert!(any.unwrap().is_met(&["b"].into()));
    }

    #[test]
    fn unusable_policies_are_refused_by_line() {
        let a = format!("witness a {}\n", key(1));
        for (what, text) in [
            ("no quorum", a.clone()),
            ("none", format!("{a}quorum none")),
            ("unknown quorum", format!("{a}quorum b")),
            ("two quorums", format!("{a}quorum a\nquorum a")),
            ("unknown word", format!("{a}quorum a\nwitnesses")),
            ("the same name", format!("{a}witness a {}\nquorum a", key(2))),
            ("the same key", format!("{a}witness b {}\nquorum a", key(1))),
            ("the name none", format!("witness none {}\nquorum none", key(1))),
            ("too many required", format!("{a}group g 2 a\nquorum g")),
            ("nobody required", format!("{a}group g 0 a\nquorum g")),
            ("in two groups", format!("{a}group g any a\ngroup h any a\nquorum g")),
            ("a group of itself", format!("{a}group g any g\nquorum g")),
            ("a broken key", format!("{}quorum a", a.replace("w1", "w2"))),
            ("a carriage return", format!("{a}quorum a\r\n")),
        ] {
            assert!(WitnessPolicy::parse(text.as_bytes()).is_err(), "{what} was accepted");
        }
    }
}
