//! Connections: too many, too short, unnamed, blocked, or too slow to read what they asked for.

use super::{Evidence, Report, bytes, counted, period};
use crate::doctor::facts::Client;

/// A subscriber with so many bytes waiting in two looks falls behind: the system's buffers, of megabytes, are full before the first one
/// waits. (Valkey 9 counts only the beginning of a long message that waits, so the figure can be far too small.)
const SUBSCRIBER_BEHIND: u64 = 16_000;
/// Any other client with so many bytes waiting is near a limit or is eating memory.
const OUTPUT_LARGE: u64 = 10_000_000;
/// Fewer connections without a name are people who look.
const UNNAMED: usize = 3;
/// A pool of tens of connections for each of a hundred processes is fewer.
const MANY_CONNECTIONS: f64 = 5_000.0;
const CHURN_CONNECTIONS: f64 = 1_000.0;
const CHURN_PER_SECOND: f64 = 10.0;
const CHURN_COMMANDS_EACH: f64 = 20.0;

pub(super) fn check(report: &mut Report<'_>) {
    counts(report);
    let Some(clients) =
        report.need("single connections: names, buffers, blocked clients", &report.node.clients)
    else {
        return;
    };
    buffers(report, clients);
    names(report, clients);
    blocked(report, clients);
}

fn counts(report: &mut Report<'_>) {
    let node = report.node;
    let info = &node.info;
    let most = info.number("maxclients").or_else(|| node.setting("maxclients")?.parse().ok());
    if let Some((connected, most)) = info.number("connected_clients").zip(most)
        && connected >= 0.8 * most
    {
        report.critical(
            "too-many-connections",
            format!("{connected:.0} of {most:.0} possible connections are open."),
            ("INFO clients", info.quote(&["connected_clients", "maxclients"])),
            "At the limit, new clients are refused, your own tools among them.",
            "Use a pool of few connections in each process, close what is idle (CONFIG SET timeout 300), or raise maxclients.",
        );
    }
    if info.number("connected_clients").is_some_and(|connected| connected >= MANY_CONNECTIONS) {
        report.warning(
            "many-connections",
            format!("{} connections are open.", info.text("connected_clients").unwrap_or_default()),
            ("INFO clients, INFO stats", info.quote(&["connected_clients", "instantaneous_ops_per_sec", "mem_clients_normal"])),
            "Each takes memory beside the data. With so many, CLIENT LIST alone stops the server for tens of milliseconds, and a restart brings all of them back at once.",
            "Use a pool of few connections in each process, close what is idle (CONFIG SET timeout 300), or put a proxy in between.",
        );
    }
    if info.number("rejected_connections").is_some_and(|rejected| rejected > 0.0) {
        report.warning(
            "connections-rejected",
            "The server has refused connections because maxclients was reached.",
            ("INFO stats", info.quote(&["rejected_connections"])),
            "Those clients got an error.",
            "Find out who opens so many connections (CLIENT LIST), or raise maxclients.",
        );
    }
    if info.number("client_output_buffer_limit_disconnections").is_some_and(|cut| cut > 0.0) {
        report.warning(
            "clients-cut-off",
            "The server has closed connections that did not read their replies fast enough.",
            ("INFO stats", info.quote(&["client_output_buffer_limit_disconnections"])),
            "A subscriber that is cut off misses messages. A replica that is cut off copies everything again.",
            "Make the reader faster or publish less. For replicas: CONFIG SET client-output-buffer-limit \"replica 512mb 128mb 60\".",
        );
    }
    let rate = info
        .number("total_connections_received")
        .zip(info.number("uptime_in_seconds"))
        .zip(info.number("total_commands_processed"));
    if let Some(((received, uptime), commands)) = rate
        && received >= CHURN_CONNECTIONS
        && received / uptime.max(1.0) >= CHURN_PER_SECOND
        && commands / received <= CHURN_COMMANDS_EACH
    {
        let what = format!(
            "Connections live for {:.0} commands on average; {:.0} are opened every second.",
            commands / received,
            received / uptime.max(1.0)
        );
        let fields = ["total_connections_received", "total_commands_processed", "uptime_in_seconds"];
        churn(report, what, ("INFO stats", info.quote(&fields)));
    }
}

pub(super) fn churn(report: &mut Report<'_>, what: String, evidence: Evidence<'_>) {
    report.warning(
        "connection-churn",
        what,
        evidence,
        "Opening a connection costs more than most commands, and with TLS far more.",
        "Keep connections open: one shared connection or a pool in each process.",
    );
}

fn buffers(report: &mut Report<'_>, clients: &[Client]) {
    let behind: Vec<&Client> = clients
        .iter()
        .filter(|client| client.subscriptions > 0 && client.output >= SUBSCRIBER_BEHIND)
        .collect();
    if let Some(worst) = behind.iter().max_by_key(|client| client.output) {
        report.warning(
            "subscriber-falls-behind",
            format!("{} not read as fast as messages are published; at least {} wait for {}.", counted(behind.len(), "One subscriber does", "subscribers do"), bytes(worst.output as f64), worst.addr),
            ("CLIENT LIST", show(worst)),
            "What waits takes memory of the server. At the limit (client-output-buffer-limit pubsub), it is cut off and misses messages.",
            "Make the subscriber faster, publish less, or use a stream, which waits for its readers.",
        );
    }
    let limits = report.node.setting("client-output-buffer-limit").map(limits).unwrap_or_default();
    for client in clients.iter().filter(|client| client.subscriptions == 0) {
        let class = if client.flags.contains('S') { "replica" } else { "normal" };
        let limit = limits
            .iter()
            .find(|(name, _)| *name == class || (*name == "slave" && class == "replica"))
            .map_or(0, |(_, limit)| *limit);
        let threshold = if limit > 0 { (limit / 2).min(100 * OUTPUT_LARGE) } else { OUTPUT_LARGE };
        if client.output >= threshold {
            report.warning(
                "output-buffer-near-limit",
                format!("{} wait to be read by the client {}{}.", bytes(client.output as f64), client.addr, if limit > 0 { format!("; the limit is {}", bytes(limit as f64)) } else { ", and there is no limit".to_owned() }),
                ("CLIENT LIST", show(client)),
                "Replies that nobody reads take memory of the server, beyond maxmemory's reach.",
                "Read replies as they come, ask for less at a time, and set client-output-buffer-limit for normal clients.",
            );
            return;
        }
    }
}

/// The smaller of the hard and the soft limit of each class, in bytes; zero for none.
fn limits(text: &str) -> Vec<(&str, u64)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let classes = words.chunks_exact(4).map(|class| {
        let numbers = class[1..3].iter().filter_map(|number| number.parse().ok());
        (class[0], numbers.filter(|number| *number > 0).min().unwrap_or(0))
    });
    classes.collect()
}

fn show(client: &Client) -> String {
    format!(
        "addr={} name={} flags={} cmd={} omem={}",
        client.addr, client.name, client.flags, client.command, client.output
    )
}

/// Replicas, primaries, and Sentinels say who they are by their flags or names.
fn names(report: &mut Report<'_>, clients: &[Client]) {
    let unnamed: Vec<&Client> = clients
        .iter()
        .filter(|client| client.name.is_empty() && !client.flags.contains(['S', 'M', 'O']))
        .collect();
    if unnamed.len() < UNNAMED {
        return;
    }
    let shown: Vec<&str> = unnamed.iter().take(5).map(|client| client.addr.as_str()).collect();
    report.note(
        "clients-without-names",
        format!("{} of {} connections have no name.", unnamed.len(), clients.len()),
        ("CLIENT LIST", shown.join(" ")),
        "When one of them does harm, nobody knows which program it is.",
        "CLIENT SETNAME when a connection opens. Most client libraries have an option for it.",
    );
}

fn blocked(report: &mut Report<'_>, clients: &[Client]) {
    let blocked: Vec<&Client> = clients.iter().filter(|client| client.flags.contains('b')).collect();
    let Some(longest) = blocked.iter().max_by_key(|client| client.idle) else { return };
    report.note(
        "blocked-clients",
        format!("{} in a blocking command, the longest for {}.", counted(blocked.len(), "One client waits", "clients wait"), period(longest.idle * 1_000)),
        ("CLIENT LIST", show(longest)),
        "Workers that wait for work are normal. Many that wait for long can mean that nobody produces, or that they wait for the wrong key.",
        "Nothing, if they are idle workers. Give blocking commands a timeout, so that dead ones go away.",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_counts_and_zero_is_none() {
        let found = limits("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
        assert_eq!(found, [("normal", 0), ("slave", 67_108_864), ("pubsub", 8_388_608)]);
    }
}
