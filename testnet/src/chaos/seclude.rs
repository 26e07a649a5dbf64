//! Every run happens in a process of its own, in namespaces of its own: whatever becomes of it, nothing
//! is left of its network, its mounts and its nodes, and the next seed starts from nothing.

use super::plan::Plan;
use super::report::Report;
use super::run::{self, Settings};
use super::stage;
use crate::folder::Folder;
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::oneshot;

/// Tells the program that it is the inner one.
const INSIDE: &str = "--inside";
const REPORT: &str = "report.json";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// First and last seed.
    pub seeds: (u64, u64),
    /// Validators.
    pub validators: usize,
    /// About how long each run takes.
    pub seconds: u64,
    /// Submissions a second.
    pub rate: f64,
    /// Where runs make their folders.
    pub data: PathBuf,
    /// Keep the folders of runs in which everything held.
    pub keep: bool,
    /// Print each report as a line of JSON.
    pub json: bool,
}

/// Reads `7` or `1..20` (both ends included).
pub fn parse_seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    match (first.parse(), last.trim_start_matches('=').parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err(format!("{text} is neither a seed such as 7 nor seeds such as 1..20")),
    }
}

/// One run after the other; whether everything held in all of them.
pub async fn run_all(options: &Options) -> Result<bool> {
    ensure!(options.rate > 0.0 && options.rate <= 1000.0, "the rate is not between 0 and 1000 submissions a second");
    stage::check_machine()?;
    let mut reports = vec![];
    for seed in options.seeds.0..=options.seeds.1 {
        let folder = Folder::new_run(&options.data)?;
        let report = match run_secluded(options, seed, &folder).await {
            Ok(report) => report,
            Err(error) => Report::failed(seed, format!("{error:#}")),
        };
        println!("{report}");
        if options.json {
            println!("{}", serde_json::to_string(&report).context("the report is plain JSON")?);
        }
        if report.holds() && !options.keep {
            folder.remove()?;
        } else {
            println!("  数据与日志 data and logs: {}", folder.root().display());
        }
        reports.push(report);
    }
    if reports.len() > 1 {
        println!("\n{}", Report::heading());
        for report in &reports {
            println!("{}", report.row());
        }
    }
    let held = reports.iter().filter(|report| report.holds()).count();
    println!("{held} / {} 个种子全部成立 · everything holds for {held} of {} seeds", reports.len(), reports.len());
    Ok(held == reports.len())
}

/// Runs this program again in namespaces of its own and reads the report that it leaves.
async fn run_secluded(options: &Options, seed: u64, folder: &Folder) -> Result<Report> {
    let own = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::from(stage::secluded(&own));
    let numbers = [seed.to_string(), options.validators.to_string(), options.seconds.to_string()];
    let root = folder.root().to_str().context("the data folder is not UTF-8")?;
    command.args(["chaos", "--seeds", &numbers[0], "--validators", &numbers[1], "--seconds", &numbers[2]]);
    command.args(["--rate", &options.rate.to_string(), "--data", root, INSIDE]);
    // Ctrl-C reaches this program only; when it ends, the pipe closes, and the inner one ends too.
    command.stdin(Stdio::piped()).kill_on_drop(false).process_group(0);
    let mut child = command.spawn().context("cannot run unshare")?;
    // Kept here, since waiting would close it.
    let _lifeline = child.stdin.take();
    let status = child.wait().await.context("cannot wait for the run")?;
    let path = folder.root().join(REPORT);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display())),
        Err(_) => bail!("the run ended without a report ({status}); its words are above"),
    }
}

/// The inner program: carries out one run in `root` and leaves its report there. Ends when its standard
/// input is closed.
pub async fn run_inside(options: &Options, root: &Path) -> Result<bool> {
    ensure!(std::process::id() == 1, "{INSIDE} is only for a process in namespaces of its own");
    let folder = Folder::at(root);
    let plan = Plan::new(options.seeds.0, options.validators, options.seconds);
    print!("{plan}");
    let settings = Settings { plan, rate: options.rate };
    let report = tokio::select! {
        report = run::run(&settings, folder) => report?,
        () = outer_end() => bail!("stopped"),
    };
    let path = root.join(REPORT);
    let text = serde_json::to_vec_pretty(&report).context("the report is plain JSON")?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(report.holds())
}

/// Resolves when the outer program is gone. A thread of its own, because a read from standard input
/// cannot be cancelled and would keep the runtime from ending.
async fn outer_end() {
    let (sender, receiver) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        // Whether it ends or fails: nobody is there any more.
        let _ = std::io::stdin().read(&mut [0]);
        drop(sender);
    });
    // An error says that the sender is gone, which is the message.
    let _ = receiver.await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn seeds() {
        assert_eq!(parse_seeds("7"), Ok((7, 7)));
        assert_eq!(parse_seeds("1..20"), Ok((1, 20)));
        assert_eq!(parse_seeds("1..=20"), Ok((1, 20)));
        for bad in ["", "x", "3..1", "1..", "..5"] {
            assert!(parse_seeds(bad).is_err(), "{bad}");
        }
    }
}
