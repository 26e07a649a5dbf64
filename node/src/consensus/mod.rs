//! The consensus driver: everything that knows the engine (Malachite) lives below this module, so
//! that the engine can be replaced. What the engine decides are block ids; blocks themselves are
//! executed and stored by [`crate::ledger`].

pub(crate) mod assembly;
mod certificate;
pub(crate) mod clearance;
pub(crate) mod codec;
pub(crate) mod conduct;
pub(crate) mod context;
pub(crate) mod driver;
pub(crate) mod engine;
pub(crate) mod engine_log;
mod equivocation;
mod future;
pub(crate) mod gate;
pub(crate) mod journal;
pub(crate) mod proposals;
pub(crate) mod signer;
pub(crate) mod verifier;
