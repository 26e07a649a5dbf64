//! What will be done to the network: a list of phases that the seed alone determines.
//!
//! A phase is a set of faults that begin together, last for a while and are healed. Some phases disturb
//! no more validators than a BFT quorum does without, and then the chain must go on meanwhile; others
//! disturb more, and then only safety is demanded until they are healed.

use super::seed::Numbers;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// A validator's index.
pub type NodeIndex = usize;

/// A proposal's time may differ this much from a validator's clock (node's rule); a clock further off
/// makes its node a faulty one.
const TIMELY_MS: u64 = 5_000;

/// How a link between two nodes treats bytes, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Every byte arrives this much later.
    pub delay_ms: u64,
    /// And up to this much more.
    pub jitter_ms: u64,
    /// At most so many bytes a second; 0: any number.
    pub bytes_per_second: u64,
    /// Of a thousand chunks so many are lost once and repeated by TCP: everything behind them stalls.
    pub lost_per_mille: u64,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9; started again after `down`, or when the phase ends.
    Kill {
        /// Whom.
        nodes: Vec<NodeIndex>,
        /// For how long, if not for the whole phase.
        down: Option<Duration>,
    },
    /// kill -9 again and again, started again at once.
    CrashLoop {
        /// Whom.
        node: NodeIndex,
        /// How often.
        every: Duration,
    },
    /// SIGSTOP, later SIGCONT.
    Pause {
        /// Whom.
        nodes: Vec<NodeIndex>,
    },
    /// No packet passes between these and the others.
    Partition {
        /// One side.
        nodes: Vec<NodeIndex>,
        /// Only what these send is dropped, not what they receive.
        one_way: bool,
    },
    /// Every link of these nodes is slow.
    Slow {
        /// Whose links.
        nodes: Vec<NodeIndex>,
        /// How slow.
        shape: Shape,
    },
    /// A clock is wrong by so many milliseconds, one step after another, evenly over the phase.
    Clock {
        /// Whose.
        node: NodeIndex,
        /// By how much.
        steps_ms: Vec<i64>,
    },
    /// The disk with a node's folder is full, but for so many bytes.
    DiskFull {
        /// Whose.
        node: NodeIndex,
        /// What is left, so that different files meet the end first.
        spare: u64,
    },
    /// Nodes are killed and paused one after the other and over each other.
    Storm {
        /// In the order of their beginning.
        hits: Vec<Hit>,
    },
}

/// One blow of a storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Since the beginning of the phase.
    pub at: Duration,
    /// Whom.
    pub node: NodeIndex,
    /// SIGSTOP and SIGCONT rather than SIGKILL and a start.
    pub pause: bool,
    /// Until it may go on.
    pub lasts: Duration,
}

impl Fault {
    /// Nodes that cannot be counted on while it lasts.
    fn disturbed(&self, validators: usize) -> BTreeSet<NodeIndex> {
        match self {
            Self::Kill { nodes, .. } | Self::Pause { nodes } => nodes.iter().copied().collect(),
            Self::CrashLoop { node, .. } | Self::DiskFull { node, .. } => BTreeSet::from([*node]),
            Self::Storm { hits } => hits.iter().map(|hit| hit.node).collect(),
            Self::Partition { nodes, .. } => {
                let rest: BTreeSet<_> = (0..validators).filter(|node| !nodes.contains(node)).collect();
                let these: BTreeSet<_> = nodes.iter().copied().collect();
                if rest.len() < these.len() { rest } else { these }
            }
            Self::Slow { nodes, shape } if shape.is_severe() => nodes.iter().copied().collect(),
            Self::Slow { .. } => BTreeSet::new(),
            Self::Clock { node, steps_ms } if steps_ms.iter().any(|ms| ms.unsigned_abs() >= TIMELY_MS) => {
                BTreeSet::from([*node])
            }
            Self::Clock { .. } => BTreeSet::new(),
        }
    }
}

impl Shape {
    /// Too slow for the engine's time-outs.
    fn is_severe(&self) -> bool {
        self.delay_ms + self.jitter_ms >= 150
            || self.lost_per_mille >= 50
            || (1..64 * 1024).contains(&self.bytes_per_second)
    }
}

/// Faults that begin and are healed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The faults.
    pub faults: Vec<Fault>,
    /// From their beginning until they are healed.
    pub lasts: Duration,
}

impl Phase {
    /// Nodes that cannot be counted on in this phase.
    pub fn disturbed(&self, validators: usize) -> BTreeSet<NodeIndex> {
        self.faults.iter().flat_map(|fault| fault.disturbed(validators)).collect()
    }

    /// Whether the chain must go on in this phase.
    pub fn must_be_live(&self, validators: usize) -> bool {
        self.disturbed(validators).len() <= tolerated(validators)
    }
}

/// How many faulty validators of so many a BFT protocol does without.
pub fn tolerated(validators: usize) -> usize {
    validators.saturating_sub(1) / 3
}

/// All phases of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where it comes from.
    pub seed: u64,
    /// Validators of the network.
    pub validators: usize,
    /// One after the other, each healed before the next.
    pub phases: Vec<Phase>,
}

/// What a phase can be about. A run begins with the recipe that its seed names, so that a row of seeds
/// tries them all; the rest is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipe {
    KillOne,
    IsolateOne,
    KillTwo,
    ClockFar,
    PauseOne,
    DiskFull,
    SplitEven,
    SlowAll,
    KillAll,
    CrashLoop,
    ClockJumps,
    OneWay,
    PauseTwo,
    SlowOne,
    ClockNear,
    Lossy,
    KillAndSlow,
    DiskFullAndKill,
    PauseAndPartition,
    ClockAndKill,
    Storm,
    SplitAndStorm,
}

const RECIPES: [Recipe; 22] = [
    Recipe::KillOne,
    Recipe::IsolateOne,
    Recipe::KillTwo,
    Recipe::ClockFar,
    Recipe::PauseOne,
    Recipe::DiskFull,
    Recipe::SplitEven,
    Recipe::SlowAll,
    Recipe::KillAll,
    Recipe::CrashLoop,
    Recipe::ClockJumps,
    Recipe::OneWay,
    Recipe::PauseTwo,
    Recipe::SlowOne,
    Recipe::ClockNear,
    Recipe::Lossy,
    Recipe::KillAndSlow,
    Recipe::DiskFullAndKill,
    Recipe::PauseAndPartition,
    Recipe::ClockAndKill,
    Recipe::Storm,
    Recipe::SplitAndStorm,
];

/// Shortest phase.
const SHORTEST_MS: u64 = 4_500;
/// Longest phase of a short run; in longer runs phases are longer too.
const LONGEST_MS: u64 = 8_000;
/// Recovery after a phase and a breath, about.
const RECOVERY_MS: u64 = 3_750;

impl Plan {
    /// The plan of this seed for a run of about so many seconds.
    pub fn new(seed: u64, validators: usize, seconds: u64) -> Self {
        let mut numbers = Numbers::new(seed, 1);
        let longest_ms = LONGEST_MS.max(seconds * 125);
        let count = (seconds * 1_000 / ((SHORTEST_MS + longest_ms) / 2 + RECOVERY_MS)).max(1) as usize;
        let first = (seed.wrapping_sub(1) % RECIPES.len() as u64) as usize;
        let mut rest: Vec<_> = RECIPES.iter().copied().filter(|recipe| *recipe != RECIPES[first]).collect();
        numbers.shuffle(&mut rest);
        let recipes = std::iter::once(RECIPES[first]).chain(rest.into_iter().cycle()).take(count);
        let phases = recipes.map(|recipe| phase(recipe, validators, longest_ms, &mut numbers)).collect();
        Self { seed, validators, phases }
    }

    /// Does a clock of this node go wrong some time?
    pub fn skews(&self, node: NodeIndex) -> bool {
        self.faults().any(|fault| matches!(fault, Fault::Clock { node: whose, .. } if *whose == node))
    }

    /// Does the disk of this node become full some time?
    pub fn fills(&self, node: NodeIndex) -> bool {
        self.faults().any(|fault| matches!(fault, Fault::DiskFull { node: whose, .. } if *whose == node))
    }

    fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.phases.iter().flat_map(|phase| &phase.faults)
    }
}

fn phase(recipe: Recipe, validators: usize, longest_ms: u64, numbers: &mut Numbers) -> Phase {
    let lasts = Duration::from_millis(numbers.between(SHORTEST_MS, longest_ms));
    let few = tolerated(validators).max(1);
    let many = few + 1;
    let mut some = |count: usize| numbers.choose(count, validators);
    let faults = match recipe {
        Recipe::KillOne => vec![Fault::Kill { nodes: some(few), down: None }],
        Recipe::KillTwo => vec![Fault::Kill { nodes: some(many), down: None }],
        Recipe::KillAll => {
            let down = Duration::from_millis(numbers.between(200, 2_000));
            vec![Fault::Kill { nodes: (0..validators).collect(), down: Some(down) }]
        }
        Recipe::CrashLoop => {
            let every = Duration::from_millis(numbers.between(600, 2_500));
            vec![Fault::CrashLoop { node: numbers.below(validators), every }]
        }
        Recipe::PauseOne => vec![Fault::Pause { nodes: some(few) }],
        Recipe::PauseTwo => vec![Fault::Pause { nodes: some(many) }],
        Recipe::IsolateOne => vec![Fault::Partition { nodes: some(few), one_way: false }],
        Recipe::OneWay => vec![Fault::Partition { nodes: some(few), one_way: true }],
        Recipe::SplitEven => vec![Fault::Partition { nodes: some(validators / 2), one_way: false }],
        Recipe::SlowAll => vec![slow_all(validators, numbers)],
        Recipe::SlowOne => {
            let shape = Shape {
                delay_ms: numbers.between(200, 700),
                jitter_ms: numbers.between(0, 300),
                bytes_per_second: numbers.between(16, 63) * 1024,
                lost_per_mille: numbers.between(0, 80),
            };
            vec![Fault::Slow { nodes: numbers.choose(few, validators), shape }]
        }
        Recipe::Lossy => {
            let shape = Shape { delay_ms: 5, lost_per_mille: numbers.between(5, 40), ..Shape::default() };
            vec![Fault::Slow { nodes: (0..validators).collect(), shape }]
        }
        Recipe::ClockNear => vec![clock(validators, numbers, 500, 2_000, 1)],
        Recipe::ClockFar => vec![clock(validators, numbers, 8_000, 10_000, 1)],
        Recipe::ClockJumps => vec![clock(validators, numbers, 1_000, 10_000, 4)],
        Recipe::DiskFull => vec![disk_full(numbers.below(validators), numbers)],
        Recipe::KillAndSlow => {
            vec![Fault::Kill { nodes: some(few), down: None }, slow_all(validators, numbers)]
        }
        Recipe::DiskFullAndKill => {
            let [full, killed] = two(validators, numbers);
            let down = Duration::from_millis(numbers.between(500, 2_500));
            vec![disk_full(full, numbers), Fault::Kill { nodes: vec![killed], down: Some(down) }]
        }
        Recipe::PauseAndPartition => {
            let [paused, alone] = two(validators, numbers);
            vec![Fault::Pause { nodes: vec![paused] }, Fault::Partition { nodes: vec![alone], one_way: false }]
        }
        Recipe::Storm => vec![storm(validators, lasts, numbers)],
        Recipe::SplitAndStorm => {
            let split = Fault::Partition { nodes: some(validators / 2), one_way: false };
            vec![split, storm(validators, lasts, numbers)]
        }
        Recipe::ClockAndKill => {
            let skew = clock(validators, numbers, 1_000, 2_000, 1);
            vec![skew, Fault::Kill { nodes: numbers.choose(few, validators), down: None }]
        }
    };
    Phase { faults, lasts }
}

fn two(validators: usize, numbers: &mut Numbers) -> [NodeIndex; 2] {
    let first = numbers.below(validators);
    [first, (first + 1 + numbers.below(validators - 1)) % validators]
}

fn disk_full(node: NodeIndex, numbers: &mut Numbers) -> Fault {
    let spare = [0, 300, 5_000, 40_000, 300_000];
    Fault::DiskFull { node, spare: spare[numbers.below(spare.len())] }
}

fn storm(validators: usize, lasts: Duration, numbers: &mut Numbers) -> Fault {
    let mut hits = vec![];
    let mut at = Duration::ZERO;
    while at < lasts {
        let node = numbers.below(validators);
        let pause = numbers.one_in(3);
        hits.push(Hit { at, node, pause, lasts: Duration::from_millis(numbers.between(50, 1_500)) });
        at += Duration::from_millis(numbers.between(100, 900));
    }
    Fault::Storm { hits }
}

/// As between distant cities: slower than here, well within the engine's time-outs.
fn slow_all(validators: usize, numbers: &mut Numbers) -> Fault {
    let shape = Shape {
        delay_ms: numbers.between(10, 80),
        jitter_ms: numbers.between(0, 40),
        bytes_per_second: numbers.between(256, 1024) * 1024,
        lost_per_mille: 0,
    };
    Fault::Slow { nodes: (0..validators).collect(), shape }
}

fn clock(validators: usize, numbers: &mut Numbers, least_ms: u64, most_ms: u64, steps: usize) -> Fault {
    let node = numbers.below(validators);
    let step = |_| {
        let amount = i64::try_from(numbers.between(least_ms, most_ms)).unwrap_or(0);
        if numbers.one_in(2) { amount } else { -amount }
    };
    Fault::Clock { node, steps_ms: (0..steps).map(step).collect() }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{} ms", self.delay_ms, self.delay_ms + self.jitter_ms)?;
        if self.bytes_per_second > 0 {
            write!(f, ", {} KiB/s", self.bytes_per_second / 1024)?;
        }
        if self.lost_per_mille > 0 {
            write!(f, ", {:.1} % lost", self.lost_per_mille as f64 / 10.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &[NodeIndex]| nodes.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        match self {
            Self::Kill { nodes, down: None } => write!(f, "kill -9 {}", list(nodes)),
            Self::Kill { nodes, down: Some(down) } => {
                write!(f, "kill -9 {} for {:.1} s", list(nodes), down.as_secs_f64())
            }
            Self::CrashLoop { node, every } => write!(f, "kill -9 {node} every {:.1} s", every.as_secs_f64()),
            Self::Pause { nodes } => write!(f, "pause {}", list(nodes)),
            Self::Partition { nodes, one_way: false } => write!(f, "partition {} | others", list(nodes)),
            Self::Partition { nodes, one_way: true } => write!(f, "one-way partition {} -> others", list(nodes)),
            Self::Slow { nodes, shape } => write!(f, "slow links of {} ({shape})", list(nodes)),
            Self::Clock { node, steps_ms } => {
                let steps: Vec<_> = steps_ms.iter().map(|ms| format!("{:+.1}", *ms as f64 / 1000.0)).collect();
                write!(f, "clock of {node} off by {} s", steps.join(", "))
            }
            Self::DiskFull { node, spare } => write!(f, "disk full at {node} but for {spare} bytes"),
            Self::Storm { hits } => {
                let kills = hits.iter().filter(|hit| !hit.pause).count();
                write!(f, "storm of {kills} kills and {} pauses", hits.len() - kills)
            }
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.faults.iter().map(Fault::to_string).collect();
        write!(f, "{} ({:.1} s)", faults.join(" + "), self.lasts.as_secs_f64())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} validators, {} phases:", self.seed, self.validators, self.phases.len())?;
        for (phase, number) in self.phases.iter().zip(1..) {
            let demand = if phase.must_be_live(self.validators) { "live and safe" } else { "safe" };
            writeln!(f, "  {number}. {phase}: {demand}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        assert_eq!(Plan::new(3, 4, 60), Plan::new(3, 4, 60));
        assert_ne!(Plan::new(3, 4, 60), Plan::new(4, 4, 60));
        // Frozen: a report that names a seed must mean the same plan later.
        let text = Plan::new(1, 4, 40).to_string();
        assert_eq!(text, include_str!("plan-of-seed-1.txt"), "\n{text}");
    }

    #[test]
    fn a_row_of_seeds_begins_with_every_recipe() {
        let mut first: Vec<String> = (1..=22)
            .map(|seed| {
                let plan = Plan::new(seed, 4, 10);
                assert_eq!(plan.phases.len(), 1);
                plan.phases[0]
                    .faults
                    .iter()
                    .map(|f| f.to_string().chars().filter(|c| c.is_alphabetic()).collect::<String>())
                    .collect::<String>()
            })
            .collect();
        first.sort();
        first.dedup();
        assert!(first.len() >= 14, "{first:?}");
    }

    #[test]
    fn what_must_be_live() {
        let live = |fault: Fault| Phase { faults: vec![fault], lasts: Duration::ZERO }.must_be_live(4);
        let table = [
            (Fault::Kill { nodes: vec![1], down: None }, true),
            (Fault::Kill { nodes: vec![1, 2], down: None }, false),
            (Fault::Partition { nodes: vec![0, 1], one_way: false }, false),
            (Fault::Partition { nodes: vec![0, 1, 3], one_way: false }, true),
            (Fault::Clock { node: 0, steps_ms: vec![2_000] }, true),
            (Fault::Slow { nodes: vec![0, 1, 2, 3], shape: Shape { delay_ms: 80, ..Shape::default() } }, true),
            (Fault::Slow { nodes: vec![0, 1], shape: Shape { delay_ms: 500, ..Shape::default() } }, false),
        ];
        for (fault, expected) in table {
            assert_eq!(live(fault.clone()), expected, "{fault}");
        }
        let far = Fault::Clock { node: 0, steps_ms: vec![-9_000] };
        let both = Phase { faults: vec![far, Fault::Pause { nodes: vec![1] }], lasts: Duration::ZERO };
        assert!(!both.must_be_live(4) && both.must_be_live(7));
    }
}
