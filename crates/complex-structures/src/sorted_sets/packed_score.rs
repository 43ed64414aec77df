//! Points and time in one score.

/// The bits of the score that hold the time.
const TIME_BITS: u32 = 32;
/// The last time that fits: 2^32 - 1 milliseconds, more than 49 days.
const LAST_MILLIS: u64 = (1 << TIME_BITS) - 1;
/// The most points that fit: 2^21 - 1. With the time that makes 53 bits, which a double holds exactly.
const MOST_POINTS: u64 = (1 << (f64::MANTISSA_DIGITS - TIME_BITS)) - 1;

/// A score that orders by points and, with equal points, puts the earlier player higher: points x 2^32, plus the milliseconds
/// left in the season.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedScore(u64);

impl PackedScore {
    /// The highest score: 2^53 - 1.
    pub const HIGHEST: Self = Self((MOST_POINTS << TIME_BITS) | LAST_MILLIS);

    /// `None` for more than 2,097,151 points or 4,294,967,295 milliseconds, because such a score would not be exact.
    pub fn new(points: u64, millis_into_season: u64) -> Option<Self> {
        let fits = points <= MOST_POINTS && millis_into_season <= LAST_MILLIS;
        fits.then(|| Self((points << TIME_BITS) | (LAST_MILLIS - millis_into_season)))
    }

    /// From a score that Redis returned; `None` if it is not a whole number of at most 53 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number was found to be whole, not negative and below 2^53"
    )]
    pub fn from_score(score: f64) -> Option<Self> {
        let whole = score >= 0.0 && score <= Self::HIGHEST.0 as f64 && score.fract() == 0.0;
        whole.then_some(Self(score as u64))
    }

    /// As a number for ZADD.
    pub fn score(self) -> u64 {
        self.0
    }

    /// The points.
    pub fn points(self) -> u64 {
        self.0 >> TIME_BITS
    }

    /// When the player reached them, in milliseconds after the season began.
    pub fn millis_into_season(self) -> u64 {
        LAST_MILLIS - (self.0 & LAST_MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_points_win_and_with_equal_points_the_earlier() {
        let score = |points, millis| PackedScore::new(points, millis).unwrap();
        assert!(score(501, LAST_MILLIS) > score(500, 0));
        assert!(score(500, 1_000) > score(500, 1_001));
        assert_eq!(score(MOST_POINTS, 0), PackedScore::HIGHEST);
    }

    #[test]
    fn a_packed_score_survives_the_way_through_a_double() {
        for points in [0, 1, 500, MOST_POINTS] {
            for millis in [0, 1, 86_400_000, LAST_MILLIS] {
                let packed = PackedScore::new(points, millis).unwrap();
                let back = PackedScore::from_score(packed.score() as f64).unwrap();
                assert_eq!((back.points(), back.millis_into_season()), (points, millis));
            }
        }
    }

    #[test]
    fn a_score_that_would_lose_digits_is_refused() {
        assert_eq!(PackedScore::new(MOST_POINTS + 1, 0), None);
        assert_eq!(PackedScore::new(1, LAST_MILLIS + 1), None);
        for score in [-1.0, 0.5, 9_007_199_254_740_992.0, f64::INFINITY, f64::NAN] {
            assert_eq!(PackedScore::from_score(score), None, "{score}");
        }
    }
}
