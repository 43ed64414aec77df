//! The torture of queues and locks: what became of the jobs, how soon a killed worker's job ran again, and the peers.

use serde_json::Value;

use crate::section::{Figure, Section, thousands};

/// What became of jobs, as the document names it, and in words.
const JOBS: [(&str, &str); 8] = [
    ("jobs", "enqueued"),
    ("completed", "completed"),
    ("poison_dead_lettered", "poison in the dead letters"),
    ("redelivered", "attempts after a kill"),
    ("quarantined", "quarantined: workers lost too often"),
    ("lost", "lost"),
    ("doubled_effects", "effects that happened twice"),
    ("innocents_dead_lettered", "innocents in the dead letters"),
];
const RECOVERY: [(&str, &str); 2] = [("recovery_ms_p50", "median"), ("recovery_ms_p99", "99 of 100")];
/// The same of several queues, side by side.
const BESIDE: [(&str, &str); 9] = [
    ("name", "queue"),
    ("lost", "lost"),
    ("left", "left"),
    ("doubled_effects", "doubled"),
    ("innocents_dead_lettered", "innocents"),
    ("ended_by_themselves", "ended"),
    ("recovery_ms_p50", "recovery, ms"),
    ("jobs_per_second", "jobs/s"),
    ("seconds", "seconds"),
];
const SPEEDS: [(&str, &str); 8] = [
    ("name", "queue"),
    ("enqueued_per_second", "enqueued/s"),
    ("enqueued_in_bulk_per_second", "in bulk/s"),
    ("processed_per_second", "processed/s"),
    ("server_micros_per_job", "server, µs a job"),
    ("due_at_once_seconds", "due at once, s"),
    ("longest_call_ms", "longest call, ms"),
    ("idle_commands_per_second", "idle commands/s"),
];
const LOCKS: [(&str, &str); 8] = [
    ("approach", "lock"),
    ("writes", "writes"),
    ("stale_writes", "stale"),
    ("refused", "refused"),
    ("stopped", "stopped"),
    ("killed", "killed"),
    ("failovers", "failovers"),
    ("seconds", "seconds"),
];

/// The section of a run with jobs.
pub(crate) fn of_jobs(document: &Value) -> Section {
    let mut figures = vec![
        list("What became of the jobs", "jobs", document, &JOBS),
        list("Until a killed worker's job ran again", "milliseconds", document, &RECOVERY),
        whole_run(document),
    ];
    let all = |name: &str| document.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let peers = all("peers");
    if !peers.is_empty() {
        let mut ours = document.clone();
        if let Some(ours) = ours.as_object_mut() {
            ours.insert("name".into(), "this project's".into());
        }
        let both: Vec<Value> = std::iter::once(ours).chain(peers).collect();
        figures.push(table("Beside other queues", &both, &BESIDE));
    }
    let speeds = all("speeds");
    if !speeds.is_empty() {
        figures.push(table("When nobody is killed", &speeds, &SPEEDS));
    }
    let skipped =
        all("left_out").iter().filter_map(Value::as_str).map(|why| format!("Left out: {why}")).collect();
    Section { figures, skipped, ..Section::default() }
}

/// The section of a run with locks.
pub(crate) fn of_locks(document: &Value) -> Section {
    let rows = document.get("locks").and_then(Value::as_array).cloned().unwrap_or_default();
    Section { figures: vec![table("Late writes by kind of lock", &rows, &LOCKS)], ..Section::default() }
}

fn whole_run(document: &Value) -> Figure {
    let row = vec![
        "kills included".to_owned(),
        cell(document.get("seconds")),
        cell(document.get("jobs_per_second")),
    ];
    Figure::of_texts("The whole run", &["", "seconds", "jobs/s"].map(str::to_owned), &[row])
}

/// Some figures of a document, one below the other.
fn list(title: &str, unit: &str, document: &Value, names: &[(&str, &str)]) -> Figure {
    let rows: Vec<Vec<String>> =
        names.iter().map(|(name, words)| vec![(*words).to_owned(), cell(document.get(*name))]).collect();
    Figure::of_texts(title, &[String::new(), unit.to_owned()], &rows)
}

/// Some figures of several documents, side by side.
fn table(title: &str, documents: &[Value], names: &[(&str, &str)]) -> Figure {
    let header: Vec<String> = names.iter().map(|(_, words)| (*words).to_owned()).collect();
    let rows: Vec<Vec<String>> = documents
        .iter()
        .map(|document| names.iter().map(|(name, _)| cell(document.get(*name))).collect())
        .collect();
    Figure::of_texts(title, &header, &rows)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(figure) if number.is_f64() && figure.abs() < 100.0 => format!("{figure:.1}"),
            Some(figure) => thousands(figure),
            None => number.to_string(),
        },
        _ => "-".into(),
    }
}
