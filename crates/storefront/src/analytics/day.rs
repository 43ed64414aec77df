//! Days and weeks of the calendar, without a crate for dates: thirty lines of arithmetic, checked day by day in the tests.

use std::fmt;
use std::str::FromStr;

use crate::shown::Shown;

/// A day of the Gregorian calendar in UTC, from 0001-01-01 to 9999-12-31, also before that calendar was introduced.
/// Written `2024-01-01`, so days sort as texts too.
///
/// ```
/// use storefront::analytics::Day;
///
/// let day: Day = "2024-12-30".parse()?;
/// assert_eq!(day.week().to_string(), "2025-W01");
/// assert_eq!(Day::of_unix_seconds(0).to_string(), "1970-01-01");
/// # Ok::<(), storefront::analytics::DayError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day {
    /// Days since 1970-01-01.
    epoch: i32,
}

impl Day {
    /// 0001-01-01.
    pub const MIN: Self = Self { epoch: -719_162 };
    /// 9999-12-31.
    pub const MAX: Self = Self { epoch: 2_932_896 };

    /// The day of this date, `None` if there is none.
    #[must_use]
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let exists = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day);
        exists.then(|| Self { epoch: days_from_civil(year, month, day) })
    }

    /// The day that many days after 1970-01-01, `None` outside [`Day::MIN`] to [`Day::MAX`].
    #[must_use]
    pub fn from_epoch(days: i64) -> Option<Self> {
        let epoch = i32::try_from(days).ok()?;
        (Self::MIN.epoch..=Self::MAX.epoch).contains(&epoch).then_some(Self { epoch })
    }

    /// The day of this moment in UTC, the nearest there is for a moment outside all days.
    #[must_use]
    pub fn of_unix_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        Self::from_epoch(days).unwrap_or(if days < 0 { Self::MIN } else { Self::MAX })
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn epoch(self) -> i32 {
        self.epoch
    }

    /// Year, month from 1 to 12, day from 1 to 31.
    #[must_use]
    pub fn date(self) -> (i32, u32, u32) {
        civil_from_days(self.epoch)
    }

    /// So many days later, or earlier if negative; `None` outside all days.
    #[must_use]
    pub fn plus(self, days: i32) -> Option<Self> {
        Self::from_epoch(i64::from(self.epoch) + i64::from(days))
    }

    /// 1 for Monday to 7 for Sunday, as ISO 8601 counts.
    #[must_use]
    pub fn weekday(self) -> u32 {
        // 1970-01-01 was a Thursday.
        (self.epoch + 3).rem_euclid(7).unsigned_abs() + 1
    }

    /// The week it is in.
    #[must_use]
    pub fn week(self) -> Week {
        Week { monday: self.epoch + 1 - self.weekday().cast_signed() }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        f.pad(&format!("{year:04}-{month:02}-{day:02}"))
    }
}

/// Four, two and two digits, as [`Day`] is written.
impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
        };
        let dashes = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        let day = || Self::new(number(0..4)?.cast_signed(), number(5..7)?, number(8..10)?);
        day().filter(|_| dashes).ok_or_else(|| DayError { text: Shown(text).to_string() })
    }
}

/// A week of ISO 8601: Monday to Sunday; week 1 has the year's first Thursday in it. Written `2024-W01`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Week {
    /// Days from 1970-01-01 to its Monday; at the edges of the calendar a Monday outside it.
    monday: i32,
}

impl Week {
    /// The year and the number of the week, from 1 to 53. Around New Year the year is that of its Thursday.
    #[must_use]
    pub fn number(self) -> (i32, u32) {
        let thursday = self.monday + 3;
        let (year, ..) = civil_from_days(thursday);
        let first = days_from_civil(year, 1, 1);
        (year, (thursday - first).unsigned_abs() / 7 + 1)
    }

    /// Its days from Monday to Sunday: seven, fewer only in the first and the last week of the calendar.
    pub fn days(self) -> impl Iterator<Item = Day> {
        (self.monday..self.monday + 7).filter_map(|epoch| Day::from_epoch(i64::from(epoch)))
    }
}

impl fmt::Display for Week {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, week) = self.number();
        f.pad(&format!("{year:04}-W{week:02}"))
    }
}

/// A text is no day. It is escaped and cut.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text} is not a day: write it like 2024-01-31")]
pub struct DayError {
    /// What was given.
    pub text: String,
}

fn days_in(year: i32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Years here begin in March, so that the leap day is the last of its year. 400 of them are one era of 146 097 days. After
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (month.cast_signed() + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day.cast_signed() - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(epoch: i32) -> (i32, u32, u32) {
    let days = epoch + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i32::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}
