//! The end of the tour: which keys are there now, and the command that shows each.

use std::collections::BTreeMap;

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use lab_runner::Terminal;
use lab_runner::input::ask;
use redis::Cmd;

/// Keys of one folder that are listed; the rest is in Redis Insight.
const SHOWN_OF_A_FOLDER: usize = 2;

/// Lists the keys; in a terminal on a private server, keeps it up until Enter.
pub(crate) async fn say(target: &Target, keys: &[String], may_wait: bool) {
    let folders = commands_by_folder(target, keys).await;
    // Lessons on operations leave nothing: their servers are gone.
    if folders.is_empty() {
        return;
    }
    Terminal.paragraph("\nThe keys to look at, one command a line. Paste any of them into redis-cli:");
    for (folder, commands) in folders {
        Terminal.line(&format!("\n# {folder}"));
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

/// The commands that show the keys, by what the keys' names begin with, a few of each.
async fn commands_by_folder(target: &Target, keys: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in keys {
        let kind: String =
            Cmd::new().arg("TYPE").arg(key).query_async(&mut target.connection()).await.unwrap_or_default();
        let name = key.strip_prefix(target.prefix()).unwrap_or(key);
        // A hash tag in front is part of the name, not of the folder.
        let folder = name.trim_start_matches('{').split([':', '}']).next().unwrap_or(name);
        let commands = folders.entry(folder.to_owned()).or_default();
        if commands.len() < SHOWN_OF_A_FOLDER {
            commands.extend(command_for(&kind, key));
        }
    }
    folders.retain(|_, commands| !commands.is_empty());
    folders
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
