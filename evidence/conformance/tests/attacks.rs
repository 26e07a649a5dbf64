//! Every attack on a signed PDF gets the verdict that it must get, and honest files are not refused.
#![allow(clippy::unwrap_used)]

use qz_conformance::attacks::{self, Verdict};
use qz_evidence_pdf::{DocumentVerdict, TrustedRoots, examine};

fn expected(verdict: Verdict) -> DocumentVerdict {
    match verdict {
        Verdict::Intact => DocumentVerdict::Intact,
        Verdict::Caution => DocumentVerdict::Caution,
        Verdict::Changed => DocumentVerdict::Changed,
        Verdict::Invalid => DocumentVerdict::Invalid,
        Verdict::Undetermined => DocumentVerdict::Undetermined,
    }
}

#[test]
fn every_attack_gets_its_verdict() {
    let mut wrong = vec![];
    for attack in attacks::all() {
        let report = examine(&attack.bytes, &TrustedRoots::default());
        if report.verdict != expected(attack.expected) {
            let told: Vec<_> = report
                .signatures
                .iter()
                .flat_map(|s| {
                    s.problems
                        .iter()
                        .map(|p| p.en.clone())
                        .chain(s.later.iter().map(|l| format!("{:?} {}", l.weight, l.words.en)))
                })
                .chain(report.problems.iter().map(|p| p.en.clone()))
                .collect();
            wrong.push(format!("{}: {:?} instead of {:?}: {told:?}", attack.name, report.verdict, attack.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
