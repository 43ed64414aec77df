//! The end of the tour: which keys are there now, and the command that shows each.

use std::collections::{HashMap, HashSet};

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use lab_runner::Terminal;
use lab_runner::course::{LessonReport, keys_of};
use lab_runner::input::ask;
use lab_runner::render::wrap;
use redis::RedisResult;

use crate::registry;

/// Up to so many lessons are few: several keys of each are listed. Of many, one each. The rest is in Redis Insight.
const FEW_LESSONS: usize = 6;
const KEYS_OF_FEW: usize = 4;

/// Lists the keys; in a terminal on a private server, keeps it up until Enter.
pub(crate) async fn say(target: &Target, reports: &[LessonReport], may_wait: bool) {
    let groups = commands_by_part(target, reports).await;
    // Lessons on operations leave nothing: their servers are gone.
    if groups.is_empty() {
        return;
    }
    Terminal.paragraph("\nThe keys to look at, one command a line. Paste any of them into redis-cli:");
    for (lessons, commands) in groups {
        Terminal.line(&format!("\n{}", wrap(&lessons, Terminal.text_width(), "# ", "# ")));
        for command in commands {
            Terminal.line(&command);
        }
    }
    match target.private() {
        None => Terminal.paragraph(&format!(
            "\nThey stay in {} until the next run. Open them in Redis Insight, or with redis-cli.",
            target.address()
        )),
        Some(server) if may_wait && Terminal.interactive() => keep_up(server).await,
        Some(_) => Terminal.paragraph(
            "\nThis server was private and ends now. To keep one up and look at its keys, run `cargo server`, and then the \
             tour again with the REDIS_URL that it prints.",
        ),
    }
}

/// The commands that show the keys, by the part of the tour that wrote them, with the names of its lessons.
async fn commands_by_part(target: &Target, reports: &[LessonReport]) -> Vec<(String, Vec<String>)> {
    let leave_keys =
        reports.iter().filter(|report| !keys_of(std::slice::from_ref(*report)).is_empty()).count();
    let most = if leave_keys <= FEW_LESSONS { KEYS_OF_FEW } else { 1 };
    let kinds = kinds_of(target, keys_of(reports)).await;
    let mut groups = Vec::new();
    let mut listed = HashSet::new();
    for part in registry::parts() {
        let (mut names, mut commands) = (Vec::new(), Vec::new());
        for lesson in part {
            let keys = keys_of_lesson(reports, lesson.name);
            let shown = commands.len();
            for key in keys.into_iter().filter(|key| listed.insert(key.clone())) {
                if commands.len() - shown == most {
                    break;
                }
                commands.extend(kinds.get(&key).and_then(|kind| command_for(kind, &key)));
            }
            if commands.len() > shown {
                names.push(lesson.name);
            }
        }
        if !commands.is_empty() {
            groups.push((names.join(", "), commands));
        }
    }
    groups
}

/// The types of keys, in one pipeline: on a slow network, one after the other takes seconds. A key whose type is refused is left out.
async fn kinds_of(target: &Target, keys: Vec<String>) -> HashMap<String, String> {
    let mut pipe = redis::pipe();
    pipe.ignore_errors();
    for key in &keys {
        pipe.cmd("TYPE").arg(key);
    }
    let kinds: Vec<RedisResult<String>> =
        pipe.query_async(&mut target.connection()).await.unwrap_or_default();
    keys.into_iter().zip(kinds).filter_map(|(key, kind)| Some((key, kind.ok()?))).collect()
}

/// A lesson that was run twice names its keys twice.
fn keys_of_lesson(reports: &[LessonReport], name: &str) -> Vec<String> {
    let own: Vec<LessonReport> = reports.iter().filter(|report| report.name == name).cloned().collect();
    keys_of(&own)
}

async fn keep_up(server: &PrivateServer) {
    let (url, cluster) = match server {
        PrivateServer::Single(server) => (server.url(), ""),
        PrivateServer::Cluster(cluster) => {
            (cluster.urls().into_iter().next().unwrap_or_default(), " --cluster")
        }
    };
    Terminal.line(&format!(
        "\nThe private server is still up. In Redis Insight, add a database with this URL:\n  {url}"
    ));
    if !cluster.is_empty() {
        Terminal.line("It is a cluster; the demos follow it with --cluster.");
    }
    // Anything that is typed ends it, and so does the end of the input.
    let _ = ask("Enter ends it: ").await;
}

fn command_for(kind: &str, key: &str) -> Option<String> {
    let key = quoted(key);
    Some(match kind {
        "string" => format!("GET {key}"),
        "hash" => format!("HGETALL {key}"),
        "list" => format!("LRANGE {key} 0 9"),
        "set" => format!("SMEMBERS {key}"),
        "zset" => format!("ZRANGE {key} 0 9 WITHSCORES"),
        "stream" => format!("XRANGE {key} - + COUNT 10"),
        "ReJSON-RL" => format!("JSON.GET {key}"),
        _ => return None,
    })
}

/// As `redis-cli` reads it: braces, colons, and the like stand as they are; a space or a quote needs quotes.
fn quoted(key: &str) -> String {
    if key.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\')) {
        return key.to_owned();
    }
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}
