//! A table of figures as bars: one panel for each column of numbers, because each has its own unit and scale.

use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, Paint, Words, chart, filled, label, shortened, widest};

const HEAD: i32 = 24;
const ROW: i32 = 22;
const BAR: i32 = 12;
/// Between two lines of panels.
const GAP: i32 = 14;
const NARROWEST_PANEL: i32 = 130;
const LONGEST_LABEL: usize = 40;

/// A column of numbers.
pub(crate) struct Column {
    pub(crate) name: String,
    /// The figure and its text; `None` where the table has none.
    pub(crate) figures: Vec<Option<(f64, String)>>,
}

/// The columns of numbers of a table, and what the rows are called; `None` if it has no numbers.
pub(crate) fn of_table(header: &[String], rows: &[Vec<String>]) -> Option<(Vec<String>, Vec<Column>)> {
    let numeric: Vec<usize> = (0..header.len()).filter(|column| is_numeric(rows, *column)).collect();
    let first = numeric.iter().copied().find(|column| *column > 0)?;
    let label = |row: &Vec<String>| {
        let texts = (0..first).filter_map(|column| row.get(column)).filter(|text| !text.is_empty());
        texts.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let column = |column: usize| Column {
        name: header.get(column).cloned().unwrap_or_default(),
        figures: rows
            .iter()
            .map(|row| row.get(column).and_then(|cell| Some((figure(cell)?, cell.clone()))))
            .collect(),
    };
    let columns = numeric.into_iter().filter(|column| *column >= first).map(column).collect();
    Some((rows.iter().map(label).collect(), columns))
}

/// Whether a column has numbers, and nothing but numbers.
pub(crate) fn is_numeric(rows: &[Vec<String>], column: usize) -> bool {
    let cells = || rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_empty(cell));
    cells().next().is_some() && cells().all(|cell| figure(cell).is_some())
}

fn is_empty(cell: &str) -> bool {
    cell.is_empty() || cell == "-"
}

/// The number of a cell, in the smallest unit: `1,234`, `12%`, `1.5 kB`, `85 µs`, `+3`.
fn figure(cell: &str) -> Option<f64> {
    let cell = cell.trim_start_matches(['<', '>', '~', '+', '$', ' ']);
    let end =
        cell.find(|c: char| !(c.is_ascii_digit() || matches!(c, ',' | '.' | '-'))).unwrap_or(cell.len());
    let number: f64 = cell[..end].replace(',', "").parse().ok()?;
    let factor = match cell[end..].trim() {
        "" | "%" | "B" | "ns" | "x" => 1.0,
        "kB" | "µs" => 1e3,
        "MB" | "M" | "ms" => 1e6,
        "GB" | "s" => 1e9,
        "min" => 60e9,
        "h" => 3_600e9,
        _ => return None,
    };
    Some(number * factor)
}

/// The chart.
pub(crate) fn columns(words: &Words<'_>, labels: &[String], columns: &[Column]) -> String {
    let labels: Vec<String> = labels.iter().map(|text| shortened(text, LONGEST_LABEL)).collect();
    let left = widest(labels.iter().map(String::as_str)).cast_signed() + 10;
    let room = super::WIDTH.cast_signed() - left;
    let in_a_line = usize::try_from(room / NARROWEST_PANEL).unwrap_or(1).clamp(1, columns.len().max(1));
    let lines = columns.len().div_ceil(in_a_line);
    // Lines of equal length look better than a full one and a rest.
    let in_a_line = columns.len().div_ceil(lines.max(1)).max(1);
    let line_height = HEAD + i32::try_from(labels.len()).unwrap_or(1) * ROW + GAP;
    let height = line_height * i32::try_from(lines).unwrap_or(1) - GAP;
    let panel = room / i32::try_from(in_a_line).unwrap_or(1).max(1);
    chart(height.unsigned_abs(), words, |area| {
        for (line, columns) in columns.chunks(in_a_line).enumerate() {
            let top = i32::try_from(line).unwrap_or(0) * line_height;
            for (row, text) in labels.iter().enumerate() {
                label(area, text, (left - 10, middle(top, row)), Paint::INK, HPos::Right)?;
            }
            for (index, column) in columns.iter().enumerate() {
                let x = left + i32::try_from(index).unwrap_or(0) * panel;
                draw(area, column, (x, top), panel - 12)?;
            }
        }
        Ok(())
    })
}

fn middle(top: i32, row: usize) -> i32 {
    top + HEAD + i32::try_from(row).unwrap_or(0) * ROW + ROW / 2
}

/// A panel of this width. Negative figures go to the left of its zero.
fn draw(area: &Area<'_>, column: &Column, (x, top): (i32, i32), width: i32) -> Drawn {
    let figures = || column.figures.iter().flatten();
    let room = widest(figures().map(|(_, text)| text.as_str())).cast_signed() + 8;
    let (low, high) =
        figures().fold((0.0_f64, 0.0_f64), |(low, high), (figure, _)| (low.min(*figure), high.max(*figure)));
    let scale = f64::from((width - room).max(10)) / if high > low { high - low } else { 1.0 };
    let zero = x + super::round(-low * scale);
    let rows = || column.figures.iter().enumerate().filter_map(|(row, figure)| Some((row, figure.as_ref()?)));
    filled(area, (zero, top + HEAD), (zero + 1, middle(top, column.figures.len()) - ROW / 2), Paint::GRID)?;
    for (row, (figure, _)) in rows() {
        let end = zero + super::round(figure * scale);
        let (from, to) = (zero.min(end), zero.max(end));
        if to > from {
            let y = middle(top, row) - BAR / 2;
            filled(area, (from, y), (to, y + BAR), Paint::BAR)?;
        }
    }
    let name = shortened(&column.name, usize::try_from(width / 7).unwrap_or(1));
    label(area, &name, (x, top + HEAD / 2), Paint::MUTED, HPos::Left)?;
    for (row, (figure, text)) in rows() {
        let end = zero + super::round(figure.max(0.0) * scale);
        label(area, text, (end + 5, middle(top, row)), Paint::INK, HPos::Left)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_with_their_units() {
        let figures = ["1,234", "12%", "1.5 kB", "2.0 MB", "85 µs", "1.23 ms", "-15", "+1", "-2.8%", "0.28"];
        let read = figures.map(|cell| figure(cell).unwrap());
        let expected = [1234.0, 12.0, 1500.0, 2e6, 85e3, 1.23e6, -15.0, 1.0, -2.8, 0.28];
        let close = |(one, other): (&f64, &f64)| (one - other).abs() < 1e-6;
        assert!(read.iter().zip(&expected).all(close), "{read:?}");
        for text in ["", "-", "no", "10 + 0 + 0", "2024-01-01", "300 and more", "9 of 10", "1.2.3"] {
            assert_eq!(figure(text), None, "{text}");
        }
    }

    #[test]
    fn rows_are_named_by_what_stands_before_the_first_number() {
        let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let header = text(&["in flight", "connections", "ops/s"]);
        let rows = [text(&["1", "1", "24,425"]), text(&["10", "4", "-"])];
        let (labels, columns) = of_table(&header, &rows).unwrap();
        assert_eq!(labels, ["1", "10"]);
        assert_eq!(columns.len(), 2);
        assert!(columns[1].figures[1].is_none());
        assert!(of_table(&header[..1], &rows).is_none(), "labels are no figures");
    }
}
