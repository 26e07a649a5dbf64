//! Named steps at which a test may end the process, as `kill -9` would, to prove that whatever such an end
//! leaves is recovered from: `QZ_FAILPOINT=name`, or `name@3` for the third time that the step is reached.
//! Present in builds with debug assertions only.

/// The steps from a proposal to its block's finality, in their order. What a crash at each leaves is said
/// where the step is.
pub const STEPS: [&str; 10] = [
    "proposal.own_saved",
    "proposal.saved",
    "vote.journalled",
    "commit.decided",
    "commit.checked",
    "commit.built",
    "commit.written",
    "commit.marked",
    "commit.announced",
    "commit.forgotten",
];

/// Ends the process here if the environment names this step.
pub fn reached(step: &str) {
    #[cfg(debug_assertions)]
    {
        use std::sync::OnceLock;
        use std::sync::atomic::{AtomicU64, Ordering};
        static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static TIMES: AtomicU64 = AtomicU64::new(0);
        let wanted = WANTED.get_or_init(|| {
            let wanted = std::env::var("QZ_FAILPOINT").ok()?;
            let (name, times) = wanted.split_once('@').unwrap_or((&wanted, "1"));
            Some((name.to_owned(), times.parse().unwrap_or(1)))
        });
        if let Some((name, times)) = wanted
            && name == step
            && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == *times
        {
            eprintln!("failpoint {step} reached: aborting");
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = step;
}
