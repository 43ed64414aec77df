//! The few statistics that a table shows.

/// The value below which `share` (0 to 1) of the sorted samples lie, by the nearest rank. Zero without samples.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is small and not negative"
    )]
    let rank = (share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64).round() as usize;
    sorted.get(rank).copied().unwrap_or_default()
}

/// Median and spread of a set of samples.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Half of the samples lie below it.
    pub median: f64,
    /// The lowest sample.
    pub min: f64,
    /// The highest sample.
    pub max: f64,
    /// The width of the middle half as a share of the median: 0.1 means that half of the rounds lay within 10%.
    pub spread: f64,
    /// The samples themselves, in the order in which they were taken.
    #[serde(serialize_with = "with_six_digits")]
    pub samples: Vec<f64>,
}

/// More digits than a clock has make a document large.
fn with_six_digits<S: serde::Serializer>(samples: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    let rounded = |sample: &f64| format!("{sample:.5e}").parse().unwrap_or(*sample);
    serializer.collect_seq(samples.iter().map(rounded))
}

impl Summary {
    /// Summarises the samples, in any order.
    #[must_use]
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 0.5);
        let middle_half = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
        let spread = if median > 0.0 { middle_half / median } else { 0.0 };
        Self {
            median,
            min: quantile(&sorted, 0.0),
            max: quantile(&sorted, 1.0),
            spread,
            samples: samples.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_move_neither_median_nor_spread() {
        let calm = Summary::of(&[10.0, 11.0, 9.0, 10.0, 10.0]);
        let with_outlier = Summary::of(&[10.0, 11.0, 9.0, 10.0, 10_000.0]);
        assert!((calm.median - 10.0).abs() < f64::EPSILON);
        assert!((with_outlier.median - 10.0).abs() < f64::EPSILON);
        assert!(with_outlier.spread < 0.2, "{with_outlier:?}");
    }

    #[test]
    fn no_samples_are_not_a_panic() {
        assert!(Summary::of(&[]).median.abs() < f64::EPSILON);
    }
}
