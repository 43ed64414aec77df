//! What was found, as tables. Every figure is that of one record.

use lab_runner::measurement::{ComparisonResult, Row};
use lab_runner::table::{Table, thousands};

use super::memory_usage::{IndexUsage, MemoryUsage};

/// Bytes by encoding.
pub(super) fn usages(usages: &[MemoryUsage], records: u64, raw: u64) -> Table {
    let header = ["encoding", "kept as", "keys", "bytes", "x raw", "used_memory"];
    usages.iter().fold(Table::new("Bytes per record", &header), |table, usage| {
        table.row([
            usage.encoding.label().to_owned(),
            usage.kept_as.iter().take(2).cloned().collect::<Vec<_>>().join(", "),
            thousands(usage.keys as f64),
            format!("{:.1}", per(usage.bytes, records)),
            format!("{:.2}", per(usage.bytes, raw)),
            usage.growth.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}", per(bytes, records))),
        ])
    })
}

/// What you can do with each encoding, and how fast. `rates` are reads, changes, and records.
pub(super) fn rates(usages: &[MemoryUsage], rates: &[ComparisonResult]) -> Table {
    let header = ["encoding", "field?", "reads/s", "changes/s", "records/s", "spread"];
    usages.iter().fold(Table::new("What it costs in time", &header), |table, usage| {
        let label = usage.encoding.label();
        let row = |rate: &'_ ComparisonResult| rate.rows.iter().find(|row| row.label == label).cloned();
        let rows: Vec<Row> = rates.iter().filter_map(row).collect();
        if rows.is_empty() {
            return table;
        }
        let has_access = if usage.encoding.has_field_access() { "yes" } else { "no" };
        let spread = rows.iter().map(|row| row.rate.spread).fold(0.0, f64::max);
        let cells = rows.iter().map(|row| thousands(row.rate.median));
        let spread = format!("{:.0} %", spread * 100.0);
        table.row([label.to_owned(), has_access.to_owned()].into_iter().chain(cells).chain([spread]))
    })
}

/// What indexes add to the bytes of a Hash.
pub(super) fn indexes(indexes: &[IndexUsage], records: u64, hash: u64) -> Table {
    let header = ["stored", "kept as", "keys", "bytes"];
    let table = indexes.iter().fold(Table::new("Indexes, bytes per record", &header), |table, index| {
        let (kept_as, keys) = (index.kept_as.join(", "), index.keys.to_string());
        table.row([index.label.to_owned(), kept_as, keys, format!("{:.1}", per(index.bytes, records))])
    });
    let all: u64 = indexes.iter().map(|index| index.bytes).sum();
    [("all indexes", all), ("the Hash without them", hash), ("the Hash with them", hash + all)]
        .into_iter()
        .fold(table, |table, (label, bytes)| {
            table.row([label, "", "", format!("{:.1}", per(bytes, records)).as_str()])
        })
}

/// A share; of nothing, it is nothing.
pub(super) fn per(bytes: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { bytes as f64 / of as f64 }
}
