//! The diagnosis as text and as JSON.

use anstyle::{AnsiColor, Style};
use lab_connection::transcript::for_terminal;
use lab_runner::render::wrap;
use serde_json::{Value, json};

use super::cost::Cost;
use super::facts::{Facts, NodeFacts, Role};
use super::finding::{Diagnosis, Finding, Severity};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();

/// The report for people, no wider than `width` columns where words allow it.
#[must_use]
pub fn text(facts: &Facts, diagnosis: &Diagnosis, costs: &[Cost], width: usize) -> String {
    let mut parts = vec![servers(facts, width), verdict(diagnosis)];
    let same = |one: &&Finding, other: &&Finding| one.name == other.name && one.what == other.what;
    let findings = grouped(diagnosis.findings.iter().map(|found| (found, found.node.as_str())), same);
    parts.extend(findings.iter().map(|(found, nodes)| finding(found, nodes, width)));
    parts.extend(skipped(diagnosis, width));
    parts.push(cost(costs, width));
    parts.join("\n\n")
}

fn servers(facts: &Facts, width: usize) -> String {
    let lines = facts.nodes.iter().map(|node| wrap(&server(node), width, "", "  "));
    format!("{BOLD}Examined{BOLD:#}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// One line about a server.
fn server(node: &NodeFacts) -> String {
    let version = node.info.version().map_or_else(
        || "a server that does not show its version".to_owned(),
        |(name, version)| format!("{name} {}", for_terminal(version)),
    );
    let keys = match (node.role, node.info.keys_and_expires()) {
        (Role::Sentinel, _) | (_, None) => String::new(),
        (_, Some((keys, _))) => format!(", {keys:.0} key{}", if (keys - 1.0).abs() < 0.5 { "" } else { "s" }),
    };
    format!("{}  {version}, {}{keys}", node.address, role(node))
}

fn role(node: &NodeFacts) -> &'static str {
    match (node.role, node.in_cluster()) {
        (Role::Primary, true) => "primary of a cluster",
        (Role::Replica, true) => "replica in a cluster",
        (Role::Primary, false) if node.info.number("connected_slaves").is_some_and(|count| count > 0.0) => {
            "primary"
        }
        (Role::Primary, false) => "standalone",
        (Role::Replica, false) => "replica",
        (Role::Sentinel, _) => "Sentinel",
        (Role::Unknown, _) => "role unknown",
    }
}

fn verdict(diagnosis: &Diagnosis) -> String {
    let counted = |severity: Severity| match diagnosis.count(severity) {
        0 => None,
        count if count > 1 && severity != Severity::Critical => Some(format!("{count} {}s", severity.name())),
        count => Some(format!("{count} {}", severity.name())),
    };
    let severities = [Severity::Critical, Severity::Warning, Severity::Note];
    let counts = severities.into_iter().filter_map(counted).collect::<Vec<_>>().join(", ");
    match (diagnosis.is_healthy(), diagnosis.was_refused()) {
        (false, _) => format!("{BAD}Findings: {counts}{BAD:#}"),
        (true, true) => {
            format!("{WARN}Nothing wrong in what could be examined{WARN:#}; some checks were not permitted")
        }
        (true, false) if counts.is_empty() => format!("{GOOD}Healthy{GOOD:#}: no findings"),
        (true, false) => format!("{GOOD}Healthy{GOOD:#} ({counts})"),
    }
}

/// What is the same on several servers stands once, with the evidence of the first.
fn grouped<'a, T>(
    found: impl Iterator<Item = (T, &'a str)>,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<(T, Vec<&'a str>)> {
    let mut groups: Vec<(T, Vec<&str>)> = Vec::new();
    for (what, node) in found {
        match groups.iter_mut().find(|(first, _)| same(first, &what)) {
            Some((_, nodes)) => nodes.push(node),
            None => groups.push((what, vec![node])),
        }
    }
    groups
}

fn finding(found: &Finding, nodes: &[&str], width: usize) -> String {
    let style = match found.severity {
        Severity::Critical => BAD,
        Severity::Warning => WARN,
        Severity::Note => BOLD,
    };
    let line =
        |label: &str, text: &str| wrap(&for_terminal(text), width, &format!("  {label:<9}"), "           ");
    let evidence = format!("{}: {}", found.command, found.reply);
    let (severity, name) = (found.severity.name(), found.name);
    // Wrapped without its colors, which come back around the words they belong to.
    let heading = wrap(&for_terminal(&format!("{severity} {name} on {}", nodes.join(", "))), width, "", "  ");
    let heading = heading.replacen(
        &format!("{severity} {name}"),
        &format!("{style}{severity}{style:#} {BOLD}{name}{BOLD:#}"),
        1,
    );
    [
        heading,
        wrap(&for_terminal(&found.what), width, "  ", "  "),
        format!("{DIM}{}{DIM:#}", line("evidence", &evidence)),
        line("why", found.why),
        line("fix", &found.fix),
    ]
    .join("\n")
}

/// Checks that were skipped for the same reason stand together.
fn skipped(diagnosis: &Diagnosis, width: usize) -> Option<String> {
    let skipped = diagnosis.skipped.iter();
    let skipped = skipped.map(|skip| (format!("{}: {}", skip.check, skip.reason), skip.node.as_str()));
    let groups = grouped(skipped, |one, other| one == other);
    if groups.is_empty() {
        return None;
    }
    let lines = groups.iter().map(|(text, nodes)| {
        wrap(&for_terminal(&format!("{text} ({})", nodes.join(", "))), width, "  - ", "    ")
    });
    Some(format!("{BOLD}Not examined{BOLD:#}\n{}", lines.collect::<Vec<_>>().join("\n")))
}

fn cost(costs: &[Cost], width: usize) -> String {
    let lines = costs.iter().map(|cost| {
        let share = match (cost.share(), cost.server_micros) {
            (Some(share), Some(micros)) => {
                format!("{:.1} ms of its time, {:.2}%", micros / 1e3, share * 100.0)
            }
            _ => "its time is not known, because there is no INFO".to_owned(),
        };
        let text = format!("{}  {} commands in {:.1} s: {share}", cost.node, cost.commands, cost.seconds);
        wrap(&text, width, "  ", "    ")
    });
    format!("{DIM}What this cost the server\n{}{DIM:#}", lines.collect::<Vec<_>>().join("\n"))
}

/// The report for programs.
#[must_use]
pub fn json(facts: &Facts, diagnosis: &Diagnosis, costs: &[Cost]) -> Value {
    let servers = facts.nodes.iter().map(|node| {
        let version = node.info.version();
        json!({
            "node": node.address,
            "name": version.map(|(name, _)| name),
            "version": version.map(|(_, version)| version),
            "role": role(node),
        })
    });
    json!({
        "healthy": diagnosis.is_healthy() && !diagnosis.was_refused(),
        "findings": diagnosis.findings,
        "skipped": diagnosis.skipped,
        "servers": servers.collect::<Vec<_>>(),
        "overhead": costs,
    })
}
