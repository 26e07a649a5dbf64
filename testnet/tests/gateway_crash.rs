//! The gateway dies, as if by kill -9, after the ledger has finalised a signature and before the PDF is
//! signed. After a restart it goes on with the same digest, without anybody signing anything again.
#![allow(clippy::unwrap_used)]

use anyhow::{Result, ensure};
use qz_testnet::binaries::Binaries;
use qz_testnet::folder::Folder;
use qz_testnet::ports::Ports;
use qz_testnet::screen::Screen;
use qz_testnet::story::Story;
use std::time::Duration;

/// Where the gateway ends itself.
const FAILPOINT: (&str, &str) = ("QZ_FAILPOINT", "after_finality_before_pdf");

#[tokio::test]
async fn a_crash_between_finality_and_the_pdf_resumes_with_the_same_digest() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new_run(place.path()).unwrap();
    let binaries = Binaries::locate().unwrap();
    let mut story = Story::begin(Screen::new(4), binaries, folder, Ports::find_apart().unwrap()).await.unwrap();
    if let Err(error) = crash_and_resume(&mut story).await {
        let log = story.network.folder.logs().join("gateway.log");
        panic!("{error:?}\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }
}

async fn crash_and_resume(story: &mut Story) -> Result<()> {
    let people = story.introduce().await?;
    let contract = story.open_sample(&people).await?;
    story.network.kill9_gateway()?;
    story.network.start_gateway(&[FAILPOINT]).await?;

    // The first signer signs; the gateway submits, verifies finality, and dies before it seals.
    let (operation, seen) = story.prepare_signature(&contract, 0, &people.buyer.party).await?;
    let digest = operation.to_be_signed_sha256;
    ensure!(digest.is_some(), "no digest to be signed");
    let signature = people.buyer.party.sign(&seen);
    // The answer may be lost in the crash; the signature is stored or the crash comes later.
    let _ = story.api.sign(&operation, &people.buyer.party.subject()?, &signature).await;
    story.network.wait_for_gateway_end(Duration::from_secs(60)).await?;
    let records = story.network.node("court")?.member.records_of(&contract.subject).await?;
    ensure!(records == 3, "opened, fixed and signed should be on the ledger, there are {records} records");

    story.network.start_gateway(&[]).await?;
    let settled = story.api.settle(&operation.id).await?;
    ensure!(settled.status == "final", "the operation is {}", settled.status);
    ensure!(settled.followup.as_ref().is_some_and(|f| f.status == "done"), "the follow-up is {:?}", settled.followup);
    ensure!(settled.to_be_signed_sha256 == digest, "another digest than the one on the ledger was signed");
    ensure!(settled.digest == operation.digest, "another body");
    let records = story.network.node("court")?.member.records_of(&contract.subject).await?;
    ensure!(records == 3, "the signature was recorded again: {records} records");

    // The story goes on to its end.
    story.sign(&contract, 1, &people.person).await?;
    story.sign(&contract, 2, &people.person).await?;
    story.completed(&contract).await?;
    story.network.stop();
    Ok(())
}
