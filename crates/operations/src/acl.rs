//! The smallest user that can use a pattern: `cargo ops acl rate-limit --prefix shop:`
//!
//! The rights come from `crates/patterns/acl.txt`, which a test of the patterns records, and proves: each pattern works as exactly
//! this user, and something fails without each of the rights.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use lab_connection::failure::Class;
use lab_connection::{Failure, TargetArgs};
use lab_runner::Terminal;
use serde::Serialize;

use crate::failover_roles::FailoverRole;

/// A line for each pattern: `lock: +get +set ~lock:*`; and remarks: `# cache: ...`.
const RECORD: &str = include_str!("../../patterns/acl.txt");

/// What a client of a cluster needs beside the rights of its patterns.
const CLUSTER_CLIENT: &str = "cluster_client";

/// Other names, as the lessons have them.
const ALIASES: &[(&str, &[&str])] = &[
    ("rate_limit", &["fixed_window", "sliding_log", "sliding_counter", "token_bucket"]),
    ("rate_limiter", &["fixed_window", "sliding_log", "sliding_counter", "token_bucket"]),
    ("limit", &["fixed_window", "sliding_log", "sliding_counter", "token_bucket"]),
    ("caching", &["cache"]),
    ("search", &["autocomplete", "facets"]),
    ("pub_sub", &["broadcast"]),
    ("stream", &["stream_worker", "stream_loop"]),
    ("queue", &["job_queue", "job_worker"]),
    ("idempotency", &["once"]),
];

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Patterns, as the README names them, such as `token-bucket`, or `rate-limit` for all limiters; or `sentinel`, `sentinel-peer`,
    /// or `replica`, which a failover needs; none: list them all
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,

    /// What the keys of your service begin with, any text without spaces
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,

    /// The name of the user [default: app, or what it is for]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// A user who may do what some patterns need, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SmallestUser {
    /// The user's name.
    pub user: String,
    /// The patterns, by their modules.
    pub patterns: Vec<&'static str>,
    /// `+get`; a subcommand is `+xgroup|create`.
    pub commands: Vec<String>,
    /// `~shop:lock:*`, or `%R~...` for keys that are only read, and `%W~...` for those that are only written.
    pub keys: Vec<String>,
    /// `&shop:stock_updates:*`.
    pub channels: Vec<String>,
    /// What else there is to know.
    pub remarks: Vec<&'static str>,
}

impl SmallestUser {
    /// The user for these patterns. `cluster` adds what redis-rs's client of a cluster sends.
    pub fn of(user: &str, patterns: &[String], prefix: &str, cluster: bool) -> Result<Self, Failure> {
        check_name(user)?;
        check("prefix", prefix)?;
        let mut named = BTreeSet::new();
        for name in patterns {
            named.extend(patterns_named(name)?);
        }
        let mut rights = Rights::default();
        for name in named.iter().copied().chain(cluster.then_some(CLUSTER_CLIENT)) {
            rights.add(name);
        }
        let prefix = escaped(prefix);
        let remarks = RECORD.lines().filter_map(|line| {
            let remark = line.strip_prefix("# ")?;
            named.contains(remark.split(':').next()?).then_some(remark)
        });
        Ok(Self {
            user: user.to_owned(),
            commands: rights.commands.iter().map(|command| format!("+{command}")).collect(),
            keys: rights
                .keys
                .iter()
                .map(|(glob, access)| format!("{}{prefix}{glob}", access.sigil()))
                .collect(),
            channels: rights.channels.iter().map(|glob| format!("&{prefix}{glob}")).collect(),
            remarks: remarks.collect(),
            patterns: named.into_iter().collect(),
        })
    }

    /// The user on whom a failover depends, for every version: a right that an old server does not need does no harm.
    pub fn for_failover(user: &str, role: FailoverRole) -> Result<Self, Failure> {
        check_name(user)?;
        let rules: BTreeSet<&str> =
            role.rights(Some(u32::MAX)).flat_map(|right| right.rules).copied().collect();
        let of = |sigil: char| {
            rules.iter().filter(|rule| rule.starts_with(sigil)).map(|&rule| rule.to_owned()).collect()
        };
        Ok(Self {
            user: user.to_owned(),
            patterns: vec![role.name()],
            commands: of('+'),
            keys: Vec::new(),
            channels: of('&'),
            remarks: vec![role.remark()],
        })
    }

    /// The words of `ACL SETUSER`. They leave the passwords as they are: a new user has none, and nobody can log in as it yet.
    pub fn rules(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["on", "resetkeys", "resetchannels", "clearselectors", "-@all"].map(str::to_owned).into();
        words.extend([&self.commands, &self.keys, &self.channels].into_iter().flatten().cloned());
        words
    }

    /// The line, for redis-cli.
    pub fn line(&self) -> String {
        let words = self.rules();
        let words = std::iter::once(&self.user).chain(&words).map(|word| quoted(word));
        format!("ACL SETUSER {}", words.collect::<Vec<_>>().join(" "))
    }
}

/// Prints the user, or the list of the patterns if none is named.
pub fn run(server: &TargetArgs, options: &Options) -> Result<(), Failure> {
    if options.patterns.is_empty() {
        list(options.json);
        return Ok(());
    }
    let (name, prefix) = (options.user.as_deref(), options.prefix.as_deref().unwrap_or(""));
    let role = failover_role(&options.patterns)?;
    let user = match role {
        Some(role) => SmallestUser::for_failover(name.unwrap_or(role.name()), role)?,
        None => SmallestUser::of(name.unwrap_or("app"), &options.patterns, prefix, server.cluster)?,
    };
    if options.json {
        let mut document = serde_json::json!(user);
        document["line"] = user.line().into();
        Terminal.document(&document);
        return Ok(());
    }
    Terminal.line(&user.line());
    for remark in &user.remarks {
        Terminal.note(remark);
    }
    Terminal.note("A new user has no password yet: ACL SETUSER NAME '>password'.");
    if !server.cluster && role.is_none() {
        Terminal.note("For a cluster, add --cluster.");
    }
    Ok(())
}

/// The role that is named, if it is one. A user for a failover has no other rights, so it stands alone.
fn failover_role(patterns: &[String]) -> Result<Option<FailoverRole>, Failure> {
    let named =
        |name: &String| FailoverRole::ALL.into_iter().find(|role| *role.name() == name.to_lowercase());
    let role = patterns.iter().find_map(named);
    if role.is_some() && patterns.len() > 1 {
        let why = "Someone who steals the password of a program should not be able to start a failover, too.";
        return Err(Failure::new(Class::Usage, "A user for a failover stands alone.", why));
    }
    Ok(role)
}

fn list(json: bool) {
    let names: Vec<&str> = names().chain(FailoverRole::ALL.map(FailoverRole::name)).collect();
    if json {
        Terminal.document(&serde_json::json!({ "patterns": names }));
    } else {
        for name in names {
            Terminal.line(name);
        }
    }
}

/// All patterns.
fn names() -> impl Iterator<Item = &'static str> {
    RECORD.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, _) = line.split_once(':')?;
        (name != CLUSTER_CLIENT).then_some(name)
    })
}

/// The patterns that a name means: `token-bucket`, `session`, `rate-limits`.
fn patterns_named(name: &str) -> Result<Vec<&'static str>, Failure> {
    let plain = |name: &str| name.trim_end_matches('s').to_owned();
    let wanted = plain(&name.to_lowercase().replace('-', "_"));
    if let Some(pattern) = names().find(|pattern| plain(pattern) == wanted) {
        return Ok(vec![pattern]);
    }
    if let Some((_, patterns)) = ALIASES.iter().find(|(alias, _)| plain(alias) == wanted) {
        return Ok(patterns.to_vec());
    }
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    let all = names().chain(aliases).collect::<Vec<_>>().join(", ").replace('_', "-");
    Err(Failure::new(
        Class::Usage,
        format!("There is no pattern {name}."),
        format!("These are known: {all}."),
    )
    .try_next("cargo ops acl, without a name, lists them"))
}

fn check_name(user: &str) -> Result<(), Failure> {
    if user.is_empty() {
        let why = "ACL SETUSER would take the next word for the name.";
        return Err(Failure::new(Class::Usage, "The name of the user is empty.", why));
    }
    check("user", user)
}

/// A word of the ACL has no spaces.
fn check(what: &str, text: &str) -> Result<(), Failure> {
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        let why = "In an ACL, names and patterns have no spaces.";
        let failure = Failure::new(Class::Usage, format!("This {what} has a space: {text:?}."), why);
        return Err(failure.try_next(format!("--{what} {}", text.split_whitespace().collect::<String>())));
    }
    Ok(())
}

/// The rights of several patterns together.
#[derive(Default)]
struct Rights {
    commands: BTreeSet<&'static str>,
    keys: BTreeMap<&'static str, Access>,
    channels: BTreeSet<&'static str>,
}

/// What may be done with a key.
#[derive(Clone, Copy, Default)]
struct Access {
    read: bool,
    write: bool,
}

impl Access {
    /// What stands before the key.
    fn sigil(self) -> &'static str {
        match (self.read, self.write) {
            (true, false) => "%R~",
            (false, true) => "%W~",
            _ => "~",
        }
    }
}

impl Rights {
    fn add(&mut self, pattern: &str) {
        let line = RECORD.lines().find_map(|line| line.strip_prefix(pattern)?.strip_prefix(':'));
        for rule in line.unwrap_or_default().split_whitespace() {
            if let Some(command) = rule.strip_prefix('+') {
                self.commands.insert(command);
            } else if let Some(channel) = rule.strip_prefix('&') {
                self.channels.insert(channel);
            } else if let Some((sigil, key)) = rule.split_once('~') {
                let access = self.keys.entry(key).or_default();
                access.read |= sigil != "%W";
                access.write |= sigil != "%R";
            }
        }
    }
}

/// The prefix in a glob: with a backslash before what means something there.
fn escaped(prefix: &str) -> String {
    let mut glob = String::new();
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}

/// A word as redis-cli reads it.
fn quoted(word: &str) -> String {
    if word.contains(['"', '\'']) {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use lab_server::Server;
    use redis::RedisResult;

    use super::*;

    fn user(patterns: &[&str], prefix: &str) -> SmallestUser {
        let patterns: Vec<String> = patterns.iter().map(|name| (*name).to_owned()).collect();
        SmallestUser::of("app", &patterns, prefix, false).unwrap()
    }

    /// Whether a user of this name may run the command.
    fn may(connection: &mut redis::Connection, command: &[&str]) -> bool {
        let reply: String =
            redis::cmd("ACL").arg("DRYRUN").arg("app").arg(command).query(connection).unwrap();
        reply == "OK"
    }

    #[test]
    fn the_server_takes_the_line_of_every_pattern() {
        let server = Server::start().unwrap();
        let mut connection = server.client().get_connection().unwrap();
        let knows_vectors: Vec<Option<Vec<redis::Value>>> =
            redis::cmd("COMMAND").arg("INFO").arg("VSIM").query(&mut connection).unwrap();
        for prefix in ["", "shop:", r"a*b?[c]\d:", "\"quoted'"] {
            for name in names() {
                let user = SmallestUser::of("app", &[name.to_owned()], prefix, true).unwrap();
                let set: RedisResult<()> =
                    redis::cmd("ACL").arg("SETUSER").arg("app").arg(user.rules()).query(&mut connection);
                let is_unknown = name == "product_vectors" && knows_vectors[0].is_none();
                assert_eq!(set.is_ok(), !is_unknown, "{name} {prefix}: {set:?}");
                assert!(!user.commands.is_empty() && !user.keys.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn the_prefix_is_taken_as_it_is() {
        let server = Server::start().unwrap();
        let mut connection = server.client().get_connection().unwrap();
        let rules = user(&["recent_views"], "s*[1]:").rules();
        let () = redis::cmd("ACL").arg("SETUSER").arg("app").arg(rules).query(&mut connection).unwrap();
        assert!(may(&mut connection, &["LRANGE", "s*[1]:recent_views:ann", "0", "-1"]));
        assert!(!may(&mut connection, &["LRANGE", "shop1:recent_views:ann", "0", "-1"]));
        assert!(!may(&mut connection, &["LRANGE", "recent_views:ann", "0", "-1"]));
        assert!(!may(&mut connection, &["FLUSHALL"]));
    }

    #[test]
    fn several_patterns_make_one_user() {
        let both = user(&["recent-views", "lock"], "shop:");
        assert_eq!(both.patterns, ["lock", "recent_views"]);
        assert_eq!(both.keys, ["~shop:lock:*", "~shop:recent_views:*"]);
        assert!(both.commands.contains(&"+lrange".to_owned()) && both.commands.contains(&"+get".to_owned()));
        assert!(both.line().starts_with("ACL SETUSER app on resetkeys resetchannels clearselectors -@all +"));
    }

    #[test]
    fn names_are_as_people_write_them_and_an_unknown_one_lists_all() {
        assert_eq!(user(&["token-bucket"], ""), user(&["Token_Bucket"], ""));
        assert_eq!(user(&["session"], "").patterns, ["sessions"]);
        assert_eq!(user(&["rate-limit"], ""), user(&["rate-limits"], ""));
        assert_eq!(user(&["rate-limit"], "").patterns.len(), 4);
        for (alias, _) in ALIASES {
            assert!(!user(&[alias], "").keys.is_empty(), "{alias}");
        }
        let refused = patterns_named("nothing").unwrap_err().to_string();
        assert!(refused.contains("token-bucket") && refused.contains("rate-limit"), "{refused}");
        assert!(SmallestUser::of("app", &["lock".to_owned()], "my shop:", false).is_err());
    }

    #[test]
    fn a_word_with_quotes_is_quoted_for_redis_cli() {
        assert_eq!(quoted(r"~a\*b:*"), r"~a\*b:*");
        assert_eq!(quoted(r#"~a"\b:*"#), r#""~a\"\\b:*""#);
    }
}
