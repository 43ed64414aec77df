//! Versions with known vulnerabilities.

use super::{Report, security};
use crate::advisories::{ADVISORIES, Advisory, Needs, Product, Status, numbers, text};

pub(super) fn check(report: &mut Report<'_>) {
    let Some((name, shown)) = report.node.info.version() else { return };
    let Some(version) = numbers(shown) else { return };
    let product = if name == "Valkey" { Product::Valkey } else { Product::Redis };
    let (mut affected, mut guarded, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for advisory in &ADVISORIES {
        match (advisory.status(product, version), concerns(advisory.needs, report)) {
            (Status::Affected(fixed), Concern::Yes) => affected.push((advisory, fixed)),
            (Status::Affected(fixed), Concern::OperatorsOnly) => guarded.push((advisory, fixed)),
            (Status::Unknown, Concern::Yes) => unknown.push(advisory),
            _ => {}
        }
    }
    if let Some(fixed) = affected.iter().map(|(_, fixed)| *fixed).max() {
        let list: Vec<String> = affected
            .iter()
            .map(|(advisory, _)| {
                format!(
                    "{} (with {}, an attacker {})",
                    advisory.number,
                    advisory.needs.text(),
                    advisory.about
                )
            })
            .collect();
        report.warning(
            "vulnerable-version",
            format!("{name} {shown} has {}.", list.join(", ")),
            (
                "INFO server",
                report
                    .node
                    .info
                    .quote(&["redis_version", "valkey_version"])
                    .replace(" valkey_version:(absent)", ""),
            ),
            "Attacks on old versions are public.",
            format!(
                "Update to {name} {} or later. A distribution may have repaired its package without a new version: see its changelog.",
                text(fixed)
            ),
        );
    }
    if let Some(fixed) = guarded.iter().map(|(_, fixed)| *fixed).max() {
        let advisories: Vec<&Advisory> = guarded.iter().map(|(advisory, _)| *advisory).collect();
        report.skip(
            &format!("{} in {name} {shown}", list(&advisories)),
            format!(
                "only operators may send the commands that it takes, as far as the ACL shows. {name} {} has the fix",
                text(fixed)
            ),
            None,
        );
    }
    if !unknown.is_empty() {
        let [major, minor, _] = version;
        report.skip(
            &format!("{} in {name} {shown}", list(&unknown)),
            format!(
                "there is no known release of {name} {major}.{minor} with the fix, and a distribution may have repaired its package: see its changelog"
            ),
            None,
        );
    }
}

fn list(advisories: &[&Advisory]) -> String {
    advisories.iter().map(|advisory| advisory.number).collect::<Vec<_>>().join(", ")
}

/// Whether what is vulnerable is in use here.
enum Concern {
    Yes,
    /// It takes a command that only operators may send.
    OperatorsOnly,
    No,
}

fn concerns(needs: Needs, report: &Report<'_>) -> Concern {
    let node = report.node;
    let if_true = |used: bool| if used { Concern::Yes } else { Concern::No };
    match needs {
        Needs::Port | Needs::Command(_) => Concern::Yes,
        Needs::AdminCommand(command, categories) => {
            let lines = node.users.as_deref().unwrap_or_default();
            let allowed = lines
                .iter()
                .any(|line| security::application_user_may(line, &command.to_lowercase(), categories));
            if allowed { Concern::Yes } else { Concern::OperatorsOnly }
        }
        Needs::Tls => if_true(node.tls || node.setting("tls-port").is_some_and(|port| port != "0")),
        Needs::ClientEviction => if_true(node.setting("maxmemory-clients").is_some_and(|limit| limit != "0")),
    }
}
