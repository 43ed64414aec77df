//! A cluster: slots, nodes, and balance.

use std::collections::{BTreeMap, BTreeSet};

use super::{Report, counted};
use crate::doctor::facts::{ClusterNode, Facts, NodeFacts, Role};
use crate::doctor::finding::{Diagnosis, Severity};

const SLOTS: f64 = 16_384.0;
/// A primary with so many times its share is out of balance.
const IMBALANCE: f64 = 1.5;
const KEYS_IMBALANCE: f64 = 2.0;
const MANY_KEYS: f64 = 10_000.0;
const BUSY: f64 = 1_000.0;

pub(super) fn check_node(report: &mut Report<'_>) {
    let node = report.node;
    let Some(info) = report.need("the state of the cluster", &node.cluster_info) else { return };
    if info.text("cluster_state") == Some("fail") {
        report.critical(
            "cluster-down",
            "The cluster is down, as this node sees it.",
            (
                "CLUSTER INFO",
                info.quote(&[
                    "cluster_state",
                    "cluster_slots_assigned",
                    "cluster_slots_ok",
                    "cluster_slots_fail",
                ]),
            ),
            "Commands fail with CLUSTERDOWN.",
            "Bring the missing primaries back, or assign their slots to others (redis-cli --cluster fix).",
        );
    }
}

/// What all nodes of a cluster see together is said once.
pub(super) fn check_group(facts: &Facts, diagnosis: &mut Diagnosis) {
    let Some((node, nodes)) =
        facts.data_nodes().find_map(|node| node.cluster_nodes.as_ref().ok().map(|nodes| (node, nodes)))
    else {
        return;
    };
    let mut report = Report { node, diagnosis };
    slots(&mut report, node);
    failing(&mut report, facts);
    balance(&mut report, facts, nodes);
    replicas(&mut report, nodes);
    open_slots(&mut report, facts);
    same_host(&mut report, nodes);
}

fn slots(report: &mut Report<'_>, node: &NodeFacts) {
    let Ok(info) = &node.cluster_info else { return };
    let number = |field: &str| info.number(field).unwrap_or(0.0);
    let missing = SLOTS - number("cluster_slots_assigned");
    let down = number("cluster_slots_fail") + number("cluster_slots_pfail");
    if info.number("cluster_slots_assigned").is_some() && (missing > 0.0 || down > 0.0) {
        report.critical(
            "slots-uncovered",
            format!("{missing:.0} slots belong to nobody, and {down:.0} to a node that does not answer."),
            ("CLUSTER INFO", info.quote(&["cluster_slots_assigned", "cluster_slots_ok", "cluster_slots_pfail", "cluster_slots_fail"])),
            "Keys of these slots cannot be read or written. With cluster-require-full-coverage yes, no key can.",
            "CLUSTER ADDSLOTSRANGE, or redis-cli --cluster fix. Bring back nodes that are down.",
        );
    }
}

fn failing(report: &mut Report<'_>, facts: &Facts) {
    let mut seen = BTreeSet::new();
    for observer in facts.data_nodes() {
        for node in observer.cluster_nodes.iter().flatten() {
            let fails = node.flags.iter().find(|flag| matches!(flag.as_str(), "fail" | "fail?" | "noaddr"));
            let Some(flag) = fails.filter(|_| seen.insert(node.id.clone())) else { continue };
            let primary = node.primary.is_none();
            report.find(
                "node-failing",
                if primary && node.slots > 0 { Severity::Critical } else { Severity::Warning },
                format!("The node {} does not answer the others ({flag}).", node.address),
                ("CLUSTER NODES", format!("{} {} {}", node.id, node.address, node.flags.join(","))),
                "If it is a primary, its slots are not served until a replica takes over. If it is a replica, its primary has one copy less.",
                "Restart the node and look at its log and at the network. If it is gone for good: CLUSTER FORGET on every node.",
            );
        }
    }
}

fn balance(report: &mut Report<'_>, facts: &Facts, nodes: &[ClusterNode]) {
    let primaries: Vec<&ClusterNode> = nodes
        .iter()
        .filter(|node| node.primary.is_none() && node.flags.iter().any(|flag| flag == "master"))
        .collect();
    let owners: Vec<&&ClusterNode> = primaries.iter().filter(|node| node.slots > 0).collect();
    let total: u32 = owners.iter().map(|node| node.slots).sum();
    let fair = f64::from(total) / primaries.len().max(1) as f64;
    if let Some(most) = owners.iter().max_by_key(|node| node.slots)
        && primaries.len() > 1
        && f64::from(most.slots) > IMBALANCE * fair
    {
        let counts: Vec<String> =
            primaries.iter().map(|node| format!("{} {}", node.address, node.slots)).collect();
        report.warning(
            "slots-unbalanced",
            format!("{} serves {} slots; an equal share is {fair:.0}.", most.address, most.slots),
            ("CLUSTER NODES", counts.join("; ")),
            "One node carries most of the load while others are idle.",
            "redis-cli --cluster rebalance --cluster-use-empty-masters",
        );
    }
    let seen: Vec<&NodeFacts> = facts.data_nodes().filter(|node| node.role == Role::Primary).collect();
    uneven(report, &seen, "keys-unbalanced", MANY_KEYS, |node| {
        node.info.keys_and_expires().map(|(keys, _)| keys)
    });
    uneven(report, &seen, "hot-node", BUSY, |node| node.info.number("instantaneous_ops_per_sec"));
}

/// One node that has more than twice its share of something.
fn uneven(
    report: &mut Report<'_>,
    nodes: &[&NodeFacts],
    name: &'static str,
    floor: f64,
    measure: impl Fn(&NodeFacts) -> Option<f64>,
) {
    let measured: Vec<(&str, f64)> =
        nodes.iter().filter_map(|node| Some((node.address.as_str(), measure(node)?))).collect();
    let total: f64 = measured.iter().map(|(_, number)| number).sum();
    let Some((address, most)) = measured.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
    let fair = total / measured.len() as f64;
    if measured.len() < 2 || total < floor || *most <= KEYS_IMBALANCE * fair {
        return;
    }
    let shown: Vec<String> =
        measured.iter().map(|(address, number)| format!("{address} {number:.0}")).collect();
    let (what, command) = if name == "keys-unbalanced" {
        (format!("{address} holds {most:.0} keys; an equal share is {fair:.0}."), "INFO keyspace")
    } else {
        (format!("{address} runs {most:.0} commands a second; an equal share is {fair:.0}."), "INFO stats")
    };
    report.find(
        name,
        Severity::Warning,
        what,
        (command, shown.join("; ")),
        "The busiest node limits the whole cluster. A hash tag that many keys share is the usual reason.",
        "Use finer hash tags, or move slots away from that node.",
    );
}

fn replicas(report: &mut Report<'_>, nodes: &[ClusterNode]) {
    let mut copies: BTreeMap<&str, u32> = BTreeMap::new();
    for node in nodes.iter().filter(|node| !node.flags.iter().any(|flag| flag == "fail")) {
        if let Some(primary) = &node.primary {
            *copies.entry(primary).or_default() += 1;
        }
    }
    let without: Vec<&str> = nodes
        .iter()
        .filter(|node| node.primary.is_none() && node.slots > 0 && !copies.contains_key(node.id.as_str()))
        .map(|node| node.address.as_str())
        .collect();
    if without.is_empty() {
        return;
    }
    report.note(
        "cluster-without-replicas",
        format!("{} primaries have no replica.", without.len()),
        ("CLUSTER NODES", without.join(" ")),
        "When one of them is lost, its slots are not served, and what it has not saved is gone.",
        "Add a replica to each: redis-cli --cluster add-node ... --cluster-slave",
    );
}

/// Slots that stay open between two nodes. In a reshard that runs, one is open at a time, and not for long.
fn open_slots(report: &mut Report<'_>, facts: &Facts) {
    let (mut slots, mut ways) = (BTreeSet::new(), Vec::new());
    for node in facts.data_nodes() {
        for open in &node.open_slots {
            let way = if open.leaves { "leaves" } else { "comes to" };
            slots.insert(open.slot);
            ways.push(format!("slot {} {way} {}", open.slot, node.address));
        }
    }
    let Some(first) = slots.first() else { return };
    ways.truncate(10);
    report.warning(
        "slots-stay-open",
        format!("{} on the way from one node to another in two looks, a second apart.", counted(slots.len(), &format!("Slot {first} was"), "slots were")),
        ("CLUSTER NODES", ways.join("; ")),
        "Each command on such a slot may need a second round trip (ASK), a command with several keys fails with TRYAGAIN, and the cluster does not rebalance.",
        "Nothing, if a reshard runs now. If it was broken off: redis-cli --cluster fix, or CLUSTER SETSLOT slot STABLE on both nodes.",
    );
}

/// One machine that dies takes a primary and all its replicas. A cluster on a single machine is there to try things out.
fn same_host(report: &mut Report<'_>, nodes: &[ClusterNode]) {
    let host = |node: &ClusterNode| node.address.rsplit_once(':').map(|(host, _)| host.to_owned());
    let hosts: BTreeSet<String> = nodes.iter().filter_map(host).collect();
    if hosts.len() < 2 {
        return;
    }
    let alone: Vec<&str> = nodes
        .iter()
        .filter(|primary| primary.primary.is_none() && primary.slots > 0)
        .filter(|primary| {
            let mut copies =
                nodes.iter().filter(|node| node.primary.as_deref() == Some(primary.id.as_str())).peekable();
            copies.peek().is_some() && copies.all(|copy| host(copy) == host(primary))
        })
        .map(|node| node.address.as_str())
        .collect();
    if alone.is_empty() {
        return;
    }
    report.warning(
        "replica-on-same-host",
        format!("All replicas of {} run on its own machine.", alone.join(", ")),
        ("CLUSTER NODES", alone.join(" ")),
        "When that machine is lost, the primary and its copies go together, and its slots are not served.",
        "Put a replica on another machine: CLUSTER REPLICATE there.",
    );
}
