//! When a store is open: boundaries, midnight, the end of the week, against looking at every minute.

use proptest::prelude::*;
use storefront::stores::{Hours, LocalTime, Opening};

use crate::shop::cases;

fn at(day: u32, hour: u32, minute: u32) -> LocalTime {
    LocalTime::new(day, hour, minute).unwrap()
}

fn open(minutes: u32) -> Opening {
    Opening::Open { closes_in: Some(minutes) }
}

fn closed(minutes: u32) -> Opening {
    Opening::Closed { opens_in: Some(minutes) }
}

#[test]
fn the_minute_of_opening_is_open_and_that_of_closing_is_closed() {
    let hours = Hours::new(["09:00-12:30,14:00-18:00", "", "", "", "", "", ""]).unwrap();
    assert_eq!(hours.at(at(0, 8, 59)), closed(1));
    assert_eq!(hours.at(at(0, 9, 0)), open(210));
    assert_eq!(hours.at(at(0, 12, 29)), open(1));
    assert_eq!(hours.at(at(0, 12, 30)), closed(90));
    assert_eq!(hours.at(at(0, 17, 59)), open(1));
    assert_eq!(hours.at(at(0, 18, 0)), closed(7 * 1440 - 9 * 60), "until Monday");
}

#[test]
fn an_evening_goes_on_after_midnight_also_at_the_end_of_the_week() {
    let hours = Hours::new(["", "", "", "", "18:00-02:00", "", "20:00-01:00"]).unwrap();
    assert_eq!(hours.at(at(4, 23, 59)), open(121));
    assert_eq!(hours.at(at(5, 0, 0)), open(120));
    assert_eq!(hours.at(at(5, 1, 59)), open(1));
    assert_eq!(hours.at(at(5, 2, 0)), closed(1440 + 18 * 60));
    assert_eq!(hours.at(at(6, 23, 0)), open(120));
    assert_eq!(hours.at(at(0, 0, 59)), open(1), "Sunday's evening ends on Monday");
    assert_eq!(hours.at(at(0, 1, 0)), closed(4 * 1440 + 17 * 60));
    assert_eq!(hours.at(at(4, 1, 0)), closed(17 * 60), "Thursday was no evening");
}

#[test]
fn days_that_touch_are_one_opening_and_always_open_never_closes() {
    let hours = Hours::new(["", "", "", "", "10:00-24:00", "00:00-03:00", ""]).unwrap();
    assert_eq!(hours.at(at(4, 22, 0)), open(300));
    let always = Hours::daily("00:00-24:00").unwrap();
    assert_eq!(always.at(at(6, 23, 59)), Opening::Open { closes_in: None });
    assert_eq!(Hours::default().at(at(0, 0, 0)), Opening::Closed { opens_in: None });
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "9:00-18:00",
        "09:00",
        "09:00-25:00",
        "24:00-02:00",
        "09:60-10:00",
        "-",
        ",",
        "09:00-09:00",
        "x",
        "09:00-18:00,",
    ] {
        assert!(Hours::daily(text).is_err(), "{text}");
    }
    assert!(Hours::daily(&["09:00-10:00"; 5].join(",")).is_err());
    assert_eq!(LocalTime::new(7, 0, 0), None);
    assert_eq!(LocalTime::new(0, 24, 0), None);
    assert_eq!(LocalTime::new(u32::MAX, 0, 0), None);
    assert_eq!(LocalTime::new(0, u32::MAX, u32::MAX), None);
}

#[test]
fn a_moment_of_the_epoch_is_a_local_time() {
    // 2026-11-21 was a Saturday; 14:53 in Greenwich.
    let moment = 1_795_272_780_000;
    assert_eq!(LocalTime::at(moment, 0), at(5, 14, 53));
    assert_eq!(LocalTime::at(moment, 10 * 60), at(6, 0, 53));
    assert_eq!(LocalTime::at(moment, -15 * 60), at(4, 23, 53));
    assert_eq!(LocalTime::at(0, -1), at(2, 23, 59));
    let _ = LocalTime::at(u64::MAX, i32::MIN);
}

proptest! {
    #![proptest_config(cases(100))]

    /// Every minute of a week, looked at one by one.
    #[test]
    fn hours_are_what_looking_at_every_minute_says(spans in proptest::collection::vec((0..7_usize, 0..288_u32, 0..289_u32), 0..6)) {
        let mut days: [Vec<String>; 7] = Default::default();
        let mut minutes = vec![false; 10_080];
        for (day, opens, closes) in spans {
            let (opens, closes) = (opens * 5, closes * 5);
            if opens == closes || days[day].len() == 4 {
                continue;
            }
            let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
            days[day].push(format!("{}-{}", clock(opens), clock(closes)));
            let until = if closes < opens { closes + 1440 } else { closes };
            for minute in opens..until {
                minutes[(day * 1440 + minute as usize) % 10_080] = true;
            }
        }
        let days = days.map(|day| day.join(","));
        let hours = Hours::new(days.each_ref().map(String::as_str)).unwrap();
        for now in (0..10_080).step_by(101) {
            let is_open = minutes[now];
            let changes_in = (1..=10_080_u32).find(|later| minutes[(now + *later as usize) % 10_080] != is_open);
            let expected = if is_open {
                Opening::Open { closes_in: changes_in }
            } else {
                Opening::Closed { opens_in: changes_in }
            };
            let now = u32::try_from(now).unwrap();
            let (day, minute) = (now / 1440, now % 1440);
            prop_assert_eq!(hours.at(at(day, minute / 60, minute % 60)), expected, "{:?} at {}", days, now);
        }
    }
}
