//! Money: whole cents, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::shown::Shown;

/// An amount of money in cents: 0 or more.
///
/// Shown and parsed as `19.99`; in JSON it is the number of cents. A float would be wrong by the second addition:
///
/// ```
/// use storefront::Cents;
///
/// assert_ne!(0.1 + 0.2, 0.3);
/// let sum = "0.10".parse::<Cents>()?.checked_add("0.20".parse()?);
/// assert_eq!(sum, Some("0.30".parse()?));
/// # Ok::<(), storefront::PriceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "i64")]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The highest price of a product, 10 000 000.00. A cart of 100 lines of 99 such products totals less than 10^13
    /// cents: far below 2^53, up to where the doubles of Lua and of sorted-set scores are exact.
    pub const MAX_PRICE: Self = Self(1_000_000_000);

    /// This many cents; `None` if negative.
    #[must_use]
    pub const fn new(cents: i64) -> Option<Self> {
        if cents < 0 { None } else { Some(Self(cents)) }
    }

    /// The number of cents.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, `None` beyond `i64::MAX` cents.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(cents) => Some(Self(cents)),
            None => None,
        }
    }

    /// This amount `times` times, `None` beyond `i64::MAX` cents.
    #[must_use]
    pub fn checked_mul(self, times: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(times)).map(Self)
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

/// Parses a price: `20`, `19.9` or `19.99`, from 0 (a free sample) to [`Cents::MAX_PRICE`]. No sign, no exponent, no
/// separator, no third decimal.
impl FromStr for Cents {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(PriceError::NotAPrice { text: Shown(text).to_string() });
        }
        if decimals.len() > 2 {
            return Err(PriceError::TooManyDecimals { text: Shown(text).to_string() });
        }
        let too_high = || PriceError::TooHigh { text: Shown(text).to_string() };
        let whole: i64 = whole.parse().map_err(|_| too_high())?;
        // At most two digits, so it fits.
        let fraction: i64 = format!("{decimals:0<2}").parse().unwrap_or_default();
        let cents = whole.checked_mul(100).and_then(|cents| cents.checked_add(fraction));
        cents.map(Self).filter(|cents| *cents <= Self::MAX_PRICE).ok_or_else(too_high)
    }
}

impl TryFrom<i64> for Cents {
    type Error = PriceError;

    fn try_from(cents: i64) -> Result<Self, PriceError> {
        Self::new(cents).ok_or_else(|| PriceError::NotAPrice { text: Shown(&cents.to_string()).to_string() })
    }
}

/// Why a text is no price. The text it quotes is escaped and cut.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Not digits with a point; negative amounts too.
    #[error("{text} is not a price: write it like 19.99, without sign or currency")]
    NotAPrice {
        /// What was given.
        text: String,
    },
    /// More precise than a cent.
    #[error("{text} is not a price: it has more than two decimals")]
    TooManyDecimals {
        /// What was given.
        text: String,
    },
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {text} is too high: the most is {}", Cents::MAX_PRICE)]
    TooHigh {
        /// What was given.
        text: String,
    },
}

/// Both forms, for documents that programs and people read: `{"cents":1999,"text":"19.99"}`.
// serde hands the field over by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(crate) fn both<S: Serializer>(amount: &Cents, serializer: S) -> Result<S::Ok, S::Error> {
    Both { cents: amount.0, text: amount.to_string() }.serialize(serializer)
}

/// [`both`] for an amount that may be missing.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
pub(crate) fn both_or_null<S: Serializer>(amount: &Option<Cents>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.map(|amount| Both { cents: amount.0, text: amount.to_string() }).serialize(serializer)
}

#[derive(Serialize)]
struct Both {
    cents: i64,
    text: String,
}
