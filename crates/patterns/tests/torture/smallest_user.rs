//! The smallest user of a pattern. It is recorded while the workload runs as a user who may do everything. Then the workload runs as
//! exactly the recorded user, and with each of its rights taken away, something fails.
//!
//! acl.txt has the rights of all patterns. `UPDATE=1 cargo test -p patterns --test torture -- 'smallest user'` writes it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lab_server::Server;
use lab_testing::TestConnection;
use lab_testing::slots::HalfMovedSlots;
use patterns::script::Script;

use crate::engine::{self, Run};
use crate::rest::{self, Rest};
use crate::rights::{Recording, Rights, commands_in_script};
use crate::workload::{Fault, Pattern, Verdict};

/// Where the rights of all patterns are.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/acl.txt");

/// What a client of a cluster needs beside the rights of the pattern. It is a line of acl.txt, too.
pub const CLUSTER_CLIENT: &str = "cluster_client";

/// With all characters that mean something in a glob.
const GLOB_PREFIX: &str = r"a*b?[c]\^-d:";

/// Commands of a pattern's scripts that only another pattern sends: weekly metrics read a day's visitors.
const OF_ANOTHER: [(&str, &str); 1] = [("analytics", "get")];

/// Patterns that need all rights of another one, though they use some of them rarely. A checkout may do what the inventory's sweeper
/// has left undone. The row of the other pattern shows that they are needed.
const USED_WHOLE: [(&str, &str); 1] = [("checkout", "inventory")];

/// How many users of one pattern run at once.
const AT_ONCE: usize = 8;

static USERS: AtomicUsize = AtomicUsize::new(0);
static WRITING: Mutex<()> = Mutex::new(());

/// Records, compares with acl.txt, runs as exactly that user, and takes each right away.
pub async fn prove(pattern: &Pattern) -> Result<Verdict, String> {
    let server = Server::start().map_err(|error| error.to_string())?;
    let admin = TestConnection::to_server(&server).await;
    let rights = record(pattern, &server, &admin).await?;
    complete(pattern.name, &(pattern.scripts)(), &rights)?;
    let used = USED_WHOLE.iter().find(|(name, _)| *name == pattern.name);
    let used = used.map_or_else(|| Ok(Rights::default()), |(_, used)| in_record(used))?;
    let rights = rights.with(used.clone());
    in_file(pattern.name, &rights)?;
    for prefix in ["", GLOB_PREFIX] {
        run_as(pattern, prefix, &rights, &server, &admin)
            .await
            .map_err(|error| format!("as exactly this user, with the prefix {prefix:?}: {error}"))?;
    }
    run_on_cluster(pattern, &rights)
        .await
        .map_err(|error| format!("as exactly this user, on a cluster: {error}"))?;
    // EVAL is needed only while the server does not know a script, so its turn is not beside others.
    let (eval, others): (Vec<_>, Vec<_>) =
        without_each(&rights, &used).partition(|(right, _)| right == "+eval");
    let attempt = async |(right, left): (String, Rights)| {
        let prefix = lab_testing::prefix();
        run_as(pattern, &prefix, &left, &server, &admin).await.is_ok().then_some(right)
    };
    let mut unneeded = Vec::new();
    for one in eval {
        unneeded.extend(attempt(one).await);
    }
    let others: Vec<_> = stream::iter(others).map(attempt).buffer_unordered(AT_ONCE).collect().await;
    unneeded.extend(others.into_iter().flatten());
    if unneeded.is_empty() {
        Ok(Verdict::Held)
    } else {
        Err(format!("expected a failure without each right; all went well without: {}", unneeded.join(", ")))
    }
}

/// Each right that is not one of `used`, with the rights that are left without it.
fn without_each(rights: &Rights, used: &Rights) -> impl Iterator<Item = (String, Rights)> {
    let without = rights.each_without_one().into_iter();
    without.filter(|(_, left)| left.clone().with(used.clone()) == *left)
}

async fn record(pattern: &Pattern, server: &Server, admin: &TestConnection) -> Result<Rights, String> {
    let run = Run::of(pattern);
    let url = set_user(server, admin, &["+@all".to_owned(), "~*".to_owned(), "&*".to_owned()]).await;
    let connection = TestConnection::to_url(&url).await.beside_admin(admin);
    let recording = Recording::start(server).await;
    whole(pattern, &run, &connection, Some(&url)).await?;
    let info: String = admin.send(&["CLIENT", "INFO"]).await;
    let of_admin = address(&info);
    let mut rights = recording.end(admin, &run.prefix, |address| address != of_admin).await?;
    rights.rare_commands.retain(|command| !OF_ANOTHER.contains(&(pattern.name, command)));
    Ok(rights)
}

/// The address in a line of CLIENT LIST.
fn address(client: &str) -> &str {
    client.split(' ').find_map(|field| field.strip_prefix("addr=")).unwrap_or_default()
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
fn complete(
    pattern: &str,
    scripts: &[(&'static str, &'static Script)],
    rights: &Rights,
) -> Result<(), String> {
    let path = format!("{}/src/{pattern}.rs", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut named, mut subcommands) = (BTreeSet::new(), BTreeSet::new());
    let globs = || rights.keys.keys().chain(&rights.channels);
    let mut missing = Vec::new();
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let name = line.split_once("Key::new(").and_then(|(_, after)| after.split('"').nth(1));
        let is_recorded = |name: &str| globs().any(|glob| glob.split(':').next() == Some(name));
        missing.extend(name.filter(|name| !is_recorded(name)).map(|name| format!("the key {name}")));
        let after = line.split("cmd(\"").skip(1);
        named.extend(after.filter_map(|after| after.split('"').next()).map(str::to_lowercase));
        if line.contains(".run_and_wait(") {
            named.insert("wait".to_owned());
        }
    }
    for (_, script) in scripts {
        named.extend(commands_in_script(script.source()));
        subcommands.extend(subcommands_of(script.source()));
    }
    let recorded: BTreeSet<&str> =
        rights.commands.iter().map(|name| name.split('|').next().unwrap_or_default()).collect();
    let is_recorded = |name: &str| recorded.contains(name) || OF_ANOTHER.contains(&(pattern, name));
    missing.extend(named.into_iter().filter(|name| !is_recorded(name)));
    let of_container = |name: &String| {
        let container = name.split('|').next().unwrap_or_default();
        rights.commands.iter().any(|recorded| recorded.starts_with(&format!("{container}|")))
    };
    missing
        .extend(subcommands.into_iter().filter(|name| of_container(name) && !rights.commands.contains(name)));
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "expected a workload that sends all commands of the pattern; it never uses {}",
            missing.join(", ")
        ))
    }
}

/// `xgroup|create` for `call('XGROUP', 'CREATE'`. For a command without subcommands, it is nonsense.
fn subcommands_of(source: &str) -> BTreeSet<String> {
    let calls = source.split("call('").skip(1);
    let names = calls.filter_map(|after| {
        let (name, rest) = after.split_once('\'')?;
        let (subcommand, _) = rest.strip_prefix(", '")?.split_once('\'')?;
        Some(format!("{name}|{subcommand}").to_lowercase())
    });
    names.collect()
}

/// The rights of this line of acl.txt.
fn in_record(name: &str) -> Result<Rights, String> {
    let text = std::fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(Rights::parse).ok_or_else(|| format!("acl.txt has no line {name}"))
}

/// Compares with the line of acl.txt. With `UPDATE=1`, writes it first.
fn in_file(name: &str, rights: &Rights) -> Result<(), String> {
    let _lock = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let line = rights.line(name);
    let of_another = |other: &&str| !other.starts_with(&format!("{name}:"));
    if lab_testing::updates() {
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
    let rules = rights.clone().with(in_record(CLUSTER_CLIENT)?).rules(&run.prefix);
    set_on_all_nodes(&user, &rules).await;
    let connection = TestConnection::to_cluster_as(cluster, &user, PASSWORD)
        .await
        .map_err(|error| error.to_string())?
        .beside_admin(&admin);
    unless_refused(&connection, whole(pattern, &run, &connection, None)).await
}

async fn set_on_all_nodes(user: &str, rules: &[String]) {
    for node in lab_testing::cluster().nodes() {
        set_rules(&TestConnection::to_server(node).await, user, rules).await;
    }
}

/// The same for a loop around a pattern. Its user has the rights of the pattern too, because a loop sends some of it only when
/// something went wrong. So what it needs beside those is taken away in turn.
pub async fn prove_loop(name: &'static str, of: &'static str, work: Rest) -> Result<Verdict, String> {
    let server = Server::start().map_err(|error| error.to_string())?;
    let admin = TestConnection::to_server(&server).await;
    let run = async |prefix: String, rules: Vec<String>| {
        let () = admin.send(&["SCRIPT", "FLUSH"]).await;
        let url = set_user(&server, &admin, &rules).await;
        let connection = TestConnection::to_url(&url).await.beside_admin(&admin);
        let work = async { work(&connection, &prefix, &url).await.map_err(|error| error.to_string()) };
        unless_refused(&connection, work).await
    };
    let recording = Recording::start(&server).await;
    let prefix = lab_testing::prefix();
    run(prefix.clone(), ["+@all", "~*", "&*"].map(str::to_owned).into()).await?;
    let info: String = admin.send(&["CLIENT", "INFO"]).await;
    let of_admin = address(&info);
    let of_pattern = in_record(of)?;
    let recorded = recording.end(&admin, &prefix, |address| address != of_admin).await?;
    let rights = recorded.with(of_pattern.clone());
    complete(name, &[], &rights)?;
    in_file(name, &rights)?;
    for prefix in ["", GLOB_PREFIX] {
        let ended = run(prefix.to_owned(), rights.rules(prefix)).await;
        ended.map_err(|error| format!("as exactly this user, with the prefix {prefix:?}: {error}"))?;
    }
    for (right, left) in without_each(&rights, &of_pattern) {
        let prefix = lab_testing::prefix();
        if run(prefix.clone(), left.rules(&prefix)).await.is_ok() {
            return Err(format!("expected a failure without each right; all went well without: {right}"));
        }
    }
    Ok(Verdict::Held)
}

/// The same for what redis-rs's cluster client sends of its own accord.
pub async fn prove_cluster_client() -> Result<Verdict, String> {
    let user = new_name();
    set_on_all_nodes(&user, &["+@all".to_owned(), "~*".to_owned()]).await;
    let mut recordings = Vec::new();
    for node in lab_testing::cluster().nodes() {
        recordings.push((Recording::start(node).await, TestConnection::to_server(node).await));
    }
    let prefix = lab_testing::prefix();
    let connection = redirected(&user, &prefix).await?;
    let mut rights = Rights::default();
    let of_user = clients_of(&user).await;
    for (recording, admin) in recordings {
        let recorded = recording.end(&admin, &prefix, |address| of_user.contains(address)).await?;
        rights.commands.extend(recorded.commands);
    }
    drop(connection);
    rights.commands.retain(|command| !OWN_COMMANDS.contains(&command.as_str()));
    in_file(CLUSTER_CLIENT, &rights)?;
    let mut unneeded = Vec::new();
    for right in std::iter::once(None).chain(rights.commands.iter().map(Some)) {
        let (user, prefix) = (new_name(), lab_testing::prefix());
        let left = rights.commands.iter().filter(|command| Some(*command) != right);
        let mut rules: Vec<String> = left.map(|command| format!("+{command}")).collect();
        rules.extend(OWN_COMMANDS.iter().map(|command| format!("+{command}")));
        rules.push("~*".to_owned());
        set_on_all_nodes(&user, &rules).await;
        // With all rights it must end; without one it may never.
        let limit = if right.is_none() { lab_testing::TIMEOUT } else { REDIRECTION };
        let ended = tokio::time::timeout(limit, redirected(&user, &prefix)).await;
        match (right, ended) {
            (None, Ok(Ok(_))) | (Some(_), Ok(Err(_)) | Err(_)) => {}
            (None, Ok(Err(error))) => return Err(format!("as exactly this user: {error}")),
            (None, Err(_)) => return Err("as exactly this user: no end".to_owned()),
            (Some(right), Ok(Ok(_))) => unneeded.push(right.clone()),
        }
    }
    if unneeded.is_empty() {
        Ok(Verdict::Held)
    } else {
        Err(format!("expected a failure without each right; all went well without: {}", unneeded.join(", ")))
    }
}

/// What [`redirected`] sends itself.
const OWN_COMMANDS: [&str; 2] = ["get", "set"];

/// A client that is refused ASKING asks again and again.
const REDIRECTION: Duration = Duration::from_secs(5);

/// A client of the cluster that is redirected with ASK and with MOVED.
async fn redirected(user: &str, prefix: &str) -> Result<TestConnection, String> {
    let text = |error: redis::RedisError| error.to_string();
    let mut connection =
        TestConnection::to_cluster_as(lab_testing::cluster(), user, PASSWORD).await.map_err(text)?;
    let [here, nowhere] = ["here", "nowhere"].map(|name| format!("{prefix}{{{prefix}}}{name}"));
    let set = redis::cmd("SET").arg(&here).arg("1").clone();
    let () = set.query_async(&mut connection).await.map_err(text)?;
    let clients = clients_of(user).await;
    let half_moved = HalfMovedSlots::of([&nowhere]);
    for key in [&nowhere, &here] {
        let get = redis::cmd("GET").arg(key).clone();
        let _: Option<u64> = get.query_async(&mut connection).await.map_err(text)?;
    }
    drop(half_moved);
    let () = set.query_async(&mut connection).await.map_err(text)?;
    // After MOVED, it checks its connections with PING, and opens those again that do not answer.
    if clients_of(user).await == clients {
        Ok(connection)
    } else {
        Err("it opened its connections again".to_owned())
    }
}

/// The addresses of this user's connections to all nodes.
async fn clients_of(user: &str) -> BTreeSet<String> {
    let mut addresses = BTreeSet::new();
    for node in lab_testing::cluster().nodes() {
        let clients: String = TestConnection::to_server(node).await.send(&["CLIENT", "LIST"]).await;
        let of_user = clients.lines().filter(|client| client.contains(&format!(" user={user} ")));
        addresses.extend(of_user.map(|client| address(client).to_owned()));
    }
    addresses
}

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
