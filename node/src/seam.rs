//! What an adversary for tests needs of this crate: its conduct, run as a node. Not an interface for
//! anything else; nothing that is shipped imports it (a tidy test looks).

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub use crate::consensus::assembly::{Announcement, disassemble};
pub use crate::consensus::codec::{BorshCodec, without_extensions};
pub use crate::consensus::conduct::{Conduct, Network};
pub use crate::consensus::context::{Address, BlockId, Ctx, Height, Part, Proposal, Signature, Value, Vote};
pub use crate::ledger::{Built, Ledger, LedgerError};
pub use crate::mempool::pool::Waiting;
pub use crate::mempool::tip_message;

/// Runs the node of an organisation's folder with another conduct than the honest one.
pub fn run(home: &Path, conduct: Arc<dyn Conduct>) -> anyhow::Result<ExitCode> {
    crate::run(home, &[], conduct)
}
