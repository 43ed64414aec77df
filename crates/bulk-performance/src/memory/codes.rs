//! Cities, departments and dates as small numbers: the application knows the table, the server stores an integer.

use redis::RedisResult;

use super::document::unreadable;
use crate::people::{CITIES, DEPARTMENTS};

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The value as it is.
    Plain,
    /// An index into [`CITIES`].
    City,
    /// An index into [`DEPARTMENTS`].
    Department,
    /// Days since 1970-01-01.
    Day,
}

impl Code {
    /// The value as it is stored.
    pub(crate) fn encode(self, value: &str) -> RedisResult<String> {
        let place = |names: &[&str]| {
            let found = names.iter().position(|name| *name == value);
            found.map(|index| index.to_string()).ok_or_else(|| unreadable(format!("no code for {value:?}")))
        };
        match self {
            Self::Plain => Ok(value.to_owned()),
            Self::City => place(&CITIES),
            Self::Department => place(&DEPARTMENTS),
            Self::Day => days(value)
                .map(|days| days.to_string())
                .ok_or_else(|| unreadable(format!("no date: {value:?}"))),
        }
    }

    /// What the stored value means.
    pub(crate) fn decode(self, stored: String) -> RedisResult<String> {
        if self == Self::Plain {
            return Ok(stored);
        }
        let number: usize = stored.parse().map_err(unreadable)?;
        let name = |names: &[&str]| names.get(number).map(|name| (*name).to_owned());
        let value = match self {
            Self::Plain => None,
            Self::City => name(&CITIES),
            Self::Department => name(&DEPARTMENTS),
            Self::Day => i64::try_from(number).ok().and_then(date),
        };
        value.ok_or_else(|| unreadable(format!("no meaning for {number}")))
    }
}

/// Years beyond this have no four digits.
const LAST_DAY: i64 = 2_932_896;

/// Days since 1970-01-01 of a date such as 2024-02-29, from then on; Howard Hinnant's `days_from_civil`.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The date of a day since 1970-01-01; Howard Hinnant's `civil_from_days`.
fn date(days: i64) -> Option<String> {
    if !(0..=LAST_DAY).contains(&days) {
        return None;
    }
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        assert_eq!(
            (days("1970-01-01"), days("2000-03-01"), days("2024-02-29")),
            (Some(0), Some(11_017), Some(19_782))
        );
        assert_eq!((days("9999-12-31"), date(LAST_DAY + 1)), (Some(LAST_DAY), None));
        for day in 0..30_000 {
            assert_eq!(days(&date(day).unwrap()), Some(day));
        }
    }

    #[test]
    fn what_has_no_code_is_refused_both_ways() {
        assert!(Code::City.encode("Atlantis").is_err() && Code::Day.encode("someday").is_err());
        for stored in ["-1", "10", "99999999999999999999", "New York"] {
            assert!(Code::City.decode(stored.into()).is_err(), "{stored}");
        }
        assert_eq!(Code::City.decode(Code::City.encode("Chicago").unwrap()).unwrap(), "Chicago");
        assert_eq!(Code::Day.decode(Code::Day.encode("2019-07-04").unwrap()).unwrap(), "2019-07-04");
    }
}
