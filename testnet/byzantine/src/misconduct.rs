//! The ways to misbehave, one at a time, and the command line that chooses one.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// What this validator does wrong. In everything else it is an ordinary node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Misconduct {
    /// Proposes two valid blocks for each of its rounds and votes for both.
    Equivocate,
    /// Casts a second, conflicting vote beside each of its votes.
    DoubleVote,
    /// Proposes bytes that are no block, blocks of other places, blocks that are too large.
    InvalidBlock,
    /// Proposes good blocks under headers with wrong roots.
    WrongRoot,
    /// Proposes submissions that the rules refuse, and repeats recorded ones.
    Refused,
    /// Leaves out what one organisation relays.
    Censor,
    /// Proposes blocks an hour ahead of the clock.
    Future,
    /// Proposes blocks no later than their parents.
    Past,
    /// Keeps its proposals, or parts of them, to itself.
    Withhold,
    /// Says nothing at all in consensus.
    Mute,
    /// Answers sync requests with wrong and garbage values.
    WrongSync,
    /// Claims to be a thousand blocks ahead, in both networks.
    FalseTip,
    /// Floods the consensus network.
    FloodConsensus,
    /// Floods the submission network.
    FloodSubmissions,
}

/// 测试用的作恶验证节点 · a misbehaving validator for tests.
#[derive(Parser)]
#[command(name = "qz-byzantine", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

/// The same words as the node's, because a node starts itself again with them.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// 运行 · run until SIGTERM or Ctrl-C
    Run {
        /// 组织目录 · the organisation's folder, with genesis.qz
        #[arg(long)]
        home: PathBuf,
        /// 作恶方式 · what it does wrong
        #[arg(long, env = "QZ_MISCONDUCT")]
        misconduct: Misconduct,
        /// 被审查的组织 · whose submissions `censor` leaves out
        #[arg(long, env = "QZ_VICTIM")]
        victim: Option<String>,
    },
}
