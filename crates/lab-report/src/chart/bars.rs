//! Horizontal bars: the median, the spread as a line, and each round as a dot. Below each, thinner, the bar of an earlier run.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, TRANSPARENT};

use super::{Area, Drawn, Paint, TEXT, WIDEST_LABEL, Words, chart, label, short, shortened, style, widest};
use crate::document::{Measured, MeasuredRow, Summary};

const BAND: u32 = 30;
const BAND_WITH_EARLIER: u32 = 46;
const AXIS: u32 = 46;
/// Below the name of the axis.
const BOTTOM: u32 = 10;
const TOP: u32 = 8;
const VALUES: u32 = 84;
const GAP: i32 = 8;

/// The chart of a table with rounds.
pub(crate) fn bars(words: &Words<'_>, measured: &Measured, earlier: Option<&Measured>) -> String {
    let rows = &measured.rows;
    let band = if earlier.is_some() { BAND_WITH_EARLIER } else { BAND };
    let height = TOP + u32::try_from(rows.len()).unwrap_or(1).saturating_mul(band) + AXIS + BOTTOM;
    chart(height, words, |area| draw(area, measured, earlier))
}

fn draw(area: &Area<'_>, measured: &Measured, earlier: Option<&Measured>) -> Drawn {
    let rows = &measured.rows;
    let labels: Vec<String> = rows.iter().map(|row| shortened(&row.label, WIDEST_LABEL)).collect();
    let before = |row: &MeasuredRow| {
        earlier.and_then(|earlier| earlier.rows.iter().find(|other| other.label == row.label))
    };
    let highest = |row: &MeasuredRow| {
        row.rounds.highest().max(before(row).map_or(0.0, |before| before.rounds.highest()))
    };
    let most = rows.iter().map(highest).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin_top(TOP)
        .margin_right(VALUES)
        .margin_bottom(BOTTOM)
        .set_label_area_size(LabelAreaPosition::Left, widest(labels.iter().map(String::as_str)) + 12)
        .set_label_area_size(LabelAreaPosition::Bottom, AXIS)
        .build_cartesian_2d(0.0..most * 1.02, rows.len() as f64..0.0)?;
    let unit = if measured.unit == super::NANOSECONDS { "median of the round" } else { &measured.unit };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(6)
        .x_label_formatter(&|value| short(*value, &measured.unit))
        .x_desc(unit)
        .label_style(style(Paint::MUTED, HPos::Center))
        .axis_desc_style(style(Paint::MUTED, HPos::Center))
        .bold_line_style(Paint::GRID.color())
        .light_line_style(TRANSPARENT)
        .axis_style(Paint::GRID.color())
        .draw()?;

    // Where the bar of this run and that of the earlier one stand in their band.
    let (now, then) =
        if earlier.is_some() { ((0.10, 0.54), Some((0.60, 0.88))) } else { ((0.16, 0.84), None) };
    let tops = || rows.iter().enumerate().map(|(index, row)| (index as f64, row));
    let rectangle = |top: f64, (from, to): (f64, f64), value: f64, paint: Paint| {
        Rectangle::new([(0.0, top + from), (value.max(0.0), top + to)], paint.color().filled())
    };
    chart.draw_series(tops().map(|(top, row)| rectangle(top, now, row.rounds.median, Paint::BAR)))?;
    if let Some(then) = then {
        let earlier = tops().filter_map(|(top, row)| {
            before(row).map(|before| rectangle(top, then, before.rounds.median, Paint::BEFORE))
        });
        chart.draw_series(earlier)?;
    }
    let spread = |top: f64, (from, to): (f64, f64), rounds: &Summary, paint: Paint| {
        let (low, high) = rounds.ends_of_spread();
        let middle = top + f64::midpoint(from, to);
        PathElement::new([(low, middle), (high, middle)], paint.color().stroke_width(2))
    };
    let dots = |top: f64, (from, to): (f64, f64), rounds: &Summary, paint: Paint| {
        let middle = top + f64::midpoint(from, to);
        let samples: Vec<f64> = rounds.samples.iter().copied().filter(|sample| sample.is_finite()).collect();
        samples.into_iter().map(move |sample| Circle::new((sample, middle), 3, paint.color().filled()))
    };
    chart.draw_series(tops().map(|(top, row)| spread(top, now, &row.rounds, Paint::SPREAD)))?;
    chart.draw_series(tops().flat_map(|(top, row)| dots(top, now, &row.rounds, Paint::ROUND)))?;
    if let Some(then) = then {
        let dots = tops().filter_map(|(top, row)| {
            before(row).map(|before| dots(top, then, &before.rounds, Paint::BEFORE_ROUND))
        });
        chart.draw_series(dots.flatten())?;
    }

    for ((top, row), text) in tops().zip(&labels) {
        let place =
            |(from, to): (f64, f64), value: f64| chart.backend_coord(&(value, top + f64::midpoint(from, to)));
        let (x, y) = place(now, 0.0);
        label(area, text, (x - GAP, y), Paint::INK, HPos::Right)?;
        let (x, y) = place(now, row.rounds.highest());
        label(area, &short(row.rounds.median, &measured.unit), (x + GAP, y), Paint::INK, HPos::Left)?;
        if let (Some(then), Some(before)) = (then, before(row)) {
            let (x, y) = place(then, before.rounds.highest());
            let text = format!("{} before", short(before.rounds.median, &measured.unit));
            // Near the right edge there is no room for it.
            let fits = f64::from(x) + TEXT * text.len() as f64 * 0.55 < f64::from(super::WIDTH);
            let anchor = if fits { HPos::Left } else { HPos::Right };
            let x = if fits { x + GAP } else { super::WIDTH.cast_signed() - 2 };
            label(area, &text, (x, y), Paint::MUTED, anchor)?;
        }
    }
    Ok(())
}
