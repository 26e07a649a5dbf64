//! What needs a network is done by `qz-client`, so that the verifier has no network code: `qz-verify witness`
//! and `qz-verify renew` hand over to the program of that name beside this one.

use anyhow::Context;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

/// Becomes `qz-client SUBCOMMAND …`; returns only if that cannot be.
pub fn hand_over(subcommand: &str, arguments: &[OsString]) -> anyhow::Error {
    let own = match std::env::current_exe().context("where is this program?") {
        Ok(own) => own,
        Err(error) => return error,
    };
    let program = own.with_file_name("qz-client");
    let error = std::process::Command::new(&program).arg(subcommand).args(arguments).exec();
    anyhow::Error::from(error).context(format!("{} is needed for `{subcommand}`", program.display()))
}
