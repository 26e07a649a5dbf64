//! What a validator may sign after a start, given what is left of its past.
//!
//! Three things remember it: the ledger (what is final), the signer's journal (what was signed) and the
//! engine's log (what it is locked on at the height in progress). Whatever one of them shows to be lost
//! from another, the validator only observes the heights concerned; the decision itself is written to the
//! journal, so that another restart does not forget it.

use super::engine_log::EngineLog;
use super::journal::{Journal, JournalError};

/// Up to which height a node that starts at `start` must only observe, if any.
pub(crate) fn judge(journal: &mut Journal, start: u64, log: &EngineLog) -> Result<Option<u64>, JournalError> {
    let newest = journal.newest();
    let locked = matches!(log, EngineLog::Whole { height, .. } if *height == start);
    if newest > start {
        give_up(journal, newest, "the ledger ends before what this validator has signed")?;
    } else if newest == start && !locked {
        give_up(journal, newest, "the consensus engine's log of a height at which it has signed is lost")?;
    }
    Ok(journal.observe_through(start))
}

fn give_up(journal: &mut Journal, through: u64, reason: &str) -> Result<(), JournalError> {
    if journal.abstains_from(through) {
        return Ok(());
    }
    tracing::warn!(through, reason, "abstaining: this validator's past may be lost");
    journal.abstain_through(through)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::journal::{Intent, Kind};
    use super::*;

    const START: u64 = 8;

    /// Opens a journal in which heights up to `newest` are signed, twice: the verdict must last.
    fn check(newest: u64, log: EngineLog, expected: Option<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.journal");
        let mut journal = Journal::open(&path, &[1; 32], &[2; 32], true).unwrap();
        if newest > 0 {
            let intent = Intent { kind: Kind::Prevote, height: newest, round: 0, block: None, digest: [3; 32] };
            journal.admit(&intent).unwrap();
        }
        assert_eq!(judge(&mut journal, START, &log).unwrap(), expected, "{newest} {log:?}");
        drop(journal);
        let mut journal = Journal::open(&path, &[1; 32], &[2; 32], false).unwrap();
        let observed = EngineLog::Whole { height: START, entries: 3 };
        assert_eq!(judge(&mut journal, START, &observed).unwrap(), expected, "{newest} {log:?} again");
        let after = expected.unwrap_or(START) + 1;
        assert_eq!(judge(&mut journal, after, &EngineLog::Missing).unwrap(), None, "{newest} {log:?} after");
    }

    #[test]
    fn a_validator_observes_exactly_the_heights_of_which_it_lost_something() {
        let log = |height| EngineLog::Whole { height, entries: 2 };
        check(0, EngineLog::Missing, None);
        // Nothing was signed at the height that is next: no lock can be lost.
        check(START - 1, EngineLog::Missing, None);
        check(START - 1, log(START - 1), None);
        check(START - 1, EngineLog::Damaged { offset: 0 }, None);
        // Signed at it, and the log of it is there or is not.
        check(START, log(START), None);
        check(START, log(START - 1), Some(START));
        check(START, EngineLog::Missing, Some(START));
        check(START, EngineLog::Damaged { offset: 40 }, Some(START));
        // The ledger is shorter than what was signed.
        check(START + 5, log(START + 5), Some(START + 5));
        check(START + 1, log(START), Some(START + 1));
    }
}
