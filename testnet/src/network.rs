//! The running network: four nodes and the gateway as child processes, started, stopped, killed and
//! started again. Dropping it stops everything.

use crate::binaries::Binaries;
use crate::ceremony::{self, MEMBERS, text};
use crate::custody;
use crate::folder::{Description, Folder};
use crate::gateway;
use crate::member::MemberClient;
use crate::outside::Outside;
use crate::ports::Ports;
use crate::process::Process;
use anyhow::{Context, Result, bail, ensure};
use qz_client::Status;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest time until a started process answers.
const START: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);

/// One organisation's node.
pub struct Node {
    /// The organisation's id.
    pub id: &'static str,
    /// Its Chinese name.
    pub name_zh: &'static str,
    /// What the organisation can do with its own folder.
    pub member: MemberClient,
    process: Option<Process>,
}

impl Node {
    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

/// The network.
pub struct Network {
    /// Where everything lies.
    pub folder: Folder,
    /// The programs.
    pub binaries: Binaries,
    /// The ports.
    pub ports: Ports,
    nodes: Vec<Node>,
    gateway: Option<Process>,
    outside: Option<Outside>,
}

impl Network {
    /// Holds the ceremony; starts nothing. `progress` hears a line per step.
    pub fn found(binaries: Binaries, folder: Folder, ports: Ports, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        ceremony::hold(&binaries, &folder, &ceremony::on_loopback(&ports), &mut *progress)?;
        Self::of_folder(binaries, folder, ports)
    }

    /// Makes the gateway's folder, if it does not stand yet.
    pub fn set_up_gateway(&self) -> Result<()> {
        if gateway::is_set_up(&self.folder) {
            return Ok(());
        }
        gateway::set_up(&self.binaries, &self.folder, &self.ports)
    }

    /// The network whose ceremony stands in this folder already; starts nothing.
    pub fn of_folder(binaries: Binaries, folder: Folder, ports: Ports) -> Result<Self> {
        crate::prepare_tls();
        let node = |member: &ceremony::Member| -> Result<Node> {
            let client = MemberClient::open(&folder.organisation(member.id))?;
            Ok(Node { id: member.id, name_zh: member.name_zh, member: client, process: None })
        };
        let nodes = MEMBERS.iter().map(node).collect::<Result<_>>()?;
        Ok(Self { folder, binaries, ports, nodes, gateway: None, outside: None })
    }

    /// The network in this folder that another process supervises; only to be asked.
    pub fn unsupervised(folder: Folder, base_port: u16) -> Result<Self> {
        Self::of_folder(Binaries::locate_for_nodes()?, folder, Ports::of_running(base_port))
    }

    /// The nodes in the order of [`MEMBERS`].
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of an organisation.
    pub fn node(&self, id: &str) -> Result<&Node> {
        self.nodes.iter().find(|node| node.id == id).with_context(|| format!("there is no organisation {id}"))
    }

    fn node_mut(&mut self, id: &str) -> Result<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id).with_context(|| format!("there is no organisation {id}"))
    }

    /// The portal's address.
    pub fn portal_url(&self) -> String {
        gateway::portal_url(&self.ports)
    }

    /// Starts all nodes and waits until each answers and is healthy.
    pub async fn start_nodes(&mut self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        for member in &MEMBERS {
            self.spawn_node(member.id)?;
        }
        self.describe()?;
        for member in &MEMBERS {
            let status = self.wait_for_node(member.id, |status| status.healthy).await?;
            progress(&format!(
                "{} 节点就绪，进程 {} · node of {} is up, height {}",
                member.name_zh,
                self.node(member.id)?.pid().unwrap_or_default(),
                member.id,
                status.height
            ));
        }
        Ok(())
    }

    /// Starts one organisation's node without waiting for it.
    pub fn spawn_node(&mut self, id: &str) -> Result<()> {
        let program = self.binaries.node.clone();
        self.spawn_in_place(id, &program, &[])
    }

    /// Starts another program in the place of an organisation's node; it takes the same arguments.
    pub fn spawn_in_place(&mut self, id: &str, program: &Path, environment: &[(&str, &str)]) -> Result<()> {
        let home = self.folder.organisation(id);
        let log = self.folder.logs().join(format!("node-{id}.log"));
        let node = self.node_mut(id)?;
        ensure!(node.process.is_none(), "the node of {id} runs already");
        let passphrase = custody::passphrase_file(&home);
        // As in the service unit of docs/operations.
        let mut all = vec![(custody::VARIABLE, text(&passphrase)?), ("MIMALLOC_PURGE_DELAY", "-1")];
        all.extend_from_slice(environment);
        let name = program.file_name().unwrap_or_default().display();
        let arguments = ["run", "--home", text(&home)?];
        node.process = Some(Process::spawn(&format!("{name} ({id})"), program, &arguments, &all, &log)?);
        Ok(())
    }

    /// Stops one organisation's node in good order.
    pub fn stop_node(&mut self, id: &str) -> Result<()> {
        self.node_mut(id)?.process.take().with_context(|| format!("the node of {id} does not run"))?.stop();
        self.describe()
    }

    /// Waits until a node's status satisfies `wanted`; an error if its process ends or time runs out.
    pub async fn wait_for_node(&mut self, id: &str, wanted: impl Fn(&Status) -> bool) -> Result<Status> {
        let deadline = Instant::now() + START;
        loop {
            let node = self.node_mut(id)?;
            node.process.as_mut().with_context(|| format!("the node of {id} was not started"))?.check_running()?;
            let last = match node.member.status().await {
                Ok(status) if wanted(&status) => return Ok(status),
                Ok(status) => format!("{status:?}"),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                let log = node.process.as_ref().map(|p| p.log().display().to_string()).unwrap_or_default();
                bail!("节点 {id} 未在 {} 秒内就绪 · node of {id} is not ready: {last}; log {log}", START.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts the gateway with additional environment variables and waits until it answers.
    pub async fn start_gateway(&mut self, environment: &[(&str, &str)]) -> Result<()> {
        self.spawn_gateway(environment)?;
        let log = self.gateway_process()?.log().to_owned();
        let health = format!("http://127.0.0.1:{}/health", self.ports.gateway());
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let deadline = Instant::now() + START;
        loop {
            self.gateway_process()?.check_running()?;
            let answer = http.get(&health).send().await;
            match answer {
                Ok(response) if response.status().is_success() => return Ok(()),
                _ if Instant::now() > deadline => {
                    bail!("网关未在 {} 秒内就绪 · the gateway is not ready; log {}", START.as_secs(), log.display())
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Starts the gateway without waiting for it.
    pub fn spawn_gateway(&mut self, environment: &[(&str, &str)]) -> Result<()> {
        ensure!(self.gateway.is_none(), "the gateway runs already");
        self.set_up_gateway()?;
        if self.outside.is_none() {
            self.outside = Some(Outside::spawn(&self.binaries, &self.folder, &self.ports)?);
        }
        let home = self.folder.gateway();
        let log = self.folder.logs().join("gateway.log");
        let arguments = ["serve", "--home", text(&home)?];
        // The gateway relays for the platform and so needs its relay key.
        let passphrase = custody::passphrase_file(&self.folder.organisation(gateway::PLATFORM));
        let environment = [environment, &[(custody::VARIABLE, text(&passphrase)?)]].concat();
        self.gateway = Some(Process::spawn("qz-gateway", &self.binaries.gateway, &arguments, &environment, &log)?);
        self.describe()
    }

    fn gateway_process(&mut self) -> Result<&mut Process> {
        self.gateway.as_mut().context("the gateway was not started")
    }

    /// Waits until the gateway's process ends by itself; an error if it does not.
    pub async fn wait_for_gateway_end(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.gateway_process()?.ended().is_none() {
            ensure!(Instant::now() < deadline, "the gateway still runs after {limit:?}");
            tokio::time::sleep(POLL).await;
        }
        self.gateway = None;
        Ok(())
    }

    /// kill -9 of one organisation's node.
    pub fn kill9(&mut self, id: &str) -> Result<()> {
        let node = self.node_mut(id)?;
        node.process.take().with_context(|| format!("the node of {id} does not run"))?.kill9();
        self.describe()
    }

    /// kill -9 of the gateway.
    pub fn kill9_gateway(&mut self) -> Result<()> {
        self.gateway.take().context("the gateway does not run")?.kill9();
        self.describe()
    }

    /// Starts a stopped or killed node again and waits until it is healthy and has reached `height`.
    pub async fn restart(&mut self, id: &str, height: u64) -> Result<Status> {
        self.spawn_node(id)?;
        self.describe()?;
        self.wait_for_node(id, |status| status.healthy && status.height >= height).await
    }

    /// An error if any process that should run has ended.
    pub fn check_running(&mut self) -> Result<()> {
        for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()).chain(self.gateway.as_mut()) {
            process.check_running()?;
        }
        Ok(())
    }

    /// Status of every node; an error text for one that does not answer.
    pub async fn status(&self) -> Vec<(&'static str, Result<Status, String>)> {
        let mut all = vec![];
        for node in &self.nodes {
            all.push((node.id, node.member.status().await.map_err(|error| error.to_string())));
        }
        all
    }

    /// The greatest height that any node reports.
    pub async fn height(&self) -> u64 {
        self.status()
            .await
            .into_iter()
            .filter_map(|(_, status)| status.ok())
            .map(|status| status.height)
            .max()
            .unwrap_or(0)
    }

    /// Stops everything: the gateway first, then all nodes at once.
    pub fn stop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.stop();
        }
        if let Some(mut outside) = self.outside.take() {
            outside.stop();
        }
        let mut nodes: Vec<_> = self.nodes.iter_mut().filter_map(|node| node.process.take()).collect();
        for process in &mut nodes {
            process.ask_to_stop();
        }
        for process in &mut nodes {
            process.wait_or_kill();
        }
    }

    fn describe(&self) -> Result<()> {
        let nodes = self.nodes.iter().filter_map(|node| Some((format!("node-{}", node.id), node.pid()?)));
        let gateway = self.gateway.as_ref().map(|process| ("gateway".to_owned(), process.pid()));
        let outside = self.outside.iter().flat_map(Outside::pids);
        let processes = nodes.chain(gateway).chain(outside).collect();
        self.folder.describe(&Description::new(self.ports.base(), self.portal_url(), processes))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop();
    }
}
