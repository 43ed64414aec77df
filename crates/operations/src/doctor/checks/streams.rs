//! Streams: consumers that died, and entries that nobody finishes.

use super::{Report, period};
use crate::doctor::facts::StreamGroup;

/// A consumer that holds entries and has asked for nothing since is taken for dead, in milliseconds.
const DEAD_AFTER: u64 = 300_000;
/// An entry that was delivered and not acknowledged since ages.
const AGES_AFTER: u64 = 300_000;
const POISON_DELIVERIES: u64 = 10;
const FAR_BEHIND: u64 = 10_000;

pub(super) fn check(report: &mut Report<'_>) {
    // A reply that is missing was named by the check of the keys, unless it is about streams only.
    let node = report.node;
    if node.keys.is_err() {
        return;
    }
    let Some(groups) = report.need("streams and their consumers", &node.streams) else { return };
    for group in groups {
        one(report, group);
    }
}

fn one(report: &mut Report<'_>, group: &StreamGroup) {
    let StreamGroup { stream, group: name, pending, .. } = group;
    let dead: Vec<&(String, u64, u64)> =
        group.consumers.iter().filter(|(_, pending, idle)| *pending > 0 && *idle >= DEAD_AFTER).collect();
    if let Some((consumer, entries, idle)) = dead.first() {
        report.warning(
            "stream-consumer-died",
            format!("The consumer {consumer} of {stream} holds {entries} entries and has asked for nothing for {}.", period(*idle)),
            ("XINFO CONSUMERS", format!("{stream} {name}: {consumer} pending {entries} idle {idle}")),
            "Entries that were delivered to a dead consumer are delivered to nobody else.",
            "Let the living consumers run XAUTOCLAIM, then XGROUP DELCONSUMER.",
        );
    }
    if let Some(age) = group.oldest_pending.filter(|age| *age >= AGES_AFTER) {
        report.warning(
            "stream-pending-ages",
            format!(
                "{pending} entries of {stream} were delivered and not acknowledged; one of them {} ago.",
                period(age)
            ),
            ("XPENDING", format!("{stream} {name}: pending {pending}, idle {age}")),
            "Nobody finishes these entries, and the list of pending entries takes memory.",
            "Acknowledge with XACK after the work. Take over old entries with XAUTOCLAIM.",
        );
    }
    if group.most_deliveries >= POISON_DELIVERIES {
        report.warning(
            "stream-entry-fails",
            format!(
                "An entry of {stream} was delivered {} times and never acknowledged.",
                group.most_deliveries
            ),
            ("XPENDING", format!("{stream} {name}: deliveries {}", group.most_deliveries)),
            "Every consumer fails on it, and it comes back forever.",
            "Move it to a stream of failures after a few deliveries, and acknowledge it.",
        );
    }
    if let Some(lag) = group.lag.filter(|lag| *lag >= FAR_BEHIND) {
        report.warning(
            "stream-group-behind",
            format!("The group {name} has not read {lag} entries of {stream}."),
            ("XINFO GROUPS", format!("{stream} {name}: lag {lag}")),
            "More comes in than is read. If the stream is trimmed, unread entries are lost.",
            "Add consumers to the group, or limit what is written.",
        );
    }
}
