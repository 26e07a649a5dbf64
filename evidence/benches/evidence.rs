//! Formats and verification: what a node does for every submission, and a stranger for every proof.
//!
//! `make bench` measures; `cargo test` runs each of them once.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/ledger/mod.rs"]
mod ledger;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ledger::{Ledger, START_MS};
use qz_evidence::Hash32;
use qz_evidence::codec::{decode_strict, encode};
use qz_evidence::ed25519::{self, Key, StrictKey};
use qz_evidence::history::{Frontier, leaf_hash};
use qz_evidence::keys::verify_ed25519;
use qz_evidence::record::Record;
use qz_evidence::records_tree::{RecordsTree, record_hash, root_from_path};
use qz_evidence::submission::{Parsed, Submission};
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use std::sync::Arc;

fn main() {
    divan::main();
}

/// A `contract.signed` as it travels.
fn submission() -> Vec<u8> {
    let record: Record = decode_strict(&Ledger::sample().records[1][0]).unwrap();
    record.submission.0
}

mod codec {
    use super::*;

    #[divan::bench]
    fn encode_submission(bencher: Bencher) {
        let bytes = submission();
        let value: Submission = decode_strict(&bytes).unwrap();
        bencher.counter(BytesCount::new(bytes.len())).bench(|| encode(black_box(&value)));
    }

    #[divan::bench]
    fn decode_submission(bencher: Bencher) {
        let bytes = submission();
        bencher.counter(BytesCount::new(bytes.len())).bench(|| decode_strict::<Submission>(black_box(&bytes)));
    }

    /// Envelope and body, with every check of form.
    #[divan::bench]
    fn parse_submission(bencher: Bencher) {
        let bytes = submission();
        bencher.counter(BytesCount::new(bytes.len())).bench(|| Parsed::without_relay_check(black_box(&bytes)));
    }
}

mod signature {
    use super::*;

    fn signed() -> (SigningKey, Vec<u8>, [u8; 64]) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let message = vec![5; 43];
        let signature = key.sign(&message).to_bytes();
        (key, message, signature)
    }

    /// V of `docs/PERFORMANCE.md`: the key is decompressed beforehand.
    #[divan::bench]
    fn verify_strict(bencher: Bencher) {
        let (key, message, signature) = signed();
        let (key, signature): (VerifyingKey, _) = (key.verifying_key(), Signature::from_bytes(&signature));
        bencher.bench(|| key.verify_strict(black_box(&message), black_box(&signature)));
    }

    fn plain(key: &SigningKey) -> StrictKey {
        StrictKey::from_bytes(&key.verifying_key().to_bytes()).unwrap()
    }

    fn prepared(key: &SigningKey) -> Key {
        Key::Prepared(Arc::new(plain(key).prepare()))
    }

    /// The same verdict without decompressing R.
    #[divan::bench]
    fn verify_strict_key(bencher: Bencher) {
        let (key, message, signature) = signed();
        let key = Key::Plain(plain(&key));
        bencher.bench(|| key.verify(black_box(&message), black_box(&signature)));
    }

    /// With a table of the key's multiples.
    #[divan::bench]
    fn verify_prepared_key(bencher: Bencher) {
        let (key, message, signature) = signed();
        let key = prepared(&key);
        bencher.bench(|| key.verify(black_box(&message), black_box(&signature)));
    }

    /// What a member sends in 50 ms under load: 64 signatures of its own, 32 of its parties, in their order.
    #[divan::bench]
    fn verify_batch_of_96(bencher: Bencher) {
        let keys: Vec<(SigningKey, Key)> = (0..5)
            .map(|n| {
                let key = SigningKey::from_bytes(&[n; 32]);
                let prepared = prepared(&key);
                (key, prepared)
            })
            .collect();
        let message = |n: u8| vec![n; 43];
        let signatures: Vec<(&Key, Vec<u8>, [u8; 64])> = (0..96u8)
            .map(|n| {
                let (key, prepared) = &keys[if n % 3 == 2 { usize::from(n / 3 % 4) + 1 } else { 0 }];
                (prepared, message(n), key.sign(&message(n)).to_bytes())
            })
            .collect();
        bencher.counter(ItemsCount::new(signatures.len())).bench(|| {
            let claims: Vec<_> =
                signatures.iter().map(|(key, message, signature)| key.claim(message, signature)).collect();
            assert!(ed25519::verdicts(black_box(&claims)).iter().all(|holds| *holds));
        });
    }

    /// What a table costs once.
    #[divan::bench]
    fn prepare_key(bencher: Bencher) {
        let (key, ..) = signed();
        let key = plain(&key);
        bencher.bench(|| black_box(&key).prepare());
    }

    /// As everywhere in the product: from the key's bytes.
    #[divan::bench]
    fn verify_from_bytes(bencher: Bencher) {
        let (key, message, signature) = signed();
        let key = key.verifying_key().to_bytes();
        bencher.bench(|| verify_ed25519(black_box(&key), black_box(&message), black_box(&signature)));
    }
}

mod records_tree {
    use super::*;

    fn hashes(count: u32) -> Vec<Hash32> {
        (0..count).map(|i| record_hash(&i.to_be_bytes())).collect()
    }

    #[divan::bench(args = [16, 256, 1024])]
    fn build(bencher: Bencher, count: u32) {
        let hashes = hashes(count);
        bencher.counter(ItemsCount::new(hashes.len())).bench(|| RecordsTree::new(black_box(&hashes)).root());
    }

    #[divan::bench(args = [16, 1024])]
    fn verify_path(bencher: Bencher, count: u32) {
        let hashes = hashes(count);
        let path = RecordsTree::new(&hashes).path(7).unwrap();
        bencher.bench(|| root_from_path(black_box(&hashes[7]), 7, count, black_box(&path)));
    }
}

#[divan::bench]
fn history_append(bencher: Bencher) {
    let mut frontier = Frontier::default();
    for n in 0..1023u64 {
        frontier.append(leaf_hash(&n.to_be_bytes()));
    }
    let leaf = leaf_hash(b"header");
    bencher.with_inputs(|| frontier.clone()).bench_local_values(|mut frontier| frontier.append(black_box(leaf)));
}

/// A bundle of five records of one contract, all nine steps.
#[divan::bench]
fn verify_bundle(bencher: Bencher) {
    let ledger = Ledger::sample();
    let bundle = encode(&ledger.bundle());
    let trust = TrustInputs::new(&ledger.genesis, START_MS + 60_000);
    assert_eq!(verify(&bundle, &trust, &[]).verdict, Verdict::ValidUnanchored);
    bencher.bench_local(|| verify(black_box(&bundle), &trust, &[]));
}
