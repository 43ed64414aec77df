//! Points and time in one score.

/// The bits of the score that hold the time.
const TIME_BITS: u32 = 32;

/// A score that orders by points and, with equal points, puts the earlier player higher: points x 2^32, plus the milliseconds
/// left in the season.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedScore(u64);

impl PackedScore {
    /// The last time that fits: 2^32 - 1 milliseconds, more than 49 days.
    pub const LAST_MILLIS: u64 = (1 << TIME_BITS) - 1;
    /// The most points that fit: 2^21 - 1. With the time that makes 53 bits, which a double holds exactly.
    pub const MOST_POINTS: u64 = (1 << (f64::MANTISSA_DIGITS - TIME_BITS)) - 1;
    /// The highest score: 2^53 - 1.
    pub const HIGHEST: Self = Self((Self::MOST_POINTS << TIME_BITS) | Self::LAST_MILLIS);

    /// `None` for more than 2,097,151 points or 4,294,967,295 milliseconds, because such a score would not be exact.
    pub fn new(points: u64, millis_into_season: u64) -> Option<Self> {
        let fits = points <= Self::MOST_POINTS && millis_into_season <= Self::LAST_MILLIS;
        fits.then(|| Self((points << TIME_BITS) | (Self::LAST_MILLIS - millis_into_season)))
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
        Self::LAST_MILLIS - (self.0 & Self::LAST_MILLIS)
    }
}
