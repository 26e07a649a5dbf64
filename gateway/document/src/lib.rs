//! Documents of the gateway: inspect, sign and archive PDFs (PAdES), draw seals, issue X.509 certificates,
//! render contracts and signing certificates; seal data of GB/T 38540; controlled
//! print copies.
//!
//! Bytes in, bytes out: no network, no database, no clock, no async. Typst and the PDF writer stay
//! inside this crate. Whether a signature *may* be made is decided elsewhere; `sign` is split into
//! `prepare` and `complete` so that the key is used only after that decision is final.

pub mod anchor;
mod appearance;
pub mod ca;
pub mod cms;
pub mod copy;
pub mod inspect;
pub mod key;
pub mod ltv;
mod page;
pub mod render;
pub mod seal;
pub mod ses;
pub mod sign;
pub mod tsa;
mod update;

/// Points (1/72 inch) in a millimetre.
pub(crate) const POINTS_PER_MM: f64 = 72.0 / 25.4;
