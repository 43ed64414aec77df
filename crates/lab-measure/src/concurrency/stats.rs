//! What a load counted: operations, wrong replies, errors, and how long each operation took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Nanoseconds. No reply takes longer.
const LONGEST: u64 = 60_000_000_000;
/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// What became of one operation.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The reply was right.
    Right,
    /// The reply belongs to another operation, or to another time.
    Wrong,
    /// An error of the server or of the connection.
    Failed(String),
}

/// What was counted. Without latencies, every figure is zero.
#[derive(Clone, Debug, Default)]
pub struct LoadStats {
    /// Operations sent.
    pub sent: u64,
    /// Operations that ended with a reply or an error.
    pub answered: u64,
    /// Errors among them.
    pub errors: u64,
    /// Wrong replies among them.
    pub wrong: u64,
    first_error: Option<String>,
    latencies: Option<Histogram<u64>>,
    /// How long latencies were measured.
    pub(super) measured_for: Duration,
}

impl LoadStats {
    pub(super) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
        Self { latencies, ..Self::default() }
    }

    /// Counts an operation that ended, and its latency, if it was measured.
    pub(super) fn record(&mut self, verdict: Verdict, latency: Option<Duration>) {
        self.answered += 1;
        match verdict {
            Verdict::Right => {}
            Verdict::Wrong => self.wrong += 1,
            Verdict::Failed(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
        if let (Some(latencies), Some(latency)) = (&mut self.latencies, latency) {
            latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST));
        }
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.errors += other.errors;
        self.wrong += other.wrong;
        self.measured_for += other.measured_for;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
        match (&mut self.latencies, &other.latencies) {
            // Both have the same bounds, so they always fit.
            (Some(latencies), Some(others)) => _ = latencies.add(others),
            (none, others) => none.clone_from(others),
        }
    }

    /// Whether every operation was answered, and rightly.
    pub fn is_right(&self) -> bool {
        self.errors == 0 && self.wrong == 0 && self.answered == self.sent
    }

    /// Operations whose latency was measured.
    pub fn measured(&self) -> u64 {
        self.latencies.as_ref().map_or(0, Histogram::len)
    }

    /// Operations a second, while latencies were measured.
    pub fn rate(&self) -> f64 {
        self.measured() as f64 / self.measured_for.as_secs_f64().max(1e-9)
    }

    /// The latency that `share` (0 to 1) of the operations did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let nanoseconds = self.latencies.as_ref().map_or(0, |latencies| latencies.value_at_quantile(share));
        Duration::from_nanos(nanoseconds)
    }

    /// How many operations took longer than `time`.
    pub fn slower_than(&self, time: Duration) -> u64 {
        let from = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.latencies.as_ref().map_or(0, |latencies| latencies.count_between(from, LONGEST))
    }

    /// The claim, and the counts if they contradict it.
    pub fn claim(&self, claim: String) -> String {
        if self.is_right() {
            return claim;
        }
        let first = self.first_error.as_deref().unwrap_or("none");
        let Self { sent, answered, errors, wrong, .. } = self;
        format!(
            "{claim} ({sent} sent, {answered} answered, {errors} errors, {wrong} wrong; first error: {first})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_counted_by_what_became_of_it() {
        let mut stats = LoadStats::new();
        let oom = Verdict::Failed("OOM".into());
        for verdict in [Verdict::Right, Verdict::Wrong, oom, Verdict::Failed("x".into())] {
            stats.record(verdict, None);
        }
        let mut all = LoadStats::default();
        all.add(&stats);
        assert_eq!((all.answered, all.wrong, all.errors), (4, 1, 2));
        assert!(all.claim("so".into()).contains("first error: OOM"));
    }

    #[test]
    fn quantiles_are_those_of_the_latencies() {
        let mut stats = LoadStats::new();
        for milliseconds in 1..=1_000 {
            stats.record(Verdict::Right, Some(Duration::from_millis(milliseconds)));
        }
        stats.measured_for = Duration::from_secs(2);
        let near =
            |share: f64, expected: f64| (stats.quantile(share).as_secs_f64() / expected - 1.0).abs() < 0.002;
        assert!(near(0.5, 0.5) && near(0.99, 0.99) && near(0.999, 0.999));
        assert!((stats.rate() - 500.0).abs() < f64::EPSILON);
        assert!((499..=501).contains(&stats.slower_than(Duration::from_millis(500))));
    }

    #[test]
    fn nothing_measured_is_zero_and_no_panic() {
        let stats = LoadStats::default();
        assert_eq!((stats.measured(), stats.quantile(0.99)), (0, Duration::ZERO));
    }
}
