//! What `qz-node doctor` says of a stopped node's folder.

use crate::ceremony::text;
use crate::custody;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Has a folder examined, with all blocks executed again if `replay`. Gives what the doctor says if everything
/// is in order; else an error with its words.
pub fn examine(program: &Path, home: &Path, replay: bool) -> Result<Value> {
    let mut command = Command::new(program);
    command.args(["doctor", "--json", "--home", text(home)?]);
    if replay {
        command.arg("--replay");
    }
    command.env(custody::VARIABLE, custody::passphrase_file(home)).stdin(Stdio::null());
    let answer = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let words = || [answer.stdout.as_slice(), &answer.stderr].map(String::from_utf8_lossy).concat();
    ensure!(answer.status.success(), "({}): {}", answer.status, words().trim());
    serde_json::from_slice(&answer.stdout).with_context(|| format!("the doctor's JSON: {}", words()))
}
