//! Authorities that run as processes of their own, and the oracles of the document crate.

use super::{free_port, text};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `qz-gateway tsa` in a folder of its own.
pub struct Tsa {
    pub home: PathBuf,
    listen: String,
    child: Option<Child>,
}

impl Tsa {
    pub fn init(folder: &Path) -> Self {
        let tsa = Self { home: folder.join("tsa"), listen: format!("127.0.0.1:{}", free_port()), child: None };
        let made = Command::new(env!("CARGO_BIN_EXE_qz-gateway"))
            .args([
                "admin",
                "tsa-init",
                "--listen",
                &tsa.listen,
                "--organisation",
                "示例公证处",
                "--no-passphrase",
                "--home",
            ])
            .arg(&tsa.home)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
        tsa
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
        command.args(["tsa", "--home"]).arg(&self.home).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let started = Instant::now();
        while std::net::TcpStream::connect(&self.listen).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the TSA does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Tsa {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The oracles of the document crate.
pub fn oracle(arguments: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("document/tests/oracles.sh");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert_ne!(output.status.code(), Some(3), "a checker is missing: {}", text(&output));
    (output.status.success(), text(&output))
}

pub fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// `qz-gateway ca serve`, ended with the test.
pub struct Responder(Child);

impl Responder {
    pub fn start(folder: &Path, listen: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
        command.args(["ca", "serve", "--home", "ca"]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Self(command.spawn().unwrap());
        let begun = Instant::now();
        while std::net::TcpStream::connect(listen).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the CA does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
