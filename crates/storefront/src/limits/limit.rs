//! How much in how long.

use std::time::Duration;

use crate::shown::Shown;

/// The most requests of a [`Limit`].
pub const MOST_PER_WINDOW: u32 = 1_000_000;

/// So many requests in a window. Zero is allowed: it refuses everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    most: u32,
    window: Window,
}

impl Limit {
    /// 0 to [`MOST_PER_WINDOW`] requests in a window.
    pub fn new(most: u32, window: Window) -> Result<Self, LimitError> {
        if most > MOST_PER_WINDOW {
            return Err(LimitError::TooMany { most, limit: MOST_PER_WINDOW });
        }
        Ok(Self { most, window })
    }

    /// The most requests in a window.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }

    /// The window.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }
}

/// A length of time and its name, which becomes part of the keys: `minute`.
///
/// The name is 1 to 64 of `A-Z a-z 0-9 . _ -`, the length 1 ms to a day, in whole milliseconds. Whoever limits the same
/// callers by the same name must mean the same length.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    name: String,
    milliseconds: u32,
}

impl Window {
    /// The longest.
    pub const LONGEST: Duration = Duration::from_hours(24);

    /// A window of this name and length; what is less than a millisecond of the length is cut off.
    pub fn new(name: &str, length: Duration) -> Result<Self, LimitError> {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(of_name) {
            return Err(LimitError::WindowName { text: Shown(name).to_string() });
        }
        match u32::try_from(length.as_millis()) {
            Ok(milliseconds @ 1..) if length <= Self::LONGEST => {
                Ok(Self { name: name.to_owned(), milliseconds })
            }
            _ => Err(LimitError::WindowLength { length }),
        }
    }

    /// A second, called `second`.
    #[must_use]
    pub fn second() -> Self {
        Self { name: "second".to_owned(), milliseconds: 1_000 }
    }

    /// A minute, called `minute`.
    #[must_use]
    pub fn minute() -> Self {
        Self { name: "minute".to_owned(), milliseconds: 60_000 }
    }

    /// An hour, called `hour`.
    #[must_use]
    pub fn hour() -> Self {
        Self { name: "hour".to_owned(), milliseconds: 3_600_000 }
    }

    /// A day, called `day`.
    #[must_use]
    pub fn day() -> Self {
        Self { name: "day".to_owned(), milliseconds: 86_400_000 }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.milliseconds.into())
    }

    pub(super) fn milliseconds(&self) -> u64 {
        self.milliseconds.into()
    }

    pub(super) fn microseconds(&self) -> u64 {
        self.milliseconds() * 1_000
    }
}

/// Why there is no such limit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Not the name of a [`Window`].
    #[error("{text} is not a window's name: it must be 1 to 64 letters, digits, dots, _ or -")]
    WindowName {
        /// What was given, escaped and cut.
        text: String,
    },
    /// Not the length of a [`Window`].
    #[error("a window must last between a millisecond and a day, not {length:?}")]
    WindowLength {
        /// What was given.
        length: Duration,
    },
    /// More requests in a window than the algorithm can keep count of.
    #[error("{most} requests in a window are too many: the limit is {limit}")]
    TooMany {
        /// What was given.
        most: u32,
        /// The most there can be.
        limit: u32,
    },
    /// A token bucket that would get more than one token each microsecond.
    #[error("{most} requests in {length:?} are more than one each microsecond")]
    TooFast {
        /// What was given.
        most: u32,
        /// The length of the window.
        length: Duration,
    },
    /// A token bucket that would take more than a year to fill.
    #[error("a bucket of {burst} tokens would take more than a year to fill")]
    TooSlow {
        /// What was given.
        burst: u32,
    },
}
