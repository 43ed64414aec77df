//! What changes while the doctor looks.

use super::clients::churn;
use super::memory::evicting;
use super::{Report, bytes};
use crate::doctor::facts::{NodeFacts, Role};

/// Growth of fewer keys than this is noise.
const KEYS: f64 = 100.0;
/// The share of the keys that must have come in the time.
const SHARE: f64 = 0.01;
const CONNECTIONS_PER_SECOND: f64 = 20.0;
const MEMORY_SHARE: f64 = 0.05;
const MEMORY_FLOOR: f64 = 5e6;

/// Changes between the two INFO of one examination, which are a second or so apart.
pub(super) fn within_the_run(report: &mut Report<'_>) {
    let node = report.node;
    let grown = |field: &str| Some(node.later.number(field)? - node.info.number(field)?);
    if grown("evicted_keys").is_some_and(|keys| keys > 0.0)
        && !report.diagnosis.has("evicting", &node.address)
    {
        let [before, now] =
            [&node.info, &node.later].map(|info| info.text("evicted_keys").unwrap_or_default());
        let evidence = ("INFO stats", format!("evicted_keys {before} -> {now}"));
        evicting(report, "The server evicts keys right now.", evidence);
    }
    short_backlog(report, grown("master_repl_offset"));
}

/// A backlog that holds less than what is written in a second does not survive a broken link.
fn short_backlog(report: &mut Report<'_>, written: Option<f64>) {
    let node = report.node;
    let replicas = node.info.number("connected_slaves").unwrap_or(0.0);
    let (Some(written), Some(backlog)) = (written, node.info.number("repl_backlog_size")) else { return };
    let each_second = written / node.seconds.max(0.2);
    if node.role != Role::Primary
        || replicas == 0.0
        || each_second <= backlog
        || report.diagnosis.has("backlog-too-small", &node.address)
    {
        return;
    }
    report.warning(
        "backlog-too-small",
        format!("{} are written in a second, and the backlog holds {}.", bytes(each_second), bytes(backlog)),
        ("INFO replication", node.later.quote(&["master_repl_offset", "repl_backlog_size"])),
        "If the link breaks for a second, the replica has to copy everything again, which costs both a full snapshot.",
        "CONFIG SET repl-backlog-size to what is written in the longest outage that you expect.",
    );
}

/// Changes between two examinations, for `--watch`.
pub(super) fn compare(report: &mut Report<'_>, then: &NodeFacts, seconds: f64) {
    let node = report.node;
    if node.role != Role::Primary {
        return;
    }
    let number = |node: &NodeFacts, field: &str| node.later.number(field);
    let grown = |field: &str| Some(number(node, field)? - number(then, field)?);
    let permanent = |node: &NodeFacts| node.later.keys_and_expires().map(|(keys, expires)| keys - expires);
    if let Some((before, after)) = permanent(then).zip(permanent(node))
        && after - before >= KEYS
        && after - before >= SHARE * before
    {
        report.warning(
            "keys-without-ttl-grow",
            format!("{:.0} keys without a TTL came in {seconds:.0} s: {:.0} an hour.", after - before, (after - before) * 3_600.0 / seconds.max(1.0)),
            ("INFO keyspace", format!("keys without TTL {before:.0} -> {after:.0}")),
            "Nothing removes them. The memory fills, sooner or later.",
            "Give them a TTL when they are written (SET key value EX seconds), or delete them when they are done.",
        );
    }
    if let Some((before, growth)) = number(then, "used_memory").zip(grown("used_memory"))
        && growth >= MEMORY_FLOOR
        && growth >= MEMORY_SHARE * before
    {
        let limit = number(node, "maxmemory").filter(|limit| *limit > 0.0);
        let left = limit.map(|limit| (limit - before - growth).max(0.0) / growth * seconds / 60.0);
        report.warning(
            "memory-grows",
            format!("Memory grew by {} in {seconds:.0} s{}.", bytes(growth), left.map(|minutes| format!("; at this rate the limit is reached in {minutes:.0} minutes")).unwrap_or_default()),
            ("INFO memory", format!("used_memory {before:.0} -> {:.0}", before + growth)),
            "At the limit, keys are evicted or writes fail.",
            "Find what grows: keys without a TTL, one big key, or buffers of clients (INFO memory, CLIENT LIST).",
        );
    }
    if let Some(keys) = grown("evicted_keys").filter(|keys| *keys > 0.0) {
        let evidence = ("INFO stats", node.later.quote(&["evicted_keys", "maxmemory", "maxmemory_policy"]));
        evicting(report, format!("{keys:.0} keys were evicted in {seconds:.0} s."), evidence);
    }
    if let Some(opened) = grown("total_connections_received").map(|opened| opened / seconds.max(1.0))
        && opened >= CONNECTIONS_PER_SECOND
    {
        let evidence = ("INFO stats", node.later.quote(&["total_connections_received"]));
        churn(report, format!("{opened:.0} connections are opened every second."), evidence);
    }
}
