//! Charts as SVG. plotters lays them out; [`svg`] writes what it draws. Colors are classes of the style sheet, so that one chart is right
//! in light, in dark, and on paper. Each has a title and a description, and stands beside a table of its numbers.

pub(crate) mod bars;
pub(crate) mod columns;
pub(crate) mod heat_map;
pub(crate) mod percentiles;
mod svg;

use std::convert::Infallible;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoTextStyle, RGBColor, TextStyle};

use self::svg::Svg;

/// The width of all charts, in units of the view box.
const WIDTH: u32 = 760;
/// The height of ordinary text.
const TEXT: f64 = 13.0;
/// Labels are cut off there; the table beside the chart has them whole.
const WIDEST_LABEL: usize = 40;

/// A color of the style sheet: the class is `f` and this number where it fills, and `s` and the number where it strokes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Paint(u8);

impl Paint {
    const INK: Self = Self(0);
    const MUTED: Self = Self(1);
    const GRID: Self = Self(2);
    const BAR: Self = Self(3);
    const SPREAD: Self = Self(4);
    const ROUND: Self = Self(5);
    const BEFORE: Self = Self(6);
    const BEFORE_ROUND: Self = Self(7);

    /// Of a curve; there are eight, and then they come again, dashed.
    fn series(index: usize) -> Self {
        Self(u8::try_from(10 + index % 16).unwrap_or(10))
    }

    /// Of a cell, from 0 (nothing) to 5.
    fn heat(level: u8) -> Self {
        Self(30 + level.min(5))
    }

    /// The text on such a cell.
    fn on_heat(level: u8) -> Self {
        Self(40 + level.min(5))
    }

    fn color(self) -> RGBColor {
        RGBColor(self.0, 0, 0)
    }
}

/// What a chart says in words.
pub(crate) struct Words<'a> {
    /// What it shows.
    pub(crate) title: &'a str,
    /// How to read it.
    pub(crate) description: &'a str,
}

type Area<'a> = DrawingArea<Svg<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<Infallible>>;

/// A chart of this height, with its title and description.
fn chart(height: u32, words: &Words<'_>, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = svg::beginning(WIDTH, height, words);
    {
        let area = Svg::new(&mut text, (WIDTH, height)).into_drawing_area();
        // Writing to memory does not fail, and a chart without a drawing still has its table.
        let _ = draw(&area);
        let _ = area.present();
    }
    text.push_str("</svg>");
    text
}

/// `anchor` is the end of the text that stands at its point.
fn style<'a>(paint: Paint, anchor: HPos) -> TextStyle<'a> {
    let style = ("sans-serif", TEXT).into_text_style(&(WIDTH, WIDTH));
    TextStyle { color: paint.color().to_backend_color(), pos: Pos::new(anchor, VPos::Center), ..style }
}

fn label(area: &Area<'_>, text: &str, at: (i32, i32), paint: Paint, anchor: HPos) -> Drawn {
    area.draw(&Text::new(text.to_owned(), at, style(paint, anchor)))
}

fn filled(area: &Area<'_>, from: (i32, i32), to: (i32, i32), paint: Paint) -> Drawn {
    area.draw(&Rectangle::new([from, to], paint.color().filled()))
}

/// The beginning of a label that is too long.
fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{}…", beginning.trim_end())
}

/// How wide the widest of these texts is.
fn widest<'a>(texts: impl IntoIterator<Item = &'a str>) -> u32 {
    round(texts.into_iter().map(width).fold(0.0, f64::max)).unsigned_abs()
}

/// How wide a text is, about: in DejaVu Sans, which is wider than what most systems have.
fn width(text: &str) -> f64 {
    let width = |character: char| match character {
        'i' | 'j' | 'l' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 4.2,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '-' | '/' | '"' => 5.4,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 12.9,
        'A'..='Z' | '+' | '=' | '<' | '>' | '~' | '_' => 10.3,
        '0'..='9' | 'a'..='z' => 8.3,
        _ if character.is_ascii() => 8.3,
        _ => TEXT,
    };
    text.chars().map(width).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "a chart has a few thousand units; a float saturates")]
fn round(value: f64) -> i32 {
    value.round() as i32
}

/// A figure with its unit, as short as an axis needs it.
pub(crate) fn short(value: f64, unit: &str) -> String {
    if unit == NANOSECONDS {
        return time(value);
    }
    match value.abs() {
        v if v >= 1e9 => format!("{} G", digits(value / 1e9)),
        v if v >= 1e6 => format!("{} M", digits(value / 1e6)),
        v if v >= 1e4 => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// The unit of times.
pub(crate) const NANOSECONDS: &str = "ns";

/// A time as people read it; the unit is nanoseconds.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 999.5 => format!("{} ns", digits(n)),
        n if n < 999_500.0 => format!("{} µs", digits(n / 1e3)),
        n if n < 999_500_000.0 => format!("{} ms", digits(n / 1e6)),
        n => format!("{} s", digits(n / 1e9)),
    }
}

/// Three digits.
fn digits(value: f64) -> String {
    let text = match value.abs() {
        v if !(1e-9..99.95).contains(&v) => return format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let shown = [0.0, 12.0, 1_234.0, 12_345.0, 523_411.0, 2_500_000.0].map(|value| short(value, ""));
        assert_eq!(shown, ["0", "12", "1234", "12.3 k", "523 k", "2.5 M"]);
        let shown = [850.0, 85_400.0, 1_230_000.0, 2e9].map(|value| short(value, NANOSECONDS));
        assert_eq!(shown, ["850 ns", "85.4 µs", "1.23 ms", "2 s"]);
        assert_eq!(shortened("東京東京東京", 4), "東京東…");
    }
}
