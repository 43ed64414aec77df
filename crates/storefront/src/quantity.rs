//! How many of one product: 1 to 99.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::shown::Shown;

/// How many units one add or remove is about: 1 to 99, which is also the most one line of a cart holds.
///
/// ```
/// use storefront::Quantity;
///
/// assert_eq!("3".parse::<Quantity>()?.get(), 3);
/// for refused in ["0", "-1", "100", "1e3", "+3", "two", "", "9223372036854775808"] {
///     assert!(refused.parse::<Quantity>().is_err());
/// }
/// # Ok::<(), storefront::QuantityError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Quantity(u32);

impl Quantity {
    /// One unit.
    pub const ONE: Self = Self(1);
    /// 99 units, the most one line of a cart holds.
    pub const MAX: Self = Self(99);

    /// This many units; an error outside 1 to 99.
    pub fn new(units: u32) -> Result<Self, QuantityError> {
        if (1..=Self::MAX.0).contains(&units) {
            Ok(Self(units))
        } else {
            Err(QuantityError { text: Shown(&units.to_string()).to_string() })
        }
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let refused = || QuantityError { text: Shown(text).to_string() };
        // `u32::from_str` would take "+3".
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        text.parse().ok().and_then(|units| Self::new(units).ok()).ok_or_else(refused)
    }
}

/// What was given is not a whole number from 1 to 99. The text it quotes is escaped and cut.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text} is not a quantity: it must be a whole number from 1 to {}", Quantity::MAX)]
pub struct QuantityError {
    text: String,
}
