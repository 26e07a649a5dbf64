//! What the kernel says about processes and folders.

use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// Ticks per second of CPU times in `/proc`: 100 on every Linux platform that Rust calls tier 1.
const TICKS_PER_S: u64 = 100;

/// CPU time that these processes have used so far, user and system.
pub fn cpu_time(pids: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/stat");
        let stat = std::fs::read_to_string(&path).with_context(|| format!("process {pid} does not run"))?;
        ticks += ticks_of(&stat).with_context(|| format!("{path} is not understood"))?;
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_S))
}

/// `PID (NAME) STATE …`, utime and stime being members 14 and 15; a name may contain anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let mut rest = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(rest.next()?.parse::<u64>().ok()? + rest.next()?.parse::<u64>().ok()?)
}

/// Bytes of all files below a folder. Files that vanish meanwhile (a compaction's) count nothing.
pub fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes += folder_bytes(&entry.path())?,
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("file size"),
        }
    }
    Ok(bytes)
}

/// The middle of some values; the mean of the two middle ones if they are even in number.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 1 0 1 2 3";
        assert_eq!(ticks_of(stat), Some(300));
        assert_eq!(ticks_of("77 (x) S 1"), None);
        let own = std::process::id();
        let before = cpu_time(&[own]).unwrap();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(150) {
            std::hint::black_box(ticks_of(stat));
        }
        assert!(cpu_time(&[own]).unwrap() > before);
        assert!(cpu_time(&[u32::MAX]).is_err());
    }

    #[test]
    fn folders_and_medians() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("inner/b"), [0; 5]).unwrap();
        assert_eq!(folder_bytes(folder.path()).unwrap(), 15);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
