//! Latencies as tables.

use std::collections::BTreeSet;

use lab_measure::query::Latency;
use lab_runner::LessonContext;
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::table::{Table, bytes, duration, thousands};

/// Shows one row per approach, and below what was sent, what the numbers hold for, and which row is noisy.
pub(super) fn show(ctx: &LessonContext, title: &str, latencies: &[Latency]) {
    let header = ["approach", "p50", "spread", "p99", "p99.9", "answers", "trips", "bytes"];
    let table = latencies.iter().fold(Table::new(title, &header), |table, latency| {
        table.row([
            latency.label.to_owned(),
            quantile(latency, 0.5),
            format!("{:.0} %", latency.medians.spread * 100.0),
            quantile(latency, 0.99),
            quantile(latency, 0.999),
            thousands(latency.times.len() as f64),
            thousands(latency.traffic.round_trips as f64),
            bytes(latency.traffic.bytes_sent + latency.traffic.bytes_received),
        ])
    });
    ctx.table(table);
    let commands: BTreeSet<&str> =
        latencies.iter().flat_map(|latency| &latency.commands).map(String::as_str).collect();
    let commands = commands.into_iter().collect::<Vec<_>>().join(", ");
    ctx.announce(format!("Sent for this table: {commands}. {}.", environment(ctx.target()).join(", ")));
    let medians: Vec<_> = latencies.iter().map(|one| (one.label.to_owned(), one.medians)).collect();
    let caveats = Caveat::about(&medians, false);
    if let Some(noisy) = caveats.iter().find(|caveat| matches!(caveat, Caveat::Noisy { .. })) {
        ctx.say(noisy.advice());
    }
}

fn quantile(latency: &Latency, share: f64) -> String {
    latency.quantile(share).map_or_else(|| "-".to_owned(), duration)
}
