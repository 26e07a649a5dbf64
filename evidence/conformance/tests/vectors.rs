//! The Rust verifier over every vector. `make vectors` compares it with the Python one.
#![allow(clippy::unwrap_used)]

use qz_conformance::{Expect, all};
use std::collections::BTreeSet;

#[test]
fn every_vector_meets_its_expectation() {
    let vectors = all();
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), vectors.len(), "two vectors have one name");
    let mut wrong = vec![];
    for vector in &vectors {
        let outcome = vector.run();
        if !vector.met_by(&outcome) {
            wrong.push(format!("{}: expected {:?}, got {outcome:?}", vector.name, vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every step that refuses something has vectors, and something is accepted.
#[test]
fn no_step_is_without_vectors() {
    let expected: Vec<_> = all().iter().map(|vector| vector.expect).collect();
    for step in 1..=11 {
        assert!(expected.iter().filter(|e| **e == Expect::Refused(step)).count() >= 2, "step {step}");
    }
    assert!(expected.iter().filter(|e| **e == Expect::Accepted).count() >= 20);
}
