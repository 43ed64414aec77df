//! What the table says: what is the same, what differs, and what the time went to.

use lab_runner::table::thousands;
use lab_runner::{LessonContext, Outcome};

use super::approach::InsertMany;
use super::kind::Kind;
use super::measure::{Cost, Verified};
use super::table::percent;

/// Records a second that are often quoted for a Redis pipeline.
const OFTEN_QUOTED: f64 = 25_000.0;

/// Every approach left what it should; the first that did not ends the run.
pub fn check_content(ctx: &LessonContext, verified: &[Verified]) -> Outcome {
    for row in verified {
        if row.found != row.expected {
            ctx.check_eq(
                &format!("'{}' leaves the records as they are meant to be", row.approach.label()),
                &row.found,
                &row.expected,
            )?;
        }
    }
    let whole = verified.iter().map(|row| row.records).max().unwrap_or(0);
    let shortened = verified.iter().find(|row| row.records < whole).map_or_else(String::new, |row| {
        format!("; of '{}' the first {}", row.approach.label(), thousands(row.records as f64))
    });
    let approaches = verified.len();
    let claim = format!(
        "all {approaches} approaches left the same: every record is there, and the digests agree{shortened}"
    );
    ctx.check(claim, true)
}

/// What was counted on the wire.
pub fn check_traffic(ctx: &LessonContext, kind: Kind, verified: &[Verified]) -> Outcome {
    let per_record = kind.commands_per_record();
    let one_by_one = verified.iter().find(|row| row.approach == InsertMany::OneByOne);
    let pipelined: Vec<&Verified> = verified.iter().filter(|row| depth(row).is_some()).collect();
    if let Some(row) = one_by_one {
        let commands = row.records * per_record;
        let number = thousands(commands as f64);
        ctx.check_eq(
            &format!("one by one waited {number} times for {number} commands"),
            &(row.traffic.round_trips as u64),
            &commands,
        )?;
    }
    if let Some((row, depth)) = pipelined.last().and_then(|row| depth(row).map(|depth| (row, depth))) {
        let waits = row.records.div_ceil(depth.max(1));
        let times = if waits == 1 { "once".to_owned() } else { format!("{} times", thousands(waits as f64)) };
        ctx.check_eq(
            &format!("'{}' waited {times}", row.approach.label()),
            &(row.traffic.round_trips as u64),
            &waits,
        )?;
    }
    let mut bytes: Vec<usize> = pipelined.iter().map(|row| row.traffic.bytes_sent).collect();
    bytes.extend(
        one_by_one
            .filter(|row| Some(row.records) == pipelined.first().map(|row| row.records))
            .map(|row| row.traffic.bytes_sent),
    );
    ctx.check(
        "every pipeline sent the very same bytes: a pipeline does not send less, it waits less",
        bytes.windows(2).all(|pair| pair[0] == pair[1]),
    )?;
    let fewer = verified.iter().rfind(|row| saves_bytes(row));
    if let (Some(row), Some(&pipelined)) = (fewer, bytes.first()) {
        let claim = format!("'{}' sent fewer bytes for the same records", row.approach.label());
        ctx.check(claim, row.traffic.bytes_sent < pipelined)?;
    }
    Ok(())
}

/// Whether it says once for many records what a pipeline says for each; a handful of records saves nothing.
fn saves_bytes(row: &Verified) -> bool {
    match row.approach {
        InsertMany::Script { size } | InsertMany::Variadic { size } => size >= 100,
        _ => false,
    }
}

/// What the time went to, in the numbers of this run.
pub fn explain(ctx: &LessonContext, kind: Kind, verified: &[Verified], costs: &[Cost]) {
    let rows = || verified.iter().zip(costs);
    let fastest = |rows: &mut dyn Iterator<Item = (&Verified, &Cost)>| {
        rows.max_by(|(_, one), (_, other)| one.rates.median.total_cmp(&other.rates.median))
            .map(|(row, cost)| (row.approach.label(), cost.clone()))
    };
    let (Some((best, best_cost)), Some(first)) = (fastest(&mut rows()), costs.first()) else {
        return;
    };
    if let (Some(first_share), Some(best_share)) = (first.server_share, best_cost.server_share) {
        ctx.say(format!(
            "What is the time usage on? One by one, mostly on waiting: the server's main thread was busy {} of the time, \
             and this program used {:.1} µs of processor time for a record that took {:.1} µs. With '{best}' the server \
             was busy {} of the time. Near 100 % the server is the limit, and only commands that cost it less can be \
             faster; far below, it waits for the client, or for a processor that is free.",
            percent(first_share),
            first.client_micros,
            1e6 / first.rates.median.max(1e-9),
            percent(best_share),
        ));
    }
    let mut pipelines = rows().filter(|(row, _)| depth(row).is_some());
    if let (Kind::Users, Some((pipeline, cost))) = (kind, fastest(&mut pipelines)) {
        let said = |cost: &Cost| {
            let rate = cost.rates.median;
            format!("{} records/s, {:.1} times that figure", thousands(rate), rate / OFTEN_QUOTED)
        };
        let fastest = if best == pipeline {
            ", and nothing was faster".to_owned()
        } else {
            format!("; the fastest of all, '{best}', {}", said(&best_cost))
        };
        ctx.say(format!(
            "25,000 records/s is the figure often quoted for a Redis pipeline. Here '{pipeline}' wrote {}{fastest}.",
            said(&cost),
        ));
    }
    if let Some(command) = verified.iter().rev().find_map(|row| row.command) {
        ctx.say(format!("The loader, free to choose, wrote with {command}."));
    }
}

fn depth(row: &Verified) -> Option<u64> {
    match row.approach {
        InsertMany::Pipelined { depth } => Some(depth),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lab_connection::TargetArgs;
    use lab_runner::LessonError;

    use super::*;
    use crate::insert::{Input, verify};

    #[tokio::test(flavor = "multi_thread")]
    async fn an_approach_that_damages_a_record_or_sends_too_much_ends_the_lesson() {
        let target = TargetArgs::private().open().await.unwrap();
        let ctx = LessonContext::silent(target.clone()).await.unwrap();
        let input = Input::open(&target, Kind::List, 20, 0).await.unwrap();
        let approaches = [InsertMany::OneByOne, InsertMany::Pipelined { depth: 7 }];
        let mut verified = verify(&input, &approaches).await.unwrap();
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
