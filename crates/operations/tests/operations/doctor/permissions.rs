//! A user with few rights gets what it may see, and the names of the rights that it lacks. Nothing is written.

use std::collections::BTreeSet;

use operations::doctor::COMMANDS;

use super::{doctor, healthy, names, send, start};

/// What a connection says when it is opened.
const HANDSHAKE: [&str; 5] = ["HELLO", "AUTH", "CLIENT SETINFO", "SELECT", "PING"];

/// The commands that a server has run, from INFO commandstats.
fn ran(server: &lab_server::Server) -> BTreeSet<(String, String)> {
    let stats: String = redis::from_redis_value(send(server, &["INFO", "commandstats"])).unwrap();
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    lines
        .map(|(name, numbers)| {
            let calls = numbers.split(',').next().unwrap_or_default();
            let rejected = numbers.split(',').find(|part| part.starts_with("rejected")).unwrap_or_default();
            (name.replace('|', " ").to_uppercase(), format!("{calls} {rejected}"))
        })
        .collect()
}

fn assert_sends_only_published_commands(
    before: &BTreeSet<(String, String)>,
    after: &BTreeSet<(String, String)>,
) {
    for (command, _) in after.difference(before) {
        let known = COMMANDS.contains(&command.as_str()) || HANDSHAKE.contains(&command.as_str());
        assert!(known, "the doctor sends {command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_sends_only_what_it_publishes_and_writes_nothing() {
    let server = start(healthy().config("databases", "16").config("maxmemory-policy", "allkeys-lfu")).await;
    for words in [
        &["SET", "s", &"x".repeat(200_000)][..],
        &["HSET", "h", "f", &"x".repeat(200_000)],
        &["RPUSH", "l", &"x".repeat(200_000)],
        &["SADD", "m", &"x".repeat(200_000)],
        &["ZADD", "z", "1", &"x".repeat(200_000)],
        &["XADD", "x", "*", "f", &"x".repeat(200_000)],
        &["XGROUP", "CREATE", "x", "g", "0"],
        &["XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">"],
        &["COPY", "s", "s", "DB", "3"],
    ] {
        send(&server, words);
    }
    let dump = send(&server, &["DUMP", "x"]);
    let dirty = |info: redis::Value| {
        let info: String = redis::from_redis_value(info).unwrap();
        info.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).map(str::to_owned)
    };
    let changes = dirty(send(&server, &["INFO", "persistence"]));
    let before = ran(&server);
    doctor(&server.url()).await;
    assert_sends_only_published_commands(&before, &ran(&server));
    assert_eq!(dirty(send(&server, &["INFO", "persistence"])), changes);
    assert_eq!(send(&server, &["DBSIZE"]), redis::Value::Int(6));
    assert_eq!(send(&server, &["DUMP", "x"]), dump);
}

/// O9: a user that may only PING and INFO.
#[tokio::test(flavor = "multi_thread")]
async fn refused_commands_skip_their_checks_and_name_the_rule() {
    let server = start(healthy().config("user", "probe on >secret -@all +ping +info")).await;
    send(&server, &["SET", "k", "v"]);
    let before = ran(&server);
    let found = doctor(&format!("redis://probe:secret@127.0.0.1:{}/", server.port())).await;
    assert_eq!(names(&found.diagnosis), [""; 0], "{:#?}", found.diagnosis.findings);
    assert!(found.diagnosis.was_refused());
    let grants: BTreeSet<&str> =
        found.diagnosis.skipped.iter().filter_map(|skipped| skipped.grant.as_deref()).collect();
    for grant in ["+acl|list", "+client|list", "+slowlog|get", "+latency|latest"] {
        assert!(grants.contains(grant), "{grant}: {grants:?}");
    }
    assert!(grants.iter().any(|grant| grant.contains("+scan")), "{grants:?}");
    for skipped in found.diagnosis.skipped.iter().filter(|skipped| skipped.grant.is_some()) {
        assert!(skipped.reason.starts_with("not permitted"), "{skipped:?}");
    }
    assert_sends_only_published_commands(&before, &ran(&server));
    // With the rules that it names, everything is examined.
    let mut rules = vec!["ACL", "SETUSER", "probe", "~*"];
    let all: Vec<String> = COMMANDS
        .iter()
        .filter(|command| !command.starts_with("SENTINEL") && !command.starts_with("CLUSTER"))
        .map(|command| format!("+{}", command.to_lowercase().replace(' ', "|")))
        .collect();
    let known = |rule: &&String| {
        let name = rule.trim_start_matches('+').split('|').next().unwrap_or_default();
        send(&server, &["COMMAND", "INFO", name]) != redis::Value::Array(vec![redis::Value::Nil])
    };
    rules.extend(all.iter().filter(known).map(String::as_str));
    send(&server, &rules);
    let found = doctor(&format!("redis://probe:secret@127.0.0.1:{}/", server.port())).await;
    assert!(!found.diagnosis.was_refused(), "{:#?}", found.diagnosis.skipped);
    assert_eq!(names(&found.diagnosis), [""; 0], "{:#?}", found.diagnosis.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_nothing_gets_an_answer() {
    let server = start(healthy().config("user", "nobody on >secret -@all")).await;
    let found = doctor(&format!("redis://nobody:secret@127.0.0.1:{}/", server.port())).await;
    assert_eq!(names(&found.diagnosis), [""; 0]);
    let info = found.diagnosis.skipped.iter().any(|skipped| skipped.grant.as_deref() == Some("+info"));
    assert!(info, "{:#?}", found.diagnosis.skipped);
}
