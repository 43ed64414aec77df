//! How commands did: slow ones, spikes, misses, and scripts that pile up.

use super::{Report, counted};
use crate::doctor::facts::SlowCommand;
use crate::doctor::finding::Severity;

/// One command of this length is a pause that people feel, in microseconds.
const PAUSE: u64 = 100_000;
const SLOW: u64 = 10_000;
/// A few slow commands on a busy machine can be the machine's fault.
const MANY_SLOW: usize = 5;
/// A latency event of this length is a spike, in milliseconds.
const SPIKE: u64 = 100;
const LOOKUPS: f64 = 1_000.0;
const HIT_RATE: f64 = 0.5;
/// An application has tens of scripts. The server keeps 500 that EVAL brought, or all, depending on the release.
const SCRIPTS: f64 = 300.0;

pub(super) fn check(report: &mut Report<'_>) {
    slow(report);
    spikes(report);
    hit_rate(report);
    scripts(report);
}

fn slow(report: &mut Report<'_>) {
    let Some(entries) = report.need("the slow log", &report.node.slow) else { return };
    let slow: Vec<&SlowCommand> = entries.iter().filter(|entry| entry.micros >= SLOW).collect();
    let Some(worst) = slow.iter().max_by_key(|entry| entry.micros) else { return };
    let serious = worst.micros >= PAUSE || slow.len() >= MANY_SLOW;
    report.find(
        "slow-commands",
        if serious { Severity::Warning } else { Severity::Note },
        format!("{} in the slow log took 10 ms or more, the longest {} ms.", counted(slow.len(), "One command", "commands"), worst.micros / 1_000),
        ("SLOWLOG GET 128", format!("{} us: {}", worst.micros, worst.command)),
        "The server runs one command at a time: all other clients waited.",
        "Replace the command with one that reads less, or by several small ones. SLOWLOG RESET when it is repaired.",
    );
}

fn spikes(report: &mut Report<'_>) {
    let node = report.node;
    let Some(events) = report.need("latency spikes", &node.latency) else { return };
    if node.setting("latency-monitor-threshold") == Some("0") {
        report.skip(
            "latency spikes",
            "the latency monitor is off (CONFIG SET latency-monitor-threshold 100)",
            None,
        );
    }
    if let Some(worst) =
        events.iter().filter(|event| event.longest >= SPIKE).max_by_key(|event| event.longest)
    {
        report.warning(
            "latency-spike",
            format!("The server stopped for {} ms ({}).", worst.longest, worst.event),
            ("LATENCY LATEST", format!("{} latest {} ms, longest {} ms", worst.event, worst.latest, worst.longest)),
            "Nobody got a reply in that time.",
            "The event says why: command (a slow command), fork (a big process that saves), aof-* (a slow disk), expire-cycle (many TTLs at once). See LATENCY HISTORY, and LATENCY RESET when it is repaired.",
        );
    }
}

fn hit_rate(report: &mut Report<'_>) {
    let info = &report.node.info;
    let Some((hits, misses)) = info.number("keyspace_hits").zip(info.number("keyspace_misses")) else {
        return;
    };
    let rate = hits / (hits + misses).max(1.0);
    if hits + misses >= LOOKUPS && rate < HIT_RATE {
        report.warning(
            "low-hit-rate",
            format!("Only {:.0}% of the lookups find a key.", rate * 100.0),
            ("INFO stats", info.quote(&["keyspace_hits", "keyspace_misses"])),
            "A cache that misses costs a round trip and saves nothing. In a store, something looks for keys that are not there.",
            "Check the names and TTLs of the keys, and whether keys are evicted. Programs that poll empty keys should block or subscribe instead.",
        );
    }
}

fn scripts(report: &mut Report<'_>) {
    let info = &report.node.info;
    let cached = info.number("number_of_cached_scripts").is_some_and(|scripts| scripts >= SCRIPTS);
    let evicted = info.number("evicted_scripts").is_some_and(|scripts| scripts > 0.0);
    if cached || evicted {
        report.warning(
            "scripts-accumulate",
            format!("The server holds {} Lua scripts.", info.text("number_of_cached_scripts").unwrap_or("many")),
            ("INFO memory, INFO stats", info.quote(&["number_of_cached_scripts", "used_memory_scripts", "evicted_scripts"])),
            "A program builds a new script text for each call. Each is compiled and kept: memory grows, and calls are slow.",
            "Put values into ARGV and names into KEYS, so the text stays the same. Then SCRIPT FLUSH.",
        );
    }
}
