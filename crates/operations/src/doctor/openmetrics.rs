//! The diagnosis as [OpenMetrics text](crate::openmetrics), beside the metrics of each server.

use super::cost::Cost;
use super::facts::{Facts, Info};
use super::finding::{Diagnosis, Severity};
use crate::openmetrics::{Exposition, Kind::Gauge, servers};

/// The whole text, with its end.
#[must_use]
pub fn text(facts: &Facts, diagnosis: &Diagnosis, costs: &[Cost]) -> String {
    let mut out = Exposition::default();
    let severities = [Severity::Critical, Severity::Warning, Severity::Note];
    let counts =
        severities.map(|severity| (vec![("severity", severity.name())], diagnosis.count(severity) as f64));
    out.metric("redis_doctor_findings", Gauge, "Findings by severity.", counts);

    let mut found: Vec<(&str, &str, &str)> = diagnosis
        .findings
        .iter()
        .map(|finding| (finding.name, finding.severity.name(), finding.node.as_str()))
        .collect();
    found.sort_unstable();
    let each = found.chunk_by(|a, b| a == b).map(|group| {
        let (name, severity, node) = group[0];
        (vec![("name", name), ("severity", severity), ("node", node)], group.len() as f64)
    });
    out.metric("redis_doctor_finding", Gauge, "One for each thing that is wrong.", each);

    let skipped = diagnosis.skipped.len() as f64;
    out.metric("redis_doctor_skipped_checks", Gauge, "Checks that did not take place.", [(vec![], skipped)]);

    let nodes: Vec<(&str, &Info)> =
        facts.nodes.iter().map(|node| (node.address.as_str(), &node.info)).collect();
    servers(&mut out, &nodes);

    let costs =
        costs.iter().filter_map(|cost| Some((vec![("node", cost.node.as_str())], cost.server_micros? / 1e6)));
    out.metric("redis_doctor_cost_seconds", Gauge, "Time of the server that the examination took.", costs);
    out.finish()
}
