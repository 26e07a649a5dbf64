//! One supervised child process with its log.
//!
//! Children run in a process group of their own, so that Ctrl-C in a terminal reaches the supervisor
//! only, which then stops them in order. Should the supervisor itself be killed, the kernel ends them
//! (`setpriv --pdeathsig`); the thread that starts a child must therefore live as long as the child.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to stop when asked to.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// How much of a log an error message quotes.
const TAIL_BYTES: u64 = 1500;

/// A running (or ended) child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; everything it prints is appended to `log`.
    pub fn spawn(
        name: &str, program: &Path, arguments: &[&str], environment: &[(&str, &str)], log: &Path,
    ) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().context("cannot share the log file")?;
        let mut command = dying_with_parent(program);
        command.args(arguments).envs(environment.iter().copied()).process_group(0);
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error if it has ended, quoting the end of its log.
    pub fn check_running(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => anyhow::bail!(
                "{} 意外退出 · ended unexpectedly ({status}); 日志 log {}:\n{}",
                self.name,
                self.log.display(),
                self.tail()
            ),
        }
    }

    /// Asks it to stop (SIGTERM) without waiting.
    pub fn ask_to_stop(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to stop and waits; kills it if it does not.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.ask_to_stop();
        self.wait_or_kill()
    }

    /// Waits for a process that was asked to stop; kills it if it does not.
    pub fn wait_or_kill(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(POLL);
        }
        self.kill9()
    }

    /// Stops it in its tracks (SIGSTOP), as a machine that hangs; [`Process::resume`] lets it go on.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// kill -9.
    pub fn kill9(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::KILL);
        self.child.wait().ok()
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        tail(&self.log).unwrap_or_default()
    }

    fn signal(&mut self, signal: Signal) {
        // Only while it has not been waited for, so that the id cannot be somebody else's by now.
        if self.ended().is_none()
            && let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw)
        {
            // It may have ended in between, which is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Does a process of this id and program run (and is not a zombie, nor somebody else's by now)?
pub fn is_running(pid: u32, program: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `PID (NAME) STATE …`; a name may contain parentheses, a state is one letter.
    let Some((before, after)) = stat.rsplit_once(')') else { return false };
    let name = before.split_once('(').map(|(_, name)| name);
    name == Some(program) && !after.trim_start().starts_with(['Z', 'X'])
}

/// Sends SIGTERM to a process that is not our child; the caller has made sure whose it is.
pub fn ask_to_stop(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("cannot signal process {pid:?}"))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn dying_with_parent(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.is_file() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_child_is_stopped_killed_and_its_words_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let sh = Path::new("/bin/sh");
        let mut polite = Process::spawn(
            "polite",
            sh,
            &["-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"],
            &[],
            &log,
        )
        .unwrap();
        while !polite.tail().contains("ready") {
            std::thread::sleep(POLL);
        }
        assert_eq!(polite.stop().and_then(|s| s.code()), Some(7));

        let mut killed = Process::spawn("killed", sh, &["-c", "sleep 60"], &[], &log).unwrap();
        assert!(killed.check_running().is_ok());
        assert_eq!(killed.kill9().and_then(|s| s.code()), None);
        assert!(killed.check_running().unwrap_err().to_string().contains("ready"));
    }
}
