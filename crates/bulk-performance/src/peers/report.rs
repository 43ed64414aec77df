//! The tables, and what they do not show by themselves.

use lab_connection::transcript::for_terminal;
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::measurement::Measured;
use lab_runner::statistics::Summary;
use lab_runner::table::{Table, percent, thousands};
use lab_runner::{LessonContext, Outcome};

use crate::load::Writing;
use crate::peers::lineup::Lineup;
use crate::peers::peer::{Found, Peer};
use crate::peers::rounds::{Row, Turn};

/// A command that takes a smaller share of what all commands took gets no line.
const WORTH_A_LINE: f64 = 0.05;

/// Writes the tables and the foot, then claims that nobody wrote anything else.
pub(crate) fn write(ctx: &mut LessonContext, lineup: &Lineup, rows: &[Row], rounds: u32) -> Outcome {
    let rates = rows.iter().filter_map(|row| Some((label(row), rate(lineup, row)?)));
    ctx.table(speed(lineup, rows).with_rounds(Measured::rates("records/s", rates)));
    for row in rows {
        if let Some(why) = &row.failed {
            ctx.say(format!("'{}' failed: {}", row.peer, for_terminal(why)));
        }
    }
    foot(ctx, lineup, rows, rounds);
    let costs = costs(lineup, rows);
    if !costs.rows.is_empty() {
        ctx.table(costs);
        ctx.say(
        "'in it' is what the command itself took, by the server's own clock; 'CPU' is all processor time of the server \
         process. What lies between is reading from the socket, parsing, and writing the reply: there a loader can \
         still save something. Inside the command it can only ask for another command.",
        );
    }
    let wrong: Vec<String> = rows.iter().filter(|row| row.wrong).map(|row| row.peer.to_string()).collect();
    let claim = format!(
        "Every peer that was given the {} records left exactly these (digest {:016x})",
        thousands(lineup.fixtures.records as f64),
        lineup.fixtures.expected.digest
    );
    let claim = if wrong.is_empty() { claim } else { format!("{claim}; not so: {}", wrong.join("; ")) };
    ctx.check(claim, wrong.is_empty())
}

fn speed(lineup: &Lineup, rows: &[Row]) -> Table {
    let reference = reference(rows).and_then(|row| rate(lineup, row)).map(|rate| rate.median);
    let title = format!("Writing {} users", thousands(lineup.fixtures.records as f64));
    let header = ["peer", "records/s", "spread", "ratio", "client", "server", "verified"];
    let mut table = Table::new(title, &header);
    for row in rows {
        let Some(rate) = rate(lineup, row) else {
            let verdict = if row.wrong { "wrong" } else { "failed" };
            table = table.row([row.peer.to_string().as_str(), "-", "-", "-", "-", "-", verdict]);
            continue;
        };
        let verdict = match row.turns.first().map(|turn| turn.found) {
            Some(Found::Records(_)) => "yes",
            _ => "count",
        };
        table = table.row([
            label(row),
            thousands(rate.median),
            percent(rate.spread),
            reference.map_or("-".into(), |reference| format!("{:.2}", rate.median / reference)),
            per_record(lineup, row, |turn| turn.client_cpu_seconds),
            share(row),
            verdict.into(),
        ]);
    }
    table
}

fn costs(lineup: &Lineup, rows: &[Row]) -> Table {
    let header = ["peer", "command", "calls", "µs a call", "in it", "CPU"];
    let mut table = Table::new("Where the server's time went, per record", &header);
    for row in rows.iter().filter(|row| row.failed.is_none()) {
        let Some(turn) = row.turns.last() else { continue };
        let all: u64 = turn.commands.iter().map(|(_, counted)| counted.micros).sum();
        let cpu = per_record(lineup, row, |turn| turn.usage.server_cpu_seconds);
        let worth = turn.commands.iter().filter(|(_, c)| c.micros as f64 >= WORTH_A_LINE * all as f64);
        for (index, (name, counted)) in worth.enumerate() {
            let records = lineup.fixtures.records as f64;
            table = table.row([
                if index == 0 { label(row) } else { String::new() },
                name.clone(),
                calls(counted.calls as f64 / records),
                format!("{:.2} µs", counted.micros as f64 / counted.calls.max(1) as f64),
                format!("{:.2} µs", counted.micros as f64 / records),
                if index == 0 { cpu.clone() } else { String::new() },
            ]);
        }
    }
    table
}

fn foot(ctx: &LessonContext, lineup: &Lineup, rows: &[Row], rounds: u32) {
    let of = reference(rows).map_or("no row".into(), |row| format!("'{}'", row.peer));
    ctx.say(format!(
        "{} Ratio to {of}. Pipelines of 10 to 10,000 commands wait for their answers; overlap means that the next is \
         sent before the last is answered. Client is processor time of all client programs per record{}. Server is how \
         much of the time its main thread was busy: at 100% the client cannot make it faster. {}.",
        if rounds == 1 {
            "One round, so there is no spread.".to_owned()
        } else {
            format!("Medians of {rounds} interleaved rounds; spread is the middle half.")
        },
        if cfg!(target_os = "linux") { " (of programs in steps of 10 ms a turn)" } else { "" },
        [environment(&lineup.fixtures.target), lineup.versions.clone()].concat().join(", ")
    ));
    let own: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let rate = median(row, |turn| turn.report.own_rate)?;
            Some(format!("'{}' {}", row.peer, thousands(rate)))
        })
        .collect();
    let by_its_own_clock = if own.is_empty() {
        String::new()
    } else {
        format!(" (by its own clock, first byte to last reply: {})", own.join(", "))
    };
    ctx.say(format!(
        "What is timed: the loader{by_its_own_clock} and redis-rs from connecting to the last reply, making the records \
         included. The programs from start to exit: redis-cli with reading the file, or with this program making the \
         commands; redis-py with starting Python and reading values that were made before. The RDB file: a server of \
         its own reads it when it starts, by its log; the baseline, because no client and no command takes part. \
         Removing, verifying and writing the files is in no figure."
    ));
    ctx.say(format!("{}{}", about_benchmark(lineup, rows), left_out(lineup)).trim());
    let rates = rows.iter().filter_map(|row| Some((row.peer.to_string(), rate(lineup, row)?)));
    for caveat in Caveat::about(&rates.collect::<Vec<_>>(), lineup.fixtures.target.is_near()) {
        ctx.say(caveat.advice());
    }
}

fn about_benchmark(lineup: &Lineup, rows: &[Row]) -> String {
    let found = rows.iter().find_map(|row| match (&row.peer, row.turns.first()?.found) {
        (Peer::Benchmark(benchmark), Found::Others(records)) => Some((benchmark.setting, records)),
        _ => None,
    });
    found.map_or(String::new(), |(setting, found)| {
        format!(
            "redis-benchmark ran with {setting}, the best of five settings in a short trial. Its records differ: \
             all with the same values, under random numbers, of which some come twice ({} keys from {} commands). So \
             only their count is verified. ",
            thousands(found as f64),
            thousands(lineup.fixtures.records as f64)
        )
    })
}

fn left_out(lineup: &Lineup) -> String {
    match lineup.left_out() {
        [] => String::new(),
        reasons => format!("Left out: {}.", reasons.join("; ")),
    }
}

/// `redis-cli --pipe` from a file, else the first of redis-rs.
fn reference(rows: &[Row]) -> Option<&Row> {
    let first = |is: fn(&Peer) -> bool| rows.iter().find(|row| row.works() && is(&row.peer));
    first(|peer| matches!(peer, Peer::PipeFile(_))).or_else(|| first(|peer| matches!(peer, Peer::RedisRs(_))))
}

/// Records a second; none for a peer that failed in any round.
fn rate(lineup: &Lineup, row: &Row) -> Option<Summary> {
    let records = lineup.fixtures.records as f64;
    let rates: Vec<f64> = row.turns.iter().map(|turn| records / turn.usage.seconds.max(1e-9)).collect();
    row.works().then(|| Summary::of(&rates))
}

fn label(row: &Row) -> String {
    match row.turns.first().and_then(|turn| turn.report.command) {
        Some(command) if matches!(row.peer, Peer::Loader(Writing::Auto)) => {
            format!("{}: {command}", row.peer)
        }
        _ => row.peer.to_string(),
    }
}

/// Microseconds a record, the mean over all turns: what the system counts in steps comes out right on average.
fn per_record(lineup: &Lineup, row: &Row, seconds: impl Fn(&Turn) -> Option<f64>) -> String {
    let told: Option<Vec<f64>> = row.turns.iter().map(seconds).collect();
    let Some(told) = told.filter(|told| !told.is_empty()) else { return "-".into() };
    let records = told.len() as f64 * lineup.fixtures.records as f64;
    format!("{:.2} µs", told.iter().sum::<f64>() * 1e6 / records)
}

fn share(row: &Row) -> String {
    median(row, |turn| turn.usage.server_cpu_share).map_or_else(|| "-".into(), percent)
}

/// The median of a figure, over the turns that have it.
fn median(row: &Row, figure: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
    let figures: Vec<f64> = row.turns.iter().filter_map(figure).collect();
    (!figures.is_empty()).then(|| Summary::of(&figures).median)
}

fn calls(each: f64) -> String {
    if each < 0.01 { format!("{each:.4}") } else { format!("{each:.2}") }
}
