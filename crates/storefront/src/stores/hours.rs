//! When a store is open: plain functions of its hours and a local time.

use super::place::PlaceError;

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// The most spans of one day.
const MOST_SPANS: usize = 4;

/// The days of a week, as the fields of a store are called.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A moment of the week, where the store is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocalTime {
    /// Since Monday 00:00.
    minute_of_week: u32,
}

impl LocalTime {
    /// A day (0 is Monday), an hour and a minute of it; `None` if there is no such time.
    #[must_use]
    pub fn new(day: u32, hour: u32, minute: u32) -> Option<Self> {
        // Not before it is known to be small: any number may be given.
        (day < 7 && hour < 24 && minute < 60).then(|| Self { minute_of_week: day * DAY + hour * 60 + minute })
    }

    /// The local time at a moment (milliseconds of the Unix epoch), so many minutes east of Greenwich's time. The offset
    /// is that of the store at that moment, with its summer time; days of another offset are for the caller to know.
    #[must_use]
    pub fn at(unix_ms: u64, minutes_east: i32) -> Self {
        // The epoch began on a Thursday.
        let since_monday = unix_ms / 60_000 % u64::from(WEEK) + u64::from(3 * DAY);
        let minute = (since_monday.cast_signed() + i64::from(minutes_east)).rem_euclid(i64::from(WEEK));
        Self { minute_of_week: u32::try_from(minute).unwrap_or_default() }
    }
}

/// Whether a store is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// It is, at this moment.
    Open {
        /// Minutes until it closes; `None` if it never does.
        closes_in: Option<u32>,
    },
    /// It is not.
    Closed {
        /// Minutes until it opens; `None` if it never does.
        opens_in: Option<u32>,
    },
}

/// The hours of a week.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hours {
    /// Minutes of the week from which and until which it is open, until excluded. One that begins on Sunday may end beyond
    /// the week.
    spans: Vec<(u32, u32)>,
    days: [String; 7],
}

impl Hours {
    /// The hours of each day from Monday on: `09:00-18:00`, or `09:00-12:30,14:00-18:00`, or nothing for a day on which it
    /// is closed. The minute of closing is the first in which it is closed. `18:00-02:00` ends on the next day,
    /// `00:00-24:00` is the whole day.
    ///
    /// ```
    /// use storefront::stores::{Hours, LocalTime, Opening};
    ///
    /// let hours = Hours::new(["", "", "", "", "18:00-02:00", "18:00-02:00", ""])?;
    /// let one_at_night = LocalTime::new(6, 1, 0).unwrap();
    /// assert_eq!(hours.at(one_at_night), Opening::Open { closes_in: Some(60) }, "Saturday's evening is not over");
    /// # Ok::<(), storefront::stores::PlaceError>(())
    /// ```
    pub fn new(days: [&str; 7]) -> Result<Self, PlaceError> {
        let mut spans = Vec::new();
        for (day, text) in (0..).zip(days) {
            for (number, span) in text.split(',').filter(|_| !text.is_empty()).enumerate() {
                let (opens, closes) = span_of(span).ok_or_else(|| PlaceError::hours(text))?;
                if number >= MOST_SPANS {
                    return Err(PlaceError::hours(text));
                }
                let overnight = if closes <= opens { DAY } else { 0 };
                spans.push((day * DAY + opens, day * DAY + closes + overnight));
            }
        }
        Ok(Self { spans, days: days.map(str::to_owned) })
    }

    /// The same hours on every day.
    pub fn daily(hours: &str) -> Result<Self, PlaceError> {
        Self::new([hours; 7])
    }

    /// The hours of each day from Monday on, as they were given.
    #[must_use]
    pub fn days(&self) -> &[String; 7] {
        &self.days
    }

    /// Whether it is open at a time, and how long that lasts.
    #[must_use]
    pub fn at(&self, time: LocalTime) -> Opening {
        let now = time.minute_of_week;
        let mut open_for = 0;
        // One span may begin where another ends.
        while let Some(left) = self.left_at((now + open_for) % WEEK) {
            open_for += left;
            if open_for >= WEEK {
                return Opening::Open { closes_in: None };
            }
        }
        if open_for > 0 {
            return Opening::Open { closes_in: Some(open_for) };
        }
        let opens_in = self.spans.iter().map(|(opens, _)| (opens + WEEK - now) % WEEK).min();
        Opening::Closed { opens_in }
    }

    /// The most minutes for which a span that holds this minute goes on.
    fn left_at(&self, minute: u32) -> Option<u32> {
        let left = |at: u32| {
            let holding = self.spans.iter().filter(move |(opens, closes)| (*opens..*closes).contains(&at));
            holding.map(move |(_, closes)| closes - at).max()
        };
        left(minute).max(left(minute + WEEK))
    }
}

/// `09:00-18:00` as minutes of a day.
fn span_of(text: &str) -> Option<(u32, u32)> {
    let (opens, closes) = text.split_once('-')?;
    let (opens, closes) = (minute_of_day(opens)?, minute_of_day(closes)?);
    (opens < DAY && opens != closes).then_some((opens, closes))
}

fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60 || hour == 24 && minute == 0).then_some(hour * 60 + minute)
}
