//! Big keys, hot keys, and commands that are slow on them.

use super::{Evidence, Report, bytes};
use crate::doctor::facts::{BigKey, Info, KeySample, Role};

/// A string of this size takes 8 ms on a network of 1 Gbit/s, and blocks the server while it is copied.
const BIG_STRING: u64 = 1_000_000;
/// A collection of this size, or with so many elements, blocks the server when it is read whole, deleted, or moved.
const BIG_COLLECTION: u64 = 5_000_000;
const MANY_ELEMENTS: u64 = 100_000;
/// Commands that read a whole collection, by type.
const WHOLE: [(&str, &[&str]); 4] = [
    ("hash", &["hgetall", "hkeys", "hvals"]),
    ("set", &["smembers", "sinter", "sunion", "sdiff"]),
    ("list", &["lrange"]),
    ("zset", &["zrange", "zrevrange", "zrangebyscore"]),
];
/// A command whose average is this long is slow, in microseconds.
const SLOW_AVERAGE: f64 = 1_000.0;
/// OBJECT FREQ counts on a scale of logarithms; with the default factor, 100 stands for tens of thousands of reads.
const HOT: u64 = 100;
/// A slot with more than this share of the keys is out of proportion.
const SLOT_SHARE: f64 = 0.25;
const MANY_IN_A_SLOT: u64 = 10_000;

pub(super) fn check(report: &mut Report<'_>) {
    let node = report.node;
    if node.role == Role::Replica {
        return;
    }
    let Some(sample) = report.need("big keys, hot keys, and streams", &node.keys) else { return };
    if !sample.complete {
        let share = 100.0 * sample.looked_at as f64 / sample.of.max(1) as f64;
        report.skip(
            "all keys",
            format!("a sample: {} of {} keys, so each big key had a chance of {share:.1}% to be seen (--deep looks at more)", sample.looked_at, sample.of),
            None,
        );
    }
    big(report, sample);
    whole_reads(report, sample);
    hot(report, sample);
    expired(report, sample);
    slot(report, sample);
}

fn is_big(key: &BigKey) -> bool {
    let limit = if key.kind == "string" { BIG_STRING } else { BIG_COLLECTION };
    key.bytes >= limit || key.elements.is_some_and(|elements| elements >= MANY_ELEMENTS)
}

fn show(key: &BigKey) -> String {
    let elements = key.elements.map(|elements| format!(", {elements} elements")).unwrap_or_default();
    format!("{} ({}, {}{elements})", key.name, key.kind, bytes(key.bytes as f64))
}

fn big(report: &mut Report<'_>, sample: &KeySample) {
    let big: Vec<&BigKey> = sample.biggest.iter().filter(|key| is_big(key)).collect();
    let Some(first) = big.first() else { return };
    let list: Vec<String> = big.iter().take(5).map(|key| show(key)).collect();
    report.warning(
        "big-key",
        if big.len() == 1 { format!("One key is big: {}.", show(first)) } else { format!("{} keys are big; the biggest: {}.", big.len(), show(first)) },
        ("SCAN, MEMORY USAGE key SAMPLES 5", list.join("; ")),
        "Reading or deleting it whole stops all other clients. It cannot be split among the nodes of a cluster.",
        "Split it into several keys, read it in parts (HSCAN, SSCAN, LRANGE with limits), and delete it with UNLINK.",
    );
}

fn whole_reads(report: &mut Report<'_>, sample: &KeySample) {
    let info = &report.node.info;
    for (kind, commands) in WHOLE {
        let Some(key) = sample
            .biggest
            .iter()
            .find(|key| key.kind == kind && key.elements.is_some_and(|elements| elements >= 10_000))
        else {
            continue;
        };
        for command in commands {
            let field = format!("cmdstat_{command}");
            if let Some(average) = slow_average(info, &field) {
                report.warning(
                    "slow-command-on-huge-collection",
                    format!("{} takes {:.1} ms on average, and there is a huge {kind}: {}.", command.to_uppercase(), average / 1e3, show(key)),
                    ("INFO commandstats", info.quote(&[&field])),
                    "The server runs one command at a time. All clients wait while a huge collection is read whole.",
                    "Read it in parts: HSCAN, SSCAN, ZRANGE and LRANGE with limits.",
                );
            }
        }
    }
    if let Some(average) = slow_average(info, "cmdstat_keys") {
        report.warning(
            "keys-command",
            format!("Somebody runs KEYS; it takes {:.1} ms.", average / 1e3),
            ("INFO commandstats", info.quote(&["cmdstat_keys"])),
            "KEYS walks over every key, and all clients wait.",
            "Use SCAN, and take the right away: ACL SETUSER NAME -keys.",
        );
    }
}

fn slow_average(info: &Info, field: &str) -> Option<f64> {
    info.part_number(field, "usec_per_call").filter(|average| *average >= SLOW_AVERAGE)
}

fn hot(report: &mut Report<'_>, sample: &KeySample) {
    match &sample.hottest {
        Some((name, frequency, middle)) if *frequency >= HOT && *middle < frequency / 2 => report.warning(
            "hot-key",
            format!("One key is used far more than the others: {name}."),
            ("OBJECT FREQ", format!("{frequency}; the key in the middle has {middle}")),
            "One key lives on one server and one core. More servers do not help.",
            "Cache it in the clients (CLIENT TRACKING), read it from replicas, or split it into several keys.",
        ),
        None if sample.looked_at > 0 => {
            report.skip("hot keys", "the server counts reads only with an LFU policy (maxmemory-policy allkeys-lfu or volatile-lfu)", None);
        }
        _ => {}
    }
}

/// SCAN shows no expired keys, but the number of keys contains them.
fn expired(report: &mut Report<'_>, sample: &KeySample) {
    let info = &report.node.info;
    let unseen = sample.of.saturating_sub(sample.looked_at);
    let stale = info.number("expired_stale_perc").filter(|percent| *percent >= 25.0);
    let many_expire = info.keys_and_expires().is_some_and(|(_, expires)| expires >= 1_000.0);
    let left_over = sample.complete && unseen >= 1_000 && unseen as f64 >= 0.25 * sample.of as f64;
    if left_over || (stale.is_some() && many_expire) {
        report.warning(
            "expired-keys-pile-up",
            "Many keys have expired and still take memory.",
            ("INFO keyspace, SCAN, INFO stats", format!("{} keys, {} of them alive; {}", sample.of, sample.looked_at, info.quote(&["expired_stale_perc", "expired_time_cap_reached_count"]))),
            "The server removes expired keys in the background, with limited effort. If more expire than it removes, they fill the memory.",
            "CONFIG SET active-expire-effort to more than 1 (at most 10), and spread the TTLs with a random part.",
        );
    }
}

fn slot(report: &mut Report<'_>, sample: &KeySample) {
    let node = report.node;
    if !node.in_cluster() {
        return;
    }
    let stats = node.slot_stats.as_ref().ok();
    let keys = node.info.keys_and_expires().map_or(0.0, |(keys, _)| keys);
    if let Some((slot, count)) = stats.and_then(|stats| stats.fullest)
        && count >= MANY_IN_A_SLOT
        && count as f64 >= SLOT_SHARE * keys
    {
        let evidence = format!("slot {slot}: {count} of {keys:.0} keys");
        full(report, slot, ("CLUSTER SLOT-STATS ORDERBY key-count LIMIT 1 DESC", evidence));
    } else if let Some((slot, count)) = sample.fullest_slot
        && stats.is_none()
        && count >= 1_000
        && keys >= MANY_IN_A_SLOT as f64
        && count as f64 >= SLOT_SHARE * sample.looked_at as f64
    {
        let evidence = format!("slot {slot}: {count} of the {} keys that were looked at", sample.looked_at);
        full(report, slot, ("SCAN", evidence));
    }
    if let Some((slot, micros)) = stats.and_then(|stats| stats.busiest)
        && let Some(total) = node.info.number("used_cpu_user")
        && micros >= 1_000_000
        && micros as f64 / 1e6 >= 0.5 * total
    {
        report.warning(
            "hot-slot",
            format!("Slot {slot} takes most of the processor time of its node."),
            (
                "CLUSTER SLOT-STATS ORDERBY cpu-usec LIMIT 1 DESC",
                format!("slot {slot}: {micros} us | {}", node.info.quote(&["used_cpu_user"])),
            ),
            "A slot cannot be split. More nodes do not help.",
            "Use several hash tags instead of one, so the keys spread over several slots.",
        );
    }
}

fn full(report: &mut Report<'_>, slot: u16, evidence: Evidence<'_>) {
    report.warning(
        "hot-slot",
        format!("Slot {slot} holds a large part of the keys of its node."),
        evidence,
        "A slot cannot be split, so its node carries the load alone. A hash tag that many keys share is the usual reason.",
        "Use a finer hash tag, such as {user:17} instead of {users}.",
    );
}
