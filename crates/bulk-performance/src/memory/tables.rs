//! What was found, as tables: every figure is a figure of one record.

use lab_runner::measurement::ComparisonResult;
use lab_runner::table::{Table, thousands};

use super::indexes::IndexWeight;
use super::memory_usage::MemoryUsage;

/// Bytes by encoding.
pub(crate) fn bytes(weights: &[MemoryUsage], records: u64, raw: u64) -> Table {
    let header = ["encoding", "kept as", "keys", "bytes", "x raw", "used_memory"];
    let mut table = Table::new("Bytes per record", &header);
    for weight in weights {
        table = table.row([
            weight.encoding.label().to_owned(),
            weight.kept_as.iter().take(2).cloned().collect::<Vec<_>>().join(", "),
            thousands(weight.keys as f64),
            format!("{:.1}", per(weight.bytes, records)),
            format!("{:.2}", per(weight.bytes, raw)),
            weight.grown.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}", per(bytes, records))),
        ]);
    }
    table
}

/// What can be done with each, and how fast.
pub(crate) fn prices(
    weights: &[MemoryUsage],
    records: u64,
    raw: u64,
    rates: &[ComparisonResult; 3],
) -> Table {
    let header = ["encoding", "bytes", "x raw", "field?", "reads/s", "changes/s", "records/s"];
    let mut table = Table::new("The price", &header);
    for weight in weights {
        let label = weight.encoding.label();
        let rate = |measured: &ComparisonResult| {
            let row = measured.rows.iter().find(|row| row.label == label);
            row.map_or_else(|| "-".to_owned(), |row| thousands(row.rate.median))
        };
        let [reads, changes, records_read] = rates;
        table = table.row([
            label.to_owned(),
            format!("{:.0}", per(weight.bytes, records)),
            format!("{:.2}", per(weight.bytes, raw)),
            if weight.encoding.field_access() { "yes" } else { "no" }.to_owned(),
            rate(reads),
            rate(changes),
            rate(records_read),
        ]);
    }
    table
}

/// What indexes add.
pub(crate) fn indexes(weights: &[IndexWeight], records: u64, documented: u64) -> Table {
    let header = ["stored", "kept as", "keys", "bytes"];
    let mut table = Table::new("Indexes, bytes per record", &header);
    for weight in weights {
        table = table.row([
            weight.label.to_owned(),
            weight.kept_as.join(", "),
            weight.keys.to_string(),
            format!("{:.1}", per(weight.bytes, records)),
        ]);
    }
    let added: u64 = weights.iter().map(|weight| weight.bytes).sum();
    table
        .row(["all indexes".into(), String::new(), String::new(), format!("{:.1}", per(added, records))])
        .row([
            "the Hash without them".into(),
            String::new(),
            String::new(),
            format!("{:.1}", per(documented, records)),
        ])
        .row([
            "the Hash with them".into(),
            String::new(),
            String::new(),
            format!("{:.1}", per(documented + added, records)),
        ])
}

/// A share; of nothing it is nothing.
pub(crate) fn per(bytes: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { bytes as f64 / of as f64 }
}
