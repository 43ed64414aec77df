//! The smallest user of a pattern. It is recorded while the workload runs as a user who may do everything. Then the workload runs as
//! exactly the recorded user, and with each of its rights taken away, something fails.
//!
//! acl.txt has the rights of all patterns. `UPDATE=1 cargo test -p patterns --test torture -- 'smallest user'` writes it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lab_server::Server;
use lab_testing::TestConnection;

use crate::engine::{self, Run};
use crate::rest;
use crate::rights::{Recording, Rights};
use crate::workload::{Fault, Pattern, Verdict};

/// Where the rights of all patterns are.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/acl.txt");

/// What a client of a cluster needs beside the rights of the pattern. It is a line of acl.txt, too.
pub const CLUSTER_CLIENT: &str = "cluster_client";

/// With all characters that mean something in a glob.
const GLOB_PREFIX: &str = r"a*b?[c]\^-d:";

/// Commands of a pattern's scripts that only another pattern sends: weekly metrics read a day's visitors.
const OF_ANOTHER: [(&str, &str); 1] = [("analytics", "GET")];

static USERS: AtomicUsize = AtomicUsize::new(0);
static WRITING: Mutex<()> = Mutex::new(());

/// Records, compares with acl.txt, runs as exactly that user, and takes each right away.
pub async fn prove(pattern: &Pattern) -> Result<Verdict, String> {
    let server = Server::start().map_err(|error| error.to_string())?;
    let admin = TestConnection::to_server(&server).await;
    let rights = record(pattern, &server, &admin).await?;
    complete(pattern, &rights)?;
    in_file(pattern.name, &rights)?;
    for prefix in ["", GLOB_PREFIX] {
        run_as(pattern, prefix, &rights, &server, &admin)
            .await
            .map_err(|error| format!("as exactly this user, with the prefix {prefix:?}: {error}"))?;
    }
    run_on_cluster(pattern, &rights).await.map_err(|error| format!("as exactly this user, on a cluster: {error}"))?;
    let mut unneeded = Vec::new();
    for (right, left) in rights.each_without_one() {
        let prefix = lab_testing::prefix();
        if run_as(pattern, &prefix, &left, &server, &admin).await.is_ok() {
            unneeded.push(right);
        }
    }
    if unneeded.is_empty() {
        Ok(Verdict::Held)
    } else {
        Err(format!("expected a failure without each right; all went well without: {}", unneeded.join(", ")))
    }
}

async fn record(pattern: &Pattern, server: &Server, admin: &TestConnection) -> Result<Rights, String> {
    let run = Run::of(pattern);
    let url = set_user(server, admin, &["+@all".to_owned(), "~*".to_owned(), "&*".to_owned()]).await;
    let connection = TestConnection::to_url(&url).await.beside_admin(admin);
    let recording = Recording::start(server, admin).await;
    whole(pattern, &run, &connection, Some(&url)).await?;
    recording.end(admin, &run.prefix).await
}

/// All that the workload does, and on one server what it leaves out.
async fn whole(
    pattern: &Pattern,
    run: &Run,
    connection: &TestConnection,
    url: Option<&str>,
) -> Result<(), String> {
    run.set_up(connection).await?;
    run.undisturbed(connection, 0..engine::CALLS).await?;
    run.check(connection, &Fault::SmallestUser).await?;
    match url {
        Some(url) => rest::calls(pattern.name, connection, &run.prefix, url)
            .await
            .map_err(|error| format!("expected the rest of the calls to end; found the error: {error}")),
        None => Ok(()),
    }
}

/// Whether the workload did all that the pattern can do.
fn complete(pattern: &Pattern, rights: &Rights) -> Result<(), String> {
    let path = format!("{}/src/{}.rs", env!("CARGO_MANIFEST_DIR"), pattern.name);
    let source = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut named = BTreeSet::new();
    let globs = || rights.keys.keys().chain(&rights.channels);
    let mut missing = Vec::new();
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let name = line.split_once("Key::new(").and_then(|(_, after)| after.split('"').nth(1));
        let is_recorded = |name: &str| globs().any(|glob| glob.split(':').next() == Some(name));
        missing.extend(name.filter(|name| !is_recorded(name)).map(|name| format!("the key {name}")));
        let after = line.split("cmd(\"").skip(1);
        named.extend(after.filter_map(|after| after.split('"').next()).map(str::to_owned));
        if line.contains(".run_and_wait(") {
            named.insert("WAIT".to_owned());
        }
    }
    for (_, script) in (pattern.scripts)() {
        named.extend(engine::commands_of(script.source()));
        named.extend(required(script.source()));
    }
    let recorded: BTreeSet<&str> =
        rights.commands.iter().map(|name| name.split('|').next().unwrap_or_default()).collect();
    let is_recorded = |name: &str| {
        recorded.contains(name.to_lowercase().as_str()) || OF_ANOTHER.contains(&(pattern.name, name))
    };
    missing.extend(named.into_iter().filter(|name| !is_recorded(name)));
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("expected a workload that sends all commands of the pattern; it never uses {}", missing.join(", ")))
    }
}

/// The commands in `require_commands('X', 'Y')`.
fn required(source: &str) -> BTreeSet<String> {
    let calls = source.split("require_commands(").skip(1);
    let names = calls.filter_map(|after| after.split(')').next()).flat_map(|names| names.split('\'').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// Compares with the line of acl.txt. With `UPDATE=1`, writes it first.
fn in_file(name: &str, rights: &Rights) -> Result<(), String> {
    let _lock = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let line = rights.line(name);
    let of_another = |other: &&str| !other.starts_with(&format!("{name}:"));
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        let (head, mut lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
        lines.retain(of_another);
        lines.push(&line);
        lines.sort_unstable();
        let written = [head, lines].concat().join("\n") + "\n";
        return std::fs::write(FILE, written).map_err(|error| format!("{FILE}: {error}"));
    }
    if text.lines().any(|found| found == line) {
        return Ok(());
    }
    let found = text.lines().find(|line| !of_another(line)).unwrap_or("no line");
    Err(format!(
        "expected in acl.txt: {line}\nfound: {found}\nUPDATE=1 cargo test -p patterns --test torture -- {name} 'smallest user'"
    ))
}

/// Runs it as a new user with these rights.
async fn run_as(
    pattern: &Pattern,
    prefix: &str,
    rights: &Rights,
    server: &Server,
    admin: &TestConnection,
) -> Result<(), String> {
    // So that EVAL is needed.
    let () = admin.send(&["SCRIPT", "FLUSH"]).await;
    let run = Run::with_prefix(pattern, prefix.to_owned());
    let url = set_user(server, admin, &rights.rules(prefix)).await;
    let connection = TestConnection::to_url(&url).await.beside_admin(admin);
    unless_refused(&connection, whole(pattern, &run, &connection, Some(&url))).await
}

async fn run_on_cluster(pattern: &Pattern, rights: &Rights) -> Result<(), String> {
    let cluster = lab_testing::cluster();
    let admin = TestConnection::to_cluster(cluster).await;
    let run = Run::of(pattern);
    let user = new_name();
    let mut rules = rights.rules(&run.prefix);
    rules.extend(CLUSTER_RIGHTS.iter().map(|rule| (*rule).to_owned()));
    for node in cluster.nodes() {
        set_rules(&TestConnection::to_server(node).await, &user, &rules).await;
    }
    let connection = TestConnection::to_cluster_as(cluster, &user, PASSWORD).await.beside_admin(&admin);
    let ended = unless_refused(&connection, whole(pattern, &run, &connection, None)).await;
    for node in cluster.nodes() {
        let _: u64 = TestConnection::to_server(node).await.send(&["ACL", "DELUSER", &user]).await;
    }
    ended
}

/// What redis-rs's cluster client sends of its own accord.
const CLUSTER_RIGHTS: [&str; 3] = ["+cluster|slots", "+ping", "+asking"];

const PASSWORD: &str = "secret";

fn new_name() -> String {
    format!("user{}", USERS.fetch_add(1, Ordering::Relaxed))
}

/// Makes a user, and returns its URL.
async fn set_user(server: &Server, admin: &TestConnection, rules: &[String]) -> String {
    let user = new_name();
    set_rules(admin, &user, rules).await;
    format!("redis://{user}:{PASSWORD}@127.0.0.1:{}/", server.port())
}

async fn set_rules(admin: &TestConnection, user: &str, rules: &[String]) {
    let password = format!(">{PASSWORD}");
    let mut words = vec!["ACL", "SETUSER", user, "reset", "on", &password];
    words.extend(rules.iter().map(String::as_str));
    let () = admin.send(&words).await;
}

/// An error as soon as the server refuses something.
async fn unless_refused(
    connection: &TestConnection,
    work: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let refused = async {
        while connection.refused() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        biased;
        ended = work => ended?,
        () = refused => {}
    }
    if connection.refused() > 0 { Err("the server refused a command".to_owned()) } else { Ok(()) }
}
