//! `qz-client`: a member's questions to the ledger, answered with proofs that it has verified itself, and
//! what the member's office does there: deposits, notarial deeds, rulings, retrievals.
//!
//! Exit codes: 0 done, 1 the nodes refused or gave no valid answer, 2 the command itself could not be carried out.

mod cli;

use clap::{Parser, Subcommand};
use cli::anchor::AnchorArgs;
use cli::history::HistoryArgs;
use cli::witness::WitnessCommand;
use cli::{DepositArgs, FinishArgs, NotariseArgs, ReleaseArgs, RetrieveArgs, RuleArgs, WatchArgs};
use qz_client::ClientError;
use qz_client::office::OfficeError;
use qz_evidence::{Hash32, SubjectId};
use std::process::ExitCode;

/// Ask the ledger, act on it 查询账本、办理业务.
#[derive(Parser)]
#[command(name = "qz-client", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 某主体的全部记录 · every record of a subject as of the latest block, or the proof that there is no
    /// such subject, as one or more .qzproof files for `qz-verify --complete`
    History(HistoryArgs),
    /// 存证：文件摘要上链 · deposits the digest of a file
    Deposit(DepositArgs),
    /// 登记公证书（公证机构）· registers a notarial deed (notary)
    Notarise(NotariseArgs),
    /// 提交裁判文书（法院、仲裁）· submits a ruling on a disputed contract (court, arbitration)
    Rule(RuleArgs),
    /// 就案件调取合同（法院）· retrieves contracts for a case (court), and the package from the platform
    Retrieve(RetrieveArgs),
    /// 领取已上链调取的调取包 · fetches the package of a retrieval that is on the ledger
    Release(ReleaseArgs),
    /// 继续先前未完成的行为 · goes on with an act that was stopped
    Finish(FinishArgs),
    /// 联盟以外的见证人 · an outside witness of the ledger
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// 为证明附加检查点、见证与时间戳 · anchors a proof: checkpoint, cosignatures, timestamp
    Anchor(AnchorArgs),
    /// 证明续期：新区块、新检查点、新时间戳，保留旧证据 · renews a proof under the newest block, over its old evidence
    Renew(AnchorArgs),
    /// 关注与本机构有关的记录 · follows what concerns this organisation
    Watch(WatchArgs),
}

fn subject(text: &str) -> Result<SubjectId, String> {
    Hash32::from_hex(text).map(SubjectId).ok_or_else(|| "a subject is 64 hexadecimal digits".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::History(args) => cli::history::history(args).await,
        Command::Deposit(args) => blamed(cli::deposit(args).await),
        Command::Notarise(args) => blamed(cli::notarise(args).await),
        Command::Rule(args) => blamed(cli::rule(args).await),
        Command::Retrieve(args) => blamed(cli::retrieve(args).await),
        Command::Release(args) => blamed(cli::release(args).await),
        Command::Finish(args) => blamed(cli::finish(args).await),
        Command::Witness(command) => cli::witness::run(command).await.map_err(|error| (2, error)),
        Command::Anchor(args) => cli::anchor::run(args, false).await,
        Command::Renew(args) => cli::anchor::run(args, true).await,
        Command::Watch(args) => blamed(cli::watch(args).await),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            eprintln!("qz-client: {error:#}");
            ExitCode::from(code)
        }
    }
}

/// 1 if the nodes refused or could not be reached, 2 for everything on this side.
fn blamed(outcome: anyhow::Result<()>) -> Result<(), cli::history::Failed> {
    outcome.map_err(|error| {
        let of_nodes = error.chain().any(|cause| {
            cause.is::<ClientError>()
                || cause
                    .downcast_ref::<OfficeError>()
                    .is_some_and(|e| matches!(e, OfficeError::Client(_) | OfficeError::Proof(_)))
        });
        (if of_nodes { 1 } else { 2 }, error)
    })
}
