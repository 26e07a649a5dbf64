//! What a person sees: numbered steps, notes, checks that pass or end the run, and a summary.

use anyhow::{Result, bail};
use std::time::Instant;

/// One check that was made.
#[derive(Clone, Debug)]
struct Check {
    step: usize,
    words: String,
}

/// Progress and checks of a run.
#[derive(Debug)]
pub struct Screen {
    total: usize,
    step: usize,
    start: Instant,
    checks: Vec<Check>,
    facts: Vec<(String, String)>,
}

impl Screen {
    /// A run of `total` steps.
    pub fn new(total: usize) -> Self {
        Self { total, step: 0, start: Instant::now(), checks: vec![], facts: vec![] }
    }

    /// Begins the next step.
    pub fn step(&mut self, zh: &str, en: &str) {
        self.step += 1;
        println!("\n[{:>2}/{}] {zh} · {en}  ({:.1} s)", self.step, self.total, self.start.elapsed().as_secs_f64());
    }

    /// A line of progress.
    pub fn note(&self, text: &str) {
        println!("        {text}");
    }

    /// Lines of another program's output.
    pub fn quote(&self, text: &str) {
        for line in text.lines() {
            println!("        │ {line}");
        }
    }

    /// A check: passes, or ends the run with its words.
    pub fn check(&mut self, words: &str, holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
        if !holds {
            println!("      ✗ {words}");
            bail!("第 {} 步检查未通过 · check failed in step {}: {words}: {}", self.step, self.step, otherwise());
        }
        self.confirm(words);
        Ok(())
    }

    /// A check that has been made: what would have failed it has ended the run as an error before.
    pub fn confirm(&mut self, words: &str) {
        println!("      ✓ {words}");
        self.checks.push(Check { step: self.step, words: words.to_owned() });
    }

    /// A figure for the summary.
    pub fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    /// How many checks passed.
    pub fn passed(&self) -> usize {
        self.checks.len()
    }

    /// The summary of a run that reached its end.
    pub fn summary(&self) {
        println!("\n──── 结果 Summary ────");
        for Check { step, words } in &self.checks {
            println!("  ✓ [{step:>2}] {words}");
        }
        println!();
        for (name, value) in &self.facts {
            println!("  {name}: {value}");
        }
        println!(
            "  {} 项检查全部通过 · all {} checks passed, {:.1} s",
            self.checks.len(),
            self.checks.len(),
            self.start.elapsed().as_secs_f64()
        );
    }
}
