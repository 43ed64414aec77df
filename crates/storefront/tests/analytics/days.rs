//! Days and weeks, against counting one day after the other.

use proptest::prelude::*;
use storefront::analytics::Day;

use crate::shop::cases;

#[test]
fn every_day_of_the_calendar_follows_the_one_before() {
    let (mut year, mut month, mut day, mut weekday) = (1, 1, 1, 1);
    let (mut week_year, mut week) = (1, 1);
    for epoch in Day::MIN.epoch()..=Day::MAX.epoch() {
        let counted = Day::from_epoch(i64::from(epoch)).unwrap();
        assert_eq!((counted.date(), counted.weekday()), ((year, month, day), weekday));
        assert_eq!(Day::new(year, month, day), Some(counted));
        if weekday == 4 && day <= 7 && month == 1 {
            // The week with the year's first Thursday is week 1.
            (week_year, week) = (year, 1);
        }
        if weekday == 4 {
            assert_eq!(counted.week().number(), (week_year, week), "{counted}");
            assert!(counted.week().days().all(|other| other.week() == counted.week()));
            week += 1;
        }
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        weekday = weekday % 7 + 1;
        (year, month, day) = match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == last => (year, month + 1, 1),
            (_, day) => (year, month, day + 1),
        };
    }
    assert_eq!(year, 10_000);
}

#[test]
fn known_days_are_in_known_weeks() {
    let week = |text: &str| text.parse::<Day>().unwrap().week().to_string();
    for (day, expected) in [
        ("1970-01-01", "1970-W01"),
        ("2024-01-01", "2024-W01"),
        ("2024-12-29", "2024-W52"),
        ("2024-12-30", "2025-W01"),
        ("2021-01-03", "2020-W53"),
        ("2026-11-21", "2026-W47"),
    ] {
        assert_eq!(week(day), expected, "{day}");
    }
}

#[test]
fn no_text_but_a_day_is_a_day() {
    for text in [
        "",
        "2024-1-01",
        "2024-02-30",
        "2023-02-29",
        "0000-01-01",
        "2024-13-01",
        "2024-00-01",
        "2024-01-00",
        "2024-01-01 ",
        "+024-01-01",
        "2024/01/01",
        "20240101",
        "2024-01-0é",
        "today",
        "２０２４-01-01",
    ] {
        assert!(text.parse::<Day>().is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_day_reads_back_as_it_is_written_and_sorts_as_its_text(one in any::<i32>(), other in any::<i32>()) {
        let day = |number: i32| Day::of_unix_seconds(i64::from(number) * 100);
        let (one, other) = (day(one), day(other));
        prop_assert_eq!(one.to_string().parse(), Ok(one));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }

    #[test]
    fn hostile_numbers_and_texts_make_no_panic(seconds in any::<i64>(), days in any::<i32>(), text in ".{0,12}") {
        let day = Day::of_unix_seconds(seconds);
        let _ = (day.plus(days), day.week().number(), text.parse::<Day>(), Day::from_epoch(seconds));
        let _ = Day::new(days, 1, 1);
    }
}
