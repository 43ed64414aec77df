//! Tables: of texts, and of measured approaches.

use std::collections::HashSet;
use std::time::Duration;

use lab_connection::transcript::for_terminal;
use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Modify, Padding, Style};
use textwrap::core::display_width;

use crate::measurement::{ComparisonResult, Measured, Row};
use crate::wrapping::wrap;

/// A small table: a title, a header and rows of the same length.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// What the table shows.
    pub title: String,
    /// Column names. Columns of numbers align to the right, all others to the left.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// What the cells were computed from, where they were measured in rounds; for charts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(title: impl Into<String>, header: &[&str]) -> Self {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Self { title: title.into(), header, ..Self::default() }
    }

    /// The table with one more row.
    #[must_use]
    pub fn row<T: ToString>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.rows.push(cells.into_iter().map(|cell| cell.to_string()).collect());
        self
    }

    /// The table with one more row: a label, and what belongs to it, such as numbers.
    #[must_use]
    pub fn labeled<T: ToString>(self, label: impl Into<String>, cells: impl IntoIterator<Item = T>) -> Self {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.row(std::iter::once(label.into()).chain(cells))
    }

    /// The table with the rounds of one of its figures.
    #[must_use]
    pub fn with_rounds(mut self, measured: Measured) -> Self {
        self.measured.push(measured);
        self
    }

    /// As text, no wider than `width` where words allow it. If all columns together do not fit, they are in several tables, which
    /// begin with the same columns.
    #[must_use]
    pub fn to_text(&self, width: usize) -> String {
        let rows: Vec<&Vec<String>> = std::iter::once(&self.header).chain(&self.rows).collect();
        let narrowest: Vec<usize> = (0..self.header.len())
            .map(|column| {
                rows.iter().filter_map(|row| row.get(column)).map(|cell| narrowest(cell)).max().unwrap_or(0)
                    + GAP
            })
            .collect();
        if narrowest.iter().sum::<usize>() <= width {
            return grid(rows.into_iter().cloned(), width);
        }
        let part = |columns: Vec<usize>| {
            let picked = rows
                .iter()
                .map(|row| columns.iter().filter_map(|&column| row.get(column)).cloned().collect());
            grid(picked, width)
        };
        parts(&narrowest, self.key_columns(), width).into_iter().map(part).collect::<Vec<_>>().join("\n\n")
    }

    /// How many of the first columns tell the rows apart: one, or two.
    fn key_columns(&self) -> usize {
        let firsts: HashSet<Option<&String>> = self.rows.iter().map(|row| row.first()).collect();
        if firsts.len() == self.rows.len() || self.header.len() < 3 { 1 } else { 2 }
    }
}

/// The columns of each part of a table that is too wide. Every part begins with the first `keys` columns.
fn parts(narrowest: &[usize], keys: usize, width: usize) -> Vec<Vec<usize>> {
    let mut parts = Vec::new();
    let mut part: Vec<usize> = (0..keys).collect();
    for column in keys..narrowest.len() {
        let used: usize = part.iter().map(|&column| narrowest[column]).sum();
        if part.len() > keys && used + narrowest[column] > width {
            parts.push(std::mem::replace(&mut part, (0..keys).collect()));
        }
        part.push(column);
    }
    parts.push(part);
    parts
}

/// The columns that a cell needs: a figure is not wrapped, and a text not within its words.
fn narrowest(cell: &str) -> usize {
    let whole = display_width(cell);
    if is_number(cell) {
        return whole;
    }
    let word = cell.split(' ').map(display_width).max().unwrap_or(0);
    whole.min(word.max(NARROWEST_COLUMN))
}

/// An enum of table rows: what stands side by side, each with its label. Adds `ALL`, in the order of the table, and `label`.
#[macro_export]
macro_rules! labeled {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident {
        $($(#[$documentation:meta])* $variant:ident => $label:literal,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[$documentation])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of the table.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// Its row in the table.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

/// Where the labels of approaches would get fewer columns than this, their table is split in two.
const NARROWEST_LABELS: usize = 20;

impl ComparisonResult {
    /// The measured approaches as text, no wider than `width` where words allow it: one table, or, where that is too
    /// narrow, one of rates and one of traffic.
    #[must_use]
    pub fn to_text(&self, width: usize) -> String {
        let header = ["approach", "ops/s", "spread", "ratio", "trips", "sent", "received"];
        let rows: Vec<[String; 7]> =
            std::iter::once(header.map(str::to_owned)).chain(self.rows.iter().map(cells)).collect();
        let widest =
            |column: usize| rows.iter().map(|row| display_width(&row[column]) + GAP).max().unwrap_or(0);
        let pick = |columns: &[usize]| {
            let picked = rows.iter().map(|row| columns.iter().map(|&column| row[column].clone()).collect());
            grid(picked, width)
        };
        let numbers: usize = (1..header.len()).map(widest).sum();
        if numbers + widest(0).min(NARROWEST_LABELS) <= width {
            return pick(&[0, 1, 2, 3, 4, 5, 6]);
        }
        format!("{}\n\n{}", pick(&[0, 1, 2, 3]), pick(&[0, 4, 5, 6]))
    }
}

fn cells(row: &Row) -> [String; 7] {
    [
        row.label.clone(),
        thousands(row.rate.median),
        percent(row.rate.spread),
        ratio(row.ratio),
        thousands(row.traffic.round_trips as f64),
        bytes(row.traffic.bytes_sent),
        bytes(row.traffic.bytes_received),
    ]
}

/// Spaces between columns.
const GAP: usize = 2;
/// A column is not wrapped to less than this.
const NARROWEST_COLUMN: usize = 8;

/// A grid without outer lines, of cells made safe to print; columns of numbers align to the right.
fn grid(rows: impl IntoIterator<Item = Vec<String>>, width: usize) -> String {
    let safe = |row: Vec<String>| row.iter().map(|cell| for_terminal(cell).into_owned()).collect();
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(safe).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let numeric =
        |column: usize| rows.iter().skip(1).all(|row| row.get(column).is_none_or(|cell| is_number(cell)));
    let right: Vec<usize> = (0..columns).filter(|&column| numeric(column)).collect();
    wrap_cells(&mut rows, width);
    let mut table = rows.into_iter().collect::<Builder>().build();
    table
        .with(Style::sharp().remove_top().remove_bottom().remove_left().remove_right().remove_vertical())
        .with(Padding::new(0, GAP, 0, 0));
    for column in right {
        table.with(Modify::new(Columns::one(column)).with(Alignment::right()));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Wraps the cells at spaces so that all columns fit. The widest column gives way first: that is text, and numbers
/// stay whole. (tabled can wrap too, but some of its lines then begin with the space they were wrapped at.)
fn wrap_cells(rows: &mut [Vec<String>], width: usize) {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows.iter() {
        widths.resize(widths.len().max(row.len()), 0);
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(display_width(cell));
        }
    }
    let mut excess = (widths.iter().sum::<usize>() + GAP * widths.len()).saturating_sub(width);
    while excess > 0
        && let Some(widest) = widths.iter_mut().max()
        && *widest > NARROWEST_COLUMN
    {
        *widest -= 1;
        excess -= 1;
    }
    for row in rows {
        for (cell, width) in row.iter_mut().zip(&widths) {
            *cell = wrap(cell, *width, "", "");
        }
    }
}

/// A figure with its unit, or nothing at all.
fn is_number(cell: &str) -> bool {
    cell.is_empty()
        || cell == "-"
        || cell.trim_start_matches(['-', '+', '<', '>', '~', ' ']).starts_with(|c: char| c.is_ascii_digit())
}

/// 0.536 as `54%`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// 1234567.8 as `1,234,568`.
#[must_use]
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// Bytes as people read them: `512 B`, `1.5 kB`, `2.2 MB`; kilo is 1,000.
#[must_use]
pub fn bytes(count: usize) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// A time as people read it: `1.2 µs`, `85 µs`, `1.23 ms`, `12.3 ms`, `1.23 s`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        micros if micros < 9.95 => format!("{micros:.1} µs"),
        micros if micros < 999.5 => format!("{micros:.0} µs"),
        micros if micros < 9_995.0 => format!("{:.2} ms", micros / 1e3),
        micros if micros < 99_950.0 => format!("{:.1} ms", micros / 1e3),
        micros if micros < 999_500.0 => format!("{:.0} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}

/// A ratio with the digits that carry information: `0.037`, `1.00`, `12.3`.
fn ratio(value: f64) -> String {
    match value {
        v if v < 0.1 => format!("{v:.3}"),
        v if v < 10.0 => format!("{v:.2}"),
        v => format!("{v:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Traffic;
    use crate::statistics::Summary;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(thousands(0.0), "0");
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1_234_567.8), "1,234,568");
        assert_eq!(thousands(-1234.0), "-1,234");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.5 kB");
        assert_eq!(bytes(2_180_000), "2.2 MB");
        let duration = |nanos| duration(Duration::from_nanos(nanos));
        assert_eq!([duration(1_200), duration(85_400), duration(999_400)], ["1.2 µs", "85 µs", "999 µs"]);
        assert_eq!([duration(999_600), duration(9_996_000)], ["1.00 ms", "10.0 ms"]);
        assert_eq!([duration(123_456_000), duration(1_234_000_000)], ["123 ms", "1.23 s"]);
        assert_eq!(ratio(0.0371), "0.037");
        assert_eq!(ratio(12.34), "12.3");
    }

    #[test]
    fn a_table_fits_sixty_columns() {
        let table = Table::new("Carts", &["representation", "bytes", "what can expire"])
            .row(["Hash of quantities by SKU", "1,234", "the cart, and each field where HPEXPIRE exists"])
            .row(["Sorted Set", "2,345", "the cart; single items by a companion set of deadlines"]);
        let text = table.to_text(60);
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains("Sorted Set"), "{text}");
    }

    #[test]
    fn a_table_with_too_many_columns_becomes_two() {
        let table = Table::new(
            "Loads",
            &["in flight", "connections", "ops/s", "spread", "p50", "p99", "errors", "wrong"],
        )
        .row(["1", "1", "30,107", "11%", "28 µs", "60 µs", "0", "0"])
        .row(["1", "50", "121,298", "10%", "742 µs", "3.78 ms", "0", "0"]);
        let text = table.to_text(60);
        assert!(text.lines().all(|line| display_width(line) <= 60), "{text}");
        assert_eq!(text.matches("in flight  connections").count(), 2, "{text}");
        assert!(text.contains("3.78 ms") && text.contains("wrong"), "{text}");
        assert_eq!(table.to_text(100).matches("in flight").count(), 1);
    }

    #[test]
    fn wide_characters_take_two_columns_and_nothing_reaches_the_terminal_raw() {
        let table = Table::new("Users", &["name\x1b[2J", "city"])
            .row([
                "東京 太郎 東京 太郎 東京 太郎 東京 太郎 東京 太郎",
                "東京\x1b]0;x\x07 東京 東京 東京 東京",
            ])
            .row(["Parker", "Zürich\r\n"]);
        for width in 60..=100 {
            let text = table.to_text(width);
            assert!(text.lines().all(|line| display_width(line) <= width), "{width}:\n{text}");
            assert!(!text.contains(['\x1b', '\x07', '\r']), "{text:?}");
        }
    }

    #[test]
    fn numbers_stay_whole_in_sixty_columns() {
        let table = Table::new("Lost changes", &["approach", "changes", "kept", "lost", "tried again"])
            .row(["JSON value: JSON.NUMINCRBY", "1,234,567", "225", "0", "120"]);
        let text = table.to_text(60);
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains(" 1,234,567 ") && text.contains(" changes "), "{text}");

        let row = Row {
            label: "JSON value: JSON.NUMINCRBY".into(),
            rate: Summary {
                median: 1_234_567.0,
                min: 1.0,
                max: 2.0,
                spread: 0.37,
                samples: vec![1_234_567.0],
            },
            ratio: 12.3,
            traffic: Traffic { round_trips: 1_000, bytes_sent: 19_100, bytes_received: 123_456 },
        };
        let measured = ComparisonResult {
            title: "Changing one field".into(),
            operations: 50,
            rounds: 15,
            commands: ["GET".to_owned()].into(),
            rows: vec![row],
            environment: Vec::new(),
            caveats: Vec::new(),
        };
        for width in 60..=120 {
            let text = measured.to_text(width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            for whole in ["ops/s", "1,234,567", "37%", "12.3", "1,000", "19.1 kB", "123.5 kB"] {
                assert!(text.contains(whole), "{whole} in {width} columns:\n{text}");
            }
        }
    }
}
