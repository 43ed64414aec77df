use std::collections::BTreeMap;
use std::time::Duration;

use lab_server::Server;
use lab_testing::{TestConnection, cases};
use patterns::script::StoreError;
use patterns::time_series::{
    Appended, Chunk, Duplicates, Every, MAX_DAYS, MAX_TIME, MAX_UNITS, Page, Retention, RollUp, Sample,
    SeriesError, TimeSeries,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2024-01-01.
const BEGIN: u64 = 19_723 * DAY;

/// Series that never expire.
fn forever(connection: &TestConnection, prefix: &str) -> TimeSeries<TestConnection> {
    TimeSeries::new(connection.clone(), prefix).with_retention(Retention::FOREVER)
}

fn at(ms: u64, value: f64) -> Sample {
    Sample::new(BEGIN + ms, value)
}

/// The samples that a series should have: time and number to thousandths.
type Model = BTreeMap<(u64, u16), i64>;

#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn model_of(samples: &[Sample]) -> Model {
    let units = |sample: &Sample| (sample.value * 1000.0).round() as i64;
    samples.iter().map(|sample| ((sample.at, sample.number), units(sample))).collect()
}

/// The roll-ups computed from all samples.
fn computed(model: &Model, length: u64) -> Vec<RollUp> {
    let mut buckets = BTreeMap::<u64, (u64, i64, i64, i64)>::new();
    for ((at, _), units) in model {
        let bucket = buckets.entry(at / length * length).or_insert((0, 0, i64::MAX, i64::MIN));
        *bucket = (bucket.0 + 1, bucket.1 + units, bucket.2.min(*units), bucket.3.max(*units));
    }
    let value = |units: i64| units as f64 / 1000.0;
    let roll_up = |(start, (count, sum, min, max)): (u64, (u64, i64, i64, i64))| RollUp {
        start,
        count,
        sum: value(sum),
        min: value(min),
        max: value(max),
    };
    buckets.into_iter().map(roll_up).collect()
}

/// Compares samples and roll-ups in this range with what they should be.
async fn assert_equals(series: &TimeSeries<TestConnection>, model: &Model, from: u64, to: u64) {
    let expected: Vec<Sample> = model
        .iter()
        .map(|((at, number), units)| Sample { at: *at, number: *number, value: *units as f64 / 1000.0 })
        .collect();
    assert_eq!(all(series, from, to).await, expected);
    for (every, length) in [(Every::Minute, MINUTE), (Every::Hour, HOUR), (Every::Day, DAY)] {
        let found = series.roll_ups("s", every, from, to).await.unwrap();
        assert_eq!(found, computed(model, length), "{every:?}");
    }
}

/// All samples, page after page.
async fn all(series: &TimeSeries<TestConnection>, from: u64, to: u64) -> Vec<Sample> {
    let (mut samples, mut next) = (Vec::new(), Some(from));
    while let Some(from) = next {
        let page = series.range("s", from, to, 100).await.unwrap();
        samples.extend(page.samples);
        assert!(page.next.is_none_or(|next| next > from));
        next = page.next;
    }
    samples
}

#[test]
fn samples_in_any_order_count_once_in_every_roll_up() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        let samples = [at(61_000, 2.5), at(100, -1.25), at(HOUR, 7.0), at(DAY - 1, 3.0), at(DAY, 4.0)];
        assert_eq!(series.append_many("s", &samples).await.unwrap().new, 5);
        // A retry, one sample at a time and in another order.
        for sample in samples.iter().rev() {
            let again = series.append("s", *sample).await.unwrap();
            assert_eq!(again, Appended { new: 0, replaced: 0, unchanged: 1 });
        }
        assert_equals(&series, &model_of(&samples), BEGIN, BEGIN + 2 * DAY).await;
        let day = series.roll_ups("s", Every::Day, BEGIN, BEGIN + DAY).await.unwrap()[0];
        assert_eq!(day.mean().to_bits(), (11.25_f64 / 4.0).to_bits());
        assert_eq!(
            series.range("other", BEGIN - DAY, BEGIN, 10).await.unwrap(),
            Page { samples: vec![], next: None }
        );
    });
}

#[test]
fn of_duplicates_the_last_or_the_first_value_holds() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        let first = forever(&connection, &prefix).with_duplicates(Duplicates::KeepFirst);
        for (series, held, expected) in [(&series, 3.0, [0, 1, 1]), (&first, 3.0, [0, 0, 2])] {
            // Within a call, and between calls.
            let appended = series.append_many("s", &[at(5, 9.0), at(5, 9.0)]).await.unwrap();
            assert!(appended.new <= 1 && appended.unchanged >= 1, "{appended:?}");
            let Appended { new, replaced, unchanged } =
                series.append_many("s", &[at(5, 2.0), at(5, 3.0)]).await.unwrap();
            assert_eq!([new, replaced, unchanged], expected);
            let day = series.roll_ups("s", Every::Day, BEGIN, BEGIN + 1).await.unwrap()[0];
            let held = if expected[1] == 1 { held } else { 9.0 };
            assert_eq!((day.count, day.sum, day.min, day.max), (1, held, held, held));
            series.remove("s").await.unwrap();
        }
    });
}

/// CASES T7 (a).
#[test]
fn three_events_of_one_millisecond_count_three_times_and_a_retry_does_not() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        let events = [0, 1, 1_023].map(|number| Sample { number, ..at(HOUR - 1, 1.0) });
        for new in [3, 0] {
            assert_eq!(series.append_many("s", &events).await.unwrap().new, new);
        }
        assert_eq!(series.range("s", BEGIN, BEGIN + HOUR, 10).await.unwrap().samples, events);
        for every in [Every::Minute, Every::Hour, Every::Day] {
            assert_eq!(series.roll_ups("s", every, BEGIN, BEGIN + DAY).await.unwrap()[0].count, 3);
        }
        let too_many = Sample { number: 1_024, ..events[0] };
        assert_matches!(series.append("s", too_many).await, Err(SeriesError::Number { number: 1_024 }));
    });
}

/// CASES T7 (b).
#[test]
fn a_late_sample_is_read_in_the_order_of_time() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        for ms in [5, 9, 7] {
            series.append("s", at(ms, ms as f64)).await.unwrap();
        }
        let times = all(&series, BEGIN, BEGIN + DAY).await.into_iter().map(|sample| sample.at - BEGIN);
        assert_eq!(times.collect::<Vec<_>>(), [5, 7, 9]);
    });
}

/// CASES T7 (c): what cannot be kept exactly is refused.
#[test]
fn what_is_not_exact_or_not_a_time_is_refused_and_changes_nothing() {
    everywhere(async |connection, prefix| {
        let series = TimeSeries::new(connection.clone(), &prefix);
        let now = series.now().await.unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, MAX_UNITS as f64] {
            let good_and_bad = [Sample::new(now, 1.0), Sample::new(now + 1, value)];
            assert_matches!(series.append_many("s", &good_and_bad).await, Err(SeriesError::Value { .. }));
        }
        for at in [MAX_TIME, MAX_TIME + 1, u64::MAX] {
            assert_matches!(series.append("s", Sample::new(at, 1.0)).await, Err(SeriesError::Time { .. }));
        }
        let error = series.append("s", Sample::new(MAX_TIME - 1, 1.0)).await.unwrap_err();
        assert_matches!(error, SeriesError::TooNew { .. });
        let error = series.append("s", Sample::new(now + DAY + HOUR, 1.0)).await.unwrap_err();
        assert_matches!(error, SeriesError::TooNew { ahead } if ahead > Duration::from_hours(24));
        for at in [0, now - 9 * DAY] {
            assert_matches!(series.append("s", Sample::new(at, 1.0)).await, Err(SeriesError::TooOld));
        }
        let error = series.range("s", 0, (MAX_DAYS + 1) * DAY, 1).await.unwrap_err();
        assert_matches!(error, SeriesError::TooLong { .. });
        assert_eq!(series.range("s", now, 0, 1).await.unwrap().samples, []);
        assert_eq!(connection.keys(&format!("{prefix}*")).await, [""; 0]);
    });
}

#[test]
fn a_sum_that_is_not_exact_is_refused() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix).with_decimals(0).with_chunk(Chunk::Minute);
        let most = MAX_UNITS as f64;
        let samples: Vec<Sample> = (0..1_023).map(|number| Sample { number, ..at(0, most) }).collect();
        assert_eq!(series.append_many("s", &samples).await.unwrap().new, 1_023);
        for late in [at(1, most), at(HOUR, most)] {
            assert_matches!(series.append("s", late).await, Err(SeriesError::Overflow));
        }
        series.append("s", at(1, most - 1.0)).await.unwrap();
        let day = series.roll_ups("s", Every::Day, BEGIN, BEGIN + 1).await.unwrap()[0];
        assert_eq!((day.count, day.sum), (1_024, (1_u64 << 53) as f64 - 1.0));
    });
}

/// CASES T6 (a), (c), (d), with tens of minutes for the units.
#[test]
fn after_deletions_and_late_samples_the_roll_ups_are_the_sums_of_the_samples() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        series.append_many("s", &[at(MINUTE, 1.0), at(11 * MINUTE, 11.0)]).await.unwrap();
        let deleted = series.delete("s", BEGIN + 10 * MINUTE, BEGIN + 13 * MINUTE).await.unwrap();
        assert_eq!(deleted, 1);
        series.append("s", at(22 * MINUTE, 22.0)).await.unwrap();
        let mut model = Model::from([((BEGIN + MINUTE, 0), 1_000), ((BEGIN + 22 * MINUTE, 0), 22_000)]);
        assert_equals(&series, &model, BEGIN, BEGIN + DAY).await;
        // Into a closed minute and a closed hour that had none.
        series.append_many("s", &[at(12 * MINUTE, 3.0), at(23 * HOUR, 5.0)]).await.unwrap();
        series.append("s", at(3 * HOUR, 4.0)).await.unwrap();
        let late = [(12 * MINUTE, 3_000), (23 * HOUR, 5_000), (3 * HOUR, 4_000)];
        model.extend(late.map(|(ms, units)| ((BEGIN + ms, 0), units)));
        assert_equals(&series, &model, BEGIN, BEGIN + DAY).await;
        assert_eq!(series.delete("s", BEGIN + HOUR, BEGIN + HOUR).await.unwrap(), 0);
        // The hour, the day, and the series go with their last sample, and come again.
        for round in 0..2 {
            assert_eq!(series.delete("s", BEGIN, BEGIN + DAY - 1).await.unwrap(), 5 - 4 * round);
            assert_equals(&series, &Model::new(), BEGIN, BEGIN + DAY).await;
            let key = series.key("s").unwrap();
            assert_eq!(connection.keys(&format!("{prefix}*")).await, [key.as_str()]);
            series.append("s", at(0, 1.0)).await.unwrap();
            assert_equals(&series, &Model::from([((BEGIN, 0), 1_000)]), BEGIN, BEGIN + DAY).await;
        }
    });
}

/// CASES T6 (b).
#[test]
fn where_samples_are_expired_roll_ups_are_final() {
    everywhere(async |connection, prefix| {
        let day = |days: u64| Some(Duration::from_hours(24 * days));
        let kept = Retention { raw: day(2), minutes: day(1), hours: None, days: day(1) };
        let series = TimeSeries::new(connection.clone(), &prefix).with_retention(kept);
        let today = series.now().await.unwrap() / DAY * DAY;
        for at in [today - DAY, today - DAY + 1, today] {
            series.append("s", Sample::new(at, 1.0)).await.unwrap();
        }
        let keys = series.day_keys("s", today / DAY - 1).unwrap();
        let mut expire = Vec::new();
        for key in &keys {
            expire.push(connection.send::<i64>(&["PEXPIRETIME", key]).await);
        }
        // Minutes are kept at least as long as samples, and hours forever.
        let expected = i64::try_from(today + 2 * DAY + MINUTE).unwrap();
        assert_eq!(expire, [expected, expected, -1]);

        let short = Retention { raw: Some(Duration::ZERO), ..kept };
        let later = series.clone().with_retention(short);
        let _: () = connection.send(&["DEL", &keys[0]]).await;
        assert_matches!(later.delete("s", today - DAY, today - DAY + 1).await, Err(SeriesError::TooOld));
        assert_matches!(later.append("s", Sample::new(today - DAY + 1, 5.0)).await, Err(SeriesError::TooOld));
        assert_matches!(later.rebuild("s", today - DAY).await, Err(SeriesError::TooOld));
        let counts = |roll_ups: Vec<RollUp>| roll_ups.iter().map(|bucket| bucket.count).collect::<Vec<_>>();
        for every in [Every::Minute, Every::Hour, Every::Day] {
            assert_eq!(counts(later.roll_ups("s", every, today - DAY, today + DAY).await.unwrap()), [2, 1]);
        }
        assert_eq!(later.range("s", today - DAY, today + DAY, 10).await.unwrap().samples.len(), 1);
        // A whole day can go.
        assert_eq!(later.delete("s", today - DAY, today).await.unwrap(), 2);
        assert_eq!(counts(later.roll_ups("s", Every::Day, today - DAY, today + DAY).await.unwrap()), [1]);
    });
}

/// CASES T6 (e).
#[test]
fn a_series_that_was_removed_begins_anew_even_with_other_settings() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        for day in 0..40 {
            series.append("s", at(day * 3 * DAY, 1.0)).await.unwrap();
        }
        let other = forever(&connection, &prefix).with_decimals(0).with_chunk(Chunk::Hour);
        let error = other.append("s", at(1, 1.0)).await.unwrap_err();
        assert_matches!(&error, SeriesError::OtherSettings { stored } if stored == "3:10");
        let error = other.roll_ups("s", Every::Day, BEGIN, BEGIN + DAY).await.unwrap_err();
        assert_matches!(error, SeriesError::OtherSettings { .. });
        assert_eq!(series.remove("s").await.unwrap(), 40);
        assert_eq!(connection.keys(&format!("{prefix}*")).await, [""; 0]);
        assert_eq!(series.remove("s").await.unwrap(), 0);
        other.append("s", at(1, 1.0)).await.unwrap();
        let minutes = other.roll_ups("s", Every::Minute, BEGIN, BEGIN + DAY).await.unwrap();
        assert_eq!(minutes, [RollUp { start: BEGIN, count: 1, sum: 1.0, min: 1.0, max: 1.0 }]);
    });
}

#[test]
fn old_days_are_trimmed() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        let today = series.now().await.unwrap() / DAY * DAY;
        for days_ago in [0, 1, 2, 700] {
            series.append("s", Sample::new(today - days_ago * DAY, 1.0)).await.unwrap();
        }
        assert_eq!(series.trim("s").await.unwrap(), 0);
        let day = Some(Duration::from_hours(24));
        let short = Retention { raw: day, minutes: day, hours: day, days: day };
        assert_eq!(series.clone().with_retention(short).trim("s").await.unwrap(), 2);
        let left = series.roll_ups("s", Every::Day, today - 900 * DAY, today + DAY).await.unwrap();
        assert_eq!(left.iter().map(|day| day.start).collect::<Vec<_>>(), [today - DAY, today]);
    });
}

#[test]
fn a_lost_key_is_noticed_and_the_roll_ups_are_rebuilt_from_what_is_left() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        let samples: Vec<Sample> = (0..50).map(|i| at(i * 29 * MINUTE, i as f64)).collect();
        let model = model_of(&samples);
        let [raw, minutes, hours] = series.day_keys("s", BEGIN / DAY).unwrap();
        let root = series.key("s").unwrap().as_str().to_owned();
        for lost in [minutes, hours, root, raw.clone()] {
            series.append_many("s", &samples).await.unwrap();
            let _: () = connection.send(&["DEL", &lost]).await;
            assert_matches!(series.append("s", samples[0]).await, Err(SeriesError::Damaged), "{lost}");
            let left = if lost == raw { Model::new() } else { model.clone() };
            assert_eq!(series.rebuild("s", BEGIN).await.unwrap(), left.len() as u64, "{lost}");
            assert_equals(&series, &left, BEGIN, BEGIN + DAY).await;
        }
        assert_eq!(series.append_many("s", &samples).await.unwrap().new, 50);
        assert_eq!(series.rebuild("s", BEGIN).await.unwrap(), 50);
        assert_equals(&series, &model, BEGIN, BEGIN + DAY).await;
    });
}

#[test]
fn a_key_of_another_type_or_content_is_left_alone() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        let [raw, ..] = series.day_keys("s", BEGIN / DAY).unwrap();
        let _: () = connection.send(&["SET", &raw, "mine"]).await;
        let error = series.append("s", at(0, 1.0)).await.unwrap_err();
        let wrong_type =
            matches!(&error, SeriesError::Store(StoreError::WrongType(keys)) if keys.contains(&raw));
        assert!(wrong_type, "{error}");
        assert_eq!(connection.keys(&format!("{prefix}*")).await, [raw.as_str()]);
        let _: () = connection.send(&["DEL", &raw]).await;
        series.append("s", at(0, 1.0)).await.unwrap();
        let _: () = connection.send(&["HSET", &raw, "0", "mine"]).await;
        let error = series.append("s", at(1, 1.0)).await.unwrap_err();
        assert_matches!(error, SeriesError::Store(StoreError::Malformed(_)));
        let error = series.range("s", BEGIN, BEGIN + 1, 1).await.unwrap_err();
        assert_matches!(error, SeriesError::Store(StoreError::Malformed(_)));
    });
}

#[test]
fn names_are_any_text_and_an_append_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let series = forever(&connection, &prefix);
        for name in ["{cpu}\n*", "host:1 é", "%"] {
            series.append(name, at(0, 1.0)).await.unwrap();
            assert_eq!(connection.round_trips_of(series.append(name, at(1, 1.0))).await, 1);
            let minutes = series.roll_ups(name, Every::Minute, BEGIN, BEGIN + DAY).await.unwrap();
            assert_eq!(minutes[0].count, 2);
        }
    });
}

#[tokio::test]
async fn a_full_chunk_is_refused_and_no_call_is_slow() {
    let connection = TestConnection::server().await;
    let series = forever(&connection, &lab_testing::prefix()).with_chunk(Chunk::Minute);
    let samples: Vec<Sample> = (0..10_000).map(|i| at(i * 6, (i % 7) as f64)).collect();
    assert_eq!(series.append_many("s", &samples).await.unwrap().new, 10_000);
    assert_matches!(series.append("s", at(1, 1.0)).await, Err(SeriesError::ChunkFull));
    // Each of these computes the minute anew.
    assert_eq!(series.append("s", at(6, 99.0)).await.unwrap().replaced, 1);
    assert_eq!(series.delete("s", BEGIN + 6, BEGIN + 7).await.unwrap(), 1);
    assert_eq!(series.append("s", at(1, 1.0)).await.unwrap().new, 1);
}

#[tokio::test]
async fn samples_can_be_deleted_when_memory_is_full() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let series = forever(&connection, "");
    let samples: Vec<Sample> = (0..5_000).map(|i| at(i * 1_000, 1.0)).collect();
    series.append_many("s", &samples).await.unwrap();
    let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_matches!(series.append("s", at(1, 1.0)).await, Err(SeriesError::Store(StoreError::Redis(_))));
    assert_eq!(series.delete("s", BEGIN, BEGIN + HOUR).await.unwrap(), 3_600);
    assert_eq!(series.delete("s", BEGIN, BEGIN + DAY - 1).await.unwrap(), 1_400);
    assert_eq!(connection.keys("*").await, [series.key("s").unwrap().as_str()]);
}

/// A day of samples, 5% of them late, 1% sent twice, beside the same samples recomputed.
#[tokio::test]
async fn with_late_samples_and_duplicates_the_roll_ups_equal_a_recomputation() {
    const SAMPLES: usize = 50_000;
    let connection = TestConnection::server().await;
    let series = forever(&connection, &lab_testing::prefix());
    let mut random = StdRng::seed_from_u64(13);
    let mut sent: Vec<Sample> = (0..SAMPLES as u64)
        .map(|i| at(i * 1_731, f64::from(random.random_range(-50_000..50_000)) / 1000.0))
        .collect();
    let model = model_of(&sent);
    let mut late: Vec<Sample> = (0..SAMPLES).step_by(20).map(|i| sent[i]).collect();
    let twice: Vec<Sample> = (0..SAMPLES).step_by(100).map(|i| sent[i]).collect();
    let mut i = 0;
    sent.retain(|_| (i % 20 != 0, i += 1).0);
    late.extend(twice);
    late.shuffle(&mut random);
    let mut appended = Appended::default();
    // In time with a late one here and there, in batches.
    for (part, late) in sent.chunks(950).zip(late.chunks(60)) {
        let Appended { new, unchanged, replaced } =
            series.append_many("s", &[part, late].concat()).await.unwrap();
        appended.new += new;
        appended.unchanged += unchanged;
        appended.replaced += replaced;
    }
    assert_eq!(appended, Appended { new: SAMPLES as u64, replaced: 0, unchanged: SAMPLES as u64 / 100 });
    assert_equals(&series, &model, BEGIN, BEGIN + 2 * DAY).await;
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u64, u16, i64)>),
    Delete(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Near the edges of minutes, chunks, hours, and days.
    let edge =
        prop_oneof![Just(0), Just(MINUTE), Just(10 * MINUTE), Just(HOUR), Just(DAY - MINUTE), Just(DAY)];
    let time = (edge, 0_u64..4).prop_map(|(edge, ms)| (edge + ms * ms * ms * 700).saturating_sub(ms));
    let sample = (time.clone(), 0_u16..2, -3_i64..3);
    let append = proptest::collection::vec(sample, 1..6).prop_map(Step::Append);
    let delete = (time.clone(), time).prop_map(|(a, b)| Step::Delete(a.min(b), a.max(b) + 1));
    proptest::collection::vec(prop_oneof![3 => append, 1 => delete], 1..20)
}

#[test]
fn any_steps_leave_what_a_model_says() {
    let chunks = prop_oneof![Just(Chunk::Minute), Just(Chunk::TenMinutes), Just(Chunk::Hour)];
    let result =
        TestRunner::new(cases(25)).run(&(steps(), chunks, any::<bool>()), |(steps, chunk, first)| {
            everywhere(async |connection, prefix| {
                let duplicates = if first { Duplicates::KeepFirst } else { Duplicates::KeepLast };
                let series = forever(&connection, &prefix).with_chunk(chunk).with_duplicates(duplicates);
                let mut model = Model::new();
                for step in &steps {
                    match step {
                        Step::Append(samples) => {
                            let sample = |(ms, number, units): &(u64, u16, i64)| Sample {
                                number: *number,
                                ..at(*ms, *units as f64 / 1000.0)
                            };
                            let sent: Vec<Sample> = samples.iter().map(sample).collect();
                            let before = model.len();
                            for (ms, number, units) in samples {
                                let held = model.entry((BEGIN + ms, *number)).or_insert(*units);
                                if !first {
                                    *held = *units;
                                }
                            }
                            let appended = series.append_many("s", &sent).await.unwrap();
                            assert_eq!(appended.new, (model.len() - before) as u64);
                            assert_eq!(
                                appended.new + appended.replaced + appended.unchanged,
                                sent.len() as u64
                            );
                        }
                        Step::Delete(from, to) => {
                            let before = model.len();
                            model.retain(|(at, _), _| !(BEGIN + from..BEGIN + to).contains(at));
                            let deleted = series.delete("s", BEGIN + from, BEGIN + to).await.unwrap();
                            assert_eq!(deleted, (before - model.len()) as u64);
                        }
                    }
                }
                assert_equals(&series, &model, BEGIN, BEGIN + 3 * DAY).await;
            });
            Ok(())
        });
    result.unwrap();
}
