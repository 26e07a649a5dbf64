//! Numbers of tokens, each used once: a block of them is reserved on disk before the first is used, so that
//! a crash skips numbers and repeats none.

use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Numbers reserved at a time.
const BLOCK: u64 = 1024;

/// The numbers.
#[derive(Debug)]
pub struct Serials {
    path: PathBuf,
    /// Next number, and the first that is not reserved.
    next: Mutex<(u64, u64)>,
}

impl Serials {
    /// Goes on behind the last reserved block; from 1 in a new folder.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let reserved = match std::fs::read_to_string(path) {
            Ok(text) => text.trim().parse().with_context(|| format!("{}: not a number", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 1,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self { path: path.to_owned(), next: Mutex::new((reserved, reserved)) })
    }

    /// The next one.
    pub fn take(&self) -> anyhow::Result<u64> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.0 == next.1 {
            let reserved = next.1.checked_add(BLOCK).context("the numbers are used up")?;
            self.reserve(reserved).with_context(|| self.path.display().to_string())?;
            next.1 = reserved;
        }
        next.0 += 1;
        Ok(next.0 - 1)
    }

    fn reserve(&self, reserved: u64) -> std::io::Result<()> {
        let temporary = self.path.with_extension("new");
        let mut file = std::fs::File::create(&temporary)?;
        writeln!(file, "{reserved}")?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_number_comes_twice_even_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serial");
        let first = Serials::open(&path).unwrap();
        let taken: Vec<u64> = (0..3).map(|_| first.take().unwrap()).collect();
        assert_eq!(taken, [1, 2, 3]);
        // The process ends without a word.
        let second = Serials::open(&path).unwrap();
        assert_eq!(second.take().unwrap(), 1 + BLOCK);
        let many: std::collections::BTreeSet<u64> = (0..3000).map(|_| second.take().unwrap()).collect();
        assert_eq!(many.len(), 3000);
        std::fs::write(&path, "nonsense").unwrap();
        assert!(Serials::open(&path).is_err());
    }
}
