//! What the doctor says: findings, and what it did not examine.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something to know. A server with notes only is healthy.
    Note,
    /// It works now, and will fail or lose data when something else happens.
    Warning,
    /// Data, availability, or the machine is at risk now.
    Critical,
}

impl Severity {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing that is wrong, and how to repair it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its name, which stays the same between releases: lower case, with hyphens.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The server that it was found on: host and port.
    pub node: String,
    /// What is wrong, in one sentence.
    pub what: String,
    /// The command that shows it.
    pub command: String,
    /// The part of its reply that shows it.
    pub reply: String,
    /// Why it matters.
    pub why: &'static str,
    /// How to repair it.
    pub fix: String,
}

/// A check that did not take place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// What was not examined.
    pub check: String,
    /// The server: host and port.
    pub node: String,
    /// Why.
    pub reason: String,
    /// The ACL rule that would permit it, if that is all that is missing.
    pub grant: Option<String>,
}

/// Everything that the checks found out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Diagnosis {
    /// The findings, the worst first once [`sort`](Self::sort)ed.
    pub findings: Vec<Finding>,
    /// What was not examined.
    pub skipped: Vec<Skipped>,
}

impl Diagnosis {
    /// The worst findings first, and no check skipped twice.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.name));
        self.skipped.sort();
        self.skipped.dedup();
    }

    /// Whether this is found on this server.
    #[must_use]
    pub fn has(&self, name: &str, node: &str) -> bool {
        self.findings.iter().any(|finding| finding.name == name && finding.node == node)
    }

    /// How many findings are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether there is nothing but notes.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }

    /// Whether the server refused to show something.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.skipped.iter().any(|skipped| skipped.grant.is_some())
    }
}
