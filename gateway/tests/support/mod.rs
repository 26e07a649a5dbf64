//! A real gateway process before a real ledger: one `qz-node` (the platform's, the only validator; the
//! notary only attests), in a temporary folder. Dropping it kills both.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod api;
pub mod authorities;
pub mod party;

use qz_evidence::OrgId;
use qz_evidence::genesis::Role;
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::NewOrganisation;
use qz_genesis::{Home, ceremony};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use api::Api;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    folder: tempfile::TempDir,
    node: Child,
    gateway: Option<Child>,
    starts: usize,
    port: u16,
    pub token: String,
}

impl World {
    /// Ceremony, node, `admin init`, a token, gateway.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_configured(environment, |_| vec![]).await
    }

    /// `flags`: further ones of `admin init`, given the folder in which the organisations' are.
    pub async fn start_configured(environment: &[(&str, &str)], flags: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports(4);
        found(folder.path(), &ports);
        let log = std::fs::File::create(folder.path().join("node.log")).unwrap();
        let node = Command::new(beside("qz-node"))
            .args(["run", "--home"])
            .arg(folder.path().join("platform"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut world = Self { folder, node, gateway: None, starts: 0, port: ports[3], token: String::new() };
        let listen = format!("127.0.0.1:{}", world.port);
        let organisation = world.path("platform");
        let flags = flags(world.folder.path());
        let init = ["init", "--organisation", organisation.to_str().unwrap(), "--listen", &listen];
        let init: Vec<&str> = init.into_iter().chain(flags.iter().map(String::as_str)).collect();
        let init = world.admin(&init);
        assert!(init.status.success(), "{}", text(&init));
        world.token = world.create_token("test");
        world.start_gateway(environment).await;
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn genesis(&self) -> Vec<u8> {
        std::fs::read(self.path("platform/genesis.qz")).unwrap()
    }

    /// `qz-gateway admin …` on this gateway's folder.
    pub fn admin(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
        command.arg("admin").args(arguments).arg("--home").arg(self.path("gateway")).output().unwrap()
    }

    pub fn create_token(&self, name: &str) -> String {
        let made = self.admin(&["token", "create", "--name", name]);
        assert!(made.status.success(), "{}", text(&made));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// A second process in the same folder.
    pub fn second_gateway(&self) -> Output {
        self.serve().output().unwrap()
    }

    fn serve(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
        command.args(["serve", "--home"]).arg(self.path("gateway")).stdin(Stdio::null());
        command
    }

    pub async fn start_gateway(&mut self, environment: &[(&str, &str)]) {
        self.starts += 1;
        let log = std::fs::File::create(self.path(&format!("gateway-{}.log", self.starts))).unwrap();
        let mut command = self.serve();
        command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(log);
        assert!(self.gateway.replace(command.spawn().unwrap()).is_none());
        let start = Instant::now();
        let api = self.api();
        while api.get("/v1/status").await.0 != 200 {
            assert!(start.elapsed() < PATIENCE, "gateway or node do not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL.
    pub fn kill_gateway(&mut self) {
        let mut child = self.gateway.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; gives the exit code.
    pub fn stop_gateway(&mut self) -> Option<i32> {
        let mut child = self.gateway.take().unwrap();
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait().unwrap().code()
    }

    /// Waits until the gateway has ended by itself; was it by a signal?
    pub async fn gateway_died(&mut self) -> bool {
        let start = Instant::now();
        let child = self.gateway.as_mut().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                self.gateway = None;
                return status.code().is_none();
            }
            assert!(start.elapsed() < PATIENCE, "the gateway still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SQL on the database of a stopped gateway.
    pub async fn sql(&self, statement: &str) {
        use sea_orm::ConnectionTrait;
        assert!(self.gateway.is_none(), "stop the gateway first");
        let url = format!("sqlite://{}", self.path("gateway/gateway.sqlite").display());
        let database = sea_orm::Database::connect(url).await.unwrap();
        database.execute_unprepared(statement).await.unwrap();
        database.close().await.unwrap();
    }

    pub fn api(&self) -> Api {
        self.api_as(&self.token)
    }

    pub fn api_as(&self, token: &str) -> Api {
        Api::new(self.port, token)
    }

    pub fn organisation(&self, id: &str) -> Home {
        Home::open(&self.path(id)).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.gateway.iter_mut().chain([&mut self.node]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for number in 1..=self.starts {
                let log = std::fs::read_to_string(self.path(&format!("gateway-{number}.log"))).unwrap_or_default();
                eprintln!("--- gateway-{number}.log\n{log}");
            }
            let log = std::fs::read_to_string(self.path("node.log")).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(15).collect();
            eprintln!("--- node.log (tail)\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Another program of the workspace, built beside this one.
fn beside(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_qz-gateway")).with_file_name(name);
    assert!(path.is_file(), "{} is missing: cargo build -p {name}", path.display());
    path
}

fn found(folder: &Path, ports: &[u16]) {
    let organisation = |id: &str, roles: Vec<Role>, validator| {
        let new = NewOrganisation {
            id: OrgId::new(id).unwrap(),
            name_zh: format!("测试机构{id}"),
            name_en: format!("Test {id}"),
            roles,
            validator,
        };
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Home::create(&folder.join(id), new, today).unwrap()
    };
    let validator = ValidatorDescription {
        power: 1,
        consensus_address: format!("/ip4/127.0.0.1/tcp/{}", ports[0]),
        mempool_address: format!("/ip4/127.0.0.1/tcp/{}", ports[1]),
        rpc_url: format!("https://127.0.0.1:{}", ports[2]),
    };
    let homes = [
        organisation("notary", vec![Role::Notary, Role::Attestor], None),
        organisation("platform", vec![Role::Platform], Some(validator)),
    ];
    let cards: Vec<_> = homes.iter().map(|home| home.card().unwrap()).collect();
    let body = ceremony::assemble("测试联盟", &cards, 1_700_000_000_000, true).unwrap().body;
    let sign = |home| qz_evidence::encode(&ceremony::sign(home, &body, None).unwrap());
    let signatures: Vec<_> = homes.iter().map(sign).collect();
    let genesis = ceremony::finish(&body, &signatures).unwrap();
    for home in &homes {
        std::fs::write(home.genesis_path(), genesis.bytes()).unwrap();
    }
}

pub fn free_port() -> u16 {
    free_ports(1)[0]
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
