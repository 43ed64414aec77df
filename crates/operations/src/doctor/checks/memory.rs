//! Memory: the limit, what happens at it, and what is wasted.

use super::{Evidence, Report, bytes};
use crate::doctor::facts::{Role, StateKey};
use crate::doctor::finding::Severity;

/// Less waste than this is not worth a word, whatever the ratio: a fresh server of 1 MB has a ratio of 10.
const WASTE_FLOOR: f64 = 64e6;
const WASTE_RATIO: f64 = 1.5;
/// Without statistics of the allocator, other memory of the process counts as waste, so there must be more.
const PROCESS_WASTE_FLOOR: f64 = 128e6;
const NEAR: f64 = 0.80;
const VERY_NEAR: f64 = 0.95;

pub(super) fn check(report: &mut Report<'_>) {
    let node = report.node;
    // Where INFO memory is absent, nothing is known. That is not a limit of zero.
    if let Some(limit) = node.info.number("maxmemory") {
        if limit == 0.0 {
            no_limit(report);
        } else {
            at_the_limit(report, limit);
        }
    } else if !node.info.is_empty() {
        report.skip("the memory limit", "INFO memory has no field maxmemory here: unknown", None);
    }
    evictable_state(report);
    fragmentation(report);
    host(report);
}

fn no_limit(report: &mut Report<'_>) {
    let node = report.node;
    if node.role == Role::Replica {
        return;
    }
    report.warning(
        "no-maxmemory",
        "No memory limit is set.",
        ("INFO memory", node.info.quote(&["maxmemory", "used_memory", "total_system_memory"])),
        "The server grows until the machine has no memory left. Then the system kills it, or swaps, which is as bad.",
        "CONFIG SET maxmemory to about 60-75% of the memory that the server may have, to leave room for fork, replication, and clients.",
    );
}

fn at_the_limit(report: &mut Report<'_>, limit: f64) {
    let info = &report.node.info;
    let ram = info.number("total_system_memory").filter(|ram| *ram > 0.0);
    if ram.is_some_and(|ram| limit > ram) {
        report.warning(
            "maxmemory-above-ram",
            "The memory limit is higher than the memory of the machine.",
            ("INFO memory", info.quote(&["maxmemory", "total_system_memory"])),
            "The system runs out of memory before the server notices that it should stop.",
            "CONFIG SET maxmemory to less than the memory of the machine.",
        );
    }
    let Some(used) = info.number("used_memory") else { return };
    let used = used - info.number("mem_not_counted_for_evict").unwrap_or(0.0);
    let share = used / limit;
    let policy = info.text("maxmemory_policy").unwrap_or_default();
    let evidence = info.quote(&["used_memory", "maxmemory", "maxmemory_policy", "evicted_keys"]);
    if policy == "noeviction" && share >= NEAR {
        report.find(
            "memory-nearly-full",
            if share >= VERY_NEAR { Severity::Critical } else { Severity::Warning },
            format!("{:.0}% of maxmemory is used, and the policy is noeviction.", share * 100.0),
            ("INFO memory", evidence),
            "At the limit, every command that needs memory fails with OOM.",
            "Raise maxmemory, delete data, or give keys a TTL. For a cache: CONFIG SET maxmemory-policy allkeys-lru.",
        );
    } else if policy != "noeviction"
        && info.number("evicted_keys").is_some_and(|keys| keys > 0.0)
        && share >= NEAR
    {
        let what = format!(
            "The server evicts keys: {} so far, at {:.0}% of maxmemory.",
            info.text("evicted_keys").unwrap_or_default(),
            share * 100.0
        );
        evicting(report, what, ("INFO memory, INFO stats", evidence));
    } else if policy.starts_with("volatile")
        && share >= NEAR
        && info.keys_and_expires().is_some_and(|(keys, expires)| keys > 0.0 && expires == 0.0)
    {
        report.critical(
            "nothing-to-evict",
            format!(
                "{:.0}% of maxmemory is used, the policy is {policy}, and no key has a TTL.",
                share * 100.0
            ),
            ("INFO memory, INFO keyspace", evidence),
            "There is nothing that this policy may evict, so at the limit writes fail with OOM.",
            "Give keys a TTL, or choose an allkeys policy for a cache.",
        );
    }
}

pub(super) fn evicting(report: &mut Report<'_>, what: impl Into<String>, evidence: Evidence<'_>) {
    report.warning(
        "evicting",
        what,
        evidence,
        "Keys disappear before their TTL. For a cache that costs hits; for anything else it is data loss.",
        "Raise maxmemory if the hit rate suffers. Keep data that must stay on another server with noeviction.",
    );
}

/// Locks, sessions, queues, and unique keys must not be evicted. A volatile policy takes those with a TTL, an allkeys policy any.
fn evictable_state(report: &mut Report<'_>) {
    let node = report.node;
    let Some(policy) = node.info.text("maxmemory_policy").filter(|policy| *policy != "noeviction") else {
        return;
    };
    let Ok(sample) = &node.keys else { return };
    let volatile = policy.starts_with("volatile");
    // In a database of queues, the leases and unique keys beside the queues have TTLs, so a volatile policy takes those.
    let queues = sample.state.iter().any(|key| key.looks_like == "queue");
    let at_risk: Vec<&StateKey> =
        sample.state.iter().filter(|key| !volatile || key.expires || queues).collect();
    let Some(first) = at_risk.first() else { return };
    let names: Vec<&str> = at_risk.iter().take(5).map(|key| key.name.as_str()).collect();
    let limit_is_set = node.info.number("maxmemory").is_some_and(|limit| limit > 0.0);
    let kinds = if queues && !first.expires { "queue" } else { first.looks_like };
    report.find(
        "eviction-can-drop-state",
        if limit_is_set { Severity::Critical } else { Severity::Warning },
        format!("The policy {policy} may evict keys that look like locks, sessions, or queues ({kinds})."),
        ("INFO memory, SCAN", format!("maxmemory_policy:{policy} | {}", names.join(" "))),
        "An evicted lock lets two workers in; an evicted session logs a person out; an evicted job or its lease is lost or runs twice. Nobody gets an error.",
        "CONFIG SET maxmemory-policy noeviction here, and keep caches on another server.",
    );
}

fn fragmentation(report: &mut Report<'_>) {
    let info = &report.node.info;
    let allocator = info.text("mem_allocator").unwrap_or_default();
    // While a child saves, pages are copied, and the figures mean something else.
    let others = ["rdb_bgsave_in_progress", "aof_rewrite_in_progress", "async_loading"];
    if others.iter().any(|field| info.text(field) == Some("1")) {
        return;
    }
    // Other allocators than jemalloc report nothing, and the server fills the fields from the process's memory.
    let (floor, fields) = if allocator.starts_with("jemalloc") {
        (WASTE_FLOOR, ["allocator_frag_ratio", "allocator_frag_bytes", "mem_allocator"])
    } else {
        (PROCESS_WASTE_FLOOR, ["mem_fragmentation_ratio", "mem_fragmentation_bytes", "mem_allocator"])
    };
    let Some((ratio, waste)) = info.number(fields[0]).zip(info.number(fields[1])) else { return };
    if ratio >= WASTE_RATIO && waste >= floor {
        report.warning(
            "fragmentation",
            format!("{} of memory are lost to fragmentation (ratio {ratio:.2}).", bytes(waste)),
            ("INFO memory", info.quote(&fields)),
            "The process uses more memory than its data, and maxmemory does not count it.",
            "CONFIG SET activedefrag yes, where the build supports it, or restart: a restarted server packs its data again.",
        );
    }
}

fn host(report: &mut Report<'_>) {
    let node = report.node;
    let Some(host) = &node.host else {
        report.skip(
            "swap and transparent huge pages",
            "only a server of this machine, outside of a container, shows them",
            None,
        );
        return;
    };
    if host.swapped.is_some_and(|swapped| swapped > 1_000_000) {
        report.critical(
            "swapped",
            format!("{} of the process are swapped out.", bytes(host.swapped.unwrap_or(0) as f64)),
            ("/proc/PID/status", format!("VmSwap {}", host.swapped.unwrap_or(0))),
            "A command that touches a swapped page waits for the disk, and all clients wait with it.",
            "Give the machine more memory, lower maxmemory, and set vm.swappiness to 1.",
        );
    }
    let always = host.huge_pages.as_deref().is_some_and(|setting| setting.contains("[always]"));
    if always && host.huge_pages_for_process == Some(true) {
        report.warning(
            "transparent-huge-pages",
            "Transparent huge pages are on for this process.",
            ("/sys/kernel/mm/transparent_hugepage/enabled, /proc/PID/status", format!("{} | THP_enabled 1", host.huge_pages.as_deref().unwrap_or_default())),
            "While a child saves, each write copies 2 MB instead of 4 kB: latency spikes, and twice the memory.",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, and disable-thp yes in the configuration.",
        );
    }
}
