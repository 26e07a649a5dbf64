//! One run: the stage is set, the network founded and loaded, the plan carried out, everything healed
//! and compared.

use super::audit::Walk;
use super::cluster::Cluster;
use super::doctor;
use super::load::{Ground, Load};
use super::plan::{Fault, Hit, Phase, Plan, tolerated};
use super::report::{PhaseReport, Report};
use super::stage::{self, Stage};
use crate::binaries::Binaries;
use crate::ceremony::{MEMBERS, Member};
use crate::folder::Folder;
use crate::proxy::{Links, Proxy};
use anyhow::{Context, Result, bail, ensure};
use qz_client::Status;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often nodes are looked after and faults move on.
const TICK: Duration = Duration::from_millis(100);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(1);
/// Longest time until a founded network answers.
const START: Duration = Duration::from_secs(90);
/// Longest time until a healed network goes on with everybody.
const RECOVERY: Duration = Duration::from_secs(60);
/// Quiet running after a recovery, so that a phase finds a steady state.
const BREATH: Duration = Duration::from_millis(1_500);
/// A phase in which the chain must go on has no longer gap between blocks than this.
const STALL: Duration = Duration::from_secs(15);
/// Parties that submit.
const WORKERS: usize = 8;
/// More validators than the default consortium has.
const MORE_MEMBERS: [Member; 3] = [
    Member {
        id: "notary2", name_zh: "第二演示公证处", name_en: "Second Demo Notary Office", roles: "notary,attestor"
    },
    Member { id: "court2", name_zh: "第二演示法院", name_en: "Second Demo Court", roles: "court" },
    Member {
        id: "arbitration2", name_zh: "第二演示仲裁委", name_en: "Second Demo Arbitration", roles: "arbitration"
    },
];

/// What a run is about.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What will be done.
    pub plan: Plan,
    /// Submissions a second, all parties together.
    pub rate: f64,
}

struct Run {
    cluster: Cluster,
    links: Arc<Links>,
    load: Load,
    walk: Walk,
    start: Instant,
    line_at: Instant,
    report: Report,
}

/// Carries out a plan in `folder`; to be called in namespaces of our own. An error is a failure of the
/// run itself; what is wrong with the network stands in the report.
pub async fn run(settings: &Settings, folder: Folder) -> Result<Report> {
    let start = Instant::now();
    let plan = &settings.plan;
    let members: Vec<Member> = MEMBERS.iter().chain(&MORE_MEMBERS).copied().take(plan.validators).collect();
    ensure!(members.len() == plan.validators, "at most {} validators", MEMBERS.len() + MORE_MEMBERS.len());
    let stage = Stage::build(members.len())?;
    let links = Links::new(members.len());
    let proxy = Proxy::start(&stage::routes(members.len()), &links)?;
    let seats = stage::seats(&members);
    let mut cluster = Cluster::found(Binaries::locate_for_nodes()?, folder, stage, &seats, plan)?;
    for node in 0..members.len() {
        cluster.start(node)?;
    }
    wait_until_all_answer(&mut cluster).await?;
    let (load, parties) = prepare_load(&cluster).await?;
    let walk = Walk::new(&cluster)?;
    let report = Report::new(plan, &members);
    let mut run = Run { cluster, links, load, walk, start, line_at: start, report };
    println!("  {:>5.1} s  network is up, {} parties registered", start.elapsed().as_secs_f64(), parties.len());
    run.load.start(parties, settings.rate, plan.seed);
    run.idle(BREATH).await?;
    for (phase, number) in plan.phases.iter().zip(1..) {
        let result = run.phase(phase, number, plan.phases.len()).await;
        result.with_context(|| format!("phase {number}: {phase}"))?;
    }
    let report = run.finish().await?;
    // After the nodes, so that their connections end with them and not before.
    drop(proxy);
    Ok(report)
}

async fn wait_until_all_answer(cluster: &mut Cluster) -> Result<()> {
    let deadline = Instant::now() + START;
    while !cluster
        .statuses()
        .await
        .iter()
        .flatten()
        .filter(|s| s.healthy && s.height > 0)
        .count()
        .eq(&cluster.nodes().len())
    {
        cluster.tend()?;
        if let Some(end) = cluster.own_ends.first() {
            bail!("node {} ended at its first start: {}", end.node, end.words);
        }
        ensure!(Instant::now() < deadline, "the network is not up after {} s", START.as_secs());
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}

async fn prepare_load(cluster: &Cluster) -> Result<(Load, Vec<crate::party::Party>)> {
    let attestor = cluster.nodes().iter().find(|node| node.seat.member.roles.contains("attestor"));
    let attestor = attestor.context("no member may attest keys")?;
    let clients = cluster.folder.clients();
    let ground = Ground {
        homes: cluster.nodes().iter().map(|node| node.home()).collect::<Vec<&Path>>(),
        attestor: attestor.member.office()?,
        attestor_id: attestor.id(),
        clients: &clients,
    };
    Load::prepare(&ground, WORKERS).await
}

impl Run {
    /// Faults, healing, recovery, comparison.
    async fn phase(&mut self, phase: &Phase, number: usize, of: usize) -> Result<()> {
        let validators = self.cluster.nodes().len();
        let live = phase.must_be_live(validators);
        println!("{:>7.1} s  phase {number}/{of}: {phase}", self.start.elapsed().as_secs_f64());
        let acknowledged = self.load.book().count_acknowledged();
        let before = highest(&self.cluster.statuses().await);
        let started = Instant::now();
        let mut schedule = Schedule::new(phase, started);
        let (mut height, mut rose, mut gap) = (before, Instant::now(), Duration::ZERO);
        while started.elapsed() < phase.lasts {
            schedule.advance(&mut self.cluster, &self.links)?;
            let now = highest(&self.tick().await?);
            if now > height {
                (height, rose) = (now, Instant::now());
            }
            gap = gap.max(rose.elapsed());
        }
        schedule.heal(&mut self.cluster, &self.links)?;
        let healed = Instant::now();
        println!("{:>7.1} s  healed", self.start.elapsed().as_secs_f64());
        if live && gap > STALL {
            let words = format!(
                "phase {number}: no block for {:.1} s with at most {} faulty",
                gap.as_secs_f64(),
                tolerated(validators)
            );
            self.report.violations.push(words);
        }
        let recovered = self.recover(number, height).await?;
        let common = self.cluster.statuses().await.iter().flatten().map(|status| status.height).min().unwrap_or(0);
        if recovered {
            self.walk.extend(&mut self.cluster, common).await?;
        }
        self.report.phases.push(PhaseReport {
            faults: phase.to_string(),
            must_be_live: live,
            blocks: height - before,
            longest_gap_ms: millis(gap),
            recovered_after_ms: recovered.then(|| millis(healed.elapsed())),
            acknowledged: self.load.book().count_acknowledged() - acknowledged,
        });
        self.idle(BREATH).await
    }

    /// Waits until every node goes on: healthy, together, and above what was reached before.
    async fn recover(&mut self, number: usize, before: u64) -> Result<bool> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let statuses = self.tick().await?;
            let all: Vec<_> = statuses.iter().flatten().filter(|status| status.healthy).collect();
            let heights = all.iter().map(|status| status.height);
            let (low, high) = (heights.clone().min().unwrap_or(0), heights.max().unwrap_or(0));
            if all.len() == statuses.len() && low >= before + 2 && high - low <= 2 {
                return Ok(true);
            }
            if Instant::now() > deadline {
                let words = format!(
                    "phase {number}: not everybody goes on {} s after healing: {}",
                    RECOVERY.as_secs(),
                    describe(&statuses)
                );
                self.report.violations.push(words);
                return Ok(false);
            }
        }
    }

    async fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.tick().await?;
        }
        Ok(())
    }

    /// Looks after the nodes, prints a line now and then, gives everybody's status.
    async fn tick(&mut self) -> Result<Vec<Option<Status>>> {
        tokio::time::sleep(TICK).await;
        self.cluster.tend()?;
        let statuses = self.cluster.statuses().await;
        if self.line_at.elapsed() >= LINE {
            self.line_at = Instant::now();
            println!(
                "{:>7.1} s  heights {}  acknowledged {}",
                self.start.elapsed().as_secs_f64(),
                describe(&statuses),
                self.load.book().count_acknowledged()
            );
        }
        Ok(statuses)
    }

    /// Ends the load, waits for one head, compares everything, stops the nodes and examines their stores.
    async fn finish(mut self) -> Result<Report> {
        println!("{:>7.1} s  the load ends; comparing everything", self.start.elapsed().as_secs_f64());
        let book = self.load.finish(RECOVERY).await?;
        self.report.violations.extend(book.unacknowledged());
        self.report.violations.extend(book.violations.iter().cloned());
        match one_head(&mut self.cluster).await? {
            Some(head) => {
                self.walk.extend(&mut self.cluster, head.height).await?;
                self.report.height = head.height;
                let facts = self.walk.against_book(&self.cluster, &book).await?;
                self.report.compared(&facts);
            }
            None => self.report.violations.push("the nodes do not come to one head".to_owned()),
        }
        self.report.violations.append(&mut self.walk.violations);
        self.report.book(&book);
        if let Err(error) = self.cluster.stop() {
            self.report.violations.push(format!("{error:#}"));
        }
        self.cluster.gather_journals()?;
        self.report.violations.extend(self.cluster.journals.doubles());
        self.report.blocks = self.walk.blocks();
        self.report.later_rounds = self.walk.later_rounds;
        self.report.signatures = self.cluster.journals.count();
        self.report.own_ends(&self.cluster.own_ends);
        doctor::examine(&self.cluster, &mut self.report);
        self.report.seconds = self.start.elapsed().as_secs_f64();
        Ok(self.report)
    }
}

/// Waits until all nodes name the same head.
async fn one_head(cluster: &mut Cluster) -> Result<Option<Status>> {
    let deadline = Instant::now() + RECOVERY;
    while Instant::now() < deadline {
        cluster.tend()?;
        let statuses = cluster.statuses().await;
        let heads: BTreeSet<_> = statuses.iter().flatten().map(|s| (s.height, s.header_hash, s.state_root)).collect();
        if heads.len() == 1 && statuses.iter().all(|status| status.as_ref().is_some_and(|s| s.mempool == 0)) {
            return Ok(statuses.into_iter().flatten().next());
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(None)
}

/// What of a phase happens when.
struct Schedule<'a> {
    phase: &'a Phase,
    started: Instant,
    /// Next event of each fault.
    steps: Vec<u32>,
    /// Blows of a storm that last.
    hits: Vec<Hit>,
}

impl<'a> Schedule<'a> {
    fn new(phase: &'a Phase, started: Instant) -> Self {
        Self { phase, started, steps: vec![0; phase.faults.len()], hits: vec![] }
    }

    /// Does what is due.
    fn advance(&mut self, cluster: &mut Cluster, links: &Links) -> Result<()> {
        let since = self.started.elapsed();
        let (over, lasting) = self.hits.drain(..).partition::<Vec<_>, _>(|hit| hit.at + hit.lasts <= since);
        self.hits = lasting;
        for hit in over {
            end(&hit, cluster)?;
        }
        for (fault, step) in self.phase.faults.iter().zip(&mut self.steps) {
            let due = match fault {
                Fault::Kill { down, .. } => [Some(Duration::ZERO), *down].get(*step as usize).copied().flatten(),
                Fault::CrashLoop { every, .. } => Some(*every * *step),
                Fault::Clock { steps_ms, .. } => {
                    let count = u32::try_from(steps_ms.len()).unwrap_or(1);
                    (*step < count).then(|| self.phase.lasts * *step / count)
                }
                Fault::Storm { hits } => hits.get(*step as usize).map(|hit| hit.at),
                Fault::Pause { .. } | Fault::Partition { .. } | Fault::Slow { .. } | Fault::DiskFull { .. } => {
                    (*step == 0).then_some(Duration::ZERO)
                }
            };
            if due.is_some_and(|due| self.started.elapsed() >= due) {
                apply(fault, *step, cluster, links)?;
                if let Fault::Storm { hits } = fault {
                    self.hits.extend(hits.get(*step as usize));
                }
                *step += 1;
            }
        }
        Ok(())
    }

    /// Undoes everything.
    fn heal(&self, cluster: &mut Cluster, links: &Links) -> Result<()> {
        for fault in &self.phase.faults {
            match fault {
                Fault::Kill { nodes, .. } => nodes.iter().try_for_each(|node| cluster.start(*node))?,
                Fault::CrashLoop { node, .. } => cluster.start(*node)?,
                Fault::Pause { nodes } => nodes.iter().for_each(|node| cluster.resume(*node)),
                Fault::Partition { .. } => cluster.stage().cut(&BTreeSet::new())?,
                Fault::Slow { .. } => links.clear(),
                Fault::Clock { node, .. } => cluster.set_clock(*node, 0)?,
                Fault::DiskFull { node, .. } => cluster.free_disk(*node)?,
                Fault::Storm { hits } => hits.iter().try_for_each(|hit| end(hit, cluster))?,
            }
        }
        Ok(())
    }
}

/// Step `step` of a fault.
fn apply(fault: &Fault, step: u32, cluster: &mut Cluster, links: &Links) -> Result<()> {
    match fault {
        Fault::Kill { nodes, .. } if step == 0 => nodes.iter().for_each(|node| cluster.kill(*node)),
        Fault::Kill { nodes, .. } => nodes.iter().try_for_each(|node| cluster.start(*node))?,
        Fault::CrashLoop { node, .. } => {
            cluster.kill(*node);
            cluster.start(*node)?;
        }
        Fault::Pause { nodes } => nodes.iter().for_each(|node| cluster.pause(*node)),
        Fault::Partition { nodes, one_way } => {
            let others = (0..cluster.nodes().len()).filter(|node| !nodes.contains(node));
            let mut cut = BTreeSet::new();
            for other in others {
                cut.extend(nodes.iter().map(|node| (*node, other)));
                if !one_way {
                    cut.extend(nodes.iter().map(|node| (other, *node)));
                }
            }
            cluster.stage().cut(&cut)?;
        }
        Fault::Slow { nodes, shape } => nodes.iter().for_each(|node| links.shape_all_of(*node, *shape)),
        Fault::Clock { node, steps_ms } => {
            let offset = steps_ms.get(step as usize).copied().unwrap_or(0);
            cluster.set_clock(*node, offset)?;
        }
        Fault::DiskFull { node, spare } => cluster.fill_disk(*node, *spare)?,
        Fault::Storm { hits } => match hits.get(step as usize) {
            Some(hit) if hit.pause => cluster.pause(hit.node),
            Some(hit) => cluster.kill(hit.node),
            None => {}
        },
    }
    Ok(())
}

/// Undoes a blow of a storm; one that hit the same node since is undone with it.
fn end(hit: &Hit, cluster: &mut Cluster) -> Result<()> {
    cluster.resume(hit.node);
    cluster.start(hit.node)
}

fn highest(statuses: &[Option<Status>]) -> u64 {
    statuses.iter().flatten().map(|status| status.height).max().unwrap_or(0)
}

fn describe(statuses: &[Option<Status>]) -> String {
    let one = |status: &Option<Status>| match status {
        Some(status) if status.healthy => status.height.to_string(),
        Some(status) => format!("{}!", status.height),
        None => "-".to_owned(),
    };
    statuses.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
