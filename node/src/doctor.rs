//! `qz-node doctor`: checks everything that a stopped node keeps, and says what is wrong with it.
//!
//! It changes nothing; `qz-node repair` (module `recovery`) does. The ledger's own checks are the store's;
//! here they are put together with the signer's journal, the engine's log and the high-water mark.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use qz_evidence::Hash32;
use qz_evidence::genesis::Genesis;
use qz_genesis::Home;
use qz_store::{Findings, Inspection, Store, StoreError};
use serde_json::{Value, json};

use crate::consensus::engine_log::{self, EngineLog};
use crate::consensus::journal::{self, JournalError};
use crate::high_water::{self, HighWater};
use crate::home_lock::HomeLock;
use crate::paths;

/// Exit code when something is wrong.
const DAMAGED: u8 = 1;
/// Exit code when nothing could be checked, for instance because the node runs.
const UNCHECKED: u8 = 2;
/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// What to check.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Execute all blocks again.
    pub replay: bool,
    /// Print JSON.
    pub json: bool,
}

/// All that was found out about a folder.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub chain_id: Hash32,
    pub ledger: Option<Inspection>,
    pub head: Option<(Hash32, Hash32)>,
    pub log_was_torn: bool,
    pub journal: Option<journal::Contents>,
    pub engine_log: EngineLog,
    pub high_water: Option<u64>,
    pub findings: Findings,
    pub replayed: bool,
}

/// Runs the command.
pub(crate) fn run(home: &Path, options: Options) -> ExitCode {
    let started = Instant::now();
    let outcome = (|| -> anyhow::Result<Diagnosis> {
        let _lock = HomeLock::take(home)?;
        let opened = Home::open(home).context("cannot open the organisation's folder")?;
        let genesis = opened.genesis_document().context("cannot use the genesis")?;
        diagnose(&opened, &genesis, options.replay)
    })();
    match outcome {
        Ok(diagnosis) => {
            if options.json {
                println!("{}", to_json(&diagnosis, started.elapsed()));
            } else {
                print_words(&diagnosis, started.elapsed());
            }
            if diagnosis.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
        }
        Err(error) => {
            if options.json {
                println!("{}", json!({ "ok": false, "checked": false, "error": format!("{error:#}") }));
            }
            eprintln!("qz-node doctor: {error:#}");
            ExitCode::from(UNCHECKED)
        }
    }
}

/// Checks a folder whose lock the caller holds.
pub(crate) fn diagnose(home: &Home, genesis: &Genesis, replay: bool) -> anyhow::Result<Diagnosis> {
    let data = paths::data(home.path());
    let mut diagnosis = Diagnosis {
        chain_id: genesis.chain_id(),
        ledger: None,
        head: None,
        log_was_torn: false,
        journal: None,
        engine_log: EngineLog::Missing,
        high_water: None,
        findings: Findings::default(),
        replayed: false,
    };
    match Store::open_to_inspect(&data, genesis) {
        Ok((store, findings)) => {
            diagnosis.findings = findings;
            diagnosis.log_was_torn = store.log_was_torn();
            ledger(&store, genesis, &mut diagnosis);
            if replay {
                replay_into(&home.path().join("doctor.replay"), &store, genesis, &mut diagnosis)?;
            }
        }
        Err(error) if error.is_damage() => diagnosis.findings.add_error(None, "database", &error),
        Err(StoreError::NoLedger { .. }) => {}
        Err(error) => return Err(error).context("cannot open the ledger"),
    }
    signing(home, genesis, &mut diagnosis)?;
    Ok(diagnosis)
}

fn ledger(store: &Store, genesis: &Genesis, diagnosis: &mut Diagnosis) {
    let mut inspection = store.inspect(genesis, &mut progress());
    take_over(&mut diagnosis.findings, std::mem::take(&mut inspection.findings));
    diagnosis.ledger = Some(inspection);
    if let Ok(header) = store.view().and_then(|view| view.tip_header()) {
        diagnosis.head = Some((header.block_id(), header.state_root));
    }
}

fn replay_into(scratch: &Path, store: &Store, genesis: &Genesis, diagnosis: &mut Diagnosis) -> anyhow::Result<()> {
    // Left by a check that was interrupted; nothing else has this name.
    remove(scratch)?;
    match store.replay(genesis, scratch, &mut progress()) {
        Ok(findings) => take_over(&mut diagnosis.findings, findings),
        Err(error) => diagnosis.findings.add_error(None, "replay", &error),
    }
    diagnosis.replayed = true;
    remove(scratch)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// What was signed and what was had, against what is there.
fn signing(home: &Home, genesis: &Genesis, diagnosis: &mut Diagnosis) -> anyhow::Result<()> {
    let findings = &mut diagnosis.findings;
    let chain_id = genesis.chain_id();
    let tip = diagnosis.ledger.as_ref().map_or(0, |ledger| ledger.tip.0);
    if let Some(card) = &home.organisation().validator {
        match journal::inspect(&paths::journal(home.path()), &chain_id.0, &card.consensus_key.0) {
            Ok(contents) => diagnosis.journal = contents,
            // Of a key that was rotated; the next start sets it aside.
            Err(JournalError::OtherKey { .. }) => {}
            Err(error) => findings.add(None, "signer.journal", &[], error),
        }
    }
    if let Some(contents) = &diagnosis.journal {
        for (height, round, kind) in &contents.conflicts {
            let problem = format!("two different {kind:?}s of round {round} were signed");
            findings.add(Some(qz_evidence::Height(*height)), "signer.journal", &[], problem);
        }
        if contents.newest > tip + 1 {
            let problem = format!(
                "signed at height {}, the ledger ends at {tip}: start the node, it catches up",
                contents.newest
            );
            findings.add(None, "signer.journal", &[], problem);
        }
    }
    let engine = paths::engine_log(home.path());
    diagnosis.engine_log = engine_log::inspect(&engine).with_context(|| format!("cannot read {}", engine.display()))?;
    if let EngineLog::Damaged { offset } = diagnosis.engine_log {
        findings.add(None, "consensus.wal", &[], format!("damaged at byte {offset}"));
    }
    match high_water::read(&HighWater::path_of(&paths::data(home.path())), &chain_id) {
        Ok(mark) => diagnosis.high_water = mark.map(|mark| mark.height),
        Err(error) => findings.add(None, "data.mark", &[], error),
    }
    if let Some(had) = diagnosis.high_water
        && had > tip
    {
        let problem = format!("block {had} was here, the ledger ends at {tip}: start the node, it catches up");
        findings.add(None, "data.mark", &[], problem);
    }
    Ok(())
}

fn take_over(findings: &mut Findings, others: Findings) {
    findings.kept.extend(others.kept);
    findings.more += others.more;
}

/// Lines on standard error, not too many.
pub(crate) fn progress() -> impl FnMut(&str, u64, u64) {
    let mut last = Instant::now();
    move |what: &str, done: u64, of: u64| {
        if last.elapsed() >= PROGRESS_EVERY {
            last = Instant::now();
            eprintln!("{what}: {done} of {of}");
        }
    }
}

fn to_json(diagnosis: &Diagnosis, took: Duration) -> Value {
    let ledger = diagnosis.ledger.as_ref();
    let findings: Vec<_> = diagnosis
        .findings
        .kept
        .iter()
        .map(|finding| {
            json!({
                "height": finding.height,
                "column": finding.column,
                "key": finding.key,
                "problem": finding.problem,
            })
        })
        .collect();
    json!({
        "ok": diagnosis.findings.is_empty(),
        "checked": true,
        "chain_id": diagnosis.chain_id,
        "height": ledger.map(|ledger| ledger.tip),
        "block_id": diagnosis.head.map(|(block, _)| block),
        "state_root": diagnosis.head.map(|(_, root)| root),
        "records": ledger.map(|ledger| ledger.records),
        "subjects": ledger.map(|ledger| ledger.subjects),
        "signatures": ledger.map(|ledger| ledger.signatures),
        "tree_nodes": ledger.map(|ledger| ledger.tree_nodes),
        "replayed": diagnosis.replayed,
        "log_was_torn": diagnosis.log_was_torn,
        "journal": diagnosis.journal.as_ref().map(|journal| json!({
            "records": journal.records,
            "newest": journal.newest,
            "abstain": journal.abstain,
            "torn": journal.torn,
            "conflicts": journal.conflicts.len(),
        })),
        "engine_log_height": match diagnosis.engine_log {
            EngineLog::Whole { height, .. } => Some(height),
            EngineLog::Missing | EngineLog::Damaged { .. } => None,
        },
        "high_water": diagnosis.high_water,
        "findings": findings,
        "more_findings": diagnosis.findings.more,
        "seconds": took.as_secs_f64(),
    })
}

fn print_words(diagnosis: &Diagnosis, took: Duration) {
    match &diagnosis.ledger {
        Some(ledger) => println!(
            "已检查至高度 {0}：{1} 条记录，{2} 个对象，{3} 个签名 · checked to height {0}: {1} records, {2} subjects, \
             {3} signatures, {4} tree nodes, {5:.1} s{6}",
            ledger.tip,
            ledger.records,
            ledger.subjects,
            ledger.signatures,
            ledger.tree_nodes,
            took.as_secs_f64(),
            if diagnosis.replayed { ", all blocks executed again" } else { "" },
        ),
        None => println!("没有可读的账本 · there is no readable ledger"),
    }
    if diagnosis.log_was_torn {
        println!(
            "日志末尾的写入未完成，启动时自动舍弃 · the log ends in an unfinished write, dropped at the next start"
        );
    }
    for finding in &diagnosis.findings.kept {
        println!("{finding}");
    }
    if diagnosis.findings.more > 0 {
        println!("另有 {0} 处 · {0} more", diagnosis.findings.more);
    }
    if diagnosis.findings.is_empty() {
        println!("一切正常 · everything is in order");
    } else {
        println!("发现问题；可运行 qz-node repair · there are findings; `qz-node repair` sets right what it can");
    }
}
