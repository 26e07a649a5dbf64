//! The figures of a run, as one line of JSON or as a table for people.

use super::calibration::Hardware;
use super::generator::Slice;
use super::measure::median;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One slice of load with what was measured around it.
#[derive(Clone, Debug)]
pub struct Round {
    /// Submissions per second that were due.
    pub rate: f64,
    /// What became of them.
    pub slice: Slice,
    /// The hardware just before and just after.
    pub hardware: [Hardware; 2],
    /// CPU seconds of all validators.
    pub validators_cpu_s: f64,
    /// CPU seconds of this program.
    pub generator_cpu_s: f64,
    /// From the first submission to the last answer.
    pub wall_s: f64,
    /// Growth of one validator's store.
    pub store_bytes: u64,
    /// Blocks with records.
    pub blocks: u64,
}

impl Round {
    /// L around this slice.
    pub fn limit(&self, signatures: f64, subjects: f64) -> f64 {
        let sum: f64 = self.hardware.iter().map(|hardware| hardware.limit(signatures, subjects)).sum();
        sum / 2.0
    }

    /// CPU microseconds of all validators for one record.
    pub fn cpu_us_per_record(&self) -> f64 {
        self.validators_cpu_s * 1e6 / self.slice.finalised as f64
    }

    fn least_cpu_us(&self, signatures: f64, subjects: f64) -> f64 {
        let sum: f64 = self.hardware.iter().map(|hardware| hardware.least_cpu_s(signatures, subjects)).sum();
        sum / 2.0 * 1e6
    }
}

/// Everything that `load` prints. Rates and ratios are medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Cargo profile of the programs: `dev` (own crates lightly optimised, debug assertions) or `release`.
    pub profile: &'static str,
    /// Validators.
    pub validators: usize,
    /// Rounds that were measured.
    pub rounds: usize,
    /// Submissions per second that were due.
    pub offered_per_s: f64,
    /// Records per second that became final.
    pub finalised_per_s: f64,
    /// V, per second.
    #[serde(rename = "V")]
    pub verifications_per_s: f64,
    /// J, microseconds.
    #[serde(rename = "J_us")]
    pub update_us: f64,
    /// Signatures per record.
    pub s: f64,
    /// Subjects per record.
    pub u: f64,
    /// L, records per second.
    #[serde(rename = "L")]
    pub limit: f64,
    /// Median of finalised/L of each round.
    pub ratio: f64,
    /// CPU microseconds per record, all validators.
    pub cpu_us_per_record: f64,
    /// The same as a multiple of 4·(s/V + u·J); the target is at most 2.
    pub cpu_ratio: f64,
    /// CPU microseconds per record of the load generator.
    pub generator_cpu_us_per_record: f64,
    /// Cores that the validators got, of those that the machine has.
    pub validator_cores: f64,
    /// Latency from due to final, of all rounds together.
    pub p50_ms: f64,
    /// 90 %.
    pub p90_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Longest time without anything final.
    pub longest_gap_ms: f64,
    /// Growth of one validator's store per record, as it lies on disk just then.
    pub bytes_per_record: f64,
    /// Records in a block that has any.
    pub records_per_block: f64,
    /// Submissions that were due, in all rounds.
    pub offered: usize,
    /// Those that became final.
    pub finalised: usize,
    /// Accepted, but not final in time.
    pub unfinished: usize,
    /// Refusals by code.
    pub refused: BTreeMap<String, usize>,
    /// Latencies at half of the saturation rate, if that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_load: Option<HalfLoad>,
}

/// Latencies at half of the saturation rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HalfLoad {
    /// Submissions per second that were due.
    pub offered_per_s: f64,
    /// 50 %.
    pub p50_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Report {
    /// Puts rounds together.
    pub fn of(rounds: &[Round], validators: usize, s: f64, u: f64) -> Self {
        let each = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of));
        let total = |of: &dyn Fn(&Round) -> usize| rounds.iter().map(of).sum::<usize>();
        let mut all = Slice::default();
        for Round { slice, .. } in rounds {
            all.latencies_ms.extend(&slice.latencies_ms);
            for (code, count) in &slice.refused {
                *all.refused.entry(code.clone()).or_default() += count;
            }
        }
        all.latencies_ms.sort_by(f64::total_cmp);
        let hardware = |of: &dyn Fn(&Hardware) -> f64| median(rounds.iter().flat_map(|r| &r.hardware).map(of));
        Self {
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            validators,
            rounds: rounds.len(),
            offered_per_s: each(&|r| r.rate),
            finalised_per_s: each(&|r| r.slice.finalised_per_s),
            verifications_per_s: hardware(&|h| h.verifications_per_s),
            update_us: hardware(&|h| h.update_s * 1e6),
            s,
            u,
            limit: each(&|r| r.limit(s, u)),
            ratio: each(&|r| r.slice.finalised_per_s / r.limit(s, u)),
            cpu_us_per_record: each(&Round::cpu_us_per_record),
            cpu_ratio: each(&|r| r.cpu_us_per_record() / r.least_cpu_us(s, u)),
            generator_cpu_us_per_record: each(&|r| r.generator_cpu_s * 1e6 / r.slice.finalised as f64),
            validator_cores: each(&|r| r.validators_cpu_s / r.wall_s),
            p50_ms: all.percentile_ms(0.5),
            p90_ms: all.percentile_ms(0.9),
            p99_ms: all.percentile_ms(0.99),
            max_ms: all.percentile_ms(1.0),
            longest_gap_ms: rounds.iter().map(|r| r.slice.longest_gap_ms).fold(0.0, f64::max),
            bytes_per_record: each(&|r| r.store_bytes as f64 / r.slice.finalised as f64),
            records_per_block: each(&|r| r.slice.finalised as f64 / r.blocks as f64),
            offered: total(&|r| r.slice.offered),
            finalised: total(&|r| r.slice.finalised),
            unfinished: total(&|r| r.slice.unfinished),
            refused: all.refused,
            half_load: None,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<58} {value}");
        };
        row("构建 profile", self.profile.to_owned());
        row("计划提交 offered records/s", format!("{:.0}", self.offered_per_s));
        row("终局确认 finalised records/s", format!("{:.0}", self.finalised_per_s));
        row("V 单核验签 verify_strict/s of one core", format!("{:.0}", self.verifications_per_s));
        row("J 状态树更新 state-tree update", format!("{:.1} µs", self.update_us));
        row("L = 2/(4·(s/V + u·J))", format!("{:.0} records/s (s = {}, u = {})", self.limit, self.s, self.u));
        row("比值 finalised/L", format!("{:.2}", self.ratio));
        row(
            "每条记录 CPU（全部验证节点） CPU per record, all validators",
            format!("{:.0} µs = {:.2} × 4·(s/V + u·J)", self.cpu_us_per_record, self.cpu_ratio),
        );
        row("验证节点占用核数 cores used by validators", format!("{:.2}", self.validator_cores));
        row("负载发生器 CPU load generator's CPU per record", format!("{:.0} µs", self.generator_cpu_us_per_record));
        row(
            "提交到终局 latency p50 / p90 / p99 / max",
            format!("{:.0} / {:.0} / {:.0} / {:.0} ms", self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms),
        );
        row("最长无终局间隔 longest gap", format!("{:.0} ms", self.longest_gap_ms));
        row("每条记录存储 bytes per record of one store", format!("{:.0}", self.bytes_per_record));
        row("每块记录数 records per block", format!("{:.0}", self.records_per_block));
        row(
            "提交/终局/未完成 due / final / unfinished",
            format!("{} / {} / {}", self.offered, self.finalised, self.unfinished),
        );
        for (code, count) in &self.refused {
            row("拒绝 refused", format!("{count} × {code}"));
        }
        if let Some(half) = &self.half_load {
            row(
                "半负载延迟 latency at half load p50 / p99 / max",
                format!(
                    "{:.0} / {:.0} / {:.0} ms at {:.0} records/s",
                    half.p50_ms, half.p99_ms, half.max_ms, half.offered_per_s
                ),
            );
        }
        text
    }
}
