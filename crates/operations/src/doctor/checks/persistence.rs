//! Whether the data survives the process.

use super::{Report, bytes};
use crate::doctor::facts::{Facts, NodeFacts, Role};

pub(super) fn check(report: &mut Report<'_>, facts: &Facts) {
    failures(report);
    if report.node.role == Role::Primary {
        nothing_saved(report, facts);
    }
    disk(report);
}

fn failures(report: &mut Report<'_>) {
    let info = &report.node.info;
    if info.text("loading") == Some("1") {
        report.warning(
            "still-loading",
            "The server is still loading its data.",
            ("INFO persistence", info.quote(&["loading", "loading_loaded_perc", "loading_eta_seconds"])),
            "Until it has finished, it refuses commands with LOADING, and its keys cannot be examined.",
            "Wait, and run the doctor again.",
        );
    }
    if info.text("rdb_last_bgsave_status") == Some("err") {
        report.critical(
            "last-save-failed",
            "The last snapshot (RDB) failed.",
            ("INFO persistence", info.quote(&["rdb_last_bgsave_status", "rdb_last_save_time", "rdb_changes_since_last_save"])),
            "There is no new copy on the disk. With stop-writes-on-bgsave-error yes, the server refuses all writes until one succeeds.",
            "Read the server's log. Usual causes: the disk is full, the directory (CONFIG GET dir) is not writable, or fork has too little memory.",
        );
    }
    if info.text("aof_last_bgrewrite_status") == Some("err") {
        report.critical(
            "aof-rewrite-failed",
            "The last rewrite of the append-only file failed.",
            (
                "INFO persistence",
                info.quote(&["aof_last_bgrewrite_status", "aof_current_size", "aof_base_size"]),
            ),
            "The file grows until the disk is full, and a restart takes longer and longer.",
            "Read the server's log, make room on the disk or memory for fork, then BGREWRITEAOF.",
        );
    }
    if info.text("aof_last_write_status") == Some("err") {
        report.critical(
            "aof-write-failed",
            "The last write to the append-only file failed.",
            ("INFO persistence", info.quote(&["aof_enabled", "aof_last_write_status"])),
            "The server refuses writes, and what it accepted last may not be on the disk.",
            "Make room on the disk. The server tries again by itself.",
        );
    }
    if info.number("aof_delayed_fsync").is_some_and(|delayed| delayed >= 10.0) {
        report.warning(
            "slow-disk",
            "The disk is too slow for the append-only file.",
            ("INFO persistence", info.quote(&["aof_delayed_fsync"])),
            "While fsync takes longer than two seconds, all writes wait.",
            "Use a faster disk, or keep other programs from writing to it.",
        );
    }
}

/// Whether this server writes to the disk. Unknown without CONFIG, except that INFO shows the append-only file.
pub(super) fn saves(node: &NodeFacts) -> Option<bool> {
    if node.info.text("aof_enabled") == Some("1") { Some(true) } else { node.takes_snapshots() }
}

fn nothing_saved(report: &mut Report<'_>, facts: &Facts) {
    let node = report.node;
    let Some((keys, expires)) = node.info.keys_and_expires() else { return };
    let permanent = keys - expires;
    if permanent <= 0.0
        || node.info.text("maxmemory_policy").is_some_and(|policy| policy.starts_with("allkeys"))
    {
        return;
    }
    match saves(node) {
        Some(true) => return,
        Some(false) => {}
        None => {
            if let Err(missing) = &node.config {
                report.missing("whether snapshots are taken", missing);
            }
            return;
        }
    }
    let evidence = format!(
        "save \"\" | {} | keys without TTL: {permanent:.0}",
        node.info.quote(&["aof_enabled", "rdb_last_save_time"])
    );
    let replicas_save =
        facts.data_nodes().any(|other| other.role == Role::Replica && saves(other) == Some(true));
    if replicas_save {
        report.warning(
            "primary-without-persistence",
            "The primary saves nothing; only replicas do.",
            ("CONFIG GET save, INFO persistence", evidence),
            "If the primary restarts by itself, it comes back empty, and the replicas copy that: all data is gone.",
            "Turn persistence on (CONFIG SET appendonly yes), or make sure that nothing restarts the primary automatically.",
        );
    } else {
        report.warning(
            "no-persistence",
            format!("{permanent:.0} keys have no TTL, and nothing is saved to the disk."),
            ("CONFIG GET save, INFO persistence", evidence),
            "A restart loses all of them.",
            "CONFIG SET appendonly yes, or set snapshots, such as CONFIG SET save \"3600 1 300 100 60 10000\", and CONFIG REWRITE. For a pure cache, give every key a TTL or use an allkeys policy.",
        );
    }
}

fn disk(report: &mut Report<'_>) {
    let node = report.node;
    if saves(node) != Some(true) {
        return;
    }
    let Some(free) = node.host.as_ref().and_then(|host| host.disk_free) else {
        report.skip("room on the disk", "only a server of this machine shows it", None);
        return;
    };
    let used = node.info.number("used_memory").unwrap_or(0.0);
    // A rewrite or a snapshot writes the whole data again before the old file is removed.
    let needed = (2.0 * used).max(64e6);
    if (free as f64) < needed {
        report.warning(
            "disk-nearly-full",
            format!(
                "The disk has {} left; a snapshot or a rewrite may need {}.",
                bytes(free as f64),
                bytes(needed)
            ),
            ("CONFIG GET dir, df", format!("dir {} | free {free}", node.setting("dir").unwrap_or_default())),
            "When the disk is full, saving fails, and the server may refuse writes.",
            "Make room, or move dir to a bigger disk.",
        );
    }
}
