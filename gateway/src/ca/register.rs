//! The CA's register: one line of JSON for each certificate issued or revoked, appended and synced before
//! anybody hears of it, never rewritten.

use anyhow::{Context, bail};
use qz_document::ca::ocsp::Status;
use qz_document::ca::revocation::{Reason, Revoked};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A certificate that was issued.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its subject.
    pub subject: String,
    /// Last moment of validity, milliseconds since 1970.
    pub not_after_ms: i64,
    /// The certificate, DER, hexadecimal.
    pub certificate: String,
    /// The certificate that it renews, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Issued(Issued),
    Revoked(Revoked),
}

/// What was issued and what was revoked.
#[derive(Debug)]
pub struct Register {
    path: PathBuf,
    issued: BTreeMap<String, Issued>,
    revoked: BTreeMap<String, Revoked>,
}

impl Register {
    /// Reads the file; an absent one is an empty register.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let mut register = Self { path: path.to_owned(), issued: BTreeMap::new(), revoked: BTreeMap::new() };
        for (number, line) in text.lines().enumerate() {
            let line: Line = serde_json::from_str(line).with_context(|| {
                format!("{}: 第 {} 行无效 / line {} is invalid", path.display(), number + 1, number + 1)
            })?;
            register.take(line);
        }
        Ok(register)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Issued(issued) => {
                self.issued.insert(issued.serial.clone(), issued);
            }
            Line::Revoked(revoked) => {
                self.revoked.insert(hex::encode(&revoked.serial), revoked);
            }
        }
    }

    fn append(&mut self, line: Line) -> anyhow::Result<()> {
        let text = serde_json::to_string(&line).expect("a line has string keys") + "\n";
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(|| self.path.display().to_string())?;
        self.take(line);
        Ok(())
    }

    /// Notes a certificate.
    pub fn issue(&mut self, issued: Issued) -> anyhow::Result<()> {
        self.append(Line::Issued(issued))
    }

    /// Revokes a certificate of ours, once.
    pub fn revoke(&mut self, serial: &str, since_ms: i64, reason: Reason) -> anyhow::Result<()> {
        if !self.issued.contains_key(serial) {
            bail!("没有序列号为 {serial} 的证书 / no certificate with the serial number {serial} was issued");
        }
        if self.revoked.contains_key(serial) {
            bail!("证书 {serial} 已吊销 / the certificate {serial} is revoked already");
        }
        self.append(Line::Revoked(Revoked { serial: hex::decode(serial)?, since_ms, reason }))
    }

    /// By serial number.
    pub fn find(&self, serial: &str) -> Option<&Issued> {
        self.issued.get(serial)
    }

    /// All, by serial number, with their revocation.
    pub fn all(&self) -> impl Iterator<Item = (&Issued, Option<&Revoked>)> {
        self.issued.values().map(|issued| (issued, self.revoked.get(&issued.serial)))
    }

    /// All revoked ones.
    pub fn revoked(&self) -> Vec<Revoked> {
        self.revoked.values().cloned().collect()
    }

    /// What is known of a serial number.
    pub fn status(&self, serial: &[u8]) -> Status {
        let serial = hex::encode(serial);
        match (self.revoked.get(&serial), self.issued.contains_key(&serial)) {
            (Some(revoked), _) => Status::Revoked(revoked.since_ms, revoked.reason),
            (None, true) => Status::Good,
            (None, false) => Status::Unknown,
        }
    }
}
