//! Versions with known vulnerabilities, from the advisories of Redis and Valkey on GitHub.

use super::Report;
use crate::doctor::facts::NodeFacts;
use crate::doctor::finding::Severity;

/// A vulnerability, and the first release of each line that does not have it.
struct Advisory {
    number: &'static str,
    about: &'static str,
    /// The first version that has it, if not all.
    since: [u32; 3],
    redis: &'static [[u32; 3]],
    valkey: &'static [[u32; 3]],
    /// Whether the server uses what is vulnerable.
    concerns: fn(&NodeFacts) -> bool,
}

const ADVISORIES: [Advisory; 4] = [
    Advisory {
        number: "CVE-2025-49844",
        about: "a Lua script can run code of its own in the server",
        since: [0, 0, 0],
        redis: &[[6, 2, 20], [7, 2, 11], [7, 4, 6], [8, 0, 4], [8, 2, 2]],
        valkey: &[[7, 2, 11], [8, 0, 6], [8, 1, 4]],
        concerns: |_| true,
    },
    Advisory {
        number: "CVE-2025-62507",
        about: "XACKDEL can overflow the stack",
        since: [8, 2, 0],
        redis: &[[8, 2, 3]],
        valkey: &[],
        concerns: |_| true,
    },
    Advisory {
        number: "CVE-2026-81934",
        about: "a client can run code of its own in a server with TLS",
        since: [0, 0, 0],
        redis: &[[6, 2, 24], [7, 2, 16], [7, 4, 11], [8, 2, 9], [8, 4, 6], [8, 6, 6], [8, 8, 2], [8, 10, 1]],
        valkey: &[],
        concerns: |node| node.tls || node.setting("tls-port").is_some_and(|port| port != "0"),
    },
    Advisory {
        number: "CVE-2026-23479",
        about: "a blocked client that is evicted can run code of its own in the server",
        since: [7, 2, 0],
        redis: &[[7, 2, 14], [8, 6, 3]],
        valkey: &[],
        concerns: |node| node.setting("maxmemory-clients").is_some_and(|limit| limit != "0"),
    },
];

pub(super) fn check(report: &mut Report<'_>) {
    let node = report.node;
    let Some((name, text)) = node.info.version() else { return };
    let Some(version) = numbers(text) else { return };
    for advisory in &ADVISORIES {
        let fixed = if name == "Valkey" { advisory.valkey } else { advisory.redis };
        if fixed.is_empty() || version < advisory.since || !(advisory.concerns)(node) {
            continue;
        }
        let line = fixed.iter().find(|fixed| fixed[..2] == version[..2]);
        let number = advisory.number;
        match line {
            Some(fixed) if version < *fixed => {
                let [major, minor, patch] = fixed;
                report.find(
                    "vulnerable-version",
                    Severity::Warning,
                    format!("{name} {text} has {number}: {}.", advisory.about),
                    ("INFO server", node.info.quote(&["redis_version", "valkey_version"]).replace(" valkey_version:(absent)", "")),
                    "Everybody who may log in can use it. Attacks are public.",
                    format!("Update to {name} {major}.{minor}.{patch} or later. A distribution may have repaired its package without a new version: see its changelog."),
                );
            }
            // No release of this line has the fix, or the line is newer than the advisory.
            None if fixed.last().is_some_and(|last| version < *last) => {
                report.skip(
                    &format!("{number} ({})", advisory.about),
                    format!("there is no known release of {name} {}.{} with the fix, and a distribution may have repaired its package: see its changelog", version[0], version[1]),
                    None,
                );
            }
            _ => {}
        }
    }
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)])
}
