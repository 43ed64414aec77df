//! The users on whom a failover depends.

use super::Report;
use crate::doctor::facts::{FailoverUser, Role};
use crate::doctor::finding::Severity;

pub(super) fn check(report: &mut Report<'_>) {
    let Some(users) =
        report.need("the rights of the users that a failover needs", &report.node.failover_users)
    else {
        return;
    };
    for user in users {
        if user.exists {
            rights(report, user);
        } else {
            absent(report, user);
        }
    }
    let sentinels = report.node.role == Role::Sentinel
        && report.node.watched.iter().flatten().any(|watched| watched.other_sentinels > 0);
    if sentinels && users.is_empty() && report.node.clients.is_ok() {
        report.skip(
            "the rights of the Sentinels' user",
            "no connection has a Sentinel's name (the user needs +client|setname)",
            None,
        );
    }
}

fn rights(report: &mut Report<'_>, user: &FailoverUser) {
    let Some((worst, said)) = user.refused.iter().max_by_key(|(right, _)| right.vital) else { return };
    let FailoverUser { name, role, .. } = user;
    let mut commands: Vec<String> = user.refused.iter().map(|(right, _)| right.name()).collect();
    commands.dedup();
    let mut rules: Vec<&str> = user.refused.iter().flat_map(|(right, _)| right.rules).copied().collect();
    rules.sort_unstable();
    rules.dedup();
    report.find(
        "failover-right-missing",
        if worst.vital { Severity::Critical } else { Severity::Warning },
        format!("{} {name} may not run {}.", role.whose(), commands.join(", ")),
        (&format!("ACL DRYRUN {name} {}", worst.name()), said.clone()),
        worst.without,
        format!(
            "ACL SETUSER {name} {}, on every server of the group, then ACL SAVE or CONFIG REWRITE. cargo ops acl {} prints the whole user.",
            rules.join(" "),
            role.name()
        ),
    );
}

fn absent(report: &mut Report<'_>, user: &FailoverUser) {
    let FailoverUser { name, role, .. } = user;
    report.critical(
        "failover-right-missing",
        format!("{} {name} does not exist here.", role.whose()),
        ("ACL DRYRUN", format!("User '{name}' not found")),
        "ACL users are not replicated. When this server has its part in a failover, the login fails.",
        format!("cargo ops acl {} prints the user. Give it the password that it has elsewhere.", role.name()),
    );
}
