//! Expected replies against real ones.
//!
//! `…` within a line stands for any text, also none; a line of only `…` for any lines, also none.

use std::fmt;

const ANY: char = '…';

/// Whether the real lines are what was expected.
pub fn fits(expected: &[String], actual: &[String]) -> bool {
    Alignment::of(expected, actual).fits()
}

/// Whether one real line is what was expected. Spaces at the end count in neither.
fn line_fits(expected: &str, actual: &str) -> bool {
    let (expected, mut actual) = (expected.trim_end(), actual.trim_end());
    let Some((first, rest)) = expected.split_once(ANY) else {
        return expected == actual;
    };
    let Some(after_first) = actual.strip_prefix(first) else {
        return false;
    };
    actual = after_first;
    let mut pieces: Vec<&str> = rest.split(ANY).collect();
    let last = pieces.pop().unwrap_or_default();
    // The earliest place for each piece leaves the most room for the next ones.
    for piece in pieces {
        let Some(at) = actual.find(piece) else {
            return false;
        };
        actual = &actual[at + piece.len()..];
    }
    actual.ends_with(last)
}

/// Expected and real lines side by side, with as few differences as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The lines in order.
    pub rows: Vec<Row>,
}

/// One line of an [`Alignment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A real line that was expected.
    Same(String),
    /// The real lines that a line of only `…` stands for; at least one.
    Any(Vec<String>),
    /// An expected line that did not come.
    Missing(String),
    /// A real line that was not expected.
    Extra(String),
}

impl Alignment {
    /// Aligns them: the edit distance, in which a line of only `…` takes in lines for nothing.
    pub fn of(expected: &[String], actual: &[String]) -> Self {
        let (rows, columns) = (expected.len(), actual.len());
        let is_any: Vec<bool> = expected.iter().map(|line| line.trim().chars().eq([ANY])).collect();
        // cost[i][j]: the differences between the lines from i and from j on.
        let mut cost = vec![vec![0_usize; columns + 1]; rows + 1];
        for i in (0..=rows).rev() {
            for j in (0..=columns).rev() {
                cost[i][j] = match (i == rows, j == columns) {
                    (true, true) => 0,
                    (true, false) => cost[i][j + 1] + 1,
                    (false, true) => cost[i + 1][j] + usize::from(!is_any[i]),
                    (false, false) if is_any[i] => cost[i + 1][j].min(cost[i][j + 1]),
                    (false, false) => {
                        let same = line_fits(&expected[i], &actual[j]).then(|| cost[i + 1][j + 1]);
                        let different = (cost[i + 1][j] + 1).min(cost[i][j + 1] + 1);
                        same.map_or(different, |same| same.min(different))
                    }
                };
            }
        }
        let mut alignment = Vec::new();
        let (mut i, mut j) = (0, 0);
        while i < rows || j < columns {
            if i < rows && is_any[i] && cost[i][j] == cost[i + 1][j] {
                i += 1;
            } else if i < rows && is_any[i] {
                match alignment.last_mut() {
                    Some(Row::Any(lines)) => lines.push(actual[j].clone()),
                    _ => alignment.push(Row::Any(vec![actual[j].clone()])),
                }
                j += 1;
            } else if i < rows
                && j < columns
                && cost[i][j] == cost[i + 1][j + 1]
                && line_fits(&expected[i], &actual[j])
            {
                alignment.push(Row::Same(actual[j].clone()));
                (i, j) = (i + 1, j + 1);
            } else if i < rows && cost[i][j] == cost[i + 1][j] + 1 {
                alignment.push(Row::Missing(expected[i].clone()));
                i += 1;
            } else {
                alignment.push(Row::Extra(actual[j].clone()));
                j += 1;
            }
        }
        Self { rows: alignment }
    }

    /// Whether nothing is missing and nothing came that was not expected.
    pub fn fits(&self) -> bool {
        self.rows.iter().all(|row| matches!(row, Row::Same(_) | Row::Any(_)))
    }
}

/// As `diff` shows it: `-` is expected and did not come, `+` came and was not expected. Of the lines that `…` stands for,
/// only a count.
impl fmt::Display for Alignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|row| match row {
            Row::Same(line) => writeln!(f, "    {line}"),
            Row::Any(lines) => writeln!(f, "    … ({} lines)", lines.len()),
            Row::Missing(line) => writeln!(f, "  - {line}"),
            Row::Extra(line) => writeln!(f, "  + {line}"),
        })
    }
}
