//! The command line as a person uses it: `up`, `status`, `down`, a busy port, and no stray processes
//! whatever happens to the supervisor.
#![allow(clippy::unwrap_used)]

use qz_testnet::folder::{Description, Folder};
use qz_testnet::ports::Ports;
use qz_testnet::process::is_running;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_qz-testnet");
const PATIENCE: Duration = Duration::from_secs(60);

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A supervisor that does not outlive a failed test; its children do not outlive it.
struct Supervisor(Child);

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a network without gateway and waits until all nodes answer.
fn up(data: &Path) -> (Supervisor, Description) {
    let data = data.to_str().unwrap();
    let child = Command::new(PROGRAM)
        .args(["up", "--nodes-only", "--data", data])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let child = Supervisor(child);
    wait_until("all nodes answer", || run(&["status", "--data", data]).status.success());
    let description = Folder::open(Path::new(data)).unwrap().unwrap().description().unwrap();
    assert_eq!(description.supervisor, child.0.id());
    assert_eq!(description.processes.len(), 4);
    (child, description)
}

fn alive(description: &Description) -> Vec<u32> {
    description.processes.iter().map(|(_, pid)| *pid).filter(|pid| is_running(*pid, "qz-node")).collect()
}

#[test]
fn up_status_down_and_no_strays() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("network");
    let text = data.to_str().unwrap();

    let (mut supervisor, description) = up(&data);
    assert_eq!(alive(&description).len(), 4);
    // A second supervisor of the same folder is refused.
    let second = run(&["up", "--nodes-only", "--data", text]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains(&supervisor.0.id().to_string()));
    assert!(run(&["down", "--data", text]).status.success());
    assert_eq!(supervisor.0.wait().unwrap().code(), Some(130));
    assert!(alive(&description).is_empty(), "strays after down");

    // The same network again; its supervisor is killed without a chance to clean up.
    let (mut supervisor, description) = up(&data);
    assert_eq!(alive(&description).len(), 4);
    supervisor.0.kill().unwrap();
    supervisor.0.wait().unwrap();
    wait_until("the nodes end with their supervisor", || alive(&description).is_empty());
    assert!(run(&["down", "--data", text]).status.success());
}

#[test]
fn a_busy_port_gives_one_line_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let ports = Ports::find_apart().unwrap();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.node(2).mempool)).unwrap();
    let data = place.path().join("data");
    let base = ports.base().to_string();
    let refused = run(&["demo", "--once", "--data", data.to_str().unwrap(), "--base-port", &base]);
    drop(held);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(words.trim().lines().count(), 1, "{words}");
    assert!(words.contains(&ports.node(2).mempool.to_string()), "{words}");
    assert!(!data.exists());
}
