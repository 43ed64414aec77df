//! Ways to store samples, with what each loses and how much memory it takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lab_connection::{Connection, own_keys};
use lab_runner::{BoxError, Source, labeled, source};
use patterns::key::Key;
use patterns::time_series::{Chunk, Every, Retention, RollUp, Sample, TimeSeries};
use redis::{Pipeline, RedisResult};

/// This file, whose functions the lesson shows.
pub(super) static SOURCE: Source = source!("src/time_series/storing.rs");

/// The series of each way.
pub const SERIES: &str = "requests";
/// 2024-01-01 in ms since 1970.
pub const BEGIN: u64 = 19_723 * DAY;
/// Milliseconds of a day.
pub const DAY: u64 = 86_400_000;
/// Commands of a pipeline.
const BATCH: usize = 500;
/// No series here is longer.
const MOST_DAYS: u64 = 100;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

labeled! {
    /// How samples are stored.
    pub enum Store {
        /// A Sorted Set whose member is the value.
        MemberIsValue => "Sorted Set, member = value",
        /// A Sorted Set whose member is the time.
        MemberIsTime => "Sorted Set, member = time",
        /// A Sorted Set whose member is time and value.
        MemberIsBoth => "Sorted Set, member = time:value",
        /// A Stream whose IDs the server makes.
        Stream => "Stream, ID by the server",
        /// The module's own type.
        Module => "module: TS.ADD",
        /// The pattern.
        Pattern => "packed, with roll-ups",
    }
}

impl Store {
    /// The keys that [`send`](Self::send) writes for samples of these days.
    pub fn keys(self, prefix: &str, days: u64) -> Result<Vec<String>, BoxError> {
        let root = Key::new(prefix, "time_series", &[SERIES])?;
        Ok(match self {
            Self::MemberIsValue => vec![root.companion("by-value")],
            Self::MemberIsTime => vec![root.companion("by-time")],
            Self::MemberIsBoth => vec![root.companion("by-both")],
            Self::Stream => vec![root.companion("stream")],
            Self::Module => vec![root.companion("module")],
            Self::Pattern => {
                let days = BEGIN / DAY..BEGIN / DAY + days;
                let tiers =
                    days.flat_map(|day| ["raw", "minutes", "hours"].map(|tier| format!("{tier}:{day}")));
                std::iter::once(root.as_str().to_owned())
                    .chain(tiers.map(|name| root.companion(&name)))
                    .collect()
            }
        })
    }

    /// Sends samples, and returns how many are stored.
    pub async fn send(self, redis: &Connection, prefix: &str, samples: &[Sample]) -> Result<u64, BoxError> {
        if self == Self::Pattern {
            series(redis.clone(), prefix).append_many(SERIES, samples).await?;
        } else {
            let key = &self.keys(prefix, 0)?[0];
            for samples in samples.chunks(BATCH) {
                let mut pipeline = redis::pipe();
                for sample in samples {
                    self.add(&mut pipeline, key, sample);
                }
                pipeline.exec_async(&mut redis.clone()).await?;
            }
        }
        self.count(redis, prefix).await
    }

    fn add(self, pipeline: &mut Pipeline, key: &str, Sample { at, value, .. }: &Sample) {
        match self {
            Self::MemberIsValue => pipeline.zadd(key, value, at),
            Self::MemberIsTime => pipeline.zadd(key, at, at),
            Self::Stream => pipeline.cmd("XADD").arg(key).arg("*").arg("at").arg(at).arg("value").arg(value),
            Self::Module => {
                pipeline.cmd("TS.ADD").arg(key).arg(at).arg(value).arg("ON_DUPLICATE").arg("LAST")
            }
            Self::MemberIsBoth | Self::Pattern => pipeline.zadd(key, format!("{at}:{value}"), at),
        }
        .ignore();
    }

    async fn count(self, redis: &Connection, prefix: &str) -> Result<u64, BoxError> {
        let (key, mut redis) = (self.keys(prefix, 0)?.swap_remove(0), redis.clone());
        let command = match self {
            Self::Pattern => {
                let page =
                    series(redis, prefix).range(SERIES, BEGIN, BEGIN + MOST_DAYS * DAY, usize::MAX).await?;
                return Ok(page.samples.len() as u64);
            }
            Self::Module => {
                let mut info: HashMap<String, redis::Value> =
                    redis::cmd("TS.INFO").arg(key).query_async(&mut redis).await?;
                let samples = info.remove("totalSamples").unwrap_or(redis::Value::Nil);
                return Ok(redis::from_redis_value(samples)?);
            }
            Self::Stream => "XLEN",
            _ => "ZCARD",
        };
        Ok(redis::cmd(command).arg(key).query_async(&mut redis).await?)
    }

    /// The bytes of all keys for samples of these days, all parts of them counted.
    pub async fn bytes(self, redis: &Connection, prefix: &str, days: u64) -> Result<u64, BoxError> {
        let mut sum = 0;
        for key in self.keys(prefix, days)? {
            let mut usage = redis::cmd("MEMORY");
            usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
            sum += usage.query_async::<Option<u64>>(&mut redis.clone()).await?.unwrap_or_default();
        }
        Ok(sum)
    }

    /// Removes all keys.
    pub async fn clean(self, redis: &Connection, prefix: &str) -> Result<(), BoxError> {
        let keys = self.keys(prefix, 2)?;
        own_keys::unlink(&mut redis.clone(), &keys).await?;
        Ok(())
    }
}

/// The series of the lesson, of the year 2024: nothing expires.
pub fn series<C: lab_runner::AnyConnection>(redis: C, prefix: &str) -> TimeSeries<C> {
    TimeSeries::new(redis, prefix).with_retention(Retention::FOREVER).with_chunk(Chunk::TenMinutes)
}

/// Events of a burst: three in a millisecond, then 10 ms later the next three. Two of each three have the same value.
#[must_use]
pub fn burst(events: u64) -> Vec<Sample> {
    let event = |event: u64| Sample {
        at: BEGIN + event / 3 * 10,
        // The clients tell their events of one millisecond apart.
        number: (event % 3) as u16,
        value: (event / 2 * 7 % 20) as f64,
    };
    (0..events).map(event).collect()
}

/// A sample each second, in the order in which they arrive: 5% are late, by up to an hour, and 1% come twice.
#[must_use]
pub fn arrivals(samples: u64) -> Vec<Sample> {
    let mut arrivals: Vec<(u64, Sample)> = Vec::new();
    for number in 0..samples {
        // Whole thousandths between 0 and 100, without a pattern that a lesson could profit from.
        let value = (number * 7_919 % 100_003 % 100_000) as f64 / 1_000.0;
        let sample = Sample::new(BEGIN + number * 1_000, value);
        let late = if number % 20 == 7 { 60 + number * 31 % 3_600 } else { 0 };
        arrivals.push((number + late, sample));
        if number % 100 == 50 {
            arrivals.push((number + 5, sample));
        }
    }
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    arrivals.into_iter().map(|(_, sample)| sample).collect()
}

/// How many different samples there are.
#[must_use]
pub fn distinct(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| (sample.at, sample.number)).collect::<BTreeSet<_>>().len() as u64
}

/// Count, sum, minimum, and maximum, in thousandths, by start.
pub type RollUps = BTreeMap<u64, (u64, i64, i64, i64)>;

/// Those that are stored.
pub async fn stored_roll_ups(redis: &Connection, prefix: &str, every: Every) -> Result<RollUps, BoxError> {
    let series = series(redis.clone(), prefix);
    let roll_ups = series.roll_ups(SERIES, every, BEGIN, BEGIN + MOST_DAYS * DAY).await?;
    let numbers =
        |it: &RollUp| (it.start, (it.count, thousandths(it.sum), thousandths(it.min), thousandths(it.max)));
    Ok(roll_ups.iter().map(numbers).collect())
}

/// Those that the samples add up to.
#[must_use]
pub fn recomputed(samples: &[Sample], every: Every) -> RollUps {
    let length = match every {
        Every::Minute => MINUTE,
        Every::Hour => HOUR,
        Every::Day => DAY,
    };
    let distinct: BTreeMap<u64, i64> = samples.iter().map(|it| (it.at, thousandths(it.value))).collect();
    let mut roll_ups = RollUps::new();
    for (at, units) in distinct {
        let it = roll_ups.entry(at / length * length).or_insert((0, 0, i64::MAX, i64::MIN));
        *it = (it.0 + 1, it.1 + units, it.2.min(units), it.3.max(units));
    }
    roll_ups
}

/// The times and values of a Sorted Set of `time:value`, read from one time to before another.
pub async fn read_members<C: lab_runner::AnyConnection>(
    redis: &mut C,
    key: &str,
    from: u64,
    to: u64,
) -> RedisResult<Vec<f64>> {
    let mut range = redis::cmd("ZRANGEBYSCORE");
    range.arg(key).arg(from).arg(format!("({to}"));
    let members: Vec<String> = range.query_async(redis).await?;
    Ok(members.iter().filter_map(|member| member.split_once(':')?.1.parse().ok()).collect())
}

/// The whole thousandths of a value.
#[expect(clippy::cast_possible_truncation, reason = "values of the lesson are small")]
pub fn thousandths(value: f64) -> i64 {
    (value * 1_000.0).round() as i64
}
