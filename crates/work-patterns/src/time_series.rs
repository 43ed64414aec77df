//! How do you keep measurements, so that none is lost, charts are fast, and old ones go?
//!
//! `cargo work time-series`

mod reading;
mod storing;

use std::time::Duration;

use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, Need, outcome, source};
use patterns::time_series::{self, Every, Retention, Sample, SeriesError, TimeSeries};
use redis::AsyncTypedCommands;

pub use self::reading::{Chart, Span};
pub use self::storing::{
    BEGIN, RollUps, SERIES, Store, arrivals, burst, distinct, recomputed, series, stored_roll_ups,
};

/// Samples, roll-ups, and retention.
pub static LESSON: Lesson = Lesson {
    name: "time-series",
    title: "Time series",
    question: "How do you keep measurements, so that none is lost, charts are fast, and old ones go?",
    commands: &["ZADD", "ZCARD", "EVALSHA", "HMGET", "HSTRLEN", "PEXPIRETIME"],
    needs: &[],
    sources: &[
        source!("src/time_series.rs"),
        source!("src/time_series/storing.rs"),
        source!("src/time_series/reading.rs"),
    ],
    rule: "Give each sample an identity, pack the samples, and let one script keep the roll-ups in step with them.",
    takeaways: &[
        "A Sorted Set has each member once. A value, or a time alone, is no identity of a sample.",
        "Keep count, sum, minimum, and maximum. An average of averages is wrong.",
        "Sum whole numbers, such as thousandths. Then the order in which samples arrive changes nothing.",
    ],
    quiz: &[6, 14, 47],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Events that the ways to store them are compared with: three in each millisecond.
const EVENTS: u64 = 900;
/// Samples of the table of memory: a sample each second for eight hours.
const SAMPLES: usize = 28_800;
/// Round trips for each of those, on a slow network.
const ROUND_TRIPS: f64 = 0.01;
const MODULE: Need = Need { command: "TS.ADD", available_in: "the module RedisTimeSeries" };

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    ctx.start_clean(&all_keys(ctx)?).await?;
    load(ctx, &[time_series::scripts()]).await?;
    lose_samples(ctx).await?;
    count_losses(ctx).await?;
    append(ctx).await?;
    arrive_late(ctx).await?;
    delete(ctx).await?;
    expire(ctx).await?;
    let samples = weigh(ctx).await?;
    chart(ctx, samples).await?;

    let keys = series(ctx.redis(), ctx.prefix()).day_keys(SERIES, BEGIN / storing::DAY)?;
    ctx.keys(Store::Pattern.keys(ctx.prefix(), 0)?.into_iter().chain(keys));
    Ok(())
}

async fn lose_samples(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let by_value = &Store::MemberIsValue.keys(ctx.prefix(), 0)?[0];

    let guess = ctx
        .step(
            "A time series is values with their times. A Sorted Set looks right: the score is the time, the member is the value. A \
             sensor reports 21.5 degrees, then 22, then 21.5 again:",
        )
        .predict("How many samples are stored?", ["1", "2", "3"])
        .await?;
    redis.zadd(by_value, "21.5", BEGIN).await?;
    redis.zadd(by_value, "22", BEGIN + 1_000).await?;
    redis.zadd(by_value, "21.5", BEGIN + 2_000).await?;
    let stored = redis.zcard(by_value).await?;
    guess.answer(stored)?;
    ctx.check("the first sample is lost: a member is there once, and ZADD moved it", stored == 2)?;
    ctx.start_clean(std::slice::from_ref(by_value)).await?;
    Ok(())
}

async fn count_losses(ctx: &LessonContext) -> Result<(), BoxError> {
    let (sent, prefix) = (burst(EVENTS), ctx.prefix());
    ctx.step(format!(
        "How much is lost? {EVENTS} events have 20 different values. They come three in a millisecond, two of them with the same value. Then the \
         client, whose reply was lost, sends all of them again. The events are stored in Sorted Sets with three kinds of members, in a Stream, and by the \
         pattern, which you will see next.",
    ))
    .await?;
    ctx.code(storing::SOURCE.function("burst"));
    let guess = ctx.predict("How many stay if the member is time and value?", ["300", "600", "900"]).await?;
    let redis = ctx.untraced(
        "One client: ZADD and ZCARD, XADD and XLEN, EVALSHA and HMGET, each with all events and then with all of them again. \
         UNLINK cleans up.",
    );
    let mut table = Table::new("Events that are stored", &["stored as", "sent", "stored", "after a retry"]);
    let mut results = Vec::new();
    let stores =
        [Store::MemberIsValue, Store::MemberIsTime, Store::MemberIsBoth, Store::Stream, Store::Pattern];
    for store in stores {
        let once = store.send(&redis, prefix, &sent).await?;
        let again = store.send(&redis, prefix, &sent).await?;
        store.clean(&redis, prefix).await?;
        table = table.labeled(store.label(), [EVENTS, once, again]);
        results.push((once, again));
    }
    ctx.table(table);
    guess.answer(results[2].0)?;
    ctx.say(
        "The time alone is no identity, and neither is the time with the value. A Stream loses nothing, but it counts what is sent again. \
         The pattern knows a sample by its time and a number that the client picks.",
    );
    ctx.check_eq("by value, 20 are left", &results[0], &(20, 20))?;
    ctx.check_eq("by time, a third is left", &results[1], &(EVENTS / 3, EVENTS / 3))?;
    let two_thirds = EVENTS * 2 / 3;
    ctx.check_eq("by time and value, two thirds are left", &results[2], &(two_thirds, two_thirds))?;
    ctx.check_eq(
        "the Stream has all of them, and after the retry twice",
        &results[3],
        &(EVENTS, 2 * EVENTS),
    )?;
    ctx.check_eq("packed, each counts once", &results[4], &(EVENTS, EVENTS))?;
    Ok(())
}

async fn append(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    ctx.step(
        "The pattern packs samples: 4 bytes for time and number, 8 for the value, as a whole number of thousandths. A Hash holds a \
         day, and a field of it ten minutes. The same script adds each sample to the roll-ups of its minute, hour, and day. This \
         part of it does that:",
    )
    .await?;
    ctx.script(&lua(&time_series::APPEND).lines("-- If samples only came", "-- Writes what changed."))
        .await?;

    ctx.step("Three samples of two minutes. The reply is lost, so the client sends them again:").await?;
    let samples = [
        Sample::new(BEGIN + 1_000, 21.5),
        Sample::new(BEGIN + 2_000, 20.5),
        Sample::new(BEGIN + 61_000, 22.0),
    ];
    let series = series(ctx.redis(), ctx.prefix());
    let first = series.append_many(SERIES, &samples).await?;
    let again = series.append_many(SERIES, &samples).await?;
    let [raw, ..] = series.day_keys(SERIES, BEGIN / storing::DAY)?;
    let packed: usize = redis::cmd("HSTRLEN").arg(&raw).arg("0").query_async(&mut redis).await?;
    ctx.check_eq("each counts once", &[first.new, again.new, again.unchanged], &[3, 0, 3])?;
    ctx.check_eq("they take 12 bytes each", &packed, &36)?;
    Ok(())
}

async fn arrive_late(ctx: &LessonContext) -> Result<(), BoxError> {
    let series = series(ctx.redis(), ctx.prefix());
    ctx.step(
        "A sample of the first minute arrives late, and a second value for a time that is stored: a correction. The last value holds \
         (or the first, if you say so). Then the roll-ups of the minutes are read. A query reads the days first, to know which there are.",
    )
    .await?;
    let late = series.append(SERIES, Sample::new(BEGIN + 500, 30.0)).await?;
    let corrected = series.append(SERIES, Sample::new(BEGIN + 2_000, 20.0)).await?;
    let minutes = series.roll_ups(SERIES, Every::Minute, BEGIN, BEGIN + HOUR).await?;
    ctx.check_eq("one is new, one replaced", &(late.new, corrected.replaced), &(1, 1))?;
    let sums: Vec<(u64, f64, f64, f64)> =
        minutes.iter().map(|minute| (minute.count, minute.sum, minute.min, minute.max)).collect();
    ctx.check_eq(
        "count, sum, minimum, and maximum of both minutes are right",
        &sums,
        &vec![(3, 71.5, 20.0, 30.0), (1, 22.0, 22.0, 22.0)],
    )?;
    let (count, sum) = minutes.iter().fold((0, 0.0), |(count, sum), it| (count + it.count, sum + it.sum));
    let of_means = minutes.iter().map(time_series::RollUp::mean).sum::<f64>() / minutes.len() as f64;
    let right = sum / count as f64;
    ctx.check(
        format!("the average is {right:.3}; the average of the two averages would be {of_means:.3}"),
        (right - of_means).abs() > 0.1,
    )?;
    ctx.step("What is not a number has no place in a sum. It is refused before anything is sent:").await?;
    let refused = series.append(SERIES, Sample::new(BEGIN, f64::NAN)).await;
    ctx.check("NaN is refused", matches!(refused, Err(SeriesError::Value { .. })))?;
    Ok(())
}

async fn delete(ctx: &LessonContext) -> Result<(), BoxError> {
    let series = series(ctx.redis(), ctx.prefix());
    ctx.step(
        "The sensor was broken in the second minute. Its samples are deleted, and so is the roll-up, which would be empty. To know the new \
         minimum and maximum of the hour, a script computes it from its minutes, and the day from its hours.",
    )
    .await?;
    ctx.script(&lua(&time_series::DELETE).contract()).await?;
    ctx.step("The second minute of the sensor, and what is left:").await?;
    let deleted = series.delete(SERIES, BEGIN + MINUTE, BEGIN + 2 * MINUTE).await?;
    let minutes = series.roll_ups(SERIES, Every::Minute, BEGIN, BEGIN + HOUR).await?;
    let day = series.roll_ups(SERIES, Every::Day, BEGIN, BEGIN + 1).await?;
    ctx.check_eq("one sample is gone, and its minute", &(deleted, minutes.len()), &(1, 1))?;
    ctx.check("the day has the rest", day.iter().all(|day| (day.count, day.sum) == (3, 71.5)))?;
    ctx.start_clean(&Store::Pattern.keys(ctx.prefix(), 1)?).await?;
    Ok(())
}

async fn expire(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let kept = |days: u64| Some(Duration::from_hours(24 * days));
    let retention = Retention { raw: kept(7), minutes: kept(30), hours: kept(400), days: kept(3_650) };
    let series = TimeSeries::new(ctx.redis(), ctx.prefix()).with_retention(retention);
    ctx.step(
        "Samples are needed for a week, minutes for a month, hours for a year. Each day has a key of its own for each of them, with a \
         TTL, so nobody has to delete anything. A sample that is older than the samples that are kept is refused: its minute could not \
         be computed anymore.",
    )
    .await?;
    let now = series.now().await?;
    series.append(SERIES, Sample::new(now, 1.0)).await?;
    let [raw, minutes, hours] = series.day_keys(SERIES, now / storing::DAY)?;
    let mut ends = Vec::new();
    for key in [&raw, &minutes, &hours] {
        ends.push(redis::cmd("PEXPIRETIME").arg(key).query_async::<u64>(&mut redis).await?);
    }
    let too_old = series.append(SERIES, Sample::new(now - 9 * storing::DAY, 1.0)).await;
    let too_new = series.append(SERIES, Sample::new(now + 2 * storing::DAY, 1.0)).await;
    let midnight = (now / storing::DAY + 1) * storing::DAY;
    let days: Vec<u64> = ends.iter().map(|end| end.saturating_sub(midnight) / storing::DAY).collect();
    ctx.check_eq("they go 7, 30, and 400 days after the end of the day", &days, &vec![7, 30, 400])?;
    ctx.check("nine days ago is too old", matches!(too_old, Err(SeriesError::TooOld)))?;
    ctx.check("the day after tomorrow is refused, too", matches!(too_new, Err(SeriesError::TooNew { .. })))?;
    let root = series.key(SERIES)?.as_str().to_owned();
    ctx.start_clean(&[root, raw, minutes, hours]).await?;
    Ok(())
}

/// The table of memory. Returns how many samples were stored.
async fn weigh(ctx: &LessonContext) -> Result<u64, BoxError> {
    let prefix = ctx.prefix();
    let count = ctx.fit("samples", SAMPLES, 7_200, ROUND_TRIPS);
    let arrivals = arrivals(count as u64);
    let samples = distinct(&arrivals);
    ctx.step(format!(
        "Now {} samples, one each second. 5% are late, by up to an hour, and 1% come twice. They are packed with all roll-ups, and stored \
         without any in a Sorted Set whose member is time and value.",
        thousands(count as f64),
    ))
    .await?;
    ctx.code(storing::SOURCE.function("arrivals"));
    let redis = ctx.untraced(
        "One client: ZADD and ZCARD; EVALSHA and HMGET; where the server has it, TS.ADD and TS.INFO. MEMORY USAGE fills the table.",
    );
    let module = ctx.can(MODULE.command).await;
    let mut table = Table::new("Memory", &["stored as", "samples", "bytes", "bytes per sample"]);
    let mut each = Vec::new();
    for store in [Store::MemberIsBoth, Store::Module, Store::Pattern] {
        if store == Store::Module && !module {
            table = table.labeled(store.label(), ["-"; 3]);
            continue;
        }
        let stored = store.send(&redis, prefix, &arrivals).await?;
        let size = store.bytes(&redis, prefix, 2).await?;
        let per_sample = size as f64 / stored as f64;
        let cells = [thousands(stored as f64), bytes(usize::try_from(size)?), format!("{per_sample:.1}")];
        table = table.labeled(store.label(), cells);
        each.push((stored, per_sample));
    }
    ctx.table(table);
    if !module {
        ctx.skip(MODULE);
    }
    ctx.check("every way has each sample once", each.iter().all(|(stored, _)| *stored == samples))?;
    let (members, packed) = (each.first().map_or(0.0, |it| it.1), each.last().map_or(0.0, |it| it.1));
    ctx.check(
        "packed, with all roll-ups, it is less than a quarter of the Sorted Set",
        packed * 4.0 < members,
    )?;
    for every in [Every::Minute, Every::Hour, Every::Day] {
        ctx.check(
            format!("the roll-ups of each {every:?} equal a recomputation").to_lowercase(),
            stored_roll_ups(&redis, prefix, every).await? == recomputed(&arrivals, every),
        )?;
    }
    Ok(samples)
}

async fn chart(ctx: &LessonContext, samples: u64) -> Result<(), BoxError> {
    let to = BEGIN + samples * 1_000 / HOUR * HOUR;
    ctx.step(format!(
        "A chart of {} hours needs count and sum of all samples. From the raw samples, all of them come over the network. From the \
         roll-ups of minutes, 60 for each hour do, and from those of hours, one. All rows have the same result.",
        (to - BEGIN) / HOUR,
    ))
    .await?;
    let input = Span { prefix: ctx.prefix().to_owned(), from: BEGIN, to };
    ctx.compare(Comparison { title: "One chart", approaches: &Chart::ALL, input: &input }).await?;
    ctx.start_clean(&Store::MemberIsBoth.keys(ctx.prefix(), 0)?).await?;
    ctx.start_clean(&Store::Module.keys(ctx.prefix(), 0)?).await?;
    Ok(())
}

/// All keys that the lesson writes, but those of today, which it removes.
fn all_keys(ctx: &LessonContext) -> Result<Vec<String>, BoxError> {
    let stores = [
        Store::Pattern,
        Store::MemberIsValue,
        Store::MemberIsTime,
        Store::MemberIsBoth,
        Store::Stream,
        Store::Module,
    ];
    let mut keys = Vec::new();
    for store in stores {
        keys.extend(store.keys(ctx.prefix(), 2)?);
    }
    Ok(keys)
}
