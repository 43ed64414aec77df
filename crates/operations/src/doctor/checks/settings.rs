//! Settings that turn a later fault into a loss, and settings that a restart or a failover changes.

use super::Report;
use super::persistence::saves;
use crate::doctor::facts::{Facts, NodeFacts, Role};
use crate::doctor::finding::Severity;

/// A snapshot that is older than this, in seconds, with so many changes since, is no copy of the data. The server's own defaults save
/// within an hour.
const OLD_SNAPSHOT: f64 = 7_200.0;
const MANY_CHANGES: f64 = 1_000.0;
/// So many refused logins are no typing errors.
const MANY_REFUSED: f64 = 100.0;

pub(super) fn check(report: &mut Report<'_>, facts: &Facts) {
    durability(report);
    old_snapshot(report);
    directory(report);
    unsaved(report);
    connections(report);
    refused_logins(report);
    users(report, facts);
    login(report, facts);
}

fn durability(report: &mut Report<'_>) {
    let node = report.node;
    let append_only = node.info.text("aof_enabled") == Some("1");
    if append_only && node.setting("appendfsync") == Some("no") {
        report.warning(
            "fsync-left-to-the-system",
            "The append-only file is written without fsync.",
            ("CONFIG GET appendfsync", "appendfsync no".to_owned()),
            "The system writes to the disk when it likes, usually within 30 s. A crash of the machine loses what it has not written.",
            "CONFIG SET appendfsync everysec.",
        );
    }
    if node.takes_snapshots() == Some(true)
        && !append_only
        && node.setting("stop-writes-on-bgsave-error") == Some("no")
    {
        report.warning(
            "failed-saves-ignored",
            "The server goes on to accept writes when a snapshot fails, and it has no append-only file.",
            ("CONFIG GET stop-writes-on-bgsave-error", "stop-writes-on-bgsave-error no".to_owned()),
            "If saving fails for a week, nobody notices, and a restart loses the week.",
            "CONFIG SET stop-writes-on-bgsave-error yes, or raise an alarm on rdb_last_bgsave_status.",
        );
    }
}

fn old_snapshot(report: &mut Report<'_>) {
    let info = &report.node.info;
    if info.text("aof_enabled") != Some("0") || report.node.takes_snapshots() != Some(true) {
        return;
    }
    let now = info.number("server_time_usec").map(|micros| micros / 1e6);
    let (Some(now), Some(saved)) = (now, info.number("rdb_last_save_time")) else { return };
    let changes = info.number("rdb_changes_since_last_save").unwrap_or(0.0);
    let age = now - saved;
    if age >= OLD_SNAPSHOT && changes >= MANY_CHANGES {
        report.warning(
            "snapshot-old",
            format!("The last snapshot is {:.0} h old, and {changes:.0} changes came since.", age / 3_600.0),
            (
                "INFO persistence",
                info.quote(&["rdb_last_save_time", "rdb_changes_since_last_save", "rdb_last_bgsave_status"]),
            ),
            "There is no append-only file, so a restart loses all these changes.",
            "CONFIG SET save \"3600 1 300 100 60 10000\", or CONFIG SET appendonly yes. BGSAVE saves now.",
        );
    }
}

fn directory(report: &mut Report<'_>) {
    let node = report.node;
    let Some(fault) = node.host.as_ref().and_then(|host| host.directory_fault) else { return };
    if saves(node) != Some(true) {
        return;
    }
    report.critical(
        "directory-not-writable",
        format!("The server can write no new file to its directory: {fault}."),
        ("CONFIG GET dir", format!("dir {}", node.setting("dir").unwrap_or_default())),
        "The next snapshot or rewrite fails. A file that is open already is still written, so nothing else shows it.",
        "Restore the directory and its permissions, then BGSAVE or BGREWRITEAOF to see that it works.",
    );
}

/// A value that the file has otherwise is a fault. One that is not in the file can come from the command line.
fn unsaved(report: &mut Report<'_>) {
    let node = report.node;
    for setting in node.host.iter().flat_map(|host| &host.unsaved) {
        let file = setting.file.as_deref().map_or("not there".to_owned(), |value| format!("\"{value}\""));
        report.find(
            "setting-not-in-file",
            if setting.file.is_some() { Severity::Warning } else { Severity::Note },
            format!("{} is \"{}\" now; in the configuration file it is {file}.", setting.name, setting.running),
            (
                "CONFIG GET, INFO server",
                format!("{} {} | {}", setting.name, setting.running, node.info.quote(&["config_file"])),
            ),
            "A restart takes the value of the file. With appendonly no there, the server starts without reading its append-only file.",
            "CONFIG REWRITE, if the running value is right; CONFIG SET, if the file is. Nothing, if the command line sets it at each start.",
        );
    }
}

fn connections(report: &mut Report<'_>) {
    let node = report.node;
    if node.setting("tcp-keepalive") == Some("0") && node.setting("timeout") == Some("0") {
        report.warning(
            "dead-connections-stay",
            "tcp-keepalive and timeout are both 0.",
            ("CONFIG GET tcp-keepalive, CONFIG GET timeout", "tcp-keepalive 0 | timeout 0".to_owned()),
            "The server never notices a client that has vanished. Its connection stays, until maxclients is reached.",
            "CONFIG SET tcp-keepalive 300.",
        );
    }
    let limits = node.setting("client-output-buffer-limit").unwrap_or_default();
    if limits.split_once("pubsub ").is_some_and(|(_, limit)| limit.starts_with("0 0 ")) {
        report.warning(
            "subscribers-without-limit",
            "There is no limit for what waits for a subscriber.",
            ("CONFIG GET client-output-buffer-limit", limits.to_owned()),
            "One subscriber that stops to read fills the server's memory with messages.",
            "CONFIG SET client-output-buffer-limit \"pubsub 32mb 8mb 60\".",
        );
    }
    if node.setting("slowlog-log-slower-than").is_some_and(|micros| micros.starts_with('-'))
        || node.setting("slowlog-max-len") == Some("0")
    {
        report.skip("slow commands", "the slow log is off (CONFIG SET slowlog-log-slower-than 10000)", None);
    }
}

fn refused_logins(report: &mut Report<'_>) {
    let info = &report.node.info;
    if info.number("acl_access_denied_auth").is_some_and(|refused| refused >= MANY_REFUSED) {
        report.warning(
            "logins-refused",
            format!("{} logins were refused.", info.text("acl_access_denied_auth").unwrap_or_default()),
            ("INFO stats", info.quote(&["acl_access_denied_auth"])),
            "Somebody guesses passwords, or a program has an old one.",
            "ACL LOG shows the user, the address, and when.",
        );
    }
}

/// The other servers of the group have the users and passwords of the first primary, or clients are locked out after a failover.
fn users(report: &mut Report<'_>, facts: &Facts) {
    let node = report.node;
    let Some(model) = facts.data_nodes().find(|other| other.role == Role::Primary && other.users.is_ok())
    else {
        return;
    };
    let Ok(lines) = &node.users else { return };
    if model.address == node.address {
        return;
    }
    let differences = differences(model, node, lines);
    if differences.is_empty() {
        return;
    }
    report.warning(
        "users-differ",
        format!("The users are not those of {}: {}.", model.address, differences.join(", ")),
        ("ACL LIST", differences.join("; ")),
        "ACL users are not replicated. After a failover, a client meets other users, and gets WRONGPASS or NOPERM.",
        "ACL SETUSER with the same rules on every server, then ACL SAVE or CONFIG REWRITE. Or give all servers the same aclfile.",
    );
}

fn differences(model: &NodeFacts, node: &NodeFacts, lines: &[String]) -> Vec<String> {
    let name = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
    let theirs = model.users.as_deref().unwrap_or_default();
    // Releases write the same rules in different ways.
    let comparable = model.info.version() == node.info.version();
    let mut found = Vec::new();
    for line in theirs {
        let user = name(line);
        match lines.iter().find(|own| name(own) == user) {
            None => found.push(format!("{user} is missing")),
            Some(_) if model.passwords.get(&user) != node.passwords.get(&user) => {
                found.push(format!("{user} has another password"));
            }
            Some(own) if comparable && own != line => found.push(format!("{user} has other rights")),
            Some(_) => {}
        }
    }
    found.extend(
        lines
            .iter()
            .map(|line| name(line))
            .filter(|user| !theirs.iter().any(|line| name(line) == *user))
            .map(|user| format!("{user} exists here only")),
    );
    found
}

/// Sentinels have logins of their own, so only a group that was entered at a server that holds data counts.
fn login(report: &mut Report<'_>, facts: &Facts) {
    if facts.nodes.first().is_none_or(|first| first.address != report.node.address) {
        return;
    }
    for address in &facts.login_refused {
        report.warning(
            "login-differs",
            format!("The login of this run works here, and {address} of the same group refuses it."),
            ("AUTH", format!("{address}: WRONGPASS or NOAUTH")),
            "After a failover, clients with this login are locked out.",
            "Give all servers of a group the same users and passwords.",
        );
    }
}
