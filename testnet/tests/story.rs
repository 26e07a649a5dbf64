//! The whole story on four real processes and a real gateway: signed, finalised, amended, fulfilled,
//! refused, certified, verified offline; one validator killed with -9 and back; four equal state roots.
//! What it leaves is then shown to checkers that are not ours: pyHanko and qpdf.
#![allow(clippy::unwrap_used)]

use qz_testnet::binaries::Binaries;
use qz_testnet::folder::Folder;
use qz_testnet::outside;
use qz_testnet::ports::Ports;
use qz_testnet::screen::Screen;
use qz_testnet::story::{Options, STEPS, Story, compare_states};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Checks that the whole story makes; a change of this number is a change of the story.
const CHECKS: usize = 41;

#[tokio::test]
async fn the_whole_story() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new_run(place.path()).unwrap();
    let binaries = Binaries::locate().unwrap();
    let mut story = Story::begin(Screen::new(STEPS), binaries, folder, Ports::find_apart().unwrap()).await.unwrap();
    if let Err(error) = play(&mut story).await {
        panic!("{error:?}\n{}", logs(&story.network.folder.logs()));
    }
    independent_checkers_agree(&story);
    story.screen.summary();
    assert_eq!(story.screen.passed(), CHECKS);
}

async fn play(story: &mut Story) -> anyhow::Result<()> {
    story.play(&Options::default()).await?;
    compare_states(&story.network).await?;
    story.verify_offline()?;
    // What was stopped comes back with everything it had.
    story.resume().await?;
    let (height, _) = compare_states(&story.network).await?;
    anyhow::ensure!(height > 0, "the chains came back empty");
    story.network.stop();
    Ok(())
}

/// pyHanko finds every signature valid and trusted, qpdf finds the files well-formed.
fn independent_checkers_agree(story: &Story) {
    let outputs = &story.outputs;
    let tsa_root = outside::tsa_root(&story.network.folder);
    for (file, signatures) in [(&outputs.contract, 3), (&outputs.amendment, 3), (&outputs.certificate, 1)] {
        let (fine, words) = oracle(&["structure", file.to_str().unwrap()]);
        assert!(fine, "qpdf: {}: {words}", file.display());
        let (ca, file_name) = (outputs.ca.to_str().unwrap(), file.to_str().unwrap());
        let (fine, words) = oracle(&["validate-stamped", ca, tsa_root.to_str().unwrap(), file_name]);
        assert!(fine, "pyHanko: {}: {words}", file.display());
        let sound = words.matches("The signature is judged VALID").count();
        assert_eq!(sound, signatures, "pyHanko: {}: {words}", file.display());
    }
    let (_, attached) = oracle(&["attachments", outputs.certificate.to_str().unwrap()]);
    assert!(attached.contains(".qzproof"), "{attached}");
}

/// The document crate's script for independent checkers; its absence is a failure.
fn oracle(arguments: &[&str]) -> (bool, String) {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/document/tests/oracles.sh");
    let output = Command::new(script).args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_ne!(output.status.code(), Some(3), "a checker is missing: {text}");
    (output.status.success(), text)
}

fn logs(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        text.push_str(&format!("──── {}\n{}\n", path.display(), tail.join("\n")));
    }
    text
}
