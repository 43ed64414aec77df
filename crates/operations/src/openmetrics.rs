//! OpenMetrics text, for Prometheus and its relatives: <https://prometheus.io/docs/specs/om/open_metrics_spec/>. The doctor and
//! `cargo ops metrics` print the same metrics of a server.

use std::fmt::Write as _;

use self::Kind::{Counter, Gauge, Info as InfoKind};
use crate::doctor::facts::Info;

/// How a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up, until the server restarts. Its samples end in `_total`.
    Counter,
    /// Its labels are what it says, and its value is 1. Its samples end in `_info`.
    Info,
}

/// Names and values of labels.
pub type Labels<'a> = Vec<(&'static str, &'a str)>;

/// The text, as it grows.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// Where a name ends so, that is its unit.
const UNITS: [&str; 2] = ["bytes", "seconds"];

impl Exposition {
    /// Adds a metric, without the ending of its samples. Without samples, nothing is added.
    pub fn metric<'a>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let (kind, ending) = match kind {
            Gauge => ("gauge", ""),
            Counter => ("counter", "_total"),
            InfoKind => ("info", "_info"),
        };
        self.write(format_args!("# TYPE {name} {kind}"));
        if let Some(unit) = UNITS.iter().find(|unit| name.ends_with(&format!("_{unit}"))) {
            self.write(format_args!("# UNIT {name} {unit}"));
        }
        self.write(format_args!("# HELP {name} {help}"));
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            if labels.is_empty() {
                self.write(format_args!("{name}{ending} {value}"));
            } else {
                self.write(format_args!("{name}{ending}{{{}}} {value}", labels.join(",")));
            }
        }
    }

    /// The whole text, with its end.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Metrics that are one field of INFO: name, kind, help, and field. A server without the field has no sample.
const FIELDS: [(&str, Kind, &str, &str); 34] = [
    ("redis_uptime_seconds", Gauge, "Time since the server started.", "uptime_in_seconds"),
    ("redis_loading", Gauge, "1 while the server loads its data, and refuses commands.", "loading"),
    ("redis_memory_used_bytes", Gauge, "Memory that the data and the buffers take.", "used_memory"),
    ("redis_memory_limit_bytes", Gauge, "The memory limit; 0 for none.", "maxmemory"),
    ("redis_memory_peak_bytes", Gauge, "The most memory used since the server started.", "used_memory_peak"),
    ("redis_memory_resident_bytes", Gauge, "Memory that the system gave the process.", "used_memory_rss"),
    (
        "redis_memory_dataset_bytes",
        Gauge,
        "Memory that the data takes, without buffers.",
        "used_memory_dataset",
    ),
    ("redis_memory_clients_bytes", Gauge, "Memory of the clients' buffers.", "mem_clients_normal"),
    ("redis_connected_clients", Gauge, "Open connections.", "connected_clients"),
    ("redis_connected_clients_limit", Gauge, "How many connections the server accepts.", "maxclients"),
    ("redis_blocked_clients", Gauge, "Clients in a blocking command.", "blocked_clients"),
    ("redis_connected_replicas", Gauge, "Replicas that are connected.", "connected_slaves"),
    ("redis_replication_offset_bytes", Gauge, "Bytes of writes so far, for replicas.", "master_repl_offset"),
    ("redis_primary_link_up", Gauge, "On a replica: 1 if its primary is connected.", "master_link_status"),
    ("redis_unsaved_changes", Gauge, "Changes since the last snapshot.", "rdb_changes_since_last_save"),
    ("redis_last_save_timestamp_seconds", Gauge, "When the last snapshot was made.", "rdb_last_save_time"),
    ("redis_last_save_ok", Gauge, "1 if the last snapshot succeeded.", "rdb_last_bgsave_status"),
    ("redis_aof_last_write_ok", Gauge, "1 if the last write to the AOF succeeded.", "aof_last_write_status"),
    ("redis_aof_last_rewrite_ok", Gauge, "1 if the last rewrite succeeded.", "aof_last_bgrewrite_status"),
    ("redis_last_fork_seconds", Gauge, "How long the last fork stopped the server.", "latest_fork_usec"),
    ("redis_commands_processed", Counter, "Commands that were run.", "total_commands_processed"),
    ("redis_error_replies", Counter, "Replies that were errors.", "total_error_replies"),
    ("redis_connections_received", Counter, "Connections that were accepted.", "total_connections_received"),
    ("redis_connections_rejected", Counter, "Connections beyond the limit.", "rejected_connections"),
    (
        "redis_output_buffer_limit_disconnections",
        Counter,
        "Clients that read too slowly and were cut off.",
        "client_output_buffer_limit_disconnections",
    ),
    ("redis_keyspace_hits", Counter, "Lookups that found a key.", "keyspace_hits"),
    ("redis_keyspace_misses", Counter, "Lookups that found no key.", "keyspace_misses"),
    ("redis_evicted_keys", Counter, "Keys that were evicted.", "evicted_keys"),
    ("redis_expired_keys", Counter, "Keys whose TTL ended.", "expired_keys"),
    ("redis_network_input_bytes", Counter, "Bytes from clients.", "total_net_input_bytes"),
    ("redis_network_output_bytes", Counter, "Bytes to clients.", "total_net_output_bytes"),
    ("redis_full_resyncs", Counter, "Replicas that had to copy everything.", "sync_full"),
    ("redis_cpu_user_seconds", Counter, "Processor time in the server.", "used_cpu_user"),
    ("redis_cpu_system_seconds", Counter, "Processor time in the kernel for it.", "used_cpu_sys"),
];

/// Adds what INFO says about each server. The first text of each is its address, the label `node`.
pub fn servers<'a>(out: &mut Exposition, servers: &[(&'a str, &Info)]) {
    for (name, kind, help, field) in FIELDS {
        let sample = |(node, info): &(&'a str, &Info)| Some((vec![("node", *node)], number(info, field)?));
        out.metric(name, kind, help, servers.iter().filter_map(sample));
    }
    let keys = |part: fn((f64, f64)) -> f64| {
        let holding = servers.iter().filter(|(_, info)| !info.is_sentinel());
        holding.filter_map(move |(node, info)| Some((vec![("node", *node)], part(info.keys_and_expires()?))))
    };
    out.metric("redis_keys", Gauge, "Keys in all databases.", keys(|(keys, _)| keys));
    out.metric("redis_expiring_keys", Gauge, "Keys with a TTL.", keys(|(_, expiring)| expiring));
}

/// A field as a number: in seconds if it is in microseconds, and 1 or 0 if it says that something is well or not.
fn number(info: &Info, field: &str) -> Option<f64> {
    match info.text(field)? {
        "ok" | "up" => Some(1.0),
        "err" | "down" => Some(0.0),
        _ if field.ends_with("_usec") => Some(info.number(field)? / 1e6),
        _ => info.number(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_as_their_kind_and_unit_demand() {
        let mut out = Exposition::default();
        out.metric("a_seconds", Counter, "Time.", [(vec![("x", "\"\\\n")], 1.5)]);
        out.metric("b", InfoKind, "About.", [(vec![], 1.0)]);
        out.metric("c", Gauge, "Nothing.", []);
        let a = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Time.\n\
                 a_seconds_total{x=\"\\\"\\\\\\n\"} 1.5\n";
        assert_eq!(out.finish(), format!("{a}# TYPE b info\n# HELP b About.\nb_info 1\n# EOF\n"));
    }

    #[test]
    fn what_a_server_does_not_say_has_no_sample() {
        let info = Info::parse("role:slave\r\nmaster_link_status:down\r\nlatest_fork_usec:500\r\n");
        let mut out = Exposition::default();
        servers(&mut out, &[("a:1", &info)]);
        let text = out.finish();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            ["redis_primary_link_up{node=\"a:1\"} 0", "redis_last_fork_seconds{node=\"a:1\"} 0.0005"]
        );
    }
}
