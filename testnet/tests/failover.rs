//! The platform's own node is killed with -9. Its gateway goes on through other organisations' nodes, a
//! contract is signed meanwhile, and the node comes back to the same chain.
#![allow(clippy::unwrap_used)]

use anyhow::{Result, ensure};
use qz_testnet::binaries::Binaries;
use qz_testnet::folder::Folder;
use qz_testnet::ports::Ports;
use qz_testnet::screen::Screen;
use qz_testnet::story::{Story, compare_states};

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
    compare_states(&story.network).await?;
    story.network.stop();
    Ok(())
}
