//! Tests of the storage through its public API, on real files. One binary, one module a concern.
#![allow(clippy::unwrap_used)]

mod blobs;
mod concurrency;
mod durability;
mod fixtures;
mod idempotency;
mod jobs;
mod operations;
mod repositories;
