//! Every attack on a signed PDF gets the verdict that it must get, and honest files are not refused.
#![allow(clippy::unwrap_used)]

use qz_conformance::attacks::{self, Verdict};
use qz_evidence_pdf::{DocumentVerdict, SignatureReport, TrustedRoots, WarningKind, examine};

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

/// What is prepared for a swap is seen before anyone signs.
#[test]
fn planted_content_is_warned_of() {
    let expected = |name: &str| match name {
        "covered-text" => WarningKind::CoveredText,
        "hidden-object" => WarningKind::HiddenContent,
        _ => WarningKind::UnlistedBytes,
    };
    for (name, bytes) in attacks::planted() {
        let report = examine(&bytes, &TrustedRoots::default());
        let kinds: Vec<_> = report.warnings.iter().map(|warning| warning.kind).collect();
        assert!(kinds.contains(&expected(name)), "{name}: {kinds:?}");
    }
    let plain = attacks::all().into_iter().find(|attack| attack.name == "honest-signed").unwrap();
    let report = examine(&plain.bytes, &TrustedRoots::default());
    assert!(report.warnings.iter().all(|warning| !warning.grave), "{:?}", report.warnings);
}

/// No file with one bit flipped passes, wherever it is. The last signature's own digits may be in another case,
/// and certificates of issuers in it are protected by nothing but themselves.
#[test]
fn no_flipped_bit_passes() {
    let file = attacks::all().into_iter().find(|attack| attack.name == "honest-signed-twice").unwrap().bytes;
    let honest = examine(&file, &TrustedRoots::default());
    let last = honest.signatures.last().unwrap();
    let gap = usize::try_from(last.byte_range[1]).unwrap()..usize::try_from(last.byte_range[2]).unwrap();
    let mut places: Vec<usize> = (0..file.len()).step_by(97).collect();
    places.extend(file.len() - 40..file.len() - 1);
    for place in places {
        let bit = place % 8;
        let mut flipped = file.clone();
        flipped[place] ^= 1 << bit;
        let report = examine(&flipped, &TrustedRoots::default());
        let same = |one: &SignatureReport| (one.certificate == last.certificate) && one.digest == last.digest;
        let is_harmless = gap.contains(&place) && report.signatures.last().is_some_and(same);
        assert!(!report.verdict.holds() || is_harmless, "bit {bit} of byte {place}: {:?}", report.verdict);
    }
}

/// A failure names one file.
#[test]
fn names_are_unique() {
    let mut names: Vec<String> = attacks::all().into_iter().map(|attack| attack.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
