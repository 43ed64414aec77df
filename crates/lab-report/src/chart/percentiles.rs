//! Latency as curves: which share of the answers came within which time. Both axes are logarithmic, so the rare slow answers have as much
//! room as the others.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::coord::combinators::IntoLogRange;
use plotters::element::{Circle, PathElement};
use plotters::series::LineSeries;
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, NANOSECONDS, Paint, Words, chart, label, short, shortened, widest};
use crate::document::{Measured, MeasuredRow};

const LEAST_HEIGHT: usize = 300;
/// The height of a label.
const LINE: i32 = 17;
const LONGEST_LABEL: usize = 30;
/// The ticks of the x axis, as shares.
const SHARES: [f64; 7] = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/// The chart; `None` if no row has a curve.
pub(crate) fn percentiles(words: &Words<'_>, measured: &Measured) -> Option<String> {
    let rows: Vec<Curve> = measured.rows.iter().enumerate().filter_map(Curve::of).collect();
    if rows.is_empty() {
        return None;
    }
    let labels = rows.len() * LINE.unsigned_abs() as usize + 80;
    let height = u32::try_from(labels.max(LEAST_HEIGHT)).unwrap_or(300);
    Some(chart(height, words, |area| draw(area, &rows)))
}

struct Curve {
    label: String,
    paint: Paint,
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// A single point is no curve.
    fn of((index, row): (usize, &MeasuredRow)) -> Option<Self> {
        let valid =
            |(share, time): &(f64, f64)| (0.0..1.0).contains(share) && *time > 0.0 && time.is_finite();
        let points: Vec<(f64, f64)> = row
            .latency
            .iter()
            .filter(|point| valid(point))
            .map(|(share, time)| (nines(*share), *time))
            .collect();
        let paint = Paint::series(index);
        (points.len() > 1).then(|| Self { label: shortened(&row.label, LONGEST_LABEL), paint, points })
    }
}

/// 0 for 0, 1 for 90%, 2 for 99%, and so on.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn draw(area: &Area<'_>, curves: &[Curve]) -> Drawn {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let right = all().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) =
        all().fold((f64::MAX, 0.0_f64), |(low, high), point| (low.min(point.1), high.max(point.1)));
    let (low, high) = (low * 0.8, high * 1.25);
    let right = right.max(0.01);
    let room = widest(curves.iter().map(|curve| curve.label.as_str())) + 30;
    let mut chart = ChartBuilder::on(area)
        .margin_top(14)
        .margin_right(room)
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 46)
        .build_cartesian_2d(0.0..right, (low..high).log_scale())?;
    // plotters picks its own ticks; these axes need theirs.
    let grid =
        |from: (i32, i32), to: (i32, i32)| area.draw(&PathElement::new([from, to], Paint::GRID.color()));
    for share in SHARES.into_iter().filter(|share| nines(*share) <= right + 0.01) {
        let (x, bottom) = chart.backend_coord(&(nines(share), low));
        grid((x, chart.backend_coord(&(0.0, high)).1), (x, bottom))?;
        label(area, &percent(share), (x, bottom + 14), Paint::MUTED, HPos::Center)?;
    }
    for time in powers(low, high) {
        let (x, y) = chart.backend_coord(&(0.0, time));
        grid((x, y), (chart.backend_coord(&(right, time)).0, y))?;
        label(area, &short(time, NANOSECONDS), (x - 8, y), Paint::MUTED, HPos::Right)?;
    }
    let (x, bottom) = chart.backend_coord(&(right / 2.0, low));
    label(area, "share of the answers", (x, bottom + 34), Paint::MUTED, HPos::Center)?;
    for curve in curves {
        let line = curve.paint.color().stroke_width(2);
        chart.draw_series(LineSeries::new(curve.points.iter().copied(), line))?;
        let dots = curve
            .points
            .iter()
            .filter(|point| SHARES.iter().any(|share| (nines(*share) - point.0).abs() < 0.01));
        chart.draw_series(dots.map(|point| Circle::new(*point, 3, curve.paint.color().filled())))?;
    }
    let ends: Vec<(i32, i32)> =
        curves.iter().filter_map(|curve| curve.points.last()).map(|end| chart.backend_coord(end)).collect();
    let edge = chart.backend_coord(&(right, low)).0;
    for ((curve, (x, y)), place) in curves.iter().zip(&ends).zip(places(&ends, area.dim_in_pixel().1)) {
        let leader = [(*x + 4, *y), (edge + 6, place), (edge + 16, place)];
        area.draw(&PathElement::new(leader, curve.paint.color().stroke_width(1)))?;
        label(area, &curve.label, (edge + 20, place), Paint::INK, HPos::Left)?;
    }
    Ok(())
}

/// Where the labels of the curves stand: near the ends, and not on top of each other.
fn places(ends: &[(i32, i32)], height: u32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|index| ends[*index].1);
    let mut places = vec![0; ends.len()];
    let mut next = 10;
    for index in &order {
        places[*index] = ends[*index].1.max(next);
        next = places[*index] + LINE;
    }
    // What went below the bottom moves up again.
    let mut lowest = height.cast_signed() - 12;
    for index in order.iter().rev() {
        places[*index] = places[*index].min(lowest);
        lowest = places[*index] - LINE;
    }
    places
}

/// 1, 2, and 5 of each power of ten; for wide ranges the powers alone.
fn powers(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] = if high / low > 1_000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut power = 1.0;
    let mut ticks = Vec::new();
    while power <= high && power < 1e18 {
        ticks.extend(steps.iter().map(|step| step * power).filter(|tick| (low..=high).contains(tick)));
        power *= 10.0;
    }
    ticks
}

fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_spread_by_their_nines_and_labels_do_not_overlap() {
        assert_eq!(SHARES.map(percent), ["0%", "50%", "90%", "99%", "99.9%", "99.99%", "99.999%"]);
        let places = places(&[(0, 50), (0, 52), (0, 280), (0, 285), (0, 290)], 300);
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= LINE) && sorted[4] <= 288, "{places:?}");
        assert_eq!(powers(3e4, 4e6).len(), 6);
    }
}
