//! What a load counted: operations, wrong replies, errors, and how long each took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Nanoseconds: longer than any response may take.
const LONGEST: u64 = 60_000_000_000;
/// Three digits of a latency are kept.
const DIGITS: u8 = 3;

/// What became of one operation.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The reply was what it had to be.
    Right,
    /// A reply that belongs to another question, or to another time.
    Wrong,
    /// An error, of the server or of the connection.
    Failed(String),
}

/// What was counted. A tally without latencies is zero everywhere.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Operations sent.
    pub sent: u64,
    /// Operations that ended, with whatever reply or error.
    pub answered: u64,
    /// Errors among them.
    pub errors: u64,
    /// Replies that did not fit the question.
    pub wrong: u64,
    first_error: Option<String>,
    latencies: Option<Histogram<u64>>,
    measured_for: Duration,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
        Self { latencies, ..Self::default() }
    }

    /// Counts an operation that ended.
    pub(crate) fn note(&mut self, verdict: Verdict) {
        self.answered += 1;
        match verdict {
            Verdict::Right => {}
            Verdict::Wrong => self.wrong += 1,
            Verdict::Failed(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }

    /// Adds a latency to those that are shown.
    pub(crate) fn time(&mut self, latency: Duration) {
        if let Some(latencies) = &mut self.latencies {
            latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST));
        }
    }

    /// Says how long latencies were collected.
    pub(crate) fn ends_after(&mut self, time: Duration) {
        self.measured_for = time;
    }

    /// Adds the counts of another load, not its latencies.
    pub fn add_counts(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.errors += other.errors;
        self.wrong += other.wrong;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }

    /// Whether every operation was answered, and rightly.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.errors == 0 && self.wrong == 0 && self.answered == self.sent
    }

    /// Operations whose latency was taken.
    #[must_use]
    pub fn measured(&self) -> u64 {
        self.latencies.as_ref().map_or(0, Histogram::len)
    }

    /// Operations a second, while latencies were taken.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.measured() as f64 / self.measured_for.as_secs_f64().max(1e-9)
    }

    /// The latency that `share` (0 to 1) of the operations did not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let nanoseconds = self.latencies.as_ref().map_or(0, |latencies| latencies.value_at_quantile(share));
        Duration::from_nanos(nanoseconds)
    }

    /// How many operations took longer than `time`.
    #[must_use]
    pub fn slower_than(&self, time: Duration) -> u64 {
        let from = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.latencies.as_ref().map_or(0, |latencies| latencies.count_between(from, LONGEST))
    }

    /// p50, p99, p99.9, errors and wrong replies, as cells of a table.
    #[must_use]
    pub fn cells(&self) -> [String; 5] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| readable(self.quantile(share)));
        [p50, p99, p999, self.errors.to_string(), self.wrong.to_string()]
    }

    /// The claim, and what was counted against it, if anything was.
    #[must_use]
    pub fn blamed(&self, claim: String) -> String {
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

fn readable(latency: Duration) -> String {
    match latency.as_nanos() {
        0..1_000_000 => format!("{:.0} µs", latency.as_secs_f64() * 1e6),
        1_000_000..100_000_000 => format!("{:.2} ms", latency.as_secs_f64() * 1e3),
        _ => format!("{:.0} ms", latency.as_secs_f64() * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_counted_by_what_became_of_it() {
        let mut tally = Tally::new();
        for verdict in
            [Verdict::Right, Verdict::Wrong, Verdict::Failed("OOM".into()), Verdict::Failed("x".into())]
        {
            tally.note(verdict);
        }
        assert_eq!((tally.answered, tally.wrong, tally.errors), (4, 1, 2));
        assert!(tally.blamed("so".into()).contains("first error: OOM"));
    }

    #[test]
    fn quantiles_are_those_of_the_latencies() {
        let mut tally = Tally::new();
        for milliseconds in 1..=1_000 {
            tally.time(Duration::from_millis(milliseconds));
        }
        tally.ends_after(Duration::from_secs(2));
        let near =
            |share: f64, expected: f64| (tally.quantile(share).as_secs_f64() / expected - 1.0).abs() < 0.002;
        assert!(near(0.5, 0.5) && near(0.99, 0.99) && near(0.999, 0.999));
        assert!((tally.rate() - 500.0).abs() < f64::EPSILON);
        assert!((499..=501).contains(&tally.slower_than(Duration::from_millis(500))));
        assert_eq!(tally.cells()[0], "500 ms");
    }

    #[test]
    fn nothing_measured_is_zero_and_no_panic() {
        let tally = Tally::default();
        assert_eq!((tally.measured(), tally.quantile(0.99)), (0, Duration::ZERO));
    }
}
