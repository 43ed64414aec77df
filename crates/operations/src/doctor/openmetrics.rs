//! The diagnosis as OpenMetrics text, for Prometheus and its relatives: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::Write as _;

use super::cost::Cost;
use super::facts::Facts;
use super::finding::{Diagnosis, Severity};

/// Gauges of a server: name, unit or empty, help, field of INFO. A field that is absent gives no sample.
const GAUGES: [(&str, &str, &str, &str); 6] = [
    ("redis_memory_used_bytes", "bytes", "Memory that the data and the buffers take.", "used_memory"),
    ("redis_memory_limit_bytes", "bytes", "The memory limit; 0 for none.", "maxmemory"),
    ("redis_connected_clients", "", "Open connections.", "connected_clients"),
    ("redis_blocked_clients", "", "Clients in a blocking command.", "blocked_clients"),
    ("redis_connected_replicas", "", "Replicas that are connected.", "connected_slaves"),
    ("redis_uptime_seconds", "seconds", "Time since the server started.", "uptime_in_seconds"),
];
/// Counters of a server: name without `_total`, help, field of INFO.
const COUNTERS: [(&str, &str, &str); 6] = [
    ("redis_commands_processed", "Commands that were run.", "total_commands_processed"),
    ("redis_connections_received", "Connections that were accepted.", "total_connections_received"),
    ("redis_keyspace_hits", "Lookups that found a key.", "keyspace_hits"),
    ("redis_keyspace_misses", "Lookups that found no key.", "keyspace_misses"),
    ("redis_evicted_keys", "Keys that were evicted.", "evicted_keys"),
    ("redis_expired_keys", "Keys whose TTL ended.", "expired_keys"),
];

/// The whole exposition, with its end.
#[must_use]
pub fn text(facts: &Facts, diagnosis: &Diagnosis, costs: &[Cost]) -> String {
    let mut out = String::new();
    family(&mut out, "redis_doctor_findings", "gauge", "", "Findings by severity.");
    for severity in [Severity::Critical, Severity::Warning, Severity::Note] {
        let _ = writeln!(
            out,
            "redis_doctor_findings{{severity=\"{}\"}} {}",
            severity.name(),
            diagnosis.count(severity)
        );
    }
    family(&mut out, "redis_doctor_finding", "gauge", "", "One for each thing that is wrong.");
    let mut found: Vec<(&str, &str, &str)> = diagnosis
        .findings
        .iter()
        .map(|finding| (finding.name, finding.severity.name(), finding.node.as_str()))
        .collect();
    found.sort_unstable();
    for group in found.chunk_by(|a, b| a == b) {
        let (name, severity, node) = group[0];
        let labels = format!("name=\"{name}\",severity=\"{severity}\",node=\"{}\"", escaped(node));
        let _ = writeln!(out, "redis_doctor_finding{{{labels}}} {}", group.len());
    }
    family(&mut out, "redis_doctor_skipped_checks", "gauge", "", "Checks that did not take place.");
    let _ = writeln!(out, "redis_doctor_skipped_checks {}", diagnosis.skipped.len());
    for (name, unit, help, field) in GAUGES {
        family(&mut out, name, "gauge", unit, help);
        samples(&mut out, name, facts, field);
    }
    for (name, help, field) in COUNTERS {
        family(&mut out, name, "counter", "", help);
        samples(&mut out, &format!("{name}_total"), facts, field);
    }
    family(&mut out, "redis_keys", "gauge", "", "Keys in all databases.");
    for node in facts.data_nodes() {
        if let Some((keys, _)) = node.info.keys_and_expires() {
            let _ = writeln!(out, "redis_keys{{node=\"{}\"}} {keys}", escaped(&node.address));
        }
    }
    family(
        &mut out,
        "redis_doctor_cost_seconds",
        "gauge",
        "seconds",
        "Time of the server that the examination took.",
    );
    for cost in costs {
        if let Some(micros) = cost.server_micros {
            let _ = writeln!(
                out,
                "redis_doctor_cost_seconds{{node=\"{}\"}} {}",
                escaped(&cost.node),
                micros / 1e6
            );
        }
    }
    out.push_str("# EOF");
    out
}

fn family(out: &mut String, name: &str, kind: &str, unit: &str, help: &str) {
    let _ = writeln!(out, "# TYPE {name} {kind}");
    if !unit.is_empty() {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
    let _ = writeln!(out, "# HELP {name} {help}");
}

fn samples(out: &mut String, name: &str, facts: &Facts, field: &str) {
    for node in &facts.nodes {
        if let Some(number) = node.info.number(field) {
            let _ = writeln!(out, "{name}{{node=\"{}\"}} {number}", escaped(&node.address));
        }
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
