//! PDFs by many producers, taken from packages (`testnet/corpus.sh`): each is signed or refused with its reason.
//! What is signed must hold for pyHanko and for our own examination, be no worse for qpdf than it was, and leave
//! the signatures that were there before as they were.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use qz_document::anchor::find;
use qz_document::inspect::{Pdf, PdfError};
use qz_document::seal::{self, Imprint};
use qz_document::sign::{self, FieldRequest, SignError};
use qz_evidence_pdf::{DocumentVerdict, SignatureStatus, TrustedRoots, examine};
use support::{Demo, oracle, request};

/// The field that is added.
const FIELD: &str = "qz-corpus";
/// Programs and threads at work at the same time.
const WORKERS: usize = 4;

/// The signature that was there before is empty: pyHanko raises an error on the file, as it was and as it is.
const UNREADABLE_TO_PYHANKO: &str = "pyhanko-base-ac314df7.pdf";
/// Why files are refused, and how many: the corpus is pinned. Nearly all of it was made to be wrong.
const REFUSED: &[(&str, usize)] = &[
    ("ActiveContent", 2),
    ("BadPage", 2),
    ("ChangesForbidden", 1),
    ("Damaged", 13),
    ("Encrypted", 42),
    ("Malformed", 7),
    ("NoPages", 5),
    ("NotPdf", 1),
    ("OutsidePage", 4),
];

fn files() -> Vec<PathBuf> {
    let given = std::env::var_os("QZ_CORPUS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/qizheng/corpus"));
    let mut files = Vec::new();
    for kind in ["unsigned", "signed"] {
        let entries = std::fs::read_dir(folder.join(kind));
        let entries = entries.unwrap_or_else(|error| panic!("run testnet/corpus.sh first: {kind}: {error}"));
        let paths = entries.map(|entry| entry.unwrap().path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "pdf")));
    }
    files.sort();
    files
}

/// What became of a file.
enum Outcome {
    /// Refused, for a reason of this kind.
    Refused(String),
    /// Signed, with what our own examination and qpdf have against it.
    Signed { target: PathBuf, complaints: Vec<String>, by_openssl: bool },
}

/// A short name of a refusal: the variant.
fn reason(error: &SignError) -> String {
    let text = match error {
        SignError::Pdf(PdfError::Malformed(_)) => "Malformed".to_owned(),
        SignError::Pdf(error) => format!("{error:?}"),
        error => format!("{error:?}"),
    };
    assert!(error.to_string().contains("/ "), "says what to do, in both languages: {error}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// What qpdf says: 0 good, 3 warnings, 2 errors.
fn qpdf(path: &Path) -> i32 {
    let status = Command::new("qpdf").arg("--check").arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("qpdf is needed for this test: apt-get install qpdf").code().unwrap()
}

fn treat(demo: &Demo, imprint: &Imprint, path: &Path, target: PathBuf) -> Outcome {
    let pdf = std::fs::read(path).unwrap();
    let place = match Pdf::open(&pdf) {
        Ok(opened) => opened.places_at_foot(&[(imprint.width_mm, imprint.height_mm)]),
        Err(error) => return Outcome::Refused(reason(&error.into())),
    };
    // Pages too small for margins are signed in their corner; those of a millimetre are not.
    let (page, x_mm, y_mm) = match place.as_deref() {
        Some([place]) => (place.page, place.x_mm, place.y_mm),
        _ => (1, 0.0, 0.0),
    };
    let request = FieldRequest { page, x_mm, y_mm, ..request(FIELD, imprint, "周雅文") };
    let signed = match demo.try_sign(&pdf, &demo.buyer, &request) {
        Ok(signed) => signed,
        Err(error) => return Outcome::Refused(reason(&error)),
    };
    let mut complaints = examined(&pdf, &signed);
    if signed[..pdf.len()] != pdf {
        complaints.push("bytes before the update were touched".into());
    }
    let by_openssl = openssl(&signed, &target);
    complaints.extend(by_openssl.clone().and_then(Result::err));
    std::fs::write(&target, signed).unwrap();
    let (before, after) = (qpdf(path), qpdf(&target));
    if after != before && after != 0 {
        complaints.push(format!("qpdf {before} → {after}"));
    }
    Outcome::Signed { target, complaints, by_openssl: by_openssl.is_some() }
}

/// Does OpenSSL accept the signature, as CAdES, over the covered bytes, by a certificate of the root? `None` for the few
/// files in which other people's signature fields are too broken to be listed.
fn openssl(signed: &[u8], target: &Path) -> Option<Result<(), String>> {
    let ours = qz_evidence_pdf::signatures(signed).ok()?.into_iter().find(|one| one.field == FIELD)?;
    let [start, first, second, last] = ours.byte_range;
    let cms = sign::signatures(signed).unwrap().into_iter().find(|one| one.field == FIELD).unwrap().object;
    let (object, content) = (target.with_extension("cms"), target.with_extension("content"));
    std::fs::write(&object, cms).unwrap();
    std::fs::write(&content, [&signed[start..start + first], &signed[second..second + last]].concat()).unwrap();
    let ca = target.with_file_name("ca.pem");
    let [ca, object, content] = [&ca, &object, &content].map(|path| path.to_string_lossy().into_owned());
    let (ok, said) = oracle(&["cades", &ca, &object, &content]);
    std::fs::remove_file(content).unwrap();
    Some(if ok { Ok(()) } else { Err(format!("OpenSSL: {said}")) })
}

/// What our own examination has against the signed file.
fn examined(pdf: &[u8], signed: &[u8]) -> Vec<String> {
    let roots = TrustedRoots::default();
    let (before, after) = (examine(pdf, &roots), examine(signed, &roots));
    let mut complaints = Vec::new();
    let status = |field: &str| after.signatures.iter().find(|one| one.field == field).map(|one| one.status);
    if status(FIELD) != Some(SignatureStatus::Intact) {
        complaints.push(format!("examination: {:?}, {:?} {:?}", status(FIELD), after.words, after.problems));
    }
    for earlier in &before.signatures {
        if status(&earlier.field) != Some(earlier.status) {
            complaints.push(format!("{} was {:?}, is {:?}", earlier.field, earlier.status, status(&earlier.field)));
        }
    }
    let expected = match before.verdict {
        DocumentVerdict::Unsigned => DocumentVerdict::Intact,
        other => other,
    };
    if after.verdict != expected {
        complaints.push(format!("the file was {:?}, is {:?} {:?}", before.verdict, after.verdict, after.problems));
    }
    complaints
}

#[test]
fn every_file_is_signed_or_refused_with_its_reason() {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("ca.pem"), demo.ca_pem()).unwrap();
    let files = files();
    assert!(files.len() >= 200, "{} files are no corpus", files.len());
    let indices: Vec<usize> = (0..files.len()).collect();
    let outcomes: BTreeMap<usize, Outcome> = std::thread::scope(|scope| {
        let share = |first: usize| {
            let (demo, imprint, files, work, indices) = (&demo, &imprint, &files, &work, &indices);
            scope.spawn(move || {
                let own = indices.iter().skip(first).step_by(WORKERS);
                let treated = |index: &usize| {
                    let target = work.path().join(format!("{index}.pdf"));
                    (*index, treat(demo, imprint, &files[*index], target))
                };
                own.map(treated).collect::<Vec<_>>()
            })
        };
        let shares: Vec<_> = (0..WORKERS).map(share).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
    });

    let mut openssl_read = 0;
    let (mut list, mut refused, mut wrong) = (Vec::new(), BTreeMap::<String, Vec<String>>::new(), Vec::new());
    for (index, outcome) in outcomes {
        let name = files[index].file_name().unwrap().to_string_lossy().into_owned();
        match outcome {
            Outcome::Refused(reason) => refused.entry(reason).or_default().push(name),
            Outcome::Signed { target, complaints, by_openssl } => {
                openssl_read += usize::from(by_openssl);
                wrong.extend(complaints.iter().map(|complaint| format!("{name}: {complaint}")));
                list.push((name, files[index].clone(), target));
            }
        }
    }
    let verdicts = pyhanko(work.path(), &list);
    let valid = verdicts.iter().filter(|(_, verdict)| verdict == "ok").count();
    println!(
        "corpus: {} files, {} signed, {valid} of them valid for pyHanko, {openssl_read} given to OpenSSL",
        files.len(),
        list.len()
    );
    assert!(openssl_read >= 120, "{openssl_read}");
    for (reason, names) in &refused {
        println!("refused {reason}: {} ({})", names.len(), names.join(", "));
    }
    for (name, verdict) in &verdicts {
        let expected = if name == UNREADABLE_TO_PYHANKO { "ValueError" } else { "ok" };
        if verdict.split(':').next() != Some(expected) {
            wrong.push(format!("{name}: {verdict}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(verdicts.len(), list.len());
    let counts: Vec<_> = refused.iter().map(|(reason, names)| (reason.as_str(), names.len())).collect();
    assert_eq!(counts, REFUSED);
}

/// pyHanko's verdicts, by two processes.
fn pyhanko(work: &Path, list: &[(String, PathBuf, PathBuf)]) -> Vec<(String, String)> {
    let ca = work.join("ca.pem");
    // Makes the environment if it is missing.
    let (ok, text) = oracle(&["python", "-c", "import pyhanko"]);
    assert!(ok, "{text}");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let start = |half: &[(String, PathBuf, PathBuf)]| {
        let mut command = Command::new(tests.join("oracles.sh"));
        command.arg("python").arg(tests.join("oracle_batch.py")).arg(&ca);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        for (name, before, after) in half {
            writeln!(input, "{name}\t{}\t{}", before.display(), after.display()).unwrap();
        }
        child
    };
    let running: Vec<_> = list.chunks(list.len().div_ceil(2).max(1)).map(start).collect();
    let mut verdicts = Vec::new();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        verdicts.extend(text.lines().map(|line| {
            let (name, verdict) = line.split_once('\t').unwrap();
            (name.to_owned(), verdict.to_owned())
        }));
    }
    verdicts
}

/// Words are looked for in every file that opens, in bounded time, and found where poppler finds them.
#[test]
fn words_are_looked_for_in_every_file() {
    let (mut opened, mut unreadable, mut found, mut agree) = (0, 0, 0, 0);
    for path in files() {
        let Ok(pdf) = Pdf::open(&std::fs::read(&path).unwrap()) else { continue };
        let started = std::time::Instant::now();
        let places = find(&pdf, "the");
        assert!(started.elapsed().as_secs() < 60, "{}", path.display());
        opened += 1;
        let Ok(places) = places else {
            unreadable += 1;
            continue;
        };
        let (ok, text) = oracle(&["text", &path.to_string_lossy()]);
        let theirs = ok && text.split_whitespace().any(|word| word == "the");
        found += usize::from(!places.is_empty());
        agree += usize::from(theirs && !places.is_empty());
    }
    println!(
        "words: {opened} files opened, {unreadable} unreadable, found in {found}, in {agree} of them by poppler too"
    );
    assert!(opened >= 130 && unreadable <= 5, "{opened} {unreadable}");
    assert!(agree >= 15, "{agree}");
}
