//! What a Sentinel watches.

use super::Report;
use crate::doctor::facts::{Facts, NodeFacts, Role, Watched};

pub(super) fn check(report: &mut Report<'_>, facts: &Facts) {
    let Some(watched) = report.need("what the Sentinel watches", &report.node.watched) else { return };
    for primary in watched {
        quorum(report, primary);
        down(report, primary);
        agreement(report, facts, primary);
        candidates(report, facts, primary);
    }
}

fn quorum(report: &mut Report<'_>, primary: &Watched) {
    let Watched { name, quorum, other_sentinels, .. } = primary;
    let all = other_sentinels + 1;
    let counted = format!("{name}: {all} Sentinels, quorum {quorum}");
    let refused = match &primary.quorum_reply {
        Some(Err(error)) => Some(error.clone()),
        Some(Ok(_)) => None,
        None => (all < *quorum).then(|| counted.clone()),
    };
    if let Some(reply) = refused {
        report.critical(
            "sentinel-quorum-unreachable",
            format!("The Sentinels of {name} cannot agree on a failover."),
            ("SENTINEL CKQUORUM", reply),
            "If the primary dies now, nothing takes over.",
            "Bring the missing Sentinels back. The quorum must not be higher than their number (SENTINEL SET NAME quorum N), and a majority must be reachable.",
        );
    }
    if all < 3 {
        report.warning(
            "too-few-sentinels",
            format!("Only {all} Sentinels watch {name}."),
            ("SENTINEL MASTERS", counted.clone()),
            "A failover needs a majority of all Sentinels. Of two, both must live, so the loss of one machine stops it.",
            "Run three or more Sentinels, on different machines.",
        );
    }
    if all >= 3 && *quorum == all {
        report.warning(
            "sentinel-quorum-too-high",
            format!("All {all} Sentinels of {name} must agree that the primary is down."),
            ("SENTINEL MASTERS", counted),
            "The loss of a single Sentinel stops every failover.",
            format!("SENTINEL SET {name} quorum {}, on each of them.", all / 2 + 1),
        );
    } else if all >= 3 && *quorum <= all / 2 {
        report.note(
            "sentinel-quorum-low",
            format!("{quorum} of {all} Sentinels are enough to take the primary of {name} for down."),
            ("SENTINEL MASTERS", counted),
            "A few Sentinels with a bad network can start a failover of a healthy primary, if a majority votes for it.",
            format!("SENTINEL SET {name} quorum {}, on each of them.", all / 2 + 1),
        );
    }
    for (address, flags) in primary.sentinels.iter().filter(|(_, flags)| flags.contains("s_down")) {
        report.warning(
            "sentinel-down",
            format!("The Sentinel {address} does not answer."),
            ("SENTINEL SENTINELS", format!("{address} {flags}")),
            "Each Sentinel that is missing makes a majority harder to reach.",
            "Start it again. If it is gone for good: SENTINEL RESET NAME on each of the others, one after the other.",
        );
    }
}

fn down(report: &mut Report<'_>, primary: &Watched) {
    if primary.flags.contains("s_down") || primary.flags.contains("o_down") {
        report.critical(
            "sentinel-primary-down",
            format!("The primary {} of {} does not answer.", primary.address, primary.name),
            ("SENTINEL MASTERS", format!("{} {}", primary.address, primary.flags)),
            "Writes fail until a replica takes over.",
            "If no failover follows, look at the Sentinels' logs: the quorum, the majority, and the replicas that could take over.",
        );
    }
    for (address, flags) in primary
        .replicas
        .iter()
        .filter(|(_, flags)| flags.contains("s_down") || flags.contains("disconnected"))
    {
        report.warning(
            "replica-down",
            format!("The replica {address} of {} does not answer.", primary.name),
            ("SENTINEL REPLICAS", format!("{address} {flags}")),
            "It cannot take over, and there is one copy less.",
            "Start it again. If it is gone for good: SENTINEL RESET NAME on each Sentinel, one after the other.",
        );
    }
    if primary.replicas.is_empty() {
        report.warning(
            "sentinel-without-replicas",
            format!("The Sentinels know no replica of {}.", primary.name),
            ("SENTINEL REPLICAS", "(empty)".to_owned()),
            "If the primary dies, there is nobody to take over.",
            "Start a replica: REPLICAOF on another server.",
        );
    }
}

/// The Sentinels before this one that see it in another way. Said once for each pair.
fn agreement(report: &mut Report<'_>, facts: &Facts, primary: &Watched) {
    let before = facts.nodes.iter().take_while(|node| node.address != report.node.address);
    let others: Vec<(&str, &Watched)> = before
        .flat_map(|node| node.watched.iter().flatten().map(|watched| (node.address.as_str(), watched)))
        .filter(|(_, watched)| watched.name == primary.name)
        .collect();
    let Some((other, watched)) = others
        .into_iter()
        .find(|(_, watched)| watched.address != primary.address || watched.quorum != primary.quorum)
    else {
        return;
    };
    report.warning(
        "sentinels-disagree",
        format!("This Sentinel and {other} do not have the same settings for {}.", primary.name),
        (
            "SENTINEL MASTERS",
            format!(
                "primary {} quorum {}; {other}: primary {} quorum {}",
                primary.address, primary.quorum, watched.address, watched.quorum
            ),
        ),
        "Clients that ask one or the other get different primaries, or a failover depends on who counts.",
        "During a failover, wait. Otherwise set it again on each Sentinel: SENTINEL SET NAME quorum N, or SENTINEL REMOVE and SENTINEL MONITOR.",
    );
}

/// A replica with priority 0 never takes over.
fn candidates(report: &mut Report<'_>, facts: &Facts, primary: &Watched) {
    let replicas: Vec<_> = facts
        .data_nodes()
        .filter(|node| {
            node.role == Role::Replica && primary.replicas.iter().any(|(address, _)| *address == node.address)
        })
        .collect();
    let never = |node: &&&NodeFacts| node.info.text("slave_priority") == Some("0");
    if replicas.is_empty()
        || replicas.len() < primary.replicas.len()
        || replicas.iter().filter(never).count() < replicas.len()
    {
        return;
    }
    let names: Vec<&str> = replicas.iter().map(|node| node.address.as_str()).collect();
    report.critical(
        "no-replica-may-take-over",
        format!("Every replica of {} has priority 0.", primary.name),
        ("INFO replication", format!("slave_priority:0 on {}", names.join(", "))),
        "A Sentinel never promotes such a replica, so the loss of the primary ends all writes.",
        "CONFIG SET replica-priority 100 on a replica, and CONFIG REWRITE.",
    );
}
