//! The gateway dies, as if by kill -9, after the ledger has finalised a signature and before the PDF is
//! signed; then once more just after it has taken a signature. Each time it goes on after a restart with
//! the same digest, without anybody signing anything again, and nothing is recorded twice.
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

    // kill -9 as soon as the last actor's signature is stored, wherever the submission is then.
    let (operation, seen) = story.prepare_signature(&contract, 1, &people.person).await?;
    story.api.sign(&operation, &people.person.subject()?, &people.person.sign(&seen)).await?;
    story.network.kill9_gateway()?;
    story.network.start_gateway(&[]).await?;
    let settled = story.final_or_error(&operation).await?;
    ensure!(settled.to_be_signed_sha256 == operation.to_be_signed_sha256, "another digest was signed");
    let records = story.network.node("court")?.member.records_of(&contract.subject).await?;
    ensure!(records == 4, "the second signature should be recorded once: {records} records");

    // The story goes on to its end.
    story.sign(&contract, 2, &people.person).await?;
    story.completed(&contract).await?;
    story.network.stop();
    Ok(())
}
