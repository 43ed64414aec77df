//! The drills: heat maps of faults by settings.

use serde::Deserialize;
use serde_json::Value;

use crate::chart::Words;
use crate::chart::heat_map::{Cell, HeatMap, heat_map};
use crate::section::{Chart, Figure, Section, thousands};

/// More columns have no room for their figures.
const MOST_COLUMNS: usize = 7;
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

#[derive(Clone, Default, Deserialize)]
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
    method: Option<String>,
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
    let methods = cells
        .iter()
        .filter_map(|cell| Some(format!("How {} is tried: {}", cell.fault, cell.method.as_ref()?)));
    let mut after: Vec<String> = methods.collect();
    after.extend(cells.iter().filter_map(|cell| cell.note.clone()));
    for cell in &cells {
        after.push(format!("What helps in {}: {}", cell.fault, cell.cure));
    }
    let lost = Figure { after: without_repeats(after), ..lost_writes(&cells) };
    Section { figures: vec![lost, outages(&cells)], skipped, ..Section::default() }
}

fn lost_writes(cells: &[Tried]) -> Figure {
    let map = |cell: &Tried| Cell {
        level: level(cell.lost_share(), &[0.0, 0.001, 0.01, 0.05, 0.2]),
        text: [thousands(cell.lost as f64), percent(cell.lost_share())],
        framed: cell.loses_nothing,
    };
    let row = |cell: &Tried| {
        vec![
            cell.fault.clone(),
            cell.setting.clone(),
            cell.trials.to_string(),
            thousands(cell.acknowledged as f64),
            thousands(cell.lost as f64),
            percent(cell.lost_share()),
            cell.trials_with_loss.to_string(),
            if cell.loses_nothing { "loses nothing" } else { "" }.to_owned(),
        ]
    };
    let header = ["fault", "setting", "trials", "acknowledged", "lost", "share", "in trials", "promise"];
    Figure {
        title: "Acknowledged writes that were lost, by fault and setting".into(),
        charts: charts(cells, "Lost writes by fault and setting", LOST, map),
        header: header.map(str::to_owned).to_vec(),
        rows: cells.iter().map(row).collect(),
        ..Figure::default()
    }
}

fn outages(cells: &[Tried]) -> Figure {
    let map = |cell: &Tried| Cell {
        level: level(cell.unavailable_ms_p50 as f64, &[30.0, 300.0, 1_000.0, 3_000.0, 10_000.0]),
        text: [
            milliseconds(cell.unavailable_ms_p50),
            format!("p99 {}", milliseconds(cell.unavailable_ms_p99)),
        ],
        framed: false,
    };
    let row = |cell: &Tried| {
        let (median, longest) =
            (milliseconds(cell.unavailable_ms_p50), milliseconds(cell.unavailable_ms_p99));
        vec![cell.fault.clone(), cell.setting.clone(), cell.trials.to_string(), median, longest]
    };
    Figure {
        title: "The longest time without an acknowledged write, by fault and setting".into(),
        charts: charts(cells, "Outage by fault and setting", OUTAGE, map),
        header: ["fault", "setting", "trials", "p50", "p99"].map(str::to_owned).to_vec(),
        rows: cells.iter().map(row).collect(),
        ..Figure::default()
    }
}

/// A heat map for each group of faults. The caption explains all of them, so only the last one has it.
fn charts(cells: &[Tried], title: &str, caption: &str, cell: impl Fn(&Tried) -> Cell) -> Vec<Chart> {
    let words = Words { title, description: caption };
    let mut charts: Vec<Chart> = groups(cells)
        .iter()
        .map(|group| Chart { svg: heat_map(&words, &map(cells, group, &cell)), caption: String::new() })
        .collect();
    if let Some(last) = charts.last_mut() {
        caption.clone_into(&mut last.caption);
    }
    charts
}

/// Faults that were tried under the same settings, or almost.
#[derive(Default)]
struct Group {
    faults: Vec<String>,
    settings: Vec<String>,
}

/// A fault joins the first group that has at least half of its settings, if that group does not get too wide.
fn groups(cells: &[Tried]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for fault in without_repeats(cells.iter().map(|cell| cell.fault.clone()).collect()) {
        let own = cells.iter().filter(|cell| cell.fault == fault).map(|cell| cell.setting.clone());
        let own = without_repeats(own.collect());
        let fits = |group: &&mut Group| {
            let new = own.iter().filter(|setting| !group.settings.contains(setting)).count();
            new * 2 <= own.len() && group.settings.len() + new <= MOST_COLUMNS
        };
        if let Some(group) = groups.iter_mut().find(fits) {
            group.faults.push(fault);
            group.settings = without_repeats([std::mem::take(&mut group.settings), own].concat());
        } else {
            groups.push(Group { faults: vec![fault], settings: own });
        }
    }
    groups
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

fn map(tried: &[Tried], group: &Group, cell: impl Fn(&Tried) -> Cell) -> HeatMap {
    // From the settings that promise least to those that promise most; others behind them.
    let order = ["none", "wait", "min-replicas", "rdb", "aof-everysec", "wait-aof", "aof-always"];
    let mut columns = group.settings.clone();
    columns.sort_by_key(|name| order.iter().position(|known| known == name).unwrap_or(order.len()));
    let find = |fault: &str, setting: &str| {
        tried.iter().find(|cell| cell.fault == fault && cell.setting == setting).map(&cell)
    };
    let cells = group.faults.iter();
    let cells = cells.map(|fault| columns.iter().map(|setting| find(fault, setting)).collect()).collect();
    HeatMap { rows: group.faults.clone(), columns, cells }
}

/// How many of the limits a value exceeds.
fn level(value: f64, limits: &[f64]) -> u8 {
    u8::try_from(limits.iter().filter(|limit| value > **limit).count()).unwrap_or(u8::MAX)
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p <= 0.0 => "0%".into(),
        p if p < 0.01 => "< 0.01%".into(),
        p if p < 10.0 => format!("{p:.2}%"),
        p => format!("{p:.0}%"),
    }
}

fn milliseconds(time: u64) -> String {
    if time < 1_000 { format!("{time} ms") } else { format!("{:.2} s", time as f64 / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_share_a_map_if_they_share_settings_and_fit() {
        let tried = |fault: &str, settings: &[&str]| -> Vec<Tried> {
            let cell = |setting: &&str| Tried {
                fault: fault.to_owned(),
                setting: (*setting).to_owned(),
                ..Tried::default()
            };
            settings.iter().map(cell).collect()
        };
        let cells = [
            tried(
                "kill",
                &["none", "wait", "min-replicas", "aof-everysec", "aof-always", "wait-aof-replica"],
            ),
            tried("cluster-failover", &["none", "wait", "partial-coverage", "wait-aof-replica"]),
            tried("restart", &["none", "rdb", "aof-everysec", "wait-aof", "aof-always"]),
            tried("planned-switch", &["by-hand", "pause-first"]),
            tried("disk-full", &["none", "rdb", "rdb-goes-on", "aof-always"]),
        ]
        .concat();
        let groups: Vec<(Vec<String>, usize)> =
            groups(&cells).into_iter().map(|group| (group.faults, group.settings.len())).collect();
        let expected: [(&[&str], usize); 3] =
            [(&["kill", "cluster-failover"], 7), (&["restart", "disk-full"], 6), (&["planned-switch"], 2)];
        let expected = expected
            .map(|(faults, columns)| (faults.iter().map(|name| (*name).to_owned()).collect(), columns));
        assert_eq!(groups, expected);
    }
}
