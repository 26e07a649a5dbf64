//! The story: a real contract signed by two companies and a person, finalised by four organisations,
//! certified, and verified offline, with everything that tries to go wrong on the way.
//!
//! It uses public doors only: the gateway's HTTP API, members' nodes by their own folders, and the
//! verifier's command line. Each step checks what it claims, and a failed check ends the story.

mod contract;
mod court;
mod offline;
mod outage;
mod parties;
mod refusals;

pub use contract::{Contract, Slot};
pub use court::CASE;
pub use outage::compare_states;
pub use parties::{Company, People, Seal};

use crate::api::Api;
use crate::binaries::Binaries;
use crate::folder::Folder;
use crate::gateway;
use crate::network::Network;
use crate::ports::Ports;
use crate::screen::Screen;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::decode_strict;
use std::path::{Path, PathBuf};

/// How many steps the whole story has.
pub const STEPS: usize = 12;

/// What a run of the story may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The user's own contract instead of the rendered one.
    pub pdf: Option<PathBuf>,
}

/// Files that the story leaves in the folder `out`.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// The signed contract.
    pub contract: PathBuf,
    /// Its amendment, signed.
    pub amendment: PathBuf,
    /// The contract's proof bundle.
    pub proof: PathBuf,
    /// The same as of the signing, before amendment and fulfilment.
    pub early_proof: PathBuf,
    /// The signing certificate.
    pub certificate: PathBuf,
    /// The demo CA's certificate, for other verifiers.
    pub ca: PathBuf,
    /// The court's package.
    pub package: PathBuf,
    /// The genesis document.
    pub genesis: PathBuf,
}

impl Outputs {
    fn in_folder(folder: &Folder) -> Self {
        let out = folder.out();
        Self {
            contract: out.join("contract.pdf"),
            amendment: out.join("amendment.pdf"),
            proof: out.join("contract.qzproof"),
            early_proof: out.join("contract-signed.qzproof"),
            certificate: out.join("certificate.pdf"),
            ca: out.join("demo-ca.pem"),
            package: out.join("court-package.zip"),
            genesis: folder.genesis(),
        }
    }
}

/// A running story.
pub struct Story {
    /// What people see.
    pub screen: Screen,
    /// The network that it plays on.
    pub network: Network,
    /// The gateway's API with the demo's token.
    pub api: Api,
    /// What it leaves.
    pub outputs: Outputs,
    /// Number of the signing certificate, once it is issued.
    pub number: Option<String>,
}

impl Story {
    /// Holds the ceremony, starts nodes and gateway.
    pub async fn begin(mut screen: Screen, binaries: Binaries, folder: Folder, ports: Ports) -> Result<Self> {
        screen.note(&format!("数据文件夹 Data folder: {}", folder.root().display()));
        screen.step("创世仪式：四家机构各自生成密钥并签署创世文件", "genesis ceremony");
        let network = Network::found(binaries, folder, ports, &mut |line| screen.note(line))?;
        let mut story = Self::on(screen, network)?;
        let chain_id = story.network.nodes()[0].member.genesis().chain_id();
        story.screen.confirm("创世文件经四家机构签署 · genesis signed by all four");
        story.screen.fact("链标识 chain id", chain_id.to_string());
        story.start().await?;
        Ok(story)
    }

    /// On a network that has its ceremony behind it; makes a new API token.
    fn on(screen: Screen, network: Network) -> Result<Self> {
        network.set_up_gateway()?;
        let token = gateway::token(&network.binaries, &network.folder, "demo")?;
        let api = Api::new(&format!("http://127.0.0.1:{}", network.ports.gateway()), &token)?;
        let outputs = Outputs::in_folder(&network.folder);
        Ok(Self { screen, network, api, outputs, number: None })
    }

    async fn start(&mut self) -> Result<()> {
        self.screen.step("启动四个节点与一个网关", "four nodes and one gateway start");
        let screen = &self.screen;
        self.network.start_nodes(&mut |line| screen.note(line)).await?;
        self.network.start_gateway(&[]).await?;
        self.screen.note(&format!("网关就绪 · gateway is up: {}", self.network.portal_url()));
        let healthy =
            self.network.status().await.into_iter().filter(|(_, s)| s.as_ref().is_ok_and(|s| s.healthy)).count();
        self.screen
            .check("四个节点全部健康 · all four nodes are healthy", healthy == 4, || format!("only {healthy}"))
    }

    /// Plays everything that needs the running network, and leaves the outputs.
    pub async fn play(&mut self, options: &Options) -> Result<()> {
        let mut people = self.introduce().await?;
        let contract = self.sign_contract_through_an_outage(&mut people, options).await?;
        let early = self.api.get_file(&format!("/v1/contracts/{}/proof", contract.subject)).await?;
        write(&self.outputs.early_proof, &early)?;
        self.amend(&people, &contract).await?;
        self.fulfil(&people, &contract).await?;
        self.refuse(&people, &contract).await?;
        self.certify(&contract).await?;
        self.go_to_court(&people).await
    }

    /// Stops all processes and verifies the outputs offline, whole and tampered with.
    pub fn verify_offline(&mut self) -> Result<()> {
        self.screen.step("全部节点与网关停机，离线校验", "everything stopped; offline verification");
        self.network.stop();
        offline::verify(&mut self.screen, &self.network.binaries, &self.network.folder, &self.outputs)
    }

    /// Starts everything again after the offline part.
    pub async fn resume(&mut self) -> Result<()> {
        self.screen.step("重新启动，供您查看", "everything starts again");
        let screen = &self.screen;
        self.network.start_nodes(&mut |line| screen.note(line)).await?;
        self.network.start_gateway(&[]).await
    }

    /// The certificate of the signing certificate's issue, bundled with everything, saved.
    async fn certify(&mut self, contract: &Contract) -> Result<()> {
        self.screen.step("出具《电子合同签署证明》", "the signing certificate is issued");
        let path = format!("/v1/contracts/{}/certificates", contract.subject);
        let answer = self.api.certificate(&path).await?;
        let number = crate::api::text(&answer, "number")?.to_owned();
        self.number = Some(number.clone());
        let certificate = self.api.get_file(&format!("/v1/certificates/{number}")).await?;
        let digest = qz_evidence::hash::sha256(&[&certificate]).to_string();
        let named = crate::api::text(&answer, "sha256")?.to_owned();
        self.screen.check(
            "签署证明与网关所报摘要一致 · the certificate has the digest that was announced",
            digest == named,
            || named,
        )?;
        let proof = self.api.get_file(&format!("/v1/contracts/{}/proof", contract.subject)).await?;
        write(&self.outputs.certificate, &certificate)?;
        write(&self.outputs.proof, &proof)?;
        write(&self.outputs.ca, root_certificate(&proof)?.as_bytes())?;
        let Outputs { certificate: path, .. } = &self.outputs;
        self.screen.note(&format!("编号 {number}，保存于 saved as {}", path.display()));
        self.screen.fact("签署证明 signing certificate", format!("{number}, {} bytes", certificate.len()));
        self.screen.fact("证据包 proof bundle", format!("{} bytes", proof.len()));
        Ok(())
    }
}

/// The demo CA's certificate, as PEM, from the chains in a proof bundle.
fn root_certificate(proof: &[u8]) -> Result<String> {
    let bundle: Bundle = decode_strict(proof)?;
    let chain = &bundle.certificates.first().context("the proof has no X.509 certificate")?.chain;
    let root = chain.get(1..).and_then(|issuers| issuers.last()).context("the proof has no issuer's certificate")?;
    let base64 = STANDARD.encode(&root.0);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Ok(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
}

/// Writes an output.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    ensure!(!bytes.is_empty(), "{} would be empty", path.display());
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
