//! The drills: heat maps of faults by settings.

use serde::Deserialize;
use serde_json::Value;

use crate::chart::Words;
use crate::chart::heat_map::{Cell, HeatMap, heat_map};
use crate::section::{Chart, Figure, Section, thousands};

const LOST: &str = "Rows are faults, columns are settings. Each cell has the acknowledged writes that were lost in all trials, and their share. \
                    The stronger the color, the larger the share. A frame marks a setting that promises to lose nothing in this fault. A dot: not tried.";
const OUTAGE: &str = "The longest time without an acknowledged write: the median of the trials, and the 99th percentile (with fewer than 100 \
                      trials, the longest). The stronger the color, the longer.";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Drills {
    cells: Vec<Tried>,
    skipped: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tried {
    fault: String,
    setting: String,
    trials: u64,
    acknowledged: u64,
    lost: u64,
    trials_with_loss: u64,
    unavailable_ms_p50: u64,
    unavailable_ms_p99: u64,
    loses_nothing: bool,
    note: Option<String>,
    cure: String,
}

impl Tried {
    /// From 0 to 1.
    fn lost_share(&self) -> f64 {
        self.lost as f64 / (self.acknowledged as f64).max(1.0)
    }
}

/// The section of the drills.
pub(crate) fn section(document: &Value) -> Section {
    let Drills { cells, skipped } = Drills::deserialize(document).unwrap_or_default();
    let lost = map(&cells, |cell| Cell {
        level: level(cell.lost_share(), &[0.0, 0.001, 0.01, 0.05, 0.2]),
        text: [format!("{} lost", thousands(cell.lost as f64)), percent(cell.lost_share())],
        framed: cell.loses_nothing,
    });
    let outage = map(&cells, |cell| Cell {
        level: level(cell.unavailable_ms_p50 as f64, &[30.0, 300.0, 1_000.0, 3_000.0, 10_000.0]),
        text: [
            milliseconds(cell.unavailable_ms_p50),
            format!("p99 {}", milliseconds(cell.unavailable_ms_p99)),
        ],
        framed: false,
    });
    let chart = |title: &str, caption: &str, map: &HeatMap| Chart {
        svg: heat_map(&Words { title, description: caption }, map),
        caption: caption.to_owned(),
    };
    let count = |number: u64| thousands(number as f64);
    let header = [
        "fault",
        "setting",
        "trials",
        "acknowledged",
        "lost",
        "share",
        "in trials",
        "outage p50",
        "p99",
        "promise",
    ];
    let row = |cell: &Tried| {
        vec![
            cell.fault.clone(),
            cell.setting.clone(),
            cell.trials.to_string(),
            count(cell.acknowledged),
            count(cell.lost),
            percent(cell.lost_share()),
            cell.trials_with_loss.to_string(),
            milliseconds(cell.unavailable_ms_p50),
            milliseconds(cell.unavailable_ms_p99),
            if cell.loses_nothing { "loses nothing" } else { "" }.to_owned(),
        ]
    };
    let mut after: Vec<String> = cells.iter().filter_map(|cell| cell.note.clone()).collect();
    for cell in &cells {
        after.push(format!("What helps in {}: {}", cell.fault, cell.cure));
    }
    let figure = Figure {
        title: "Acknowledged writes that were lost, by fault and setting".into(),
        charts: vec![
            chart("Lost writes by fault and setting", LOST, &lost),
            chart("Outage by fault and setting", OUTAGE, &outage),
        ],
        header: header.map(str::to_owned).to_vec(),
        rows: cells.iter().map(row).collect(),
        after: without_repeats(after),
        ..Figure::default()
    };
    Section { figures: vec![figure], skipped, ..Section::default() }
}

fn without_repeats(texts: Vec<String>) -> Vec<String> {
    let mut different: Vec<String> = Vec::new();
    for text in texts {
        if !different.contains(&text) {
            different.push(text);
        }
    }
    different
}

fn map(tried: &[Tried], cell: impl Fn(&Tried) -> Cell) -> HeatMap {
    let rows = without_repeats(tried.iter().map(|cell| cell.fault.clone()).collect());
    // In the order in which the table of any fault has them.
    let order = ["none", "wait", "min-replicas", "rdb", "aof-everysec", "wait-aof", "aof-always"];
    let mut columns = without_repeats(tried.iter().map(|cell| cell.setting.clone()).collect());
    columns.sort_by_key(|name| order.iter().position(|known| known == name));
    let find = |fault: &str, setting: &str| {
        tried.iter().find(|cell| cell.fault == fault && cell.setting == setting).map(&cell)
    };
    let cells =
        rows.iter().map(|fault| columns.iter().map(|setting| find(fault, setting)).collect()).collect();
    HeatMap { rows, columns, cells }
}

/// How many of the limits a value exceeds.
fn level(value: f64, limits: &[f64]) -> u8 {
    u8::try_from(limits.iter().filter(|limit| value > **limit).count()).unwrap_or(u8::MAX)
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p <= 0.0 => "0 %".into(),
        p if p < 0.01 => "< 0.01 %".into(),
        p if p < 10.0 => format!("{p:.2} %"),
        p => format!("{p:.0} %"),
    }
}

fn milliseconds(time: u64) -> String {
    if time < 1_000 { format!("{time} ms") } else { format!("{:.2} s", time as f64 / 1e3) }
}
