//! What a Sentinel watches.

use super::Report;
use crate::doctor::facts::Watched;
use crate::doctor::finding::Severity;

pub(super) fn check(report: &mut Report<'_>) {
    let Some(watched) = report.need("what the Sentinel watches", &report.node.watched) else { return };
    for primary in watched {
        quorum(report, primary);
        down(report, primary);
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
        report.find(
            "sentinel-quorum-unreachable",
            Severity::Critical,
            format!("The Sentinels of {name} cannot agree on a failover."),
            ("SENTINEL CKQUORUM", reply),
            "If the primary dies now, nothing takes over.",
            "Bring the missing Sentinels back. The quorum must not be higher than their number (SENTINEL SET NAME quorum N), and a majority must be reachable.",
        );
    }
    if all < 3 {
        report.find(
            "too-few-sentinels",
            Severity::Warning,
            format!("Only {all} Sentinels watch {name}."),
            ("SENTINEL MASTERS", counted),
            "A failover needs a majority of all Sentinels. Of two, both must live, so the loss of one machine stops it.",
            "Run three or more Sentinels, on different machines.",
        );
    }
    for (address, flags) in primary.sentinels.iter().filter(|(_, flags)| flags.contains("s_down")) {
        report.find(
            "sentinel-down",
            Severity::Warning,
            format!("The Sentinel {address} does not answer."),
            ("SENTINEL SENTINELS", format!("{address} {flags}")),
            "Each Sentinel that is missing makes a majority harder to reach.",
            "Start it again. If it is gone for good: SENTINEL RESET NAME on each of the others, one after the other.",
        );
    }
}

fn down(report: &mut Report<'_>, primary: &Watched) {
    if primary.flags.contains("s_down") || primary.flags.contains("o_down") {
        report.find(
            "sentinel-primary-down",
            Severity::Critical,
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
        report.find(
            "replica-down",
            Severity::Warning,
            format!("The replica {address} of {} does not answer.", primary.name),
            ("SENTINEL REPLICAS", format!("{address} {flags}")),
            "It cannot take over, and there is one copy less.",
            "Start it again. If it is gone for good: SENTINEL RESET NAME on each Sentinel, one after the other.",
        );
    }
    if primary.replicas.is_empty() {
        report.find(
            "sentinel-without-replicas",
            Severity::Warning,
            format!("The Sentinels know no replica of {}.", primary.name),
            ("SENTINEL REPLICAS", "(empty)".to_owned()),
            "If the primary dies, there is nobody to take over.",
            "Start a replica: REPLICAOF on another server.",
        );
    }
}
