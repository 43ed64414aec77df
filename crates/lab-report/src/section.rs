//! Each table of a lesson becomes a figure: charts, the numbers, and the words around it.

use serde_json::Value;

use crate::chart::bars::bars;
use crate::chart::columns::{self, columns};
use crate::chart::percentiles::percentiles;
use crate::chart::{NANOSECONDS, Words};
use crate::document::{Block, Comparison, Lesson, Measured, Run, Table};

/// How to read bars with rounds.
const BARS: &str = "Bars end at the median of the rounds. Each dot is a round. The line is the spread: all rounds, or the middle half of eight \
                    or more.";
/// How to read percentile curves.
const CURVES: &str = "Each curve shows within which time a share of the answers came. Lower is faster. Both axes are logarithmic.";
/// How to read columns.
const COLUMNS: &str = "Each column of numbers has its own scale, which begins at zero.";

/// A part of a report.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) question: String,
    /// How it ended, if that is no matter of course.
    pub(crate) outcome: String,
    pub(crate) figures: Vec<Figure>,
    /// What could not be shown here.
    pub(crate) skipped: Vec<String>,
    pub(crate) rule: String,
    pub(crate) takeaways: Vec<String>,
}

/// A table of the run.
#[derive(Default)]
pub(crate) struct Figure {
    pub(crate) title: String,
    /// What leads to it.
    pub(crate) before: Vec<String>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// The method, the environment, and the caveats.
    pub(crate) after: Vec<String>,
    pub(crate) checks: Vec<(bool, String)>,
}

pub(crate) struct Chart {
    pub(crate) svg: String,
    /// How to read it.
    pub(crate) caption: String,
}

impl Figure {
    /// A table of texts and numbers. Without numbers there is nothing to draw.
    pub(crate) fn of_texts(title: &str, header: &[String], rows: &[Vec<String>]) -> Self {
        let mut figure =
            Self { title: title.to_owned(), header: header.to_vec(), rows: rows.to_vec(), ..Self::default() };
        if let Some((labels, numbers)) = columns::of_table(header, rows) {
            let words = Words { title, description: COLUMNS };
            figure.charts.push(Chart { svg: columns(&words, &labels, &numbers), caption: String::new() });
        }
        figure
    }

    fn of_table(table: &Table, earlier: &Earlier<'_>) -> Self {
        let Table { title, header, rows, measured } = table;
        if measured.is_empty() {
            return Self::of_texts(title, header, rows);
        }
        let charts = measured.iter().flat_map(|measured| measured_charts(title, measured, earlier)).collect();
        Self { title: title.clone(), charts, header: header.clone(), rows: rows.clone(), ..Self::default() }
    }

    fn of_comparison(comparison: &Comparison, earlier: &Earlier<'_>) -> Self {
        let Comparison { title, operations, rounds, commands, caveats, .. } = comparison;
        let header = ["approach", "ops/s", "spread", "ratio", "trips", "sent", "received"].map(str::to_owned);
        let rows = comparison.rows.iter().map(|row| {
            vec![
                row.label.clone(),
                thousands(row.rate.median),
                format!("{:.0}%", row.rate.spread * 100.0),
                format!("{:.2}", row.ratio),
                row.traffic.round_trips.to_string(),
                format!("{} B", thousands(row.traffic.bytes_sent as f64)),
                format!("{} B", thousands(row.traffic.bytes_received as f64)),
            ]
        });
        let mut after = vec![format!(
            "{operations} operations a run, {rounds} interleaved rounds or more. Each approach ran once without a clock, and all \
             had the same result. Sent: {}.",
            commands.join(", ")
        )];
        let advice = caveats.iter().filter_map(|caveat| caveat.get("advice").and_then(Value::as_str));
        after.extend(advice.map(str::to_owned));
        Self {
            title: title.clone(),
            charts: measured_charts(title, &comparison.measured(), earlier),
            header: header.to_vec(),
            rows: rows.collect(),
            after,
            ..Self::default()
        }
    }
}

/// The tables of the same lesson in an earlier run, by title.
type Earlier<'a> = [(&'a str, Measured)];

fn measured_charts(title: &str, measured: &Measured, earlier: &Earlier<'_>) -> Vec<Chart> {
    let same = |(other, old): &&(&str, Measured)| *other == title && old.unit == measured.unit;
    let earlier = earlier.iter().find(same).map(|(_, old)| old);
    let unit = if measured.unit == NANOSECONDS { "time" } else { &measured.unit };
    let better = if measured.less_is_better { "Less is better." } else { "More is better." };
    let overlaid = if earlier.is_some() { " The thin bars are the earlier run." } else { "" };
    let caption = format!("{BARS} {better}{overlaid}");
    let words = Words { title: &format!("{title}: {unit}"), description: &caption };
    let mut charts = vec![Chart { svg: bars(&words, measured, earlier), caption: caption.clone() }];
    let words = Words { title: &format!("{title}: latency by percentile"), description: CURVES };
    charts.extend(percentiles(&words, measured).map(|svg| Chart { svg, caption: CURVES.into() }));
    charts
}

/// The lessons of a run.
pub(crate) fn of_lessons(run: &Run, earlier: Option<&Run>) -> Vec<Section> {
    run.lessons.iter().map(|lesson| of_lesson(lesson, earlier)).collect()
}

fn of_lesson(lesson: &Lesson, earlier: Option<&Run>) -> Section {
    let earlier: Vec<(&str, Measured)> = earlier
        .into_iter()
        .flat_map(|run| run.lessons.iter().filter(|other| other.name == lesson.name))
        .flat_map(Lesson::measured)
        .collect();
    let mut section = Section {
        title: lesson.title.clone(),
        question: lesson.asks.clone(),
        outcome: if lesson.outcome == "passed" { String::new() } else { lesson.outcome.clone() },
        ..Section::default()
    };
    // What was said in this step before its first table.
    let mut words = Vec::new();
    let mut in_step = false;
    for block in &lesson.page {
        let mut figure = match block {
            Block::Facts(table) => Figure::of_table(table, &earlier),
            Block::Comparison(comparison) => Figure::of_comparison(comparison, &earlier),
            other => {
                let last = section.figures.last_mut().filter(|_| in_step);
                match (other, last) {
                    (Block::Step, _) => {
                        words.clear();
                        in_step = false;
                    }
                    (Block::Say { text }, None) => words.push(text.clone()),
                    (Block::Say { text } | Block::Announcement { text }, Some(figure)) => {
                        figure.after.push(text.clone());
                    }
                    (Block::Check { claim, held }, Some(figure)) => {
                        figure.checks.push((*held, claim.clone()));
                    }
                    // A broken claim ends the lesson, wherever it stands.
                    (Block::Check { claim, held: false }, None) => {
                        section.skipped.push(format!("Broken: {claim}"));
                    }
                    (Block::Skipped { reason }, _) => section.skipped.push(reason.clone()),
                    (Block::Summary { rule, takeaways }, _) => {
                        section.rule.clone_from(rule);
                        section.takeaways.clone_from(takeaways);
                    }
                    _ => {}
                }
                continue;
            }
        };
        figure.before = std::mem::take(&mut words);
        in_step = true;
        section.figures.push(figure);
    }
    section
}

/// 1234567.8 as `1,234,568`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
