//! Money: whole cents, never a float.
//!
//! ```
//! use patterns::money::Cents;
//!
//! assert_ne!(0.1 + 0.2, 0.3);
//! let sum = "0.10".parse::<Cents>()?.checked_add("0.20".parse()?);
//! assert_eq!(sum, Some("0.30".parse()?));
//! # Ok::<(), patterns::money::PriceError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount of money in cents: 0 or more. Shown and parsed as `19.99`; in JSON it is the number of cents.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "i64")]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The highest price of a product, 10,000,000.00. A cart of 100 lines of 99 such products totals less than 10^13 cents,
    /// far below 2^53, up to which the doubles of Lua and of sorted-set scores are exact.
    pub const MAX_PRICE: Self = Self(1_000_000_000);

    /// This many cents; `None` if negative.
    pub const fn new(cents: i64) -> Option<Self> {
        if cents < 0 { None } else { Some(Self(cents)) }
    }

    /// The number of cents.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, `None` beyond `i64::MAX` cents.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// This amount multiplied by `times`; `None` above `i64::MAX` cents.
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

impl TryFrom<i64> for Cents {
    type Error = PriceError;

    fn try_from(cents: i64) -> Result<Self, PriceError> {
        Self::new(cents).ok_or_else(|| PriceError::NotAPrice(cents.to_string()))
    }
}

/// Parses a price: `20`, `19.9` or `19.99`, from 0 (a free sample) to [`Cents::MAX_PRICE`]. No sign, no exponent, no thousands
/// separator, no third decimal.
impl FromStr for Cents {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(PriceError::NotAPrice(shorten(text)));
        }
        if decimals.len() > 2 {
            return Err(PriceError::TooManyDecimals(shorten(text)));
        }
        let too_high = || PriceError::TooHigh(shorten(text));
        let whole: i64 = whole.parse().map_err(|_| too_high())?;
        // At most two digits, so it fits.
        let fraction: i64 = format!("{decimals:0<2}").parse().unwrap_or_default();
        let cents = whole.checked_mul(100).and_then(|cents| cents.checked_add(fraction));
        cents.map(Self).filter(|cents| *cents <= Self::MAX_PRICE).ok_or_else(too_high)
    }
}

/// Why a text is not a price. It quotes the text, escaped and shortened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The text is not digits with a point, for example a negative amount.
    #[error("{0} is not a price: write it like 19.99, without a sign or a currency")]
    NotAPrice(String),
    /// More precise than a cent.
    #[error("{0} is not a price: it has more than two decimals")]
    TooManyDecimals(String),
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {0} is too high: the maximum is {max}", max = Cents::MAX_PRICE)]
    TooHigh(String),
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_to_the_cent() {
        let cents = |text: &str| text.parse::<Cents>().map(Cents::get);
        for (text, expected) in
            [("0", 0), ("20", 2_000), ("19.9", 1_990), ("19.99", 1_999), ("10000000", 1_000_000_000)]
        {
            assert_eq!(cents(text), Ok(expected), "{text}");
        }
        assert_eq!(Cents(1_905).to_string(), "19.05");
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        for text in ["", "-1", "+1", "1e3", "1,5", ".5", "5.", "$5", "٣", "NaN"] {
            assert!(matches!(text.parse::<Cents>(), Err(PriceError::NotAPrice(_))), "{text}");
        }
        assert!(matches!("1.999".parse::<Cents>(), Err(PriceError::TooManyDecimals(_))));
        for text in ["10000000.01", "99999999999999999999"] {
            assert!(matches!(text.parse::<Cents>(), Err(PriceError::TooHigh(_))), "{text}");
        }
        assert_eq!(Cents(i64::MAX).checked_add(Cents(1)), None);
        assert_eq!(Cents(i64::MAX).checked_mul(2), None);
    }
}
