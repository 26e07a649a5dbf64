//! Byzantine validators against honest ones, real processes all of them. One of four faulty: whatever it
//! does, submissions of honest members get final, all honest nodes have the same chain, and what can be
//! proved against it is logged. Two of four faulty: nothing wrong becomes final, at worst nothing does, and
//! the chain goes on once one of them is honest again.
#![allow(clippy::unwrap_used)]

mod arena;

use anyhow::{Context, Result, ensure};
use arena::{ADVERSARY, Arena, HONEST};
use std::time::{Duration, Instant};

/// Time between blocks without work. Long enough that a liar's haste is seen.
const HEARTBEAT_MS: u64 = 1_000;

/// One misconduct, how often it is to be seen, and what every honest node must say about it.
struct Case {
    misconduct: &'static str,
    misdeeds: usize,
    heard: &'static [&'static str],
}

/// What honest nodes answer with no more than a nil vote.
const PROPOSALS: [Case; 8] = [
    Case { misconduct: "equivocate", misdeeds: 3, heard: &["equivocation: two proposals"] },
    Case { misconduct: "double-vote", misdeeds: 8, heard: &["equivocation: two votes"] },
    Case { misconduct: "wrong-root", misdeeds: 6, heard: &["header field"] },
    Case { misconduct: "refused", misdeeds: 3, heard: &["is refused by the rules"] },
    Case { misconduct: "future", misdeeds: 1, heard: &["Untimely"] },
    Case { misconduct: "past", misdeeds: 1, heard: &["is not after its parent"] },
    Case { misconduct: "withhold", misdeeds: 3, heard: &[] },
    Case { misconduct: "mute", misdeeds: 3, heard: &[] },
];

/// What honest nodes stop listening to for a while if it goes on.
const OFFENCES: [Case; 1] = [Case {
    misconduct: "invalid-block",
    misdeeds: 8,
    heard: &["proposal not accepted", "block announced wrongly", "proposal is no block"],
}];

/// Floods, in a network of their own. The one of submissions ends in a refusal for a while; what cannot be
/// decoded on the consensus network is dropped and counted by the engine's own codec, and nobody is refused.
const FLOODS: [Case; 2] = [
    Case { misconduct: "flood-submissions", misdeeds: 3, heard: &["peer refused on the submission network"] },
    Case { misconduct: "flood-consensus", misdeeds: 3, heard: &["peer refused on the consensus network"] },
];

/// One network at a time: they would take each other's ports and time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_four_may_do_what_it_likes() {
    let _alone = ALONE.lock().await;
    let mut arena = Arena::open(HEARTBEAT_MS).await.unwrap();
    if let Err(error) = one_faulty(&mut arena).await {
        panic!("{error:?}\n{}", arena.logs());
    }
}

async fn one_faulty(arena: &mut Arena) -> Result<()> {
    for case in &PROPOSALS {
        let before = arena.mark()?;
        arena.turn_bad(ADVERSARY, case.misconduct, &[]).await?;
        arena.deposit_until(&before, case.misdeeds, case.heard).await.context(case.misconduct)?;
        arena.finish(case.misconduct).await?;
    }
    censor(arena).await?;
    wrong_sync(arena).await?;
    false_tip(arena).await?;
    // Nothing that it did keeps an honest node from taking its place.
    arena.turn_honest(ADVERSARY).await?;
    arena.deposit(ADVERSARY).await?;
    arena.agree(&[HONEST[0], HONEST[1], HONEST[2], ADVERSARY]).await?;
    for kind in ["proposal", "vote"] {
        let line = format!("qz_equivocations_total{{reason=\"{kind}\"}}");
        ensure!(arena.counted(&line).await? >= 1.0, "{kind}s that were signed twice are not counted");
    }
    for case in &OFFENCES {
        offend(arena, case).await?;
    }
    arena.close()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_cut_off_and_cost_little() {
    let _alone = ALONE.lock().await;
    let mut arena = Arena::open(HEARTBEAT_MS).await.unwrap();
    for case in &FLOODS {
        if let Err(error) = offend(&mut arena, case).await {
            panic!("{error:?}\n{}", arena.logs());
        }
    }
    arena.close().unwrap();
}

/// The proposer leaves out what one member relays; it gets final through the others' turns.
async fn censor(arena: &mut Arena) -> Result<()> {
    let before = arena.mark()?;
    let victim = HONEST[1];
    arena.turn_bad(ADVERSARY, "censor", &[("QZ_VICTIM", victim)]).await?;
    let end = Instant::now() + arena::PATIENCE;
    while arena.misdeeds_since(&before)? < 2 {
        ensure!(Instant::now() < end, "the censor had nothing to leave out");
        let at = arena.deposit(victim).await?;
        let proposer = arena.proposer_of(victim, at.height).await?;
        ensure!(proposer != ADVERSARY, "the censor itself proposed height {}", at.height);
    }
    arena.finish("censor").await
}

/// A node that was away catches up although one of its peers answers with nonsense.
async fn wrong_sync(arena: &mut Arena) -> Result<()> {
    let before = arena.mark()?;
    arena.turn_bad(ADVERSARY, "wrong-sync", &[]).await?;
    for _ in 0..6 {
        arena.network.stop_node(HONEST[2])?;
        for _ in 0..8 {
            arena.deposit(HONEST[0]).await?;
        }
        let height = arena.network.height().await;
        arena.network.restart(HONEST[2], height).await?;
        if arena.misdeeds_since(&before)? >= 2 {
            return arena.finish("wrong-sync").await;
        }
    }
    anyhow::bail!("nobody ever asked the liar")
}

/// A claim of a higher chain neither stops the others nor makes them race through empty blocks.
async fn false_tip(arena: &mut Arena) -> Result<()> {
    let before = arena.mark()?;
    arena.turn_bad(ADVERSARY, "false-tip", &[]).await?;
    arena.deposit_until(&before, 4, &[]).await?;
    let (start, idle) = (arena.network.height().await, Duration::from_secs(3));
    tokio::time::sleep(idle).await;
    let blocks = arena.network.height().await - start;
    let most = u64::try_from(idle.as_millis())? / 250 + 2;
    ensure!(blocks <= most, "{blocks} blocks without work in {idle:?}: the liar's claim drives the chain");
    arena.finish("false-tip").await
}

/// Honest members are served all the while, and it costs their nodes a bounded amount of memory and log.
async fn offend(arena: &mut Arena, case: &Case) -> Result<()> {
    let (before, memory, misconduct) = (arena.mark()?, arena.memory()?, case.misconduct);
    arena.turn_bad(ADVERSARY, misconduct, &[]).await?;
    arena.deposit_until(&before, case.misdeeds, case.heard).await.context(misconduct)?;
    for node in HONEST {
        let logged = arena.log_since(&before, node)?.len();
        ensure!(logged < arena::FLOOD_LOG_BYTES, "{misconduct}: the node of {node} logged {logged} bytes");
    }
    for (node, (then, now)) in HONEST.iter().zip(memory.into_iter().zip(arena.memory()?)) {
        let grown = now.saturating_sub(then);
        ensure!(grown < arena::FLOOD_MEMORY_KB, "{misconduct}: the node of {node} grew by {grown} kB");
        println!("{misconduct}: {node} grew by {grown} kB");
    }
    arena.finish(misconduct).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_four_stop_the_chain_and_an_honest_one_resumes_it() {
    let _alone = ALONE.lock().await;
    let mut arena = Arena::open(HEARTBEAT_MS).await.unwrap();
    if let Err(error) = two_faulty(&mut arena).await {
        panic!("{error:?}\n{}", arena.logs());
    }
}

async fn two_faulty(arena: &mut Arena) -> Result<()> {
    let (second, honest) = (HONEST[2], [HONEST[0], HONEST[1]]);
    // A validator that is stopped before it has ever voted only observes for a while when it is back.
    for node in [second, ADVERSARY] {
        arena.deposit(node).await?;
        arena.agree(&[honest[0], honest[1], second, ADVERSARY]).await?;
    }
    // Silence: no quorum, nothing final; what waits gets final once one of them is honest again.
    arena.turn_bad(ADVERSARY, "mute", &[]).await?;
    arena.turn_bad(second, "mute", &[]).await?;
    // A block may have been under way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stopped = arena.network.height().await;
    let waiting = arena.deposit_briefly(honest[0]).await?;
    ensure!(arena.network.height().await == stopped, "the chain went on without a quorum");
    arena.agree(&honest).await?;
    arena.turn_honest(second).await?;
    arena.resubmit(honest[1], &waiting).await?;
    arena.agree(&[honest[0], honest[1], second]).await?;

    // Two that keep their proposals, then two that equivocate without conspiring: slower, never wrong.
    for misconduct in ["withhold", "equivocate"] {
        let before = arena.mark()?;
        for node in [ADVERSARY, second] {
            arena.turn_bad(node, misconduct, &[]).await?;
        }
        arena.deposit_until(&before, 3, &[]).await?;
        arena.agree(&honest).await?;
    }
    arena.turn_honest(second).await?;
    for node in [honest[0], honest[1], second] {
        arena.deposit(node).await?;
    }
    arena.agree(&[honest[0], honest[1], second]).await?;
    arena.close()
}
