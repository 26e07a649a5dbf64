//! `qz-byzantine`: a validator that breaks one rule on purpose, so that tests can show what the others
//! make of it. It is the real node with another conduct (`qz_node::seam`), speaks the real protocols with
//! the organisation's real keys, and has no signer's journal in front of what it forges.
//!
//! It is never shipped: only tests start it, and a release build of it does nothing.

#![cfg_attr(not(debug_assertions), allow(unused_crate_dependencies))]

#[cfg(debug_assertions)]
mod adversary;
#[cfg(debug_assertions)]
mod blocks;
#[cfg(debug_assertions)]
mod codec;
#[cfg(debug_assertions)]
mod flood;
#[cfg(debug_assertions)]
mod gossip;
#[cfg(debug_assertions)]
mod hand;
#[cfg(debug_assertions)]
mod misconduct;
#[cfg(debug_assertions)]
mod proxy;
#[cfg(debug_assertions)]
mod sync;

use std::process::ExitCode;

#[cfg(debug_assertions)]
fn main() -> ExitCode {
    use clap::Parser;

    match adversary::run(misconduct::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qz-byzantine: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(debug_assertions))]
fn main() -> ExitCode {
    eprintln!("qz-byzantine is for tests only; a release build of it does nothing");
    ExitCode::FAILURE
}
