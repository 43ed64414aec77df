//! A heat map: rows and columns, a cell for each pair that was tried, colored by its share and with its figures as text.

use plotters::element::Rectangle;
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, Paint, Words, chart, filled, label, widest};

const HEAD: i32 = 40;
/// The height of a line in the head.
const LINE: i32 = 15;
const CELL: i32 = 44;
const WIDEST_CELL: i32 = 124;
const GAP: i32 = 3;

/// A pair that was tried.
pub(crate) struct Cell {
    /// From 0 (nothing) to 5 (most).
    pub(crate) level: u8,
    /// Two lines.
    pub(crate) text: [String; 2],
    /// Whether it has a frame.
    pub(crate) framed: bool,
}

/// What is in the cells, row by row.
pub(crate) struct HeatMap {
    pub(crate) rows: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) cells: Vec<Vec<Option<Cell>>>,
}

/// The chart.
pub(crate) fn heat_map(words: &Words<'_>, map: &HeatMap) -> String {
    let height = HEAD.unsigned_abs()
        + u32::try_from(map.rows.len()).unwrap_or(1).saturating_mul(CELL.unsigned_abs())
        + 4;
    chart(height, words, |area| draw(area, map))
}

fn draw(area: &Area<'_>, map: &HeatMap) -> Drawn {
    let left = widest(map.rows.iter().map(String::as_str)).cast_signed() + 14;
    let count = i32::try_from(map.columns.len()).unwrap_or(1).max(1);
    let width = ((super::WIDTH.cast_signed() - left - 2) / count).min(WIDEST_CELL);
    let x_of = |column: usize| left + i32::try_from(column).unwrap_or(0) * width;
    let y_of = |row: usize| HEAD + i32::try_from(row).unwrap_or(0) * CELL;
    for (column, name) in map.columns.iter().enumerate() {
        let center = x_of(column) + (width - GAP) / 2;
        let lines = lines(name, usize::try_from(width / 8).unwrap_or(1));
        for (line, text) in lines.iter().rev().enumerate() {
            let y = HEAD - 12 - i32::try_from(line).unwrap_or(0) * LINE;
            label(area, text, (center, y), Paint::INK, HPos::Center)?;
        }
    }
    for (row, (name, cells)) in map.rows.iter().zip(&map.cells).enumerate() {
        let (top, middle) = (y_of(row), y_of(row) + CELL / 2);
        label(area, name, (left - 8, middle), Paint::INK, HPos::Right)?;
        for (column, cell) in cells.iter().enumerate() {
            let x = x_of(column);
            let Some(cell) = cell else {
                label(area, "·", (x + (width - GAP) / 2, middle), Paint::MUTED, HPos::Center)?;
                continue;
            };
            let corners = [(x, top), (x + width - GAP, top + CELL - GAP)];
            filled(area, corners[0], corners[1], Paint::heat(cell.level))?;
            if cell.framed {
                area.draw(&Rectangle::new(corners, Paint::SPREAD.color()))?;
            }
            let [first, second] = &cell.text;
            let center = x + (width - GAP) / 2;
            label(area, first, (center, middle - 10), Paint::on_heat(cell.level), HPos::Center)?;
            label(area, second, (center, middle + 7), Paint::on_heat(cell.level), HPos::Center)?;
        }
    }
    Ok(())
}

/// A name in one line, or, if that is too long, in two that are about as long, parted at a hyphen.
fn lines(name: &str, longest: usize) -> Vec<&str> {
    let middle = name.len() / 2;
    let hyphens = name.match_indices('-').map(|(index, _)| index + 1);
    match hyphens.min_by_key(|index| index.abs_diff(middle)) {
        Some(hyphen) if name.len() > longest => vec![&name[..hyphen], &name[hyphen..]],
        _ => vec![name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_parted_at_a_hyphen() {
        assert_eq!(lines("wait-aof-replica", 11), ["wait-aof-", "replica"]);
        assert_eq!(lines("wait-aof", 11), ["wait-aof"]);
        assert_eq!(lines("noeviction", 8), ["noeviction"]);
    }
}
