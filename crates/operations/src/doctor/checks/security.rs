//! Who can connect, and what they may do.

use lab_connection::address::is_loopback;

use super::Report;
use crate::doctor::facts::Role;

/// Commands that no application needs, with the categories that contain them.
const DANGEROUS: [(&str, &[&str]); 10] = [
    ("flushall", &["keyspace", "write", "slow", "dangerous"]),
    ("flushdb", &["keyspace", "write", "slow", "dangerous"]),
    ("keys", &["keyspace", "read", "slow", "dangerous"]),
    ("config", &["admin", "slow", "dangerous"]),
    ("debug", &["admin", "slow", "dangerous"]),
    ("shutdown", &["admin", "slow", "dangerous"]),
    ("replicaof", &["admin", "slow", "dangerous"]),
    ("module", &["admin", "slow", "dangerous"]),
    ("monitor", &["admin", "slow", "dangerous"]),
    ("acl", &["admin", "slow", "dangerous"]),
];
/// Parts of those commands that do the harm by themselves. The others, such as CONFIG GET, only show.
const HARMFUL_PARTS: [(&str, &str); 8] = [
    ("config", "config|set"),
    ("config", "config|rewrite"),
    ("debug", "debug|sleep"),
    ("debug", "debug|segfault"),
    ("module", "module|load"),
    ("module", "module|loadex"),
    ("acl", "acl|setuser"),
    ("acl", "acl|load"),
];
/// Names of users that are there to do dangerous things.
const OPERATORS: [&str; 10] =
    ["admin", "root", "ops", "operator", "superuser", "sentinel", "replica", "backup", "monitor", "doctor"];

pub(super) fn check(report: &mut Report<'_>) {
    let node = report.node;
    let users = report.need("passwords and the rights of users", &node.users);
    let default = users.and_then(|users| users.iter().find(|line| line.starts_with("user default ")));
    let nopass = default
        .map(|line| line.split(' ').any(|word| word == "nopass") && line.split(' ').any(|word| word == "on"));
    let open = nopass.unwrap_or(node.no_password_used);
    if open {
        let line = default.map_or("a connection without a password was accepted", String::as_str);
        open_default_user(report, if default.is_some() { "ACL LIST" } else { "(connect)" }, line);
    }
    for line in users.into_iter().flatten() {
        application_user(report, line);
    }
}

fn open_default_user(report: &mut Report<'_>, command: &str, line: &str) {
    let node = report.node;
    let bind = node.setting("bind");
    let protected = node.setting("protected-mode");
    // A Sentinel does not answer CONFIG GET, and a user may not be allowed to ask. Then the way of this connection counts.
    let listens_beyond = bind.map_or(!node.near, listens_beyond_loopback);
    if !listens_beyond {
        if node.role != Role::Sentinel && bind.is_none() {
            report.skip(
                "whether a server without a password listens beyond loopback",
                "CONFIG GET bind is not known",
                None,
            );
        }
        return;
    }
    let shown = format!(
        "{line} | bind {} | protected-mode {}",
        bind.unwrap_or("(unknown)"),
        protected.unwrap_or("(unknown)")
    );
    if protected == Some("yes") && node.near {
        report.note(
            "no-password",
            "The default user needs no password. Protected mode keeps other machines out.",
            (command, shown),
            "If somebody turns protected mode off, every machine that reaches the port can read and delete everything.",
            "Set a password: requirepass, or ACL SETUSER default >PASSWORD. Or turn the default user off.",
        );
        return;
    }
    report.critical(
        "no-password",
        "The default user needs no password, and the server listens beyond this machine.",
        (command, shown),
        "Every machine that reaches the port can read and delete all data, and can often take over the host.",
        "Set a password (requirepass, or ACL SETUSER default >PASSWORD), bind 127.0.0.1 or a private address, and keep protected-mode yes.",
    );
}

/// Whether `bind` names an address beyond loopback. No address means all.
fn listens_beyond_loopback(bind: &str) -> bool {
    let loopback = |address: &str| is_loopback(address.trim_start_matches('-'));
    !bind.split_whitespace().all(loopback) || bind.trim().is_empty()
}

/// Whether this line of ACL LIST is of a user of an application who may send the command, in lower case.
pub(super) fn application_user_may(line: &str, command: &str, categories: &[&str]) -> bool {
    application_rules(line).is_some_and(|(_, rules)| allows(&rules, command, categories))
}

/// The name and rules; none for the default user, operators, and users that are off.
fn application_rules(line: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rules) = user(line)?;
    let lower = name.to_lowercase();
    let operator = OPERATORS.iter().any(|role| lower.split(['-', '_', '.', ':']).any(|part| part == *role));
    (name != "default" && !operator && rules.contains(&"on")).then_some((name, rules))
}

/// The name and rules of a user, from a line of ACL LIST.
fn user(line: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = line.split(' ').skip(1);
    Some((words.next()?, words.collect()))
}

/// Any user but the default one, whose case depends on the address. A user with an operator's name is the worst.
fn without_password(report: &mut Report<'_>, line: &str) {
    let Some((name, rules)) = user(line) else { return };
    if name != "default" && rules.contains(&"on") && rules.contains(&"nopass") {
        report.warning(
            "user-without-password",
            format!("The user {name} needs no password."),
            ("ACL LIST", line.to_owned()),
            "Everybody who can reach the port has the rights of this user.",
            format!("ACL SETUSER {name} resetpass >PASSWORD"),
        );
    }
}

fn application_user(report: &mut Report<'_>, line: &str) {
    without_password(report, line);
    let Some((name, rules)) = application_rules(line) else { return };
    let allowed = dangerous_commands(&rules);
    if !allowed.is_empty() {
        report.warning(
            "dangerous-commands-allowed",
            format!("The user {name} may run {}.", allowed.join(", ").to_uppercase()),
            ("ACL LIST", line.to_owned()),
            "A bug in the application, or somebody who steals its password, can delete everything or stop the server.",
            format!("ACL SETUSER {name} -@dangerous -@admin, and add back what it needs"),
        );
    }
}

/// Those dangerous commands that the rules allow.
fn dangerous_commands(rules: &[&str]) -> Vec<&'static str> {
    let allowed = DANGEROUS.iter().filter(|(command, categories)| allows(rules, command, categories));
    allowed.map(|(command, _)| *command).collect()
}

/// Whether the rules allow the command. They apply from left to right; a selector, in parentheses, stands for itself.
fn allows(rules: &[&str], command: &str, categories: &[&str]) -> bool {
    let text = rules.join(" ");
    let (root, selectors) = text.split_once('(').unwrap_or((&text, ""));
    let parts: Vec<&str> = std::iter::once(root).chain(selectors.split('(')).collect();
    let allows = |part: &str| {
        let mut allowed = false;
        for rule in part.split_whitespace().map(|rule| rule.trim_end_matches(')')) {
            match rule.split_at_checked(1) {
                Some(("+", what)) if applies(what, command, categories) => allowed = true,
                Some(("-", what)) if applies(what, command, categories) => allowed = false,
                _ if rule == "allcommands" => allowed = true,
                _ if rule == "nocommands" => allowed = false,
                _ => {}
            }
        }
        allowed
    };
    parts.into_iter().any(allows)
}

fn applies(what: &str, command: &str, categories: &[&str]) -> bool {
    match what.strip_prefix('@') {
        Some(category) => category == "all" || categories.contains(&category),
        None => {
            what == command || HARMFUL_PARTS.iter().any(|(whole, part)| *whole == command && *part == what)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_from_left_to_right() {
        let allowed = |rules: &str| dangerous_commands(&rules.split(' ').collect::<Vec<_>>());
        assert!(allowed("on ~* +@all -@dangerous").is_empty());
        assert_eq!(allowed("on ~* -@all +@read").as_slice(), ["keys"]);
        assert_eq!(allowed("on -@all +get (~x +flushall)").as_slice(), ["flushall"]);
        assert_eq!(allowed("on ~* +@all").len(), DANGEROUS.len());
        assert!(allowed("on ~* -@all +config|get").is_empty());
        assert_eq!(allowed("on ~* -@all +get +config|set +acl|setuser").as_slice(), ["config", "acl"]);
    }

    #[test]
    fn every_address_beyond_loopback_counts() {
        assert!(!listens_beyond_loopback("127.0.0.1 -::1"));
        for bind in ["", "*", "* -::*", "0.0.0.0", "127.0.0.1 10.0.0.5"] {
            assert!(listens_beyond_loopback(bind), "{bind}");
        }
    }
}
