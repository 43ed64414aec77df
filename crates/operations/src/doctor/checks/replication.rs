//! A primary and its replicas.

use super::{Report, bytes};
use crate::doctor::facts::{Facts, Info, Role};
use crate::doctor::finding::Severity;

/// A replica that has not acknowledged for so many seconds is late. It does so every second.
const LATE_SECONDS: f64 = 10.0;
/// A replica that is so many bytes behind is late, whatever the seconds say.
const LATE_BYTES: f64 = 10e6;

pub(super) fn check(report: &mut Report<'_>, facts: &Facts) {
    match report.node.role {
        Role::Primary => {
            let count = copies(report);
            group(report, count);
            reborn_empty(report, facts);
        }
        Role::Replica => {
            copies(report);
            replica(report);
        }
        _ => {}
    }
}

/// The replicas of this server, and how many there are. A replica can have some, too.
fn copies(report: &mut Report<'_>) -> usize {
    let node = report.node;
    let info = &node.info;
    let offset = info.number("master_repl_offset").unwrap_or(0.0);
    let backlog = info.number("repl_backlog_size");
    let names: Vec<&str> = info.replicas().collect();
    for name in &names {
        let place =
            format!("{}:{}", info.part(name, "ip").unwrap_or("?"), info.part(name, "port").unwrap_or("?"));
        let state = info.part(name, "state").unwrap_or("unknown");
        let evidence = || format!("{} | master_repl_offset:{offset:.0}", info.quote(&[name]));
        if state != "online" {
            report.warning(
                "replica-not-online",
                format!("The replica {place} is still copying the data ({state})."),
                ("INFO replication", evidence()),
                "Until it has everything, it cannot take over.",
                "Wait. If it starts again and again, raise client-output-buffer-limit for replicas and repl-backlog-size.",
            );
            continue;
        }
        let behind = info.part_number(name, "offset").map_or(0.0, |copied| (offset - copied).max(0.0));
        let seconds = info.part_number(name, "lag").unwrap_or(0.0);
        if seconds >= LATE_SECONDS || behind >= LATE_BYTES {
            report.warning(
                "replica-lag",
                format!("The replica {place} is {} and {seconds:.0} s behind.", bytes(behind)),
                ("INFO replication", evidence()),
                "It serves old data, and if it takes over, the writes that it lacks are lost.",
                "Look at its processor, disk, and network. min-replicas-max-lag stops writes when all replicas are late.",
            );
        }
        if backlog.is_some_and(|backlog| behind > 0.5 * backlog) {
            report.warning(
                "backlog-too-small",
                format!("The replica {place} is {} behind, and the backlog holds {}.", bytes(behind), bytes(backlog.unwrap_or(0.0))),
                ("INFO replication", format!("{} | {}", evidence(), info.quote(&["repl_backlog_size"]))),
                "If the link breaks now, the replica has to copy everything again, which costs both a full snapshot.",
                "CONFIG SET repl-backlog-size to what is written in the longest outage that you expect.",
            );
        }
    }
    names.len()
}

fn group(report: &mut Report<'_>, count: usize) {
    let node = report.node;
    let info = &node.info;
    let required = node.setting("min-replicas-to-write").and_then(|number| number.parse::<f64>().ok());
    if let Some((required, good)) = required.zip(info.number("min_slaves_good_slaves"))
        && good < required
    {
        report.critical(
            "too-few-good-replicas",
            format!("min-replicas-to-write asks for {required:.0} replicas, and {good:.0} are there and up to date."),
            ("INFO replication, CONFIG GET min-replicas-to-write", info.quote(&["connected_slaves", "min_slaves_good_slaves"])),
            "The server refuses all writes with NOREPLICAS.",
            "Bring the replicas back. To write without them: CONFIG SET min-replicas-to-write 0.",
        );
    }
    // The backlog exists once a replica has come, and is freed an hour after the last one has gone.
    if count == 0 && info.text("repl_backlog_active") == Some("1") && !node.in_cluster() {
        report.warning(
            "replica-gone",
            "There was a replica, and now there is none.",
            ("INFO replication", info.quote(&["connected_slaves", "repl_backlog_active", "master_repl_offset"])),
            "If this server is lost now, nothing takes over, and what it has not saved is gone.",
            "Start the replica again, or look at its log. If it was removed on purpose, this message ends after repl-backlog-ttl (an hour).",
        );
    }
    // In a cluster, a primary that is cut off from the majority stops by itself after cluster-node-timeout.
    if count == 0 || node.in_cluster() {
        return;
    }
    if count == 1 {
        report.note(
            "single-replica",
            "There is a single replica.",
            ("INFO replication", info.quote(&["connected_slaves"])),
            "While it is down, or after it has taken over, there is no copy.",
            "Add a second replica: REPLICAOF on another server.",
        );
    }
    // Either of the two turns the other off.
    let required = if node.setting("min-replicas-max-lag") == Some("0") { Some(0.0) } else { required };
    match required {
        Some(0.0) => report.warning(
            "min-replicas-unset",
            "min-replicas-to-write is not in force, although there are replicas.",
            ("CONFIG GET min-replicas-to-write, CONFIG GET min-replicas-max-lag", ["min-replicas-to-write", "min-replicas-max-lag"].map(|name| format!("{name} {}", node.setting(name).unwrap_or("(unknown)"))).join(" | ")),
            "A primary that is cut off from its replicas goes on to accept writes. They are lost when a replica takes over.",
            "CONFIG SET min-replicas-to-write 1, and min-replicas-max-lag 10.",
        ),
        Some(_) => {}
        None => {
            if let Err(missing) = &node.config {
                report.missing("min-replicas-to-write", missing);
            }
        }
    }
}

/// A primary without keys that is younger than its replica has started again without its data. The replica copies what it has: nothing.
fn reborn_empty(report: &mut Report<'_>, facts: &Facts) {
    let node = report.node;
    let uptime = |info: &Info| info.number("uptime_in_seconds");
    let keys = |info: &Info| info.keys_and_expires().map(|(keys, _)| keys);
    if node.in_cluster() || keys(&node.info) != Some(0.0) {
        return;
    }
    let older =
        |info: &Info| uptime(info).zip(uptime(&node.info)).is_some_and(|(replica, own)| replica > own);
    let mut replicas = facts.data_nodes().filter(|other| other.role == Role::Replica && older(&other.info));
    let Some(first) = replicas.next() else { return };
    // The one that still has something to save.
    let replica =
        replicas.fold(first, |best, other| if keys(&other.info) > keys(&best.info) { other } else { best });
    let left = keys(&replica.info).unwrap_or(0.0);
    let evidence = format!(
        "uptime_in_seconds:{:.0} and no keys; {}: uptime_in_seconds:{:.0} and {left:.0} keys",
        uptime(&node.info).unwrap_or(0.0),
        replica.address,
        uptime(&replica.info).unwrap_or(0.0),
    );
    let (severity, what, fix) = if left > 0.0 {
        (
            Severity::Critical,
            "The primary started again without its data, and a replica still has some.",
            "REPLICAOF NO ONE on that replica, now: as soon as it copies from this primary, its keys are gone. Then let this one follow it.",
        )
    } else {
        (
            Severity::Warning,
            "The primary is empty and started later than its replica, which is empty, too.",
            "If there was data, restore it from a backup. Switch persistence on, or don't start a primary that has lost its directory.",
        )
    };
    report.find(
        "primary-reborn-empty",
        severity,
        what,
        ("INFO server, INFO keyspace", evidence),
        "A primary that comes back empty at its old address, before a replica is promoted, makes its replicas empty, too.",
        fix,
    );
}

fn replica(report: &mut Report<'_>) {
    let node = report.node;
    let info = &node.info;
    if info.text("master_link_status") == Some("down") {
        let syncing = info.text("master_sync_in_progress") == Some("1");
        report.find(
            "replica-link-down",
            if syncing { Severity::Warning } else { Severity::Critical },
            if syncing { "The replica is copying the data of its primary." } else { "The replica has no link to its primary." },
            ("INFO replication", info.quote(&["master_host", "master_port", "master_link_status", "master_link_down_since_seconds", "master_sync_in_progress"])),
            "Its data gets older every second, and it cannot take over without loss.",
            "Check that the primary runs, and the network, the password (masterauth, masteruser), and the replica's log.",
        );
    } else if let Some(seconds) =
        info.number("master_last_io_seconds_ago").filter(|seconds| *seconds >= 3.0 * LATE_SECONDS)
    {
        report.warning(
            "replica-lag",
            format!("The replica has heard nothing from its primary for {seconds:.0} s."),
            ("INFO replication", info.quote(&["master_link_status", "master_last_io_seconds_ago"])),
            "A primary sends something every 10 s. The link is probably broken, and neither side has noticed.",
            "Check the network. repl-timeout ends such a link.",
        );
    }
    if info.text("slave_read_only") == Some("0") {
        report.warning(
            "replica-writable",
            "The replica accepts writes.",
            ("INFO replication", info.quote(&["slave_read_only"])),
            "What is written there exists nowhere else, and the next full copy deletes it.",
            "CONFIG SET replica-read-only yes.",
        );
    }
}
