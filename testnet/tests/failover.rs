//! The platform's own node is killed with -9. Its gateway goes on through other organisations' nodes, a
//! contract is signed meanwhile, and the node comes back to the same chain.
#![allow(clippy::unwrap_used)]

use anyhow::{Result, ensure};
use qz_evidence::SubjectId;
use qz_testnet::binaries::{Binaries, output, run};
use qz_testnet::custody::{VARIABLE, passphrase_file};
use qz_testnet::folder::Folder;
use qz_testnet::ports::Ports;
use qz_testnet::screen::Screen;
use qz_testnet::story::{Story, compare_states};
use std::process::{Command, Stdio};

#[tokio::test]
async fn the_gateway_goes_on_through_another_organisation() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new_run(place.path()).unwrap();
    let binaries = Binaries::locate().unwrap();
    let mut story = Story::begin(Screen::new(3), binaries, folder, Ports::find_apart().unwrap()).await.unwrap();
    if let Err(error) = sign_without_the_platforms_node(&mut story).await {
        let log = story.network.folder.logs().join("gateway.log");
        panic!("{error:?}\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
}

async fn sign_without_the_platforms_node(story: &mut Story) -> Result<()> {
    let people = story.introduce().await?;
    story.network.kill9("platform")?;
    let contract = story.open_sample(&people).await?;
    story.sign(&contract, 0, &people.buyer.party).await?;
    story.sign(&contract, 1, &people.person).await?;
    story.sign(&contract, 2, &people.person).await?;
    story.completed(&contract).await?;

    let height = story.network.height().await;
    let status = story.network.restart("platform", height).await?;
    ensure!(status.height >= height, "the platform's node is at {} of {height}", status.height);
    let records = story.network.node("platform")?.member.records_of(&contract.subject).await?;
    ensure!(records == 6, "opened, fixed, three signatures, completed: {records} records");
    histories(story, &contract.subject)?;
    compare_states(&story.network).await?;
    story.network.stop();
    Ok(())
}

/// A member's command line fetches the complete history, and a stranger verifies that nothing is missing.
fn histories(story: &Story, contract: &SubjectId) -> Result<()> {
    let (folder, binaries) = (&story.network.folder, &story.network.binaries);
    let (home, genesis) = (folder.organisation("platform"), folder.genesis());
    let out = folder.root().join("history.qzproof");
    let subject = contract.to_string();
    let [home, genesis, out] = [&home, &genesis, &out].map(|path| path.to_str().unwrap());
    let history = ["history", "--home", home, "--subject", &subject, "--out", out];
    let passphrase = passphrase_file(&folder.organisation("platform"));
    let fetch = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(&binaries.client);
        let output = command.args(arguments).env(VARIABLE, &passphrase).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let said = fetch(&history)?;
    ensure!(said.contains("all 6 records of subject"), "{said}");
    let verify = [out, "--genesis", genesis, "--complete", &subject];
    let said = run(&binaries.verify, &verify)?;
    ensure!(said.contains("共 6 条记录，已全部列出") && said.contains("all 6 records of subject"), "{said}");
    // Without the last record it is a valid proof of five, and not the whole.
    fetch(&[&history[..], &["--records", "0..=4"]].concat())?;
    run(&binaries.verify, &verify[..3])?;
    let refused = output(&binaries.verify, &verify)?;
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(refused.status.code() == Some(1), "{said}");
    ensure!(said.contains("record 5 of 6 (from 0) of the subject is missing"), "{said}");
    Ok(())
}
