//! What the kernel says about this process, under the names that Prometheus' own clients use.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Clock ticks of `/proc/PID/stat` per second: fixed by the Linux ABI on all platforms of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Use of processor, memory and files; nothing where `/proc` cannot be read.
#[derive(Debug, Default)]
pub(crate) struct Process {
    cpu_seconds: Option<f64>,
    threads: Option<i64>,
    resident_bytes: Option<i64>,
    open_files: Option<i64>,
}

impl Process {
    /// As of now.
    pub(crate) fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The second field is the program's name in parentheses and may contain spaces.
        let fields: Vec<_> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse::<i64>().ok()
        };
        let open_files = std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self {
            cpu_seconds: number(11).zip(number(12)).map(|(user, system)| (user + system) as f64 / TICKS_PER_SECOND),
            threads: number(17).and_then(|threads| i64::try_from(threads).ok()),
            resident_bytes: kib("VmRSS:").map(|kib| kib.saturating_mul(1024)),
            open_files: open_files.and_then(|count| i64::try_from(count).ok()),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        if let Some(seconds) = self.cpu_seconds {
            let counter = Counter::<f64, AtomicU64>::default();
            counter.inc_by(seconds);
            registry.register("process_cpu_seconds", "Processor time used, user and system", counter);
        }
        let gauges = [
            ("process_threads", "Threads", self.threads),
            ("process_resident_memory_bytes", "Memory in use", self.resident_bytes),
            ("process_open_fds", "Open files and sockets", self.open_files),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let gauge = Gauge::<i64>::default();
                gauge.set(value);
                registry.register(name, help, gauge);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let process = Process::now();
        assert!(process.cpu_seconds.unwrap() >= 0.0);
        assert!(process.threads.unwrap() >= 1);
        assert!(process.resident_bytes.unwrap() > 1 << 20);
        assert!(process.open_files.unwrap() >= 3);
    }
}
