//! The tables, what is claimed about them, and how far to believe the numbers.

use std::cmp::Ordering;

use lab_measure::insert::{InsertMany, Kind};
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::measurement::Measured;
use lab_runner::table::{Table, bytes, percent, thousands};
use lab_runner::{LessonContext, Outcome};

use super::measure::{Cost, Verified};
use super::writer::Writer;

const HEADER: [&str; 8] = ["approach", "records/s", "spread", "ratio", "trips", "sent", "client", "server"];
/// Records a second that this project was asked to reach with a pipeline.
const ASKED_FOR: f64 = 25_000.0;

/// What each writer does. Those that differ only in a number share a row.
pub fn approaches(writers: &[Writer]) -> Table {
    let alike = writers.chunk_by(|one, next| one.how() == next.how()).filter_map(<[_]>::first);
    alike.fold(Table::new("The approaches", &["approach", "how"]), |table, writer| {
        table.row([writer.label(), writer.how().to_owned()])
    })
}

/// One row per writer; the first is the reference of the ratios.
pub fn costs(title: &str, verified: &[Verified], costs: &[Cost]) -> Table {
    let rates = verified.iter().zip(costs).map(|(row, cost)| (row.writer.label(), cost.rates.clone()));
    let rounds = Measured::rates("records/s", rates);
    let reference = costs.first().map_or(0.0, |cost| cost.rates.median);
    let table = verified.iter().zip(costs).fold(Table::new(title, &HEADER), |table, (row, cost)| {
        let ratio = if reference > 0.0 { cost.rates.median / reference } else { 0.0 };
        table.row([
            row.writer.label(),
            thousands(cost.rates.median),
            percent(cost.rates.spread),
            if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.1}") },
            thousands(row.traffic.round_trips as f64),
            bytes(row.traffic.bytes_sent),
            format!("{:.1}", cost.client_micros),
            cost.server_share.map_or_else(|| "-".into(), percent),
        ])
    });
    table.with_rounds(rounds)
}

/// What the columns mean, what the numbers hold for, and why not to trust them too far.
pub fn foot(ctx: &LessonContext, verified: &[Verified], costs: &[Cost], rounds: usize) {
    let rounds = if rounds == 1 { "one round".to_owned() } else { format!("{rounds} interleaved rounds") };
    let all = verified.iter().map(|row| row.records).max().unwrap_or(0);
    ctx.say(format!(
        "{} records a run{}, {rounds}. records/s: the median. spread: how far apart the middle half of the rounds \
         is, as a share of the median. ratio: to the first row. trips: requests that somebody waited for. sent: bytes from the client. client: µs of this program's \
         processor time per record. server: how much of the time its main thread was busy.",
        thousands(all as f64),
        shortened(verified),
    ));
    ctx.say(format!("{}.", environment(ctx.target()).join(", ")));
    let rates: Vec<_> =
        verified.iter().zip(costs).map(|(row, cost)| (row.writer.label(), cost.rates.clone())).collect();
    for caveat in Caveat::about(&rates, ctx.target().is_near()) {
        ctx.say(caveat.advice());
    }
}

/// Every writer left what it should. The first that did not ends the lesson.
pub fn check_content(ctx: &LessonContext, verified: &[Verified]) -> Outcome {
    for row in verified.iter().filter(|row| row.found != row.expected) {
        let claim = format!("'{}' leaves the records as they should be", row.writer.label());
        ctx.check_eq(&claim, &row.found, &row.expected)?;
    }
    let (count, shortened) = (verified.len(), shortened(verified));
    ctx.check(
        format!("all {count} approaches left the same records, by count and by digest{shortened}"),
        true,
    )
}

/// What was counted on the wire.
pub fn check_traffic(ctx: &LessonContext, kind: Kind, verified: &[Verified]) -> Outcome {
    let one_by_one =
        verified.iter().find(|row| matches!(row.writer, Writer::Client(InsertMany::OneByOne { .. })));
    if let Some(row) = one_by_one {
        let commands = row.records * kind.commands_per_record();
        let claim = format!("one by one waited once for each of {} commands", thousands(commands as f64));
        ctx.check_eq(&claim, &(row.traffic.round_trips as u64), &commands)?;
    }
    let pipelines: Vec<_> =
        verified.iter().filter_map(|row| depth(row.writer).map(|depth| (row, depth))).collect();
    if let Some((row, depth)) = pipelines.last() {
        let waits = row.records.div_ceil((*depth).max(1));
        let times = if waits == 1 { "once".to_owned() } else { format!("{} times", thousands(waits as f64)) };
        let claim = format!("'{}' waited {times}", row.writer.label());
        ctx.check_eq(&claim, &(row.traffic.round_trips as u64), &waits)?;
    }
    let mut sent: Vec<usize> = pipelines.iter().map(|(row, _)| row.traffic.bytes_sent).collect();
    let comparable =
        |row: &&Verified| pipelines.first().is_some_and(|(first, _)| first.records == row.records);
    sent.extend(one_by_one.filter(comparable).map(|row| row.traffic.bytes_sent));
    let same = sent.windows(2).all(|pair| pair[0] == pair[1]);
    ctx.check("every pipeline sent the same bytes: a pipeline does not send less, it waits less", same)?;
    if let (Some(row), Some(&pipeline)) = (verified.iter().rfind(|row| sends_less(row.writer)), sent.first())
    {
        let claim = format!("'{}' sent fewer bytes for the same records", row.writer.label());
        ctx.check(claim, row.traffic.bytes_sent < pipeline)?;
    }
    Ok(())
}

/// Whether a deeper pipeline sends `fewer` bytes than a shallower one, or than single commands, `the same`, or `more`.
pub fn bytes_of_deeper_pipelines(verified: &[Verified]) -> &'static str {
    let of_pipelines = verified.iter().filter(|row| depth(row.writer).is_some());
    let of_pipelines = of_pipelines.map(|row| (row.records, row.traffic.bytes_sent)).collect::<Vec<_>>();
    let (Some((records, deepest)), Some((_, shallowest))) = (of_pipelines.last(), of_pipelines.first())
    else {
        return "the same";
    };
    let single = verified.first().filter(|row| row.records == *records).map(|row| row.traffic.bytes_sent);
    match deepest.cmp(&single.unwrap_or(*shallowest)) {
        Ordering::Less => "fewer",
        Ordering::Equal => "the same",
        Ordering::Greater => "more",
    }
}

/// Where the time went, in the numbers of this run.
pub fn explain(ctx: &LessonContext, kind: Kind, verified: &[Verified], costs: &[Cost]) {
    let rows: Vec<(&Verified, &Cost)> = verified.iter().zip(costs).collect();
    let by_rate = |one: &&(&Verified, &Cost), other: &&(&Verified, &Cost)| {
        one.1.rates.median.total_cmp(&other.1.rates.median)
    };
    let (Some((_, first)), Some((best, best_cost))) = (rows.first(), rows.iter().max_by(by_rate)) else {
        return;
    };
    let best = best.writer.label();
    if let (Some(first_share), Some(best_share)) = (first.server_share, best_cost.server_share) {
        ctx.say(format!(
            "One by one, most of it goes into waiting: the server's main thread was busy {} of the time. A record took \
             {:.1} µs, {:.1} µs of them on this program's processor. With '{best}', the server was busy {} of the time. \
             Near 100%, the server is the limit, and only cheaper commands are faster. Far below, it waits for the client.",
            percent(first_share),
            1e6 / first.rates.median.max(1e-9),
            first.client_micros,
            percent(best_share),
        ));
    }
    let pipelines = rows.iter().filter(|(row, _)| depth(row.writer).is_some());
    if let (Kind::Users, Some((row, cost))) = (kind, pipelines.max_by(by_rate)) {
        let times = |cost: &Cost| {
            let rate = cost.rates.median;
            format!("{} records/s, {:.1} times that", thousands(rate), rate / ASKED_FOR)
        };
        let pipeline = row.writer.label();
        let fastest = if best == pipeline {
            ", and nothing was faster".to_owned()
        } else {
            format!("; the fastest, '{best}', wrote {}", times(best_cost))
        };
        ctx.say(format!(
            "This project was asked to reach 25,000 records/s with a pipeline. Here '{pipeline}' wrote {}{fastest}.",
            times(cost),
        ));
    }
    if let Some(command) = verified.iter().rev().find_map(|row| row.command) {
        ctx.say(format!("The loader, free to choose, wrote with {command}."));
    }
}

/// Names the writer that writes only the first records.
fn shortened(verified: &[Verified]) -> String {
    let all = verified.iter().map(|row| row.records).max().unwrap_or(0);
    verified.iter().find(|row| row.records < all).map_or_else(String::new, |row| {
        format!(
            " ('{}', which is slow, only the first {})",
            row.writer.label(),
            thousands(row.records as f64)
        )
    })
}

/// Whether it says once for many records what a pipeline says for each. A handful of records saves nothing.
fn sends_less(writer: Writer) -> bool {
    match writer {
        Writer::Client(InsertMany::Script { size } | InsertMany::Variadic { size }) => size >= 20,
        _ => false,
    }
}

fn depth(writer: Writer) -> Option<u64> {
    match writer {
        Writer::Client(InsertMany::Pipelined { depth }) => Some(depth),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lab_connection::TargetArgs;
    use lab_measure::insert::Input;
    use lab_runner::LessonError;

    use super::*;
    use crate::insert::measure::verify;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_approach_that_damages_a_record_or_sends_too_much_ends_the_lesson() {
        let target = TargetArgs::private().open().await.unwrap();
        let ctx = LessonContext::silent(target.clone()).await.unwrap();
        let input = Input::open(&target, Kind::List, 20, 0).await.unwrap();
        let writers = [InsertMany::OneByOne { at_most: 20 }, InsertMany::Pipelined { depth: 7 }];
        let mut verified = verify(&target, &input, &writers.map(Writer::Client)).await.unwrap();
        assert!(check_content(&ctx, &verified).is_ok());
        assert!(check_traffic(&ctx, Kind::List, &verified).is_ok());

        verified[1].found.digest ^= 1;
        let broken = check_content(&ctx, &verified);
        assert!(matches!(broken, Err(LessonError::Check(claim)) if claim.contains("pipeline of 7")));
        verified[1].traffic.bytes_sent += 1;
        assert!(check_traffic(&ctx, Kind::List, &verified).is_err());
        verified[0].traffic.round_trips -= 1;
        let broken = check_traffic(&ctx, Kind::List, &verified);
        assert!(matches!(broken, Err(LessonError::Check(claim)) if claim.contains("one by one")));
    }
}
