//! The checks: facts in, findings out. None of them asks a server anything.

mod clients;
mod cluster;
mod commands;
mod growth;
mod keys;
mod memory;
mod persistence;
mod replication;
mod roles;
mod security;
mod sentinel;
mod settings;
mod streams;
mod version;

use super::facts::{Facts, Missing, NodeFacts, Reply, Role};
use super::finding::{Diagnosis, Finding, Severity, Skipped};

/// Runs every check.
#[must_use]
pub fn diagnose(facts: &Facts) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for node in &facts.nodes {
        let mut report = Report { node, diagnosis: &mut diagnosis };
        answers(&mut report);
        if let Some(missing) = &node.info_missing {
            report.missing("everything that INFO shows: memory, persistence, replication, clients", missing);
        }
        security::check(&mut report);
        version::check(&mut report);
        roles::check(&mut report);
        if node.role == Role::Sentinel {
            sentinel::check(&mut report, facts);
            continue;
        }
        persistence::check(&mut report, facts);
        memory::check(&mut report);
        keys::check(&mut report);
        streams::check(&mut report);
        clients::check(&mut report);
        commands::check(&mut report);
        replication::check(&mut report, facts);
        settings::check(&mut report, facts);
        growth::within_the_run(&mut report);
        if node.in_cluster() {
            cluster::check_node(&mut report);
        }
    }
    cluster::check_group(facts, &mut diagnosis);
    for (address, reason) in &facts.unreached {
        diagnosis.skipped.push(Skipped {
            check: "the whole server".to_owned(),
            node: address.clone(),
            reason: reason.clone(),
            grant: None,
        });
    }
    diagnosis.sort();
    diagnosis
}

/// A server that answers no question is not healthy, although nothing else can be seen.
fn answers(report: &mut Report<'_>) {
    let node = report.node;
    let refused = match &node.info_missing {
        Some(Missing::Failed(error)) => Some(error),
        _ => None,
    };
    let Some(error) = refused.or(node.stopped.as_ref()) else { return };
    if error.to_uppercase().contains("BUSY") {
        report.critical(
            "busy-script",
            "A script has been running for so long that the server refuses every command.",
            ("INFO all", error.clone()),
            "The server runs one command at a time. Until the script ends, nobody gets an answer, and replicas and Sentinels take the server for dead.",
            "SCRIPT KILL (or FUNCTION KILL). A script that has written already can be ended with SHUTDOWN NOSAVE only, which loses what is not on the disk. Let a script do a bounded amount of work in each call.",
        );
    } else {
        report.critical(
            "stopped-answering",
            "The server took the connection, and then gave no proper answer.",
            ("INFO all", error.clone()),
            "Clients wait for it or fail. What is said about this server below is incomplete.",
            "Look at the process (is it stopped, or busy with one command?), its log, and the network, and run the doctor again.",
        );
    }
}

/// What changed between two looks at the same servers, `seconds` apart.
#[must_use]
pub fn compare(before: &Facts, after: &Facts, seconds: f64) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for node in &after.nodes {
        if let Some(then) = before.nodes.iter().find(|then| then.address == node.address) {
            growth::compare(&mut Report { node, diagnosis: &mut diagnosis }, then, seconds);
        }
    }
    diagnosis.sort();
    diagnosis
}

/// Where the checks of one server put what they find.
pub(crate) struct Report<'a> {
    pub(crate) node: &'a NodeFacts,
    pub(crate) diagnosis: &'a mut Diagnosis,
}

/// The command that shows something, and the part of its reply.
pub(crate) type Evidence<'a> = (&'a str, String);

impl<'a> Report<'a> {
    pub(crate) fn critical(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        evidence: Evidence<'_>,
        why: &'static str,
        fix: impl Into<String>,
    ) {
        self.find(name, Severity::Critical, what, evidence, why, fix);
    }

    pub(crate) fn warning(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        evidence: Evidence<'_>,
        why: &'static str,
        fix: impl Into<String>,
    ) {
        self.find(name, Severity::Warning, what, evidence, why, fix);
    }

    pub(crate) fn note(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        evidence: Evidence<'_>,
        why: &'static str,
        fix: impl Into<String>,
    ) {
        self.find(name, Severity::Note, what, evidence, why, fix);
    }

    pub(crate) fn find(
        &mut self,
        name: &'static str,
        severity: Severity,
        what: impl Into<String>,
        (command, reply): Evidence<'_>,
        why: &'static str,
        fix: impl Into<String>,
    ) {
        self.diagnosis.findings.push(Finding {
            name,
            severity,
            node: self.node.address.clone(),
            what: what.into(),
            command: command.to_owned(),
            reply,
            why,
            fix: fix.into(),
        });
    }

    /// A reply that a check needs. If it is missing, the check is skipped, and says so.
    pub(crate) fn need<T>(&mut self, check: &str, reply: &'a Reply<T>) -> Option<&'a T> {
        match reply {
            Ok(reply) => Some(reply),
            Err(missing) => {
                self.missing(check, missing);
                None
            }
        }
    }

    pub(crate) fn missing(&mut self, check: &str, missing: &Missing) {
        let (reason, grant) = match missing {
            Missing::NotPermitted { grant } => {
                (format!("not permitted (grant {grant})"), Some(grant.clone()))
            }
            Missing::Unsupported => ("this server has no such command".to_owned(), None),
            Missing::Failed(error) => (error.clone(), None),
        };
        self.skip(check, reason, grant);
    }

    pub(crate) fn skip(&mut self, check: &str, reason: impl Into<String>, grant: Option<String>) {
        self.diagnosis.skipped.push(Skipped {
            check: check.to_owned(),
            node: self.node.address.clone(),
            reason: reason.into(),
            grant,
        });
    }
}

/// One client, or `2 clients`.
pub(crate) fn counted(count: usize, one: &str, several: &str) -> String {
    if count == 1 { one.to_owned() } else { format!("{count} {several}") }
}

/// Bytes as people read them: 1.5 kB, 2.2 MB, 3.1 GB; kilo is 1,000.
pub(crate) fn bytes(count: f64) -> String {
    match count {
        count if count < 1e3 => format!("{count:.0} B"),
        count if count < 1e6 => format!("{:.1} kB", count / 1e3),
        count if count < 1e9 => format!("{:.1} MB", count / 1e6),
        count => format!("{:.2} GB", count / 1e9),
    }
}

/// Milliseconds as people read them: 900 ms, 12 s, 5 min, 3 h.
pub(crate) fn period(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis / 1_000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}
