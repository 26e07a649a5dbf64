//! The stage: every node in a network namespace of its own, all joined by a bridge, and every connection
//! between two nodes through the proxy under an address that belongs to this pair, so that filters in
//! the namespaces can cut a link and the proxy can make it slow.
//!
//! The runner itself runs in namespaces of its own (network, mounts, processes): when it ends, however
//! it ends, the kernel ends every process and removes every namespace and mount with it.
//!
//! ```text
//! bridge  10.77.0.1        the runner; RPC calls go from here straight to the nodes
//! node i  10.77.0.(11+i)   in namespace `node-i`
//! link    10.77.(101+i).(11+j) on the bridge: what node i dials to reach node j
//! ```

use super::plan::NodeIndex;
use crate::ceremony::{Member, Seat};
use crate::ports::NodePorts;
use crate::proxy::Route;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Every node has its own host, so all use the same ports.
const PORTS: NodePorts = NodePorts { consensus: 27_000, mempool: 27_001, rpc: 27_002 };
const BRIDGE: &str = "qz-bridge";
/// Programs that a run needs, and the Debian packages that hold them.
const TOOLS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("umount", "mount"),
];
/// Where Debian's `faketime` package puts the library, below the folder of the architecture.
const CLOCK_LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Where a program is, according to `PATH` and the folders of administrators.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administrators).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The library that gives a process another clock.
pub fn clock_library() -> Result<PathBuf> {
    let libraries = Path::new("/usr/lib");
    let architectures = std::fs::read_dir(libraries).with_context(|| format!("cannot read {}", libraries.display()))?;
    let candidates = architectures.filter_map(|entry| Some(entry.ok()?.path().join(CLOCK_LIBRARY)));
    candidates.into_iter().find(|path| path.is_file()).context(
        "缺少 libfaketime，请安装 Debian 软件包 faketime · libfaketime is missing: install the Debian package faketime",
    )
}

/// An error that names whatever a run needs and this machine lacks.
pub fn check_machine() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("需要 root 权限以建立网络命名空间 · chaos needs root, to make network namespaces");
    }
    let missing: Vec<_> = TOOLS.iter().filter(|(program, _)| find(program).is_none()).collect();
    if !missing.is_empty() {
        let list: Vec<_> = missing.iter().map(|(program, package)| format!("{program} ({package})")).collect();
        bail!("缺少程序 missing programs: {}; run testnet/setup.sh chaos", list.join(", "));
    }
    clock_library().map(drop)
}

/// The command that runs `program` in namespaces of its own.
pub fn secluded(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]).arg(program);
    command
}

/// The built stage.
#[derive(Debug)]
pub struct Stage {
    nodes: usize,
}

impl Stage {
    /// Builds it; to be called in namespaces of our own ([`secluded`]).
    pub fn build(nodes: usize) -> Result<Self> {
        ensure!((1..=50).contains(&nodes), "{nodes} validators are not between 1 and 50");
        std::fs::create_dir_all("/run/netns").context("cannot make /run/netns")?;
        for place in ["/run/netns", "/dev/shm"] {
            mount_memory(Path::new(place), "16m")?;
        }
        let mut script = format!("link set lo up\nlink add {BRIDGE} type bridge\n");
        script += &format!("addr add 10.77.0.1/16 dev {BRIDGE}\nlink set {BRIDGE} up\n");
        for (from, to) in pairs(nodes) {
            script += &format!("addr add {}/32 dev {BRIDGE}\n", link_address(from, to));
        }
        for node in 0..nodes {
            script += &format!("netns add node-{node}\n");
            script += &format!("link add veth-{node} type veth peer name eth0 netns node-{node}\n");
            script += &format!("link set veth-{node} master {BRIDGE} up\n");
        }
        feed("ip", &["-batch", "-"], &script)?;
        for node in 0..nodes {
            let script = format!("link set lo up\naddr add {}/16 dev eth0\nlink set eth0 up\n", host(node));
            feed("ip", &["-netns", &format!("node-{node}"), "-batch", "-"], &script)?;
        }
        let stage = Self { nodes };
        stage.cut(&BTreeSet::new())?;
        Ok(stage)
    }

    /// The program and first arguments that run something in a node's namespace.
    pub fn inside(&self, node: NodeIndex) -> (&'static str, String) {
        ("nsenter", format!("--net=/run/netns/node-{node}"))
    }

    /// What every node's namespace lets through from now on: no packet on these directed links, and
    /// never one past the proxy.
    pub fn cut(&self, links: &BTreeSet<(NodeIndex, NodeIndex)>) -> Result<()> {
        for node in 0..self.nodes {
            let others = (0..self.nodes).filter(|other| *other != node);
            let mut out: Vec<Ipv4Addr> = others.map(host).collect();
            let mut into = out.clone();
            // A link's bytes travel on connections that either end has opened.
            let both = |from, to| [link_address(from, to), link_address(to, from)];
            out.extend(links.iter().filter(|(from, _)| *from == node).flat_map(|(from, to)| both(*from, *to)));
            into.extend(links.iter().filter(|(_, to)| *to == node).flat_map(|(from, to)| both(*from, *to)));
            let list = |addresses: &[Ipv4Addr]| {
                // No overlap is allowed in a set's elements.
                let unique: BTreeSet<_> = addresses.iter().map(ToString::to_string).collect();
                unique.into_iter().collect::<Vec<_>>().join(", ")
            };
            if out.is_empty() {
                continue;
            }
            let rules = format!(
                "flush ruleset\ntable ip chaos {{\n\
                 chain out {{ type filter hook output priority 0; ip daddr {{ {} }} drop; }}\n\
                 chain in {{ type filter hook input priority 0; ip saddr {{ {} }} drop; }}\n}}\n",
                list(&out),
                list(&into)
            );
            let (program, namespace) = self.inside(node);
            feed(program, &[&namespace, "nft", "-f", "-"], &rules)?;
        }
        Ok(())
    }
}

/// The place of each member's node.
pub fn seats(members: &[Member]) -> Vec<Seat> {
    members.iter().enumerate().map(|(node, member)| Seat { member: *member, host: host(node), ports: PORTS }).collect()
}

/// All routes of the proxy.
pub fn routes(nodes: usize) -> Vec<Route> {
    let route = |(from, to)| {
        [PORTS.consensus, PORTS.mempool].map(|port| Route {
            from,
            to,
            listen: SocketAddr::from((link_address(from, to), port)),
            target: SocketAddr::from((host(to), port)),
        })
    };
    pairs(nodes).flat_map(route).collect()
}

/// The `peers` of a node's `node.json`: where it finds each other member.
pub fn peers(members: &[Member], node: NodeIndex) -> serde_json::Value {
    let others = members.iter().enumerate().filter(|(other, _)| *other != node);
    let entry = |(other, member): (NodeIndex, &Member)| {
        let address = link_address(node, other);
        let at = |port| format!("/ip4/{address}/tcp/{port}");
        let addresses = serde_json::json!({ "consensus": at(PORTS.consensus), "mempool": at(PORTS.mempool) });
        (member.id.to_owned(), addresses)
    };
    serde_json::Value::Object(others.map(entry).collect())
}

/// Mounts a file system in memory of this size.
pub fn mount_memory(place: &Path, size: &str) -> Result<()> {
    let place = place.to_str().context("a path is not UTF-8")?;
    feed("mount", &["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "qz-chaos", place], "")
}

fn host(node: NodeIndex) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, octet(11 + node))
}

fn link_address(from: NodeIndex, to: NodeIndex) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, octet(101 + from), octet(11 + to))
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).expect("Stage::build admits at most 50 nodes")
}

fn pairs(nodes: usize) -> impl Iterator<Item = (NodeIndex, NodeIndex)> {
    (0..nodes).flat_map(move |from| (0..nodes).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

/// Runs a program with this text as its input; a failure quotes its words.
fn feed(program: &str, arguments: &[&str], input: &str) -> Result<()> {
    let path = find(program).with_context(|| format!("there is no program {program}"))?;
    let mut child = Command::new(&path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", path.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {program}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {} failed ({}): {}", arguments.join(" "), output.status, words.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_distinct() {
        let mut all: Vec<Ipv4Addr> = (0..7).map(host).chain(pairs(7).map(|(a, b)| link_address(a, b))).collect();
        all.push(Ipv4Addr::new(10, 77, 0, 1));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(routes(4).len(), 24);
    }
}
