//! O5: the users on whom a failover depends. A right that is missing shows on the bad day only, or in the doctor.

use std::collections::BTreeMap;
use std::time::Duration;

use lab_server::{PRIMARY_NAME, Sentinels, Server};
use lab_testing::until;
use operations::acl::SmallestUser;
use operations::doctor::finding::{Finding, Severity};
use operations::failover_roles::{FailoverRole, Right};
use operations::private::blocking;

use super::{doctor, healthy, send, start};

const PASSWORD: &str = "secret-of-the-test";

/// Three Sentinels, a primary, and two replicas. Sentinels, replicas, and the application `app` log in as users with the smallest rights.
async fn with_smallest_users(down_after: Duration) -> Sentinels {
    let builder = healthy().config("min-replicas-to-write", "0");
    let group = blocking(move || {
        let group = Sentinels::start_with(builder, 2, 3, 2, down_after)?;
        for server in servers(&group) {
            create(FailoverRole::Sentinel, server);
            create(FailoverRole::Replica, server);
            send(
                server,
                &["ACL", "SETUSER", "app", "on", &format!(">{PASSWORD}"), "~order:*", "+set", "+get"],
            );
            send(server, &["CONFIG", "SET", "masteruser", FailoverRole::Replica.name()]);
            send(server, &["CONFIG", "SET", "masterauth", PASSWORD]);
        }
        group.sentinels.iter().for_each(|sentinel| create(FailoverRole::SentinelPeer, sentinel));
        for sentinel in &group.sentinels {
            // When no candidate gets a majority, the next election is after twice the failover timeout.
            let settings = [
                ("auth-user", FailoverRole::Sentinel.name()),
                ("auth-pass", PASSWORD),
                ("failover-timeout", "3000"),
            ];
            for (setting, value) in settings {
                send(sentinel, &["SENTINEL", "SET", PRIMARY_NAME, setting, value]);
            }
            for (setting, value) in
                [("sentinel-user", FailoverRole::SentinelPeer.name()), ("sentinel-pass", PASSWORD)]
            {
                send(sentinel, &["SENTINEL", "CONFIG", "SET", setting, value]);
            }
        }
        // Connections that are open stay with the user they have.
        for server in servers(&group).chain(&group.sentinels) {
            for kind in ["normal", "pubsub"] {
                send(server, &["CLIENT", "KILL", "TYPE", kind]);
            }
        }
        Ok::<_, lab_server::Error>(group)
    });
    let group = group.await.unwrap();
    let all_logged_in = |server: &Server, role: FailoverRole, count: usize| {
        let clients = text(server, &["CLIENT", "LIST"]);
        let own: Vec<&str> = clients.lines().filter(|line| line.contains(" name=sentinel-")).collect();
        let user = format!(" user={} ", role.name());
        own.len() >= count && own.iter().all(|line| line.contains(&user))
    };
    until("the Sentinels have logged in", || async {
        servers(&group).all(|server| all_logged_in(server, FailoverRole::Sentinel, 6))
            && group.sentinels.iter().all(|sentinel| all_logged_in(sentinel, FailoverRole::SentinelPeer, 2))
    })
    .await;
    group
}

/// The primary and its replicas.
fn servers(group: &Sentinels) -> impl Iterator<Item = &Server> {
    std::iter::once(&group.data.primary).chain(&group.data.replicas)
}

fn create(role: FailoverRole, server: &Server) {
    let rules = SmallestUser::for_failover(role.name(), role).unwrap().rules();
    let password = format!(">{PASSWORD}");
    let mut words = vec!["ACL", "SETUSER", role.name(), password.as_str()];
    words.extend(rules.iter().map(String::as_str));
    send(server, &words);
}

fn text(server: &Server, words: &[&str]) -> String {
    redis::from_redis_value(send(server, words)).unwrap()
}

/// What the doctor says about the rights of these users.
async fn rights_missing(url: &str) -> Vec<Finding> {
    let found = doctor(url).await.diagnosis;
    assert!(!found.was_refused(), "{:#?}", found.skipped);
    found.findings.into_iter().filter(|finding| finding.name == "failover-right-missing").collect()
}

/// Takes one rule from the user.
fn without(allowed: &str, role: FailoverRole, server: &Server) {
    let taken = match allowed.strip_prefix('+') {
        Some(command) => format!("-{command}"),
        None => "resetchannels".to_owned(),
    };
    send(server, &["ACL", "SETUSER", role.name(), &taken]);
}

/// ACL DRYRUN is of Redis 7.0.
fn knows_dry_runs(server: &Server) -> bool {
    try_to_send(server, &["ACL", "DRYRUN", "default", "PING"]).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_that_is_missing_is_named_on_its_server() {
    let group = with_smallest_users(Duration::from_mins(10)).await;
    if !knows_dry_runs(&group.data.primary) {
        println!("skipped: this server has no ACL DRYRUN");
        return;
    }
    let url = group.sentinels[0].url();
    assert_eq!(rights_missing(&url).await.len(), 0);
    let is_valkey = text(&group.sentinels[0], &["INFO", "server"]).contains("valkey_version:9");
    for role in FailoverRole::ALL {
        // Not the first one that the doctor sees, and not the primary.
        let server = match role {
            FailoverRole::SentinelPeer => &group.sentinels[2],
            _ => &group.data.replicas[1],
        };
        for right in role.rights(is_valkey.then_some(9)) {
            for rule in right.rules {
                without(rule, role, server);
                assert_named(&rights_missing(&url).await, right, server);
                create(role, server);
            }
        }
        assert_eq!(rights_missing(&url).await.len(), 0, "{role:?}");
        send(server, &["ACL", "DELUSER", role.name()]);
        let found = rights_missing(&url).await;
        assert!(
            found.iter().any(|finding| finding.what.contains("does not exist here")),
            "{role:?}: {found:#?}"
        );
        create(role, server);
    }
}

fn assert_named(found: &[Finding], right: &Right, server: &Server) {
    let node = format!("127.0.0.1:{}", server.port());
    assert!(!found.is_empty() && found.iter().all(|finding| finding.node == node), "{right:?}: {found:#?}");
    assert!(found.iter().any(|finding| finding.what.contains(&right.name())), "{right:?}: {found:#?}");
    let vital = found.iter().any(|finding| finding.severity == Severity::Critical);
    assert!(vital || !right.vital, "{right:?}: {found:#?}");
    assert!(
        found.iter().all(|finding| right.rules.iter().any(|rule| finding.fix.contains(rule))),
        "{found:#?}"
    );
}

/// The port of the server that this Sentinel calls the primary.
fn primary_port(sentinel: &Server) -> Option<u16> {
    let reply = try_to_send(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME])?;
    redis::from_redis_value::<(String, u16)>(reply).ok().map(|(_, port)| port)
}

/// Kills the server that the Sentinels call the primary, and returns its port.
fn kill_the_primary(group: &mut Sentinels) -> u16 {
    let port = primary_port(&group.sentinels[0]).unwrap();
    let data = &mut group.data;
    let primary =
        std::iter::once(&mut data.primary).chain(&mut data.replicas).find(|server| server.port() == port);
    primary.unwrap().kill();
    port
}

/// The port of the server that the Sentinels name, after a write there as the application.
fn write_order(group: &Sentinels) -> Option<u16> {
    let port = primary_port(&group.sentinels[1])?;
    let client = redis::Client::open(format!("redis://app:{PASSWORD}@127.0.0.1:{port}/")).unwrap();
    let mut connection = client.get_connection().ok()?;
    redis::cmd("SET").arg("order:1").arg("paid").exec(&mut connection).ok().map(|()| port)
}

/// When a Sentinel changes the role of a server, it ends the connections there.
fn try_to_send(server: &Server, words: &[&str]) -> Option<redis::Value> {
    let mut connection = server.client().get_connection().ok()?;
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).ok()
}

/// The commands that the users of the failover could not run, from ACL LOG.
fn refused(server: &Server) -> Option<Vec<String>> {
    let log: Vec<BTreeMap<String, redis::Value>> =
        redis::from_redis_value(try_to_send(server, &["ACL", "LOG"])?).unwrap();
    let of = |entry: &BTreeMap<String, redis::Value>, field: &str| -> String {
        redis::from_redis_value(entry[field].clone()).unwrap()
    };
    let log = log.iter().filter(|entry| of(entry, "username") != "app");
    Some(log.map(|entry| of(entry, "object")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_users_suffice_when_the_primary_dies() {
    let mut group = with_smallest_users(Duration::from_secs(2)).await;
    for server in servers(&group).chain(&group.sentinels) {
        send(server, &["ACL", "LOG", "RESET"]);
    }
    let dead = kill_the_primary(&mut group);
    until("the application writes at the new primary", || async {
        write_order(&group).is_some_and(|port| port != dead)
    })
    .await;
    // The third server follows the new primary as the replicas' user.
    let alive = || servers(&group).filter(|server| server.port() != dead);
    until("the other replica has the order", || async {
        let has = |server| try_to_send(server, &["EXISTS", "order:1"]) == Some(redis::Value::Int(1));
        alive().all(has)
    })
    .await;
    for server in alive().chain(&group.sentinels) {
        until("the server shows its log", || async { refused(server).is_some() }).await;
        assert_eq!(refused(server).unwrap_or_default(), [""; 0]);
    }
}

/// O5 (a): by hand it works, so nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_vote_nothing_takes_over_except_by_hand() {
    const VOTE: &str = "+sentinel|is-master-down-by-addr";
    let mut group = with_smallest_users(Duration::from_secs(2)).await;
    for sentinel in &group.sentinels {
        without(VOTE, FailoverRole::SentinelPeer, sentinel);
    }
    if knows_dry_runs(&group.data.primary) {
        let found = rights_missing(&group.sentinels[0].url()).await;
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(
            found.iter().all(|finding| finding.what.contains("SENTINEL IS-MASTER-DOWN-BY-ADDR")),
            "{found:#?}"
        );
    }
    let first = write_order(&group);
    send(&group.sentinels[0], &["SENTINEL", "FAILOVER", PRIMARY_NAME]);
    until("the failover by hand works", || async {
        write_order(&group).is_some_and(|port| Some(port) != first)
    })
    .await;

    for sentinel in &group.sentinels {
        send(sentinel, &["ACL", "LOG", "RESET"]);
    }
    let dead = kill_the_primary(&mut group);
    until("the Sentinels ask for votes in vain", || async {
        let refused = refused(&group.sentinels[1]).unwrap_or_default();
        refused.iter().any(|command| command == "sentinel|is-master-down-by-addr")
    })
    .await;
    assert_eq!(write_order(&group), None, "nothing took over");
    for sentinel in &group.sentinels {
        create(FailoverRole::SentinelPeer, sentinel);
    }
    until("with the right to vote, a replica takes over", || async {
        write_order(&group).is_some_and(|port| port != dead)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_take_the_lines_of_the_command() {
    let server = start(healthy()).await;
    for role in [FailoverRole::Sentinel, FailoverRole::Replica] {
        create(role, &server);
    }
    let run = |arguments: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_operations")).arg("acl").args(arguments).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, line) = run(&["sentinel"]);
    assert_eq!(code, Some(0));
    let expected =
        format!("{}\n", SmallestUser::for_failover("sentinel", FailoverRole::Sentinel).unwrap().line());
    assert!(line.starts_with(&expected) && line.contains("+failover"), "{line}");
    let (_, line) = run(&["sentinel-peer", "--user", "watcher"]);
    assert!(
        line.starts_with("ACL SETUSER watcher on ") && line.contains("+sentinel|is-master-down-by-addr"),
        "{line}"
    );
    assert_eq!(run(&["sentinel", "lock"]).0, Some(2), "one user for a failover, another for the application");
}
