//! The table of what was measured, and its foot: how far to believe it.

use lab_runner::LessonContext;
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::table::{Table, bytes, thousands};

use super::approach::InsertMany;
use super::measure::{Cost, Verified};

const HEADER: [&str; 8] = ["approach", "records/s", "spread", "ratio", "trips", "sent", "client", "server"];

/// What each approach does; those that differ only in a number stand in one row.
#[must_use]
pub fn approaches(approaches: &[InsertMany]) -> Table {
    let alike = approaches.chunk_by(|one, next| one.how() == next.how());
    alike
        .filter_map(<[_]>::first)
        .fold(Table::new("The approaches", &["approach", "how"]), |table, approach| {
            table.row([approach.label(), approach.how().to_owned()])
        })
}

/// One row for each approach, the first being the reference of the ratios.
#[must_use]
pub fn table(title: &str, verified: &[Verified], costs: &[Cost]) -> Table {
    let reference = costs.first().map_or(0.0, |cost| cost.rates.median);
    let rows = verified.iter().zip(costs);
    rows.fold(Table::new(title, &HEADER), |table, (verified, cost)| table.row(row(verified, cost, reference)))
}

fn row(verified: &Verified, cost: &Cost, reference: f64) -> [String; 8] {
    let ratio = if reference > 0.0 { cost.rates.median / reference } else { 0.0 };
    [
        verified.approach.label(),
        thousands(cost.rates.median),
        percent(cost.rates.spread),
        if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.1}") },
        thousands(verified.traffic.round_trips as f64),
        bytes(verified.traffic.bytes_sent),
        format!("{:.1}", cost.client_micros),
        cost.server_share.map_or_else(|| "-".into(), percent),
    ]
}

/// What the columns mean, what the numbers hold for, and why not to believe them too far.
pub fn foot(ctx: &LessonContext, verified: &[Verified], costs: &[Cost], rounds: usize) {
    let whole = verified.iter().map(|row| row.records).max().unwrap_or(0);
    let number = |number: u64| thousands(number as f64);
    let shortened = verified.iter().find(|row| row.records < whole).map_or_else(String::new, |row| {
        format!(" ('{}', which is slow, only the first {})", row.approach.label(), number(row.records))
    });
    let rounds = if rounds == 1 { "one round".to_owned() } else { format!("{rounds} interleaved rounds") };
    ctx.say(format!(
        "{} records a run{shortened}, {rounds}. records/s is the median of the rounds, spread the \
         width of their middle half, ratio that to the first row. trips are requests that somebody waited for: those \
         of many callers overlap. sent is what the client wrote. client is the processor time of this program for one \
         record, in microseconds, making it included. server is the share of the time in which the server's main thread was busy.",
        number(whole),
    ));
    ctx.say(format!("{}.", environment(ctx.target()).join(", ")));
    let rates: Vec<_> =
        verified.iter().zip(costs).map(|(row, cost)| (row.approach.label(), cost.rates)).collect();
    for caveat in Caveat::about(&rates, ctx.target().is_near()) {
        ctx.say(caveat.advice());
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
