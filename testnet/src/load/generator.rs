//! Sends submissions on a schedule that does not look at the answers (open loop): a network that falls
//! behind meets an unchanged stream, and the wait of a submission is counted from when it was due, not
//! from when it could be sent (no coordinated omission).

use super::door::Door;
use super::workload::Planned;
use anyhow::{Result, bail, ensure};
use qz_client::{BatchResult, Client, ClientError};
use qz_evidence::batch::SubmissionBatch;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

/// How often what is due is sent, as one batch for each member.
const TICK: Duration = Duration::from_millis(50);
/// Requests in progress at one node; what is due beyond that waits here, on the submission's account.
const IN_FLIGHT: usize = 96;
/// Longest wait for finality.
const PATIENCE: Duration = Duration::from_secs(40);
/// Batches in progress at one node while something is prepared.
const PREPARING: usize = 3;

/// What became of the submissions of one slice of load.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Submissions that were due.
    pub offered: usize,
    /// Submissions that became final.
    pub finalised: usize,
    /// Those that became final within the measured span, per second of it.
    pub finalised_per_s: f64,
    /// Milliseconds from due to known to be final, ascending.
    pub latencies_ms: Vec<f64>,
    /// Longest time in which nothing became final, in the measured span.
    pub longest_gap_ms: f64,
    /// Refusals by code.
    pub refused: BTreeMap<String, usize>,
    /// Accepted, but not final in time.
    pub unfinished: usize,
}

impl Slice {
    /// The latency that this share of the finalised submissions does not exceed.
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.latencies_ms.len().saturating_sub(1);
        let index = ((self.latencies_ms.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
        self.latencies_ms.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// A batch with the times at which its submissions were due.
struct Batch {
    door: usize,
    due: Vec<Instant>,
    answer: Result<Vec<BatchResult>, ClientError>,
    at: Instant,
}

/// Offers `planned` at `rate` per second. The first `warm_up` of the schedule counts for latencies, not
/// for throughput, because nothing can be final at its start.
pub async fn offer(doors: &[Door], planned: Vec<Planned>, rate: f64, warm_up: Duration) -> Result<Slice> {
    ensure!(rate > 0.0 && !planned.is_empty(), "nothing to offer");
    let start = Instant::now() + TICK;
    let offered = planned.len();
    let end = start + Duration::from_secs_f64(offered as f64 / rate);
    let mut schedule = planned.into_iter().zip(0u32..).map(|(planned, i)| {
        (start + Duration::from_secs_f64(f64::from(i) / rate), planned.door, planned.submission.bytes)
    });
    let mut upcoming = schedule.next();
    let mut queues: Vec<VecDeque<(Instant, Vec<u8>)>> = doors.iter().map(|_| VecDeque::new()).collect();
    let mut in_flight = vec![0usize; doors.len()];
    let (answered, mut answers) = mpsc::unbounded_channel();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut tally = Tally::new(start + warm_up, end);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                while let Some((due, door, bytes)) = upcoming.take_if(|(due, ..)| *due <= Instant::now()) {
                    queues[door].push_back((due, bytes));
                    upcoming = schedule.next();
                }
            }
            Some(batch) = answers.recv() => {
                let batch: Batch = batch;
                in_flight[batch.door] -= 1;
                tally.count(batch);
            }
        }
        for (door, queue) in queues.iter_mut().enumerate() {
            while in_flight[door] < IN_FLIGHT && !queue.is_empty() {
                in_flight[door] += 1;
                dispatch(door, doors[door].client(), queue, answered.clone());
            }
        }
        if upcoming.is_none() && queues.iter().all(VecDeque::is_empty) && in_flight.iter().all(|n| *n == 0) {
            return Ok(tally.finish(offered));
        }
    }
}

/// Takes a batch from the queue's head and sends it in a task of its own.
fn dispatch(
    door: usize, client: Client, queue: &mut VecDeque<(Instant, Vec<u8>)>, answered: mpsc::UnboundedSender<Batch>,
) {
    let (mut due, mut bytes): (Vec<_>, VecDeque<_>) =
        queue.drain(..queue.len().min(SubmissionBatch::MAX_SUBMISSIONS)).unzip();
    let Some(batch) = SubmissionBatch::take_from(&mut bytes) else { return };
    // What did not fit goes back to the head, in order.
    let rest = due.split_off(due.len() - bytes.len());
    for item in rest.into_iter().zip(bytes).rev() {
        queue.push_front(item);
    }
    tokio::spawn(async move {
        let answer = client.submit_batch(&batch, PATIENCE).await;
        // The receiver lives until every batch is answered.
        let _ = answered.send(Batch { door, due, answer, at: Instant::now() });
    });
}

struct Tally {
    slice: Slice,
    from: Instant,
    to: Instant,
    in_span: usize,
    last_final: Instant,
}

impl Tally {
    fn new(from: Instant, to: Instant) -> Self {
        Self { slice: Slice::default(), from, to, in_span: 0, last_final: from }
    }

    fn count(&mut self, batch: Batch) {
        let Batch { due, answer, at, .. } = batch;
        let results = match answer {
            Ok(results) => results,
            Err(error) => {
                *self.slice.refused.entry(reason(&error)).or_default() += due.len();
                return;
            }
        };
        for (due, result) in due.into_iter().zip(results) {
            match result {
                BatchResult::Final { .. } => {
                    self.slice.finalised += 1;
                    self.slice.latencies_ms.push((at - due).as_secs_f64() * 1e3);
                    if (self.from..=self.to).contains(&at) {
                        self.in_span += 1;
                        let gap = (at - self.last_final.min(at)).as_secs_f64() * 1e3;
                        self.slice.longest_gap_ms = self.slice.longest_gap_ms.max(gap);
                        self.last_final = at;
                    }
                }
                BatchResult::Pending { .. } => self.slice.unfinished += 1,
                BatchResult::Rejected { error, .. } => *self.slice.refused.entry(error.code).or_default() += 1,
            }
        }
    }

    fn finish(mut self, offered: usize) -> Slice {
        self.slice.offered = offered;
        self.slice.finalised_per_s = self.in_span as f64 / (self.to - self.from).as_secs_f64();
        self.slice.latencies_ms.sort_by(f64::total_cmp);
        self.slice
    }
}

fn reason(error: &ClientError) -> String {
    match error {
        ClientError::Rejected { rejection, .. } => rejection.code.clone(),
        ClientError::Unreachable { tried } => tried
            .first()
            .map_or_else(|| "unreachable".to_owned(), |attempt| format!("unreachable: {}", attempt.failure)),
        other => other.to_string(),
    }
}

/// Sends submissions that must all become final, as fast as the nodes take them.
pub async fn settle(doors: &[Door], planned: Vec<Planned>) -> Result<()> {
    let mut queues: Vec<VecDeque<Vec<u8>>> = doors.iter().map(|_| VecDeque::new()).collect();
    for Planned { door, submission } in planned {
        queues[door].push_back(submission.bytes);
    }
    let mut running = tokio::task::JoinSet::new();
    let mut in_flight = vec![0usize; doors.len()];
    loop {
        for (door, queue) in queues.iter_mut().enumerate() {
            while in_flight[door] < PREPARING
                && let Some(batch) = SubmissionBatch::take_from(queue)
            {
                in_flight[door] += 1;
                let client = doors[door].client();
                running.spawn(async move { (door, client.submit_batch(&batch, PATIENCE).await) });
            }
        }
        let Some(finished) = running.join_next().await else { return Ok(()) };
        let (door, results) = finished?;
        in_flight[door] -= 1;
        for result in results? {
            if !matches!(result, BatchResult::Final { .. }) {
                bail!("a preparing record did not become final: {result:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn percentiles_and_gaps_are_counted_from_when_submissions_were_due() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut tally = Tally::new(at(1000), at(2000));
        let batch = |due: Vec<u64>, done, results| Batch {
            door: 0,
            due: due.into_iter().map(at).collect(),
            answer: Ok(results),
            at: at(done),
        };
        let digest = qz_evidence::Hash32::ZERO;
        let done = BatchResult::Final { digest, height: 1 };
        tally.count(batch(vec![0], 900, vec![done.clone()]));
        tally.count(batch(vec![1000, 1100], 1200, vec![done.clone(), BatchResult::Pending { digest }]));
        tally.count(batch(vec![1200], 1900, vec![done.clone()]));
        tally.count(batch(vec![1900], 2100, vec![done]));
        let slice = tally.finish(5);
        assert_eq!((slice.offered, slice.finalised, slice.unfinished), (5, 4, 1));
        assert_eq!(slice.latencies_ms, [200.0, 200.0, 700.0, 900.0]);
        assert_eq!((slice.percentile_ms(0.5), slice.percentile_ms(0.99)), (200.0, 900.0));
        assert_eq!(slice.finalised_per_s, 2.0, "only those within the second count");
        assert_eq!(slice.longest_gap_ms, 700.0);
    }
}
