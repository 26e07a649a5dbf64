//! How long a stranger waits for a verdict: the door of `qz-verify`, without starting the program. Runs once in
//! `cargo test`. A file of one's own: `QZ_FILE`, `QZ_GENESIS`, and perhaps `QZ_POLICY` and `QZ_ROOTS`.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use qz_conformance::{Vector, all};
use qz_verify::{Input, verify_any};
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    divan::main();
}

fn named(name: &str) -> Vector {
    all().into_iter().find(|vector| vector.name == name).unwrap()
}

fn verified(bencher: Bencher, vector: &Vector) {
    let input = Input {
        file: &vector.file,
        genesis: &vector.genesis,
        proof: None,
        now_ms: vector.as_of_ms,
        witness_policy: vector.witness_policy.as_deref(),
        tsa_roots: &vector.tsa_roots,
    };
    println!("{}: {} bytes, {:?}", vector.name, vector.file.len(), verify_any(&input).verdict);
    bencher.bench_local(|| verify_any(black_box(&input)));
}

/// Five records, all eleven steps: witnesses and a timestamp.
#[divan::bench(sample_count = 100)]
fn anchored_bundle(bencher: Bencher) {
    verified(bencher, &named("accepted-anchored-and-witnessed"));
}

/// A signing certificate (PDF) with its proof.
#[divan::bench(sample_count = 100)]
fn signing_certificate(bencher: Bencher) {
    verified(bencher, &named("accepted-a-signing-certificate"));
}

/// The file named in the environment; without one, the certificate again.
#[divan::bench(sample_count = 100)]
fn file_given(bencher: Bencher) {
    let path = |name: &str| std::env::var_os(name).map(|path| std::fs::read(path).unwrap());
    let Some(file) = path("QZ_FILE") else { return signing_certificate(bencher) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let given = Vector {
        name: "file".into(),
        file,
        genesis: path("QZ_GENESIS").expect("QZ_GENESIS names the genesis"),
        as_of_ms: now.as_millis() as u64,
        witness_policy: path("QZ_POLICY"),
        tsa_roots: path("QZ_ROOTS").unwrap_or_default(),
        ..named("accepted-a-signing-certificate")
    };
    verified(bencher, &given);
}
