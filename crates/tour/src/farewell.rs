//! The end of the tour: which keys are there now, and how to look at them.

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use lab_runner::Terminal;
use lab_runner::entry::ask;
use lab_runner::table::Facts;
use redis::Cmd;

/// Lists the keys; in a terminal on a private server, keeps it up until Enter.
pub(crate) async fn say(target: &Target, keys: &[String], may_wait: bool) {
    let mut facts = Facts::new("", &["key", "type", "look at it with"]);
    for key in keys {
        let kind: String =
            Cmd::new().arg("TYPE").arg(key).query_async(&mut target.connection()).await.unwrap_or_default();
        if let Some(command) = command_for(&kind, key) {
            facts = facts.row([key.clone(), kind, command]);
        }
    }
    Terminal.line("\nThe keys of the lessons that are still there:\n");
    Terminal.line(&facts.to_text(Terminal.text_width()));
    match target.private() {
        None => Terminal.paragraph(&format!(
            "\nThey stay in {} until the next run; open them in Redis Insight, or with redis-cli.",
            target.address()
        )),
        Some(server) if may_wait && Terminal.interactive() => keep_up(server).await,
        Some(_) => Terminal.paragraph(
            "\nThis server was private and ends now. To keep one up and look at its keys: `cargo server`, then run \
             the tour again with the REDIS_URL that it prints.",
        ),
    }
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
    // Whatever is typed, and also the end of input, ends it.
    let _ = ask("Enter ends it: ").await;
}

fn command_for(kind: &str, key: &str) -> Option<String> {
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
