//! The tables of states in `docs/SPEC.md`, so that the tests compare the state machines with what is
//! published.

#![allow(clippy::unwrap_used)]

use qz_evidence::state_proof::Status;
use std::collections::{BTreeMap, BTreeSet};

const SPEC: &str = include_str!("../../../docs/SPEC.md");

/// Kind and state before → the states that may follow; no state: refused.
pub(super) type Transitions = BTreeMap<(String, &'static str), BTreeSet<&'static str>>;

/// The name of a state in the specification.
pub(super) fn name(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Suspended => "suspended",
        Status::Destroyed => "destroyed",
        Status::Revoked => "revoked",
        Status::Opened => "opened",
        Status::Signing => "signing",
        Status::Signed => "signed",
        Status::Completed => "completed",
        Status::Declined => "declined",
        Status::Terminated => "terminated",
        Status::Voided => "voided",
        Status::Disputed => "disputed",
        Status::Recorded => "recorded",
    }
}

/// The table that begins behind the line `<!-- states of a {subject} -->`.
pub(super) fn read(subject: &str, states: &[Status]) -> Transitions {
    let known: BTreeSet<_> = states.iter().map(|status| name(*status)).collect();
    let (_, rest) = SPEC.split_once(&format!("<!-- states of a {subject} -->\n")).unwrap();
    let mut lines = rest.lines().take_while(|line| line.starts_with('|'));
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let columns = cells(lines.next().unwrap());
    let column = |i: usize| *known.get(columns[i].as_str()).unwrap_or_else(|| panic!("no state {}", columns[i]));
    assert_eq!((1..columns.len()).map(column).collect::<BTreeSet<_>>(), known, "a column for every state");
    assert!(lines.next().unwrap().starts_with("| ---"));
    let mut table = Transitions::new();
    for line in lines {
        let row = cells(line);
        assert_eq!(row.len(), columns.len(), "{line}");
        for (i, cell) in row.iter().enumerate().skip(1) {
            let after = cell.split(", ").filter(|word| *word != "—");
            let after = after.map(|word| *known.get(word).unwrap_or_else(|| panic!("no state `{word}`: {line}")));
            assert!(table.insert((row[0].clone(), column(i)), after.collect()).is_none(), "{} stands twice", row[0]);
        }
    }
    table
}

/// Compares the table with what a state machine does: every (kind, state) with the states that follow.
pub(super) fn compare(published: &Transitions, found: &Transitions) {
    for (pair, after) in published {
        assert_eq!(found.get(pair), Some(after), "{pair:?}: the machine against docs/SPEC.md");
    }
    assert_eq!(found.len(), published.len(), "every kind is in the table");
}
