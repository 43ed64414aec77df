//! What changed between two runs, beyond noise.

use crate::chart::short;
use crate::document::{Measured, MeasuredRow, Run, Summary};

/// When a difference counts.
pub const RULE: &str = "A row has changed if the two medians are further apart than both spreads together, and by at least 5%. The spread \
                        is the distance from the lowest round to the highest, or, from eight rounds on, the width of the middle half. \
                        With fewer than three rounds there is no verdict.";
/// The smallest difference that counts, as a share of the earlier median: the same machine varies that much from day to day.
const SMALLEST: f64 = 0.05;
/// The fewest rounds that have a spread.
const FEWEST_ROUNDS: usize = 3;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Beyond noise.
    Better,
    /// Beyond noise.
    Worse,
    /// The difference may be noise.
    Noise,
    /// A run has too few rounds.
    TooFewRounds,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Noise => "within noise",
            Self::TooFewRounds => "too few rounds",
        }
    }
}

/// A row of a table in two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The title of the table.
    pub table: String,
    /// The row.
    pub row: String,
    /// What was measured; a time is in nanoseconds.
    pub unit: String,
    /// The median of the earlier run.
    pub before: f64,
    /// The median of this run.
    pub now: f64,
    /// What to make of it.
    pub verdict: Verdict,
}

impl Change {
    /// One of the medians, with its unit.
    #[must_use]
    pub fn shown(&self, median: f64) -> String {
        short(median, &self.unit)
    }

    /// The difference in percent of the earlier median.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.before > 0.0 { (self.now / self.before - 1.0) * 100.0 } else { 0.0 }
    }
}

/// What changed between two runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Rows that both runs have.
    pub rows: Vec<Change>,
    /// Tables and rows that only one of the runs has, in words.
    pub unmatched: Vec<String>,
    /// What was different around the runs, in words: a reason not to compare them.
    pub environment: Vec<String>,
}

impl Changes {
    /// Compares tables of the same lesson and title, row by row.
    #[must_use]
    pub fn between(before: &Run, now: &Run) -> Self {
        let mut changes = Self { environment: environment(before, now), ..Self::default() };
        let earlier = tables(before);
        for (lesson, title, measured) in tables(now) {
            let same = |(name, other, old): &&(String, String, Measured)| {
                *name == lesson && *other == title && old.unit == measured.unit
            };
            match earlier.iter().find(same) {
                Some((_, _, old)) => changes.compare(&title, old, &measured),
                None => changes.unmatched.push(format!("The earlier run has no table '{title}'.")),
            }
        }
        changes
    }

    fn compare(&mut self, title: &str, old: &Measured, new: &Measured) {
        for row in &new.rows {
            let same = |other: &&MeasuredRow| other.label == row.label;
            match old.rows.iter().find(same) {
                Some(other) => self.rows.push(Change {
                    table: title.to_owned(),
                    row: row.label.clone(),
                    unit: new.unit.clone(),
                    before: other.rounds.median,
                    now: row.rounds.median,
                    verdict: verdict(&other.rounds, &row.rounds, new.less_is_better),
                }),
                None => {
                    self.unmatched.push(format!("In '{title}', the earlier run has no row '{}'.", row.label));
                }
            }
        }
    }

    /// Rows that changed beyond noise.
    pub fn beyond_noise(&self) -> impl Iterator<Item = &Change> {
        self.rows.iter().filter(|change| matches!(change.verdict, Verdict::Better | Verdict::Worse))
    }

    /// In one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |verdict| self.rows.iter().filter(|change| change.verdict == verdict).count();
        let (better, worse) = (count(Verdict::Better), count(Verdict::Worse));
        let (noise, few) = (count(Verdict::Noise), count(Verdict::TooFewRounds));
        if self.rows.is_empty() {
            return "The two runs have no row in common.".into();
        }
        let few = if few > 0 { format!(", {few} with too few rounds for a verdict") } else { String::new() };
        format!(
            "Of {} rows, {better} got better, {worse} got worse, {noise} are within noise{few}.",
            self.rows.len()
        )
    }
}

fn tables(run: &Run) -> Vec<(String, String, Measured)> {
    let all = run.lessons.iter().flat_map(|lesson| {
        lesson.measured().map(|(title, measured)| (lesson.name.clone(), title.to_owned(), measured))
    });
    all.collect()
}

fn environment(before: &Run, now: &Run) -> Vec<String> {
    let only_in = |one: &[String], other: &[String]| {
        let only: Vec<&str> = one.iter().filter(|part| !other.contains(part)).map(String::as_str).collect();
        only.join(", ")
    };
    let (then, today) =
        (only_in(&before.environment, &now.environment), only_in(&now.environment, &before.environment));
    if then.is_empty() && today.is_empty() {
        return Vec::new();
    }
    let or_nothing = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    vec![format!("The environment differs. Before: {}. Now: {}.", or_nothing(then), or_nothing(today))]
}

fn verdict(before: &Summary, now: &Summary, less_is_better: bool) -> Verdict {
    if before.samples.len() < FEWEST_ROUNDS || now.samples.len() < FEWEST_ROUNDS {
        return Verdict::TooFewRounds;
    }
    let width = |summary: &Summary| {
        let (low, high) = summary.ends_of_spread();
        high - low
    };
    let apart = (now.median - before.median).abs();
    if apart <= width(before) + width(now) || apart < SMALLEST * before.median {
        Verdict::Noise
    } else if (now.median > before.median) == less_is_better {
        Verdict::Worse
    } else {
        Verdict::Better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(samples: &[f64]) -> Summary {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Summary { median: sorted[sorted.len() / 2], samples: samples.to_vec(), ..Summary::default() }
    }

    #[test]
    fn only_medians_further_apart_than_the_spreads_are_a_change() {
        let calm = rounds(&[100.0, 101.0, 102.0]);
        assert_eq!(verdict(&calm, &rounds(&[199.0, 200.0, 201.0]), false), Verdict::Better);
        assert_eq!(verdict(&calm, &rounds(&[199.0, 200.0, 201.0]), true), Verdict::Worse);
        assert_eq!(verdict(&calm, &rounds(&[101.0, 110.0, 170.0]), false), Verdict::Noise);
        assert_eq!(verdict(&calm, &rounds(&[104.0, 104.0, 104.0]), false), Verdict::Noise, "below 5%");
        assert_eq!(verdict(&calm, &rounds(&[50.0, 50.0, 50.0]), false), Verdict::Worse);
        assert_eq!(verdict(&calm, &rounds(&[500.0, 500.0]), false), Verdict::TooFewRounds);
    }

    #[test]
    fn one_outlier_among_many_rounds_hides_no_change() {
        let many = |level: f64| rounds(&[&[level; 14][..], &[level * 10.0]].concat());
        assert_eq!(verdict(&many(100.0), &many(150.0), false), Verdict::Better);
    }
}
