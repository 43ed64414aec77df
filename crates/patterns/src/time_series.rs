//! Time series: samples with a time, roll-ups by minute, hour, and day, and an end for each of them.
//!
//! The naive way is a Sorted Set with the time as the score. If the member is the value, equal values at different times are
//! one member, and samples are lost. If the member is the time, three events in a millisecond are one. With both in the member, a
//! sample takes 80 to 95 bytes, and a chart of a month reads all of them. Here samples are packed, 12 bytes each, and one
//! script keeps them and their roll-ups in step.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `time_series:cpu` | Hash | day to its roll-up, and `:settings` |
//! | `time_series:{time_series:cpu}:raw:19723` | Hash | chunk to its samples, packed; one key for each day since 1970 |
//! | `time_series:{time_series:cpu}:minutes:19723` | Hash | hour to the roll-ups of its minutes |
//! | `time_series:{time_series:cpu}:hours:19723` | Hash | the roll-ups of the day's hours |
//!
//! A sample is known by its time in milliseconds and a number from 0 to 1,023, which tells samples of one millisecond apart. If you
//! append a sample again, it counts once. If its value differs, the last value holds, or the first one ([`Duplicates`]). Samples come in
//! any order. A value is kept as a whole number of units, such as thousandths, so a sum is exact in whatever order
//! the samples come. A roll-up has count, sum, minimum, and maximum; an average of averages would be wrong.
//!
//! - **Promise**: the roll-ups are what the samples add up to, at any time: after late samples, duplicates, and deletions. A sample of a
//!   day whose samples are expired is refused, and so is the deletion of a part of such a day.
//! - **Cost**: one round trip for one sample, nine commands in its script. For many, one call for each chunk and each 500
//!   samples, 16 at a time. A query takes two round trips. A call reads and writes one chunk, at most 120 kB.
//! - **Memory**: 12 bytes for each sample, about 100 for each chunk, and 32 for each minute, hour, and day with samples. With a sample
//!   each second, 13 to 15 bytes for each with all roll-ups, by allocator; a Sorted Set takes 80 to 95. The samples,
//!   minutes, and hours of a day have a TTL each ([`Retention`]). Days go when you call [`TimeSeries::trim`].
//! - **Faults**: use `noeviction`. If one of a day's keys is lost, appends and deletions in that day are refused
//!   ([`SeriesError::Damaged`]) until [`TimeSeries::rebuild`] computes the roll-ups from the samples that are left. A failover may lose
//!   the last calls, each as a whole; appending the same samples again restores them. If the clock is set forward, samples may
//!   expire early; set back, a sample may be too far in the future. Nothing else depends on the clock.
//!
//! ```
//! use patterns::time_series::{Every, Sample, TimeSeries};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let series = TimeSeries::new(connection, "");
//! let day = series.now().await? / 86_400_000 * 86_400_000;
//! let samples = [Sample::new(day + 100, 21.5), Sample::new(day + 59_000, 20.5), Sample::new(day + 60_000, 22.0)];
//! assert_eq!(series.append_many("cpu", &samples).await?.new, 3);
//! // The reply was lost, so the client sends them again.
//! assert_eq!(series.append_many("cpu", &samples).await?.unchanged, 3);
//!
//! let minutes = series.roll_ups("cpu", Every::Minute, day, day + 3_600_000).await?;
//! assert_eq!((minutes.len(), minutes[0].count, minutes[0].mean()), (2, 2, 21.0));
//! assert_eq!(series.range("cpu", day, day + 60_000, 1_000).await?.samples, samples[..2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::Key;
use crate::script::{
    Call, Reply, Script, StoreError, by_operation, join_all, milliseconds, quote, send, send_all,
};

/// The first time that is too late: 2^53 ms. Beyond it, scripts are not exact.
pub const MAX_TIME: u64 = 1 << 53;
/// The largest number of a sample among those of its millisecond.
pub const MAX_NUMBER: u16 = 1_023;
/// The most units a value has, 2^43: with three decimals, 8.7 billion.
pub const MAX_UNITS: u64 = 1 << 43;
/// The most decimals.
pub const MAX_DECIMALS: u8 = 9;
/// The most samples in a chunk.
pub const MAX_CHUNK_SAMPLES: usize = 10_000;
/// The most days that a query or a deletion spans.
pub const MAX_DAYS: u64 = 4_000;

/// The most samples that one call of a script takes.
const AT_ONCE: usize = 500;
/// How many calls are in flight at once.
const IN_FLIGHT: usize = 16;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// IDs of samples in a minute: a number has ten bits.
const IDS_PER_MS: u64 = 1_024;

const FILE: &str = include_str!("time_series.lua");

/// Adds samples of one chunk.
pub static APPEND: Script = Script::new(
    "time_series.lua: append",
    FILE,
    &["records", "read", "agree", "append", "roll_up", "write", "reply"],
);
/// Deletes samples of one chunk.
pub static DELETE: Script = Script::new(
    "time_series.lua: delete",
    FILE,
    &["records", "read", "agree", "delete", "roll_up", "write", "empty", "reply"],
);
/// Computes the roll-ups of one chunk anew.
pub static REBUILD: Script = Script::new(
    "time_series.lua: rebuild",
    FILE,
    &["records", "read", "rebuild", "roll_up", "write", "empty", "reply"],
);
/// Deletes a day, with its roll-ups.
pub static REMOVE: Script = Script::new("time_series.lua: remove", FILE, &["remove"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&APPEND, &DELETE, &REBUILD, &REMOVE])
}

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970, below [`MAX_TIME`].
    pub at: u64,
    /// Tells samples of one millisecond apart: 0 to [`MAX_NUMBER`].
    pub number: u16,
    /// Rounded to the decimals of the series; at most [`MAX_UNITS`] units.
    pub value: f64,
}

impl Sample {
    /// The only sample of its millisecond.
    #[must_use]
    pub const fn new(at: u64, value: f64) -> Self {
        Self { at, number: 0, value }
    }
}

/// What happens to another value with the same time and number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Duplicates {
    /// It replaces the stored one: a correction.
    #[default]
    KeepLast,
    /// The stored one stays.
    KeepFirst,
}

/// How many samples are packed together: those of this time. A chunk with 300 to 1,000 samples is small and fast, and none has more
/// than [`MAX_CHUNK_SAMPLES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chunk {
    /// For 5 to 160 samples a second.
    Minute,
    /// For a sample each 5 seconds to 5 a second.
    TenMinutes,
    /// For fewer.
    Hour,
}

/// The length of a roll-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Every {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours of UTC.
    Day,
}

/// How long things are kept after the end of their day, at least; `None` is forever. It holds for days that begin from now on. Each is
/// kept at least as long as the one before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Samples.
    pub raw: Option<Duration>,
    /// Roll-ups of minutes.
    pub minutes: Option<Duration>,
    /// Roll-ups of hours.
    pub hours: Option<Duration>,
    /// Roll-ups of days. They go when you call [`TimeSeries::trim`].
    pub days: Option<Duration>,
}

impl Retention {
    /// Nothing expires.
    pub const FOREVER: Self = Self { raw: None, minutes: None, hours: None, days: None };
}

/// What samples add up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RollUp {
    /// Its first millisecond.
    pub start: u64,
    /// How many samples: at least one.
    pub count: u64,
    /// The exact sum, as the nearest `f64`.
    pub sum: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl RollUp {
    /// The average.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// What became of samples.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Appended {
    /// They were not there before.
    pub new: u64,
    /// They had another value before.
    pub replaced: u64,
    /// They were there, or the first value holds.
    pub unchanged: u64,
}

/// Samples in the order of time and number.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The samples: whole hours, so there may be more than you asked for.
    pub samples: Vec<Sample>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<u64>,
}

/// The time series under a prefix.
#[derive(Clone, Debug)]
pub struct TimeSeries<C> {
    connection: C,
    prefix: String,
    decimals: u8,
    chunk: Chunk,
    duplicates: Duplicates,
    retention: Retention,
    future: Duration,
}

impl<C: ConnectionLike + Clone> TimeSeries<C> {
    /// Series with three decimals and chunks of ten minutes, in which the last of duplicates holds. Samples are kept for a week,
    /// minutes for 30 days, hours for 400 days, and days for ten years. A sample is at most a day in the future.
    pub fn new(connection: C, prefix: &str) -> Self {
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        let retention = Retention { raw: days(7), minutes: days(30), hours: days(400), days: days(3_650) };
        let (chunk, duplicates, future) = (Chunk::TenMinutes, Duplicates::KeepLast, Duration::from_hours(24));
        Self { connection, prefix: prefix.to_owned(), decimals: 3, chunk, duplicates, retention, future }
    }

    /// How many decimals of a value are kept: 0 to [`MAX_DECIMALS`]. The same for all clients and for the whole life of a series.
    #[must_use]
    pub fn with_decimals(self, decimals: u8) -> Self {
        Self { decimals: decimals.min(MAX_DECIMALS), ..self }
    }

    /// How many samples are packed together. The same for all clients and for the whole life of a series.
    #[must_use]
    pub fn with_chunk(self, chunk: Chunk) -> Self {
        Self { chunk, ..self }
    }

    /// Which of several values with the same time and number holds.
    #[must_use]
    pub fn with_duplicates(self, duplicates: Duplicates) -> Self {
        Self { duplicates, ..self }
    }

    /// How long samples and roll-ups are kept.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// How far ahead of the server's clock a sample may be: a millisecond to a year.
    #[must_use]
    pub fn with_future(self, future: Duration) -> Self {
        Self { future, ..self }
    }

    /// The server's clock in milliseconds since 1970.
    pub async fn now(&self) -> Result<u64, StoreError> {
        let (seconds, micros): (u64, u64) = send(&self.connection, &redis::cmd("TIME")).await?;
        Ok(seconds.saturating_mul(1000).saturating_add(micros / 1000))
    }

    /// Appends one sample. One round trip.
    pub async fn append(&self, series: &str, sample: Sample) -> Result<Appended, SeriesError> {
        self.append_many(series, &[sample]).await
    }

    /// Appends samples in any order. Among those with the same time and number, the last or the first holds. One call for each chunk and each 500 samples, 16 at a time. If an error ends it halfway, append all of them again: each counts once.
    pub async fn append_many(&self, series: &str, samples: &[Sample]) -> Result<Appended, SeriesError> {
        let key = self.key(series)?;
        let mut by_chunk = BTreeMap::<u64, BTreeMap<(u64, u16), i64>>::new();
        for sample in samples {
            let units = self.units(sample)?;
            let chunk = by_chunk.entry(sample.at / MINUTE / self.chunk_minutes()).or_default();
            let held = chunk.entry((sample.at, sample.number)).or_insert(units);
            if self.duplicates == Duplicates::KeepLast {
                *held = units;
            }
        }
        let mut calls = Vec::new();
        for (chunk, samples) in by_chunk {
            let samples: Vec<_> = samples.into_iter().collect();
            for part in samples.chunks(AT_ONCE) {
                calls.push(self.append_call(&key, chunk * self.chunk_minutes(), part));
            }
        }
        let mut all = Appended::default();
        for calls in calls.chunks(IN_FLIGHT) {
            let replies = join_all(calls.iter().map(|call| call.run::<Reply>(&self.connection))).await;
            for reply in replies {
                let mut reply = reply?;
                if reply.outcome != "APPENDED" {
                    return Err(refused(reply));
                }
                all.new += reply.next::<u64>()?;
                all.replaced += reply.next::<u64>()?;
                all.unchanged += reply.next::<u64>()?;
            }
        }
        // Those that others of the same call replaced.
        all.unchanged = samples.len() as u64 - all.new - all.replaced;
        Ok(all)
    }

    /// The samples from one time to before another, at least `limit` if there are so many. Two round trips for
    /// 16 hours, and one more for each 16 hours after them. Each hour is read in one step.
    pub async fn range(&self, series: &str, from: u64, to: u64, limit: usize) -> Result<Page, SeriesError> {
        let key = self.key(series)?;
        let days = self.days(&key, from, to).await?;
        let hours: Vec<u64> = days.iter().flat_map(|day| hours_of(day.start, from, to)).collect();
        let mut page = Page { samples: Vec::new(), next: None };
        for (position, hours_at_once) in hours.chunks(IN_FLIGHT).enumerate() {
            let mut reads = redis::pipe();
            for hour in hours_at_once {
                let chunks: Vec<u64> = self.chunks_of(*hour).collect();
                reads.cmd("HMGET").arg(companion(&key, "raw", hour / 24)).arg(chunks);
            }
            let read: Vec<Vec<Option<Vec<u8>>>> = send_all(&self.connection, &reads).await?;
            for (place, (hour, chunks)) in hours_at_once.iter().zip(read).enumerate() {
                for (start, blob) in self.chunks_of(*hour).zip(chunks) {
                    let start = hour / 24 * DAY + start * MINUTE;
                    for record in records::<12>(&key, &blob.unwrap_or_default())? {
                        let id = u64::from(u32_at(record, 0));
                        let at = start + id / IDS_PER_MS;
                        // Ten bits.
                        let number = (id % IDS_PER_MS) as u16;
                        let value = self.value(i64_at(record, 4));
                        page.samples.push(Sample { at, number, value });
                    }
                }
                page.samples.retain(|sample| (from..to).contains(&sample.at));
                if page.samples.len() >= limit.max(1) {
                    page.next = hours.get(position * IN_FLIGHT + place + 1).map(|next| next * HOUR);
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }

    /// The roll-ups that begin before `to` and end after `from`; those without samples are left out. At most [`MAX_DAYS`]. Two round
    /// trips, and one more for each 100 days. Each day is read in one step.
    pub async fn roll_ups(
        &self,
        series: &str,
        every: Every,
        from: u64,
        to: u64,
    ) -> Result<Vec<RollUp>, SeriesError> {
        let key = self.key(series)?;
        let days = self.days(&key, from, to).await?;
        if every == Every::Day {
            return Ok(days);
        }
        let (tier, length) = if every == Every::Minute { ("minutes", MINUTE) } else { ("hours", HOUR) };
        let mut found = Vec::new();
        for days in days.chunks(100) {
            let mut reads = redis::pipe();
            for day in days {
                reads.cmd("HMGET").arg(companion(&key, tier, day.start / DAY));
                if every == Every::Minute {
                    reads.arg(hours_of(day.start, from, to).map(|hour| hour % 24).collect::<Vec<u64>>());
                } else {
                    reads.arg("all");
                }
            }
            let read: Vec<Vec<Option<Vec<u8>>>> = send_all(&self.connection, &reads).await?;
            for (day, blobs) in days.iter().zip(read) {
                for (hour, blob) in hours_of(day.start, from, to).zip(blobs) {
                    let start = if every == Every::Minute { hour * HOUR } else { day.start };
                    for record in records::<32>(&key, &blob.unwrap_or_default())? {
                        found.push(self.roll_up(record, start, length));
                    }
                }
            }
        }
        found.retain(|roll_up| roll_up.start < to && roll_up.start + length > from);
        Ok(found)
    }

    /// Deletes the samples from one time to before another, and returns how many there were. Whole days can be deleted at any
    /// time; a part of a day only while its samples are there ([`SeriesError::TooOld`]). One call for each chunk of the days at both ends,
    /// and one for each whole day, the oldest first. If an error ends it halfway, delete again.
    pub async fn delete(&self, series: &str, from: u64, to: u64) -> Result<u64, SeriesError> {
        let key = self.key(series)?;
        let mut deleted = 0;
        for day in self.days(&key, from, to).await? {
            if from <= day.start && to >= day.start + DAY {
                deleted += self.remove_day(&key, day.start / DAY).await?;
                continue;
            }
            let length = self.chunk_minutes() * MINUTE;
            let chunks: Vec<u64> =
                (from.max(day.start) / length..to.min(day.start + DAY).div_ceil(length)).collect();
            let delete = async |chunk: &u64| {
                let start = chunk * length;
                let id = |time: u64| (time.clamp(start, start + length) - start) * IDS_PER_MS;
                let call = self.call(&DELETE, &key, start / MINUTE).arg(id(from)).arg(id(to));
                let mut reply: Reply = call.run(&self.connection).await?;
                if reply.outcome == "DELETED" { Ok(reply.next::<u64>()?) } else { Err(refused(reply)) }
            };
            for chunks in chunks.chunks(IN_FLIGHT) {
                for count in join_all(chunks.iter().map(&delete)).await {
                    deleted += count?;
                }
            }
        }
        Ok(deleted)
    }

    /// Computes the roll-ups of the day of this time anew from the samples that are there, after [`SeriesError::Damaged`]. Returns how many
    /// samples that were. Meanwhile, other changes of that day are refused. One call for each chunk of the day, 16 at a time.
    pub async fn rebuild(&self, series: &str, at: u64) -> Result<u64, SeriesError> {
        let key = self.key(series)?;
        check_times(at, at)?;
        let day = at / DAY * 24 * 60;
        let chunks: Vec<u64> =
            (0..24 * 60 / self.chunk_minutes()).map(|chunk| day + chunk * self.chunk_minutes()).collect();
        let step = async |minute: u64, last: bool| {
            let call = self.call(&REBUILD, &key, minute).arg(self.chunk_minutes()).arg(u8::from(last));
            let mut reply: Reply = call.run(&self.connection).await?;
            if reply.outcome == "REBUILT" { Ok(reply.next::<u64>()?) } else { Err(refused(reply)) }
        };
        let Some((last, others)) = chunks.split_last() else { return Ok(0) };
        for chunks in others.chunks(IN_FLIGHT) {
            for rebuilt in join_all(chunks.iter().map(|chunk| step(*chunk, false))).await {
                rebuilt?;
            }
        }
        step(*last, true).await
    }

    /// Deletes the days that are older than [`Retention::days`], and returns how many. Call it once a day, or leave it: a day
    /// takes about 100 bytes. One call for each 500 days of the series, and one for each day that goes, 16 at a time.
    pub async fn trim(&self, series: &str) -> Result<u64, SeriesError> {
        let Some(kept) = self.kept()[3] else { return Ok(0) };
        let (key, now) = (self.key(series)?, self.now().await?);
        let mut days = self.all_days(&key).await?;
        days.retain(|day| day.saturating_add(1).saturating_mul(DAY).saturating_add(kept) <= now);
        for days in days.chunks(IN_FLIGHT) {
            for removed in join_all(days.iter().map(|day| self.remove_day(&key, *day))).await {
                removed?;
            }
        }
        Ok(days.len() as u64)
    }

    /// Deletes a series, one call for each day. Returns how many samples it had. Stop its writers first.
    pub async fn remove(&self, series: &str) -> Result<u64, SeriesError> {
        let key = self.key(series)?;
        let mut removed = 0;
        // The first key goes with the last of its days, or with a day that is not there.
        for day in self.all_days(&key).await?.into_iter().chain([0]) {
            removed += self.remove_day(&key, day).await?;
        }
        Ok(removed)
    }

    /// The first key of a series.
    pub fn key(&self, series: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "time_series", &[series])?)
    }

    /// The keys with the samples, the minutes, and the hours of a day, by its number since 1970.
    pub fn day_keys(&self, series: &str, day: u64) -> Result<[String; 3], StoreError> {
        let key = self.key(series)?;
        Ok(companions(&key, day))
    }

    /// The call of a script with what all of them need for the chunk that begins with this minute since 1970.
    fn call(&self, script: &'static Script, key: &Key, minute: u64) -> Call<'static> {
        let day = minute / (24 * 60);
        let [raw, minutes, hours] = companions(key, day);
        let call = script.call(&[key.as_str(), &raw, &minutes, &hours]);
        let mut call = call.arg(day).arg(minute / 60 % 24).arg(self.settings());
        for kept in &self.kept()[..3] {
            call = call.arg(kept.map_or(String::new(), |kept| ((day + 1) * DAY + kept).to_string()));
        }
        call.arg(minute % (24 * 60))
    }

    /// Of samples in the chunk that begins with this minute since 1970.
    fn append_call(&self, key: &Key, minute: u64, samples: &[((u64, u16), i64)]) -> Call<'static> {
        let (mut packed, mut last) = (Vec::with_capacity(12 * samples.len()), 0);
        for ((at, number), units) in samples {
            let id = (at - minute * MINUTE) * IDS_PER_MS + u64::from(*number);
            // An hour has fewer than 2^32 IDs.
            packed.extend_from_slice(&u32::try_from(id).unwrap_or(u32::MAX).to_be_bytes());
            packed.extend_from_slice(&units.to_be_bytes());
            last = *at;
        }
        let first = u8::from(self.duplicates == Duplicates::KeepFirst);
        self.call(&APPEND, key, minute).arg(packed).arg(last).arg(milliseconds(self.future)).arg(first)
    }

    async fn remove_day(&self, key: &Key, day: u64) -> Result<u64, SeriesError> {
        let [raw, minutes, hours] = companions(key, day);
        let call = REMOVE.call(&[key.as_str(), &raw, &minutes, &hours]).arg(day).arg(self.settings());
        let mut reply: Reply = call.run(&self.connection).await?;
        if reply.outcome == "REMOVED" { Ok(reply.next()?) } else { Err(refused(reply)) }
    }

    /// The roll-ups of the days in a range.
    async fn days(&self, key: &Key, from: u64, to: u64) -> Result<Vec<RollUp>, SeriesError> {
        check_times(from, to)?;
        if from >= to {
            return Ok(Vec::new());
        }
        let days: Vec<u64> = (from / DAY..to.div_ceil(DAY)).collect();
        let mut read = redis::cmd("HMGET");
        read.arg(key.as_str()).arg(":settings").arg(&days);
        let mut read: Vec<Option<Vec<u8>>> = send(&self.connection, &read).await?;
        let roll_ups = read.split_off(read.len().min(1));
        if let Some(Some(stored)) = read.pop()
            && stored != self.settings().as_bytes()
        {
            return Err(SeriesError::OtherSettings { stored: quote(&String::from_utf8_lossy(&stored)) });
        }
        let mut found = Vec::new();
        for blob in roll_ups.into_iter().flatten() {
            found.extend(records::<32>(key, &blob)?.map(|record| self.roll_up(record, 0, DAY)));
        }
        Ok(found)
    }

    /// The numbers of all days with samples, in order.
    async fn all_days(&self, key: &Key) -> Result<Vec<u64>, StoreError> {
        type Fields = Vec<(Vec<u8>, Vec<u8>)>;
        let (mut cursor, mut days) = (0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(key.as_str()).arg(cursor).arg("COUNT").arg(500);
            let (next, fields): (u64, Fields) = send(&self.connection, &scan).await?;
            days.extend(
                fields.iter().filter_map(|(field, _)| std::str::from_utf8(field).ok()?.parse::<u64>().ok()),
            );
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    fn units(&self, sample: &Sample) -> Result<i64, SeriesError> {
        check_times(sample.at, sample.at)?;
        if sample.number > MAX_NUMBER {
            return Err(SeriesError::Number { number: sample.number });
        }
        let units = (sample.value * self.scale()).round();
        if units.is_finite() && units.abs() <= MAX_UNITS as f64 {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number up to 2^43")]
            Ok(units as i64)
        } else {
            Err(SeriesError::Value { value: sample.value })
        }
    }

    fn value(&self, units: i64) -> f64 {
        units as f64 / self.scale()
    }

    fn scale(&self) -> f64 {
        10_f64.powi(i32::from(self.decimals))
    }

    fn roll_up(&self, record: &[u8; 32], from: u64, length: u64) -> RollUp {
        RollUp {
            start: from + u64::from(u32_at(record, 0)) * length,
            count: u64::from(u32_at(record, 4)),
            sum: self.value(i64_at(record, 8)),
            min: self.value(i64_at(record, 16)),
            max: self.value(i64_at(record, 24)),
        }
    }

    fn settings(&self) -> String {
        format!("{}:{}", self.decimals, self.chunk_minutes())
    }

    fn chunk_minutes(&self) -> u64 {
        match self.chunk {
            Chunk::Minute => 1,
            Chunk::TenMinutes => 10,
            Chunk::Hour => 60,
        }
    }

    /// The first minutes, in the day, of the chunks of an hour since 1970.
    fn chunks_of(&self, hour: u64) -> impl Iterator<Item = u64> + use<C> {
        let minutes = self.chunk_minutes();
        (0..60 / minutes).map(move |chunk| hour % 24 * 60 + chunk * minutes)
    }

    /// How long samples, minutes, hours, and days are kept, in milliseconds.
    fn kept(&self) -> [Option<u64>; 4] {
        const CENTURY: u128 = 100 * 366 * DAY as u128;
        let Retention { raw, minutes, hours, days } = self.retention;
        let mut least = Some(1);
        [raw, minutes, hours, days].map(|kept| {
            let kept = kept.map(|kept| u64::try_from(kept.as_millis().min(CENTURY)).unwrap_or(u64::MAX));
            least = least.and_then(|least: u64| kept.map(|kept| kept.max(least)));
            least
        })
    }
}

fn companion(key: &Key, tier: &str, day: u64) -> String {
    key.companion(&format!("{tier}:{day}"))
}

/// The keys with the samples, the minutes, and the hours of a day.
fn companions(key: &Key, day: u64) -> [String; 3] {
    ["raw", "minutes", "hours"].map(|tier| companion(key, tier, day))
}

fn check_times(from: u64, to: u64) -> Result<(), SeriesError> {
    if from >= MAX_TIME || to > MAX_TIME {
        return Err(SeriesError::Time { at: from.max(to) });
    }
    match to.div_ceil(DAY).saturating_sub(from / DAY) {
        days if days > MAX_DAYS => Err(SeriesError::TooLong { days }),
        _ => Ok(()),
    }
}

/// The hours since 1970 of a day, as far as they are in a range.
fn hours_of(day: u64, from: u64, to: u64) -> Range<u64> {
    (from / HOUR).max(day / HOUR)..to.div_ceil(HOUR).min(day / HOUR + 24)
}

/// The records of a blob.
fn records<'a, const SIZE: usize>(
    key: &Key,
    blob: &'a [u8],
) -> Result<impl Iterator<Item = &'a [u8; SIZE]>, StoreError> {
    let (records, rest) = blob.as_chunks::<SIZE>();
    if rest.is_empty() {
        Ok(records.iter())
    } else {
        Err(StoreError::Malformed(quote(&format!("{} or a key beside it", key.as_str()))))
    }
}

fn u32_at<const SIZE: usize>(record: &[u8; SIZE], at: usize) -> u32 {
    record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn i64_at<const SIZE: usize>(record: &[u8; SIZE], at: usize) -> i64 {
    record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_be_bytes)
}

/// The error for a reply that is not a success.
fn refused(mut reply: Reply) -> SeriesError {
    let mut parse = || -> Result<SeriesError, StoreError> {
        Ok(match reply.outcome.as_str() {
            "TOO_OLD" => SeriesError::TooOld,
            "TOO_NEW" => SeriesError::TooNew { ahead: Duration::from_millis(reply.next()?) },
            "FULL" => SeriesError::ChunkFull,
            "OVERFLOW" => SeriesError::Overflow,
            "DAMAGED" => SeriesError::Damaged,
            "OTHER_SETTINGS" => SeriesError::OtherSettings { stored: quote(&reply.next::<String>()?) },
            _ => reply.unexpected().into(),
        })
    };
    parse().unwrap_or_else(SeriesError::from)
}

/// Why samples were not appended, read, or deleted. What was refused changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// It is no number, infinite, or larger than [`MAX_UNITS`].
    #[error("a value is a finite number of at most {MAX_UNITS} units, not {value}")]
    Value {
        /// The value.
        value: f64,
    },
    /// The time is [`MAX_TIME`] or later.
    #[error("a time is below 2^53 ms, not {at}")]
    Time {
        /// The time.
        at: u64,
    },
    /// The number is larger than [`MAX_NUMBER`].
    #[error("samples of one millisecond have numbers from 0 to {MAX_NUMBER}, not {number}")]
    Number {
        /// The number.
        number: u16,
    },
    /// The range spans more than [`MAX_DAYS`].
    #[error("a range spans at most {MAX_DAYS} days, not {days}")]
    TooLong {
        /// How many.
        days: u64,
    },
    /// The samples of that day are expired, so its roll-ups are final.
    #[error("the samples of that day are no longer kept, so its roll-ups are final")]
    TooOld,
    /// The sample is further ahead of the server's clock than allowed.
    #[error("the sample is {ahead:?} ahead of the server's clock")]
    TooNew {
        /// How far.
        ahead: Duration,
    },
    /// The chunk has [`MAX_CHUNK_SAMPLES`] samples.
    #[error("a chunk has at most {MAX_CHUNK_SAMPLES} samples; use shorter chunks, or several series")]
    ChunkFull,
    /// A sum would reach 2^53 units, where numbers are no longer exact.
    #[error("the sum of a day would grow beyond what is exact; use fewer decimals")]
    Overflow,
    /// The series was begun with other decimals or chunks.
    #[error("the series has other settings (decimals:minutes of a chunk): {stored}")]
    OtherSettings {
        /// Those that it has.
        stored: String,
    },
    /// The keys of that day disagree, because one was lost or a rebuild is under way.
    #[error("a key of that day was lost; `rebuild` computes its roll-ups from the samples that are left")]
    Damaged,
    /// Redis, or the data in it. After a connection error, append or delete again.
    #[error(transparent)]
    Store(#[from] StoreError),
}
