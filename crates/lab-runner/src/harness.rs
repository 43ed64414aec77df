//! The one loop that measures: rounds in which every row has its turn, and more of them for a row that is noisy.

use std::time::{Duration, Instant};

use crate::caveat::NOISY_SPREAD;
use crate::error::LessonError;
use crate::statistics::Summary;

/// With fewer samples than this there is no spread to speak of.
const FEWEST_ROUNDS: usize = 3;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Rounds in which every row has a turn.
    pub rounds: usize,
    /// They end early, but not before the third, when they have taken this long.
    pub budget: Duration,
    /// Then rows that are noisy have more turns, as many again at most, for this long at most.
    pub repeat_budget: Duration,
}

/// What is measured: the rows of a table.
pub trait Rows: Send {
    /// What one turn of a row found.
    type Sample: Send;

    /// How many rows there are.
    fn count(&self) -> usize;

    /// One turn of a row: brings its data into the state that it starts from, untimed, and then times it. `None` if the row
    /// has failed and has no further turns.
    fn measure(
        &mut self,
        row: usize,
    ) -> impl Future<Output = Result<Option<Self::Sample>, LessonError>> + Send;

    /// The figure of a sample that ought to be the same in every round.
    fn figure(&self, row: usize, sample: &Self::Sample) -> f64;
}

/// The samples of every row. A round begins with another row than the last, so that a slow moment of the machine meets all
/// of them.
pub async fn measure<R: Rows>(rows: &mut R, plan: Rounds) -> Result<Vec<Vec<R::Sample>>, LessonError> {
    let count = rows.count();
    let mut samples: Vec<Vec<R::Sample>> = (0..count).map(|_| Vec::new()).collect();
    let begun = Instant::now();
    for round in 0..plan.rounds {
        if round >= FEWEST_ROUNDS && begun.elapsed() > plan.budget {
            break;
        }
        for turn in 0..count {
            let row = (turn + round) % count;
            samples[row].extend(rows.measure(row).await?);
        }
    }
    let begun = Instant::now();
    for _ in 0..plan.rounds {
        for row in noisy(rows, &samples) {
            if begun.elapsed() > plan.repeat_budget {
                return Ok(samples);
            }
            samples[row].extend(rows.measure(row).await?);
        }
    }
    Ok(samples)
}

fn noisy<R: Rows>(rows: &R, samples: &[Vec<R::Sample>]) -> Vec<usize> {
    let is_noisy = |row: &usize| {
        let figures: Vec<f64> = samples[*row].iter().map(|sample| rows.figure(*row, sample)).collect();
        figures.len() >= FEWEST_ROUNDS && Summary::of(&figures).spread > NOISY_SPREAD
    };
    (0..samples.len()).filter(is_noisy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the turns of each row; the second row is noisy for five turns.
    struct Turns {
        order: Vec<usize>,
        taken: [usize; 3],
    }

    impl Rows for Turns {
        type Sample = f64;

        fn count(&self) -> usize {
            3
        }

        async fn measure(&mut self, row: usize) -> Result<Option<f64>, LessonError> {
            self.order.push(row);
            self.taken[row] += 1;
            let turn = self.taken[row];
            Ok(match row {
                0 => Some(10.0),
                1 if turn < 6 => Some(turn as f64 * 10.0),
                1 => Some(30.0),
                _ => None,
            })
        }

        fn figure(&self, _: usize, sample: &f64) -> f64 {
            *sample
        }
    }

    #[tokio::test]
    async fn rounds_begin_with_another_row_and_a_noisy_row_is_repeated() {
        let mut rows = Turns { order: Vec::new(), taken: [0; 3] };
        let minute = Duration::from_mins(1);
        let plan = Rounds { rounds: 5, budget: minute, repeat_budget: minute };
        let samples = measure(&mut rows, plan).await.unwrap();
        assert_eq!(rows.order[..6], [0, 1, 2, 1, 2, 0]);
        assert_eq!((samples[0].len(), samples[2].len()), (5, 0));
        assert!(samples[1].len() > 5, "{samples:?}");
        assert!(Summary::of(&samples[1]).spread <= NOISY_SPREAD || samples[1].len() == 10, "{samples:?}");
    }

    #[tokio::test]
    async fn a_spent_budget_ends_the_rounds_after_the_third() {
        let mut rows = Turns { order: Vec::new(), taken: [0; 3] };
        let plan = Rounds { rounds: 15, budget: Duration::ZERO, repeat_budget: Duration::ZERO };
        let samples = measure(&mut rows, plan).await.unwrap();
        assert_eq!((samples[0].len(), samples[1].len()), (3, 3));
    }
}
