//! The genesis ceremony of the organisations, by the real `qz-genesis` program: each makes its keys in
//! its own folder; only cards, the body and signatures travel.

use crate::binaries::{Binaries, run};
use crate::custody;
use crate::folder::Folder;
use crate::ports::{NodePorts, Ports};
use anyhow::{Context, Result};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// An organisation of the consortium.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its id.
    pub id: &'static str,
    /// Its Chinese name.
    pub name_zh: &'static str,
    /// Its English name.
    pub name_en: &'static str,
    /// Its roles.
    pub roles: &'static str,
}

/// The default consortium.
pub const MEMBERS: [Member; 4] = [
    Member { id: "platform", name_zh: "契证演示平台", name_en: "Qizheng Demo Platform", roles: "platform" },
    Member { id: "notary", name_zh: "演示公证处", name_en: "Demo Notary Office", roles: "notary,attestor" },
    Member { id: "court", name_zh: "演示互联网法院", name_en: "Demo Internet Court", roles: "court" },
    Member {
        id: "arbitration",
        name_zh: "演示仲裁委员会",
        name_en: "Demo Arbitration Commission",
        roles: "arbitration",
    },
];

/// A member with the place of its node.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Who.
    pub member: Member,
    /// The host that its node listens on.
    pub host: Ipv4Addr,
    /// The ports there.
    pub ports: NodePorts,
}

/// The default consortium on loopback.
pub fn on_loopback(ports: &Ports) -> Vec<Seat> {
    let seat =
        |(member, index): (&Member, u16)| Seat { member: *member, host: Ipv4Addr::LOCALHOST, ports: ports.node(index) };
    MEMBERS.iter().zip(0u16..).map(seat).collect()
}

const NAME: &str = "契证演示联盟 Qizheng Demo Consortium";

/// What came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The chain id, hexadecimal.
    pub chain_id: String,
    /// The genesis document.
    pub genesis: PathBuf,
}

/// Holds the whole ceremony; `progress` hears a line per step.
pub fn hold(binaries: &Binaries, folder: &Folder, seats: &[Seat], mut progress: impl FnMut(&str)) -> Result<Outcome> {
    let table = folder.ceremony();
    for Seat { member, host, ports } in seats {
        let home = folder.organisation(member.id);
        let passphrase = custody::choose(&home)?;
        let passphrase = text(&passphrase)?;
        run(
            &binaries.genesis,
            &[
                "keygen",
                "--passphrase-file",
                passphrase,
                "--home",
                text(&home)?,
                "--org",
                member.id,
                "--name-zh",
                member.name_zh,
                "--name-en",
                member.name_en,
                "--roles",
                member.roles,
                "--consensus-addr",
                &format!("/ip4/{host}/tcp/{}", ports.consensus),
                "--mempool-addr",
                &format!("/ip4/{host}/tcp/{}", ports.mempool),
                "--rpc-url",
                &format!("https://{host}:{}", ports.rpc),
            ],
        )?;
        let card = card(&table, member);
        let arguments = ["card", "--passphrase-file", passphrase, "--home", text(&home)?, "-o", text(&card)?];
        run(&binaries.genesis, &arguments)?;
        progress(&format!(
            "{} 自行生成密钥，交出公开名片 · {} made its keys, hands out its card",
            member.name_zh, member.id
        ));
    }
    let body = table.join("genesis.body");
    let cards: Vec<PathBuf> = seats.iter().map(|seat| card(&table, &seat.member)).collect();
    let mut arguments = vec!["assemble", "--name", NAME, "-o", text(&body)?];
    for card in &cards {
        arguments.push(text(card)?);
    }
    run(&binaries.genesis, &arguments)?;
    let signatures: Vec<PathBuf> = seats.iter().map(|s| table.join(format!("{}.signature", s.member.id))).collect();
    for (Seat { member, .. }, signature) in seats.iter().zip(&signatures) {
        let home = folder.organisation(member.id);
        let passphrase = custody::passphrase_file(&home);
        let mut arguments = vec!["sign", "--passphrase-file", text(&passphrase)?, "--home", text(&home)?];
        arguments.extend([text(&body)?, "-o", text(signature)?]);
        run(&binaries.genesis, &arguments)?;
    }
    progress("各机构分别签署同一份创世文件 · every organisation signed the same genesis body");
    let genesis = folder.genesis();
    let mut arguments = vec!["finish", text(&body)?, "-o", text(&genesis)?];
    for signature in &signatures {
        arguments.push(text(signature)?);
    }
    run(&binaries.genesis, &arguments)?;
    for Seat { member, .. } in seats {
        let own = folder.organisation(member.id).join("genesis.qz");
        std::fs::copy(&genesis, &own).with_context(|| format!("cannot write {}", own.display()))?;
    }
    run(&binaries.genesis, &["verify", text(&genesis)?])?;
    let bytes = std::fs::read(&genesis).with_context(|| format!("cannot read {}", genesis.display()))?;
    let chain_id = qz_genesis::ceremony::verify(&bytes, None)?.chain_id().to_string();
    Ok(Outcome { chain_id, genesis })
}

fn card(table: &Path, member: &Member) -> PathBuf {
    table.join(format!("{}.card", member.id))
}

/// A path as the text of an argument.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
