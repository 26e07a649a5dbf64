//! Chaos: real nodes under a steady load are killed, paused, cut off, slowed down, given wrong clocks and
//! full disks, in an order that a seed determines; then everything is compared.
//!
//! ```text
//! plan     what will be done, from the seed alone
//! stage    network namespaces, bridge, filters; the slow links are `crate::proxy`
//! cluster  the node processes
//! load     parties that go on submitting; book: what they were promised
//! run      carries the plan out
//! audit    blocks (chain), records, proofs and subjects of all nodes; journals: what was signed
//! doctor   what `qz-node doctor` says of the stopped nodes' stores
//! seclude  every run in namespaces of its own; a row of seeds
//! ```
//!
//! A violation is printed and counted, never repaired: the nodes get nothing but what an operator's init
//! system would do.

pub mod audit;
pub mod book;
pub mod chain;
pub mod cluster;
pub mod doctor;
pub mod journals;
pub mod load;
pub mod plan;
pub mod report;
pub mod run;
pub mod seclude;
pub mod seed;
pub mod stage;
