//! How long one answer takes: every way verified, then timed answer by answer, in interleaved rounds.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use lab_connection::{Connection, Target};
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::harness::{self, Rounds, Rows};
use lab_runner::measurement::Traffic;
use lab_runner::statistics::Summary;
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{Approach, Comparison, LessonContext, LessonError};

/// Of fewer answers than this, one in a hundred is none.
const FEWEST_FOR_P99: u64 = 100;
/// Of fewer answers than this, one in a thousand is none.
const FEWEST_FOR_P999: u64 = 1_000;
/// Significant digits of a histogram: values are exact to 0.1 %.
const DIGITS: u8 = 3;
/// An hour in nanoseconds; longer than any answer is awaited.
const LONGEST: u64 = 3_600_000_000_000;

/// How long noisy ways are repeated, all together.
const REPEAT_BUDGET: Duration = Duration::from_secs(1);

/// How often to ask.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds; each way answers at least once in each.
    pub rounds: u32,
    /// A quick way goes on answering for this long in each round, so that its rare slow answers are seen.
    pub slice: Duration,
}

/// The answers of one way, timed.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Which way.
    pub label: String,
    /// How long each answer took, in nanoseconds.
    pub times: Histogram<u64>,
    /// What one answer moved.
    pub traffic: Traffic,
    /// The medians of the rounds, in nanoseconds.
    pub medians: Summary,
}

impl Timed {
    /// The time within which this share of the answers came, 0 to 1; none where there are too few answers to tell.
    #[must_use]
    pub fn within(&self, share: f64) -> Option<Duration> {
        let fewest = match share {
            share if share > 0.99 => FEWEST_FOR_P999,
            share if share > 0.5 => FEWEST_FOR_P99,
            _ => 1,
        };
        (self.times.len() >= fewest).then(|| Duration::from_nanos(self.times.value_at_quantile(share)))
    }
}

/// Requires that all ways give the same answer, counting what one moves; then times them on a plain connection, in
/// interleaved rounds.
pub async fn time<A: Approach>(
    target: &Target,
    ways: &[A],
    input: &A::Input,
    plan: Plan,
) -> Result<Vec<Timed>, LessonError> {
    let connection = target.connection();
    let traffic = Comparison { title: "", approaches: ways, input }.verify(&connection).await?;
    let mut answers: Vec<Timed> = Vec::with_capacity(ways.len());
    for (way, traffic) in ways.iter().zip(traffic) {
        let times = Histogram::new_with_max(LONGEST, DIGITS)
            .map_err(|error| LessonError::Check(error.to_string()))?;
        answers.push(Timed { label: way.label(), times, traffic, medians: Summary::of(&[]) });
    }
    let rounds = Rounds { rounds: plan.rounds as usize, budget: Duration::MAX, repeat_budget: REPEAT_BUDGET };
    let slice = plan.slice;
    let mut answering = Answering { ways, input, connection, slice, answers };
    let medians = harness::measure(&mut answering, rounds).await?;
    let mut answers = answering.answers;
    for (answer, medians) in answers.iter_mut().zip(medians) {
        answer.medians = Summary::of(&medians);
    }
    Ok(answers)
}

/// The ways as rows: the sample is the median of the answers of one turn, in nanoseconds.
struct Answering<'a, A: Approach> {
    ways: &'a [A],
    input: &'a A::Input,
    connection: Connection,
    slice: Duration,
    answers: Vec<Timed>,
}

impl<A: Approach> Rows for Answering<'_, A> {
    type Sample = f64;

    fn count(&self) -> usize {
        self.ways.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<f64>, LessonError> {
        let way = self.ways[row];
        way.reset(self.input, &mut self.connection).await?;
        let mut turn = Vec::new();
        let begun = Instant::now();
        loop {
            let started = Instant::now();
            let answer = way.run(self.input, &mut self.connection).await?;
            let took = started.elapsed();
            // Freeing a long answer is not part of getting it.
            drop(answer);
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.answers[row].times.saturating_record(nanos);
            turn.push(nanos as f64);
            if begun.elapsed() >= self.slice {
                return Ok(Some(Summary::of(&turn).median));
            }
        }
    }

    fn figure(&self, _: usize, median: &f64) -> f64 {
        *median
    }
}

/// As a table.
#[must_use]
pub fn table(title: &str, timed: &[Timed]) -> Table {
    let header = ["way", "p50", "spread", "p99", "p99.9", "answers", "trips", "bytes"];
    timed.iter().fold(Table::new(title, &header), |table, one| {
        let within = |share| one.within(share).map_or_else(|| "-".to_owned(), in_words);
        table.row([
            one.label.clone(),
            within(0.5),
            format!("{:.0} %", one.medians.spread * 100.0),
            within(0.99),
            within(0.999),
            thousands(one.times.len() as f64),
            thousands(one.traffic.round_trips as f64),
            bytes(one.traffic.bytes_sent + one.traffic.bytes_received),
        ])
    })
}

/// What the numbers hold for, and the noisiest of them.
pub(super) fn foot(ctx: &LessonContext, timed: &[Timed]) {
    ctx.say(format!("{}.", environment(ctx.target()).join(", ")));
    let medians: Vec<_> = timed.iter().map(|one| (one.label.clone(), one.medians)).collect();
    // The others are said once for all tables.
    let noisy =
        Caveat::about(&medians, false).into_iter().find(|caveat| matches!(caveat, Caveat::Noisy { .. }));
    if let Some(noisy) = noisy {
        ctx.say(noisy.advice());
    }
}

/// As people read it: `85 µs`, `1.23 ms`, `12.3 ms`, `1.23 s`.
#[must_use]
pub fn in_words(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        micros if micros < 9.95 => format!("{micros:.1} µs"),
        micros if micros < 999.5 => format!("{micros:.0} µs"),
        micros if micros < 9_995.0 => format!("{:.2} ms", micros / 1e3),
        micros if micros < 99_950.0 => format!("{:.1} ms", micros / 1e3),
        micros if micros < 999_500.0 => format!("{:.0} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let words = |nanos| in_words(Duration::from_nanos(nanos));
        assert_eq!(words(1_200), "1.2 µs");
        assert_eq!(words(85_400), "85 µs");
        assert_eq!(words(999_400), "999 µs");
        assert_eq!(words(999_600), "1.00 ms");
        assert_eq!(words(9_996_000), "10.0 ms");
        assert_eq!(words(123_456_000), "123 ms");
        assert_eq!(words(1_234_000_000), "1.23 s");
    }

    #[test]
    fn too_few_answers_have_no_rare_ones() {
        let mut times = Histogram::new_with_max(LONGEST, DIGITS).unwrap();
        (1..=99).for_each(|nanos| times.saturating_record(nanos * 1_000));
        let mut few =
            Timed { label: String::new(), times, traffic: Traffic::default(), medians: Summary::of(&[]) };
        assert_eq!(few.within(0.5).map(|time| time.as_micros()), Some(50));
        assert_eq!((few.within(0.99), few.within(0.999)), (None, None));
        few.times.saturating_record(1);
        assert!(few.within(0.99).is_some() && few.within(0.999).is_none());
    }
}
