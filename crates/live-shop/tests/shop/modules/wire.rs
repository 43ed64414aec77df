use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lab_server::Server;
use live_shop::wire::{
    KEPT_BYTES, KEPT_COMMANDS, KEPT_IN_ALL, KEPT_REQUESTS, Recorded, Recording, Wire, key_info, script,
};
use patterns::inventory::Inventory;
use patterns::recent_views::RecentViews;
use patterns::script::Script;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, Value};

type Arguments = Vec<Vec<u8>>;

async fn connect(server: &Server) -> MultiplexedConnection {
    server.client().get_multiplexed_async_connection().await.unwrap()
}

/// Reads what MONITOR says of one client, from its start until that client sends `ECHO end`.
struct Monitor {
    listening: std::thread::JoinHandle<Vec<Arguments>>,
}

impl Monitor {
    async fn of(server: &Server, client: &mut MultiplexedConnection) -> Self {
        let info: String = redis::cmd("CLIENT").arg("INFO").query_async(client).await.unwrap();
        let address = info.split(' ').find_map(|word| word.strip_prefix("addr=")).unwrap().to_owned();
        let mut connection = server.client().get_connection().unwrap();
        connection.send_packed_command(&redis::cmd("MONITOR").get_packed_command()).unwrap();
        assert_eq!(connection.recv_response().unwrap(), Value::Okay);
        let listening = std::thread::spawn(move || {
            let mut commands = Vec::new();
            loop {
                let line: String = redis::from_redis_value(connection.recv_response().unwrap()).unwrap();
                // `1700000000.123456 [0 127.0.0.1:1234] "GET" "key"`; a script's own calls come from `lua`.
                let (source, command) = line.split_once("] ").unwrap();
                if !source.ends_with(&address) {
                    continue;
                }
                let arguments = parse(command.as_bytes());
                if arguments == [b"ECHO".to_vec(), b"end".to_vec()] {
                    return commands;
                }
                commands.push(arguments);
            }
        });
        Self { listening }
    }

    async fn end(self, client: &mut MultiplexedConnection) -> Vec<Arguments> {
        redis::cmd("ECHO").arg("end").exec_async(client).await.unwrap();
        tokio::task::spawn_blocking(move || self.listening.join().unwrap()).await.unwrap()
    }
}

/// The arguments of a line such as `"SET" "k\x00" "a \"b\""`.
fn parse(line: &[u8]) -> Arguments {
    let (mut arguments, mut rest) = (Vec::new(), line);
    while let Some((b'"', tail)) = rest.split_first() {
        let mut argument = Vec::new();
        rest = tail;
        loop {
            let (byte, tail) = rest.split_first().unwrap();
            rest = tail;
            argument.push(match byte {
                b'"' => break,
                b'\\' => {
                    let (escaped, tail) = rest.split_first().unwrap();
                    rest = tail;
                    match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'a' => 7,
                        b'b' => 8,
                        b'x' => {
                            let digits = std::str::from_utf8(&rest[..2]).unwrap();
                            rest = &rest[2..];
                            u8::from_str_radix(digits, 16).unwrap()
                        }
                        other => *other,
                    }
                }
                other => *other,
            });
        }
        arguments.push(argument);
        rest = rest.strip_prefix(b" ").unwrap_or(rest);
    }
    arguments
}

/// What the patterns of the shop send, and what no pattern sends: binary, long, and many arguments, errors, and transactions.
async fn a_busy_request(connection: &Recorded<MultiplexedConnection>) {
    let inventory = Inventory::new(connection.clone(), "shop:");
    inventory.set_up("mug \"blue\"\r\n", 5, Some(2)).await.unwrap();
    let minute = Duration::from_mins(1);
    // All at once, as the checkout does.
    let ids = ["a", "b", "c", "d", "e", "f"];
    let held = ids.map(|id| inventory.reserve("mug \"blue\"\r\n", id, 1, minute));
    patterns::script::join_all(held).await;
    RecentViews::new(connection.clone(), "shop:").record("ann@example.com", "PROD1").await.unwrap();

    let mut raw = connection.clone();
    let binary: Vec<u8> = (0..=255).collect();
    redis::cmd("SET").arg("shop:binary").arg(&binary).exec_async(&mut raw).await.unwrap();
    redis::cmd("LPUSH").arg("shop:binary").arg("x").exec_async(&mut raw).await.unwrap_err();
    redis::cmd("SET").arg("shop:long").arg(vec![b'x'; 20_000]).exec_async(&mut raw).await.unwrap();
    let keys: Vec<String> = (0..60).map(|n| format!("shop:{n}")).collect();
    redis::cmd("MGET").arg(keys).exec_async(&mut raw).await.unwrap();
    let mut many = Pipeline::new();
    for number in 0..30 {
        many.cmd("HSET").arg("shop:hash").arg(number).arg("é\u{1f600}\n").ignore();
    }
    many.exec_async(&mut raw).await.unwrap();
    let mut transaction = Pipeline::new();
    transaction.atomic().cmd("INCR").arg("shop:n").cmd("INCR").arg("shop:n");
    transaction.exec_async(&mut raw).await.unwrap();
    let mut scan = redis::cmd("SCAN");
    scan.cursor_arg(17).arg("MATCH").arg("shop:*");
    raw.req_packed_command(&scan).await.unwrap();
}

#[tokio::test]
async fn the_wire_has_byte_for_byte_what_monitor_saw() {
    let server = Server::start().unwrap();
    let mut plain = connect(&server).await;
    let monitor = Monitor::of(&server, &mut plain).await;
    let recording = Recording::default();
    let connection = Recorded::new(plain.clone());
    recording.of(Box::pin(a_busy_request(&connection))).await;
    let seen = monitor.end(&mut plain).await;

    let sent: Vec<Arguments> =
        recording.arguments().into_iter().map(|arguments| arguments.unwrap()).collect();
    assert_eq!(sent.len(), seen.len());
    for (sent, seen) in sent.iter().zip(&seen) {
        assert!(sent == seen, "{} is not {}", sent.concat().escape_ascii(), seen.concat().escape_ascii());
    }
    assert_eq!(recording.more(), 0);
    // It was not trivial: scripts by hash and by source, a pipeline, a transaction.
    let names: Vec<String> =
        seen.iter().map(|arguments| String::from_utf8_lossy(&arguments[0]).into_owned()).collect();
    for name in ["EVALSHA", "EVAL", "SET", "MGET", "HSET", "MULTI", "EXEC", "SCAN"] {
        assert!(names.iter().any(|seen| seen == name), "{name} is not in {names:?}");
    }
}

#[tokio::test]
async fn the_panel_shows_scripts_by_name_with_replies_times_and_keys() {
    let server = Server::start().unwrap();
    let connection = Recorded::new(connect(&server).await);
    let recording = Recording::default();
    let work = async {
        let views = RecentViews::new(connection.clone(), "");
        views.record("ann", "PROD1").await.unwrap();
        views.record("ann", "PROD2").await.unwrap();
        redis::cmd("LPUSH").arg("greeting").arg("x").exec_async(&mut connection.clone()).await.unwrap();
        redis::cmd("GET").arg("greeting").exec_async(&mut connection.clone()).await.unwrap_err();
    };
    recording.of(work).await;
    // Outside of a request, nothing is noted.
    redis::cmd("PING").exec_async(&mut connection.clone()).await.unwrap();

    let commands = recording.commands();
    assert!(commands.iter().all(|sent| sent.elapsed > Duration::ZERO), "{commands:?}");
    let scripts: Vec<_> = commands.iter().filter(|sent| sent.script.is_some()).collect();
    assert!(scripts.len() >= 2, "{commands:?}");
    for sent in &scripts {
        let name = sent.script.unwrap();
        assert!(sent.command.contains(name), "{sent:?}");
        assert_eq!(script(sent.hash.unwrap()).unwrap().name(), name);
        assert!(!sent.keys.is_empty() && sent.keys.iter().all(|key| key.contains("ann")), "{sent:?}");
    }
    let last = commands.last().unwrap();
    assert_eq!((last.command.as_str(), last.keys.as_slice()), ("GET greeting", &["greeting".to_owned()][..]));
    assert!(last.reply.starts_with("(error) WRONGTYPE "), "{last:?}");
    assert_eq!(commands[commands.len() - 2].reply, "(integer) 1");
    assert_eq!(recording.keys().last().unwrap(), "greeting");
}

#[tokio::test]
async fn a_token_is_shown_nowhere() {
    let server = Server::start().unwrap();
    let connection = Recorded::new(connect(&server).await);
    let recording = Recording::default();
    recording.hide("s3cret-token");
    let work = async {
        let sent = redis::cmd("SET").arg("session:s3cret-token").arg("s3cret-token").to_owned();
        sent.exec_async(&mut connection.clone()).await.unwrap();
        redis::cmd("GET").arg("session:s3cret-token").exec_async(&mut connection.clone()).await.unwrap();
    };
    recording.of(work).await;
    let shown = format!("{:?}", recording.commands());
    assert!(!shown.contains("s3cret") && shown.contains("GET session:(hidden)"), "{shown}");
    assert_eq!(recording.keys(), ["session:s3cret-token"]);
    assert_eq!(recording.shown("session:s3cret-token"), "session:(hidden)");
}

#[tokio::test]
async fn a_request_that_gives_up_and_a_lost_link_are_noted_too() {
    let mut server = Server::start().unwrap();
    let mut connection = Recorded::new(connect(&server).await);
    let recording = Recording::default();
    let blpop = redis::cmd("BLPOP").arg("list").arg(0).to_owned();
    let gives_up = tokio::time::timeout(Duration::from_millis(50), blpop.exec_async(&mut connection));
    assert!(recording.of(gives_up).await.is_err());
    assert!(recording.commands()[0].reply.contains("stopped waiting"), "{:?}", recording.commands());
    server.kill();
    let mut get = connection.clone();
    recording.of(redis::cmd("GET").arg("k").exec_async(&mut get)).await.unwrap_err();
    assert!(recording.commands()[1].reply.starts_with("(no reply) "), "{:?}", recording.commands());
}

#[tokio::test]
async fn memory_is_bounded_whatever_is_sent() {
    let server = Server::start().unwrap();
    let mut connection = Recorded::new(connect(&server).await);
    let recording = Recording::default();
    let work = async {
        let mut many = Pipeline::new();
        for _ in 0..KEPT_COMMANDS + 50 {
            many.cmd("PING").ignore();
        }
        redis::cmd("SET").arg("k").arg(vec![b'x'; KEPT_BYTES + 1]).exec_async(&mut connection).await.unwrap();
        redis::cmd("GET").arg("k").exec_async(&mut connection).await.unwrap();
        many.exec_async(&mut connection).await.unwrap();
    };
    recording.of(work).await;
    assert_eq!(recording.arguments().len(), KEPT_COMMANDS);
    assert_eq!(recording.more(), 52);
    assert_eq!(recording.arguments()[0], None, "it is cut, and says so");
    assert!(recording.commands()[0].command.contains(&format!("({} bytes)", KEPT_BYTES + 1)));

    let wire = Wire::default();
    let keep = |session: &str, title: &str| wire.keep(session, title, Recording::default());
    let first = keep("ann", "GET /");
    for number in 0..KEPT_REQUESTS {
        keep("ann", &format!("GET /{number}"));
    }
    assert_eq!(wire.requests("ann").len(), KEPT_REQUESTS);
    assert!(wire.request("ann", first.id).is_none(), "the oldest is forgotten");
    let latest = wire.requests("ann")[0].clone();
    assert_eq!(latest.title, format!("GET /{}", KEPT_REQUESTS - 1));
    assert!(wire.request("bob", latest.id).is_none(), "another session sees nothing");
    for number in 0..KEPT_IN_ALL {
        keep(&format!("session{number}"), "GET /");
    }
    assert!(wire.requests("ann").is_empty());
    assert_eq!(wire.requests("session0").len(), 1);
}

#[tokio::test]
async fn each_type_of_key_can_be_looked_at() {
    let server = Server::start().unwrap();
    let mut connection = connect(&server).await;
    let many: Vec<String> = (0..3_000).map(|number| format!("{number}")).collect();
    let scores: Vec<(u32, String)> = (0..3_000).map(|number| (number, format!("m{number}"))).collect();
    let mut set_up = Pipeline::new();
    set_up.cmd("SET").arg("string").arg("hello").arg("EX").arg(100);
    for (command, key) in [("RPUSH", "list"), ("SADD", "set"), ("HSET", "hash")] {
        set_up.cmd(command).arg(key).arg(&many);
    }
    set_up.cmd("ZADD").arg("zset");
    for (score, member) in &scores {
        set_up.arg(score).arg(member);
    }
    for field in ["a", "b"] {
        set_up.cmd("XADD").arg("stream").arg("*").arg(field).arg(1).cmd("ZADD").arg("pair").arg(1).arg(field);
    }
    set_up.exec_async(&mut connection).await.unwrap();
    let resp3 = redis::Client::open(format!("{}?protocol=resp3", server.url())).unwrap();
    for mut connection in [connection, resp3.get_multiplexed_async_connection().await.unwrap()] {
        let expected =
            [("string", 5), ("list", 3_000), ("set", 3_000), ("hash", 1_500), ("zset", 3_000), ("stream", 2)];
        for (kind, length) in expected {
            let info = key_info(&mut connection, kind).await.unwrap().unwrap();
            assert_eq!((info.kind.as_str(), info.length), (kind, Some(length)));
            let (memory, content) = (info.memory.unwrap(), info.content.len());
            assert!(memory > 0 && (1..10_000).contains(&content), "{info:?}");
            assert_eq!(info.ttl.is_some(), kind == "string");
        }
        let pair = key_info(&mut connection, "pair").await.unwrap().unwrap().content;
        assert!(pair.contains("\"a\"") && pair.contains("\"b\""), "{pair}");
        let string = key_info(&mut connection, "string").await.unwrap().unwrap();
        assert_eq!(string.content, "\"hello\"");
        assert_eq!(key_info(&mut connection, "missing").await.unwrap(), None);
    }
}

/// The server's own answer for each command that the patterns send, and for more.
#[tokio::test]
async fn the_keys_of_a_command_are_those_that_the_server_names() {
    let server = Server::start().unwrap();
    let connection = Recorded::new(connect(&server).await);
    let lines = "BITCOUNT k; BLPOP k1 k2 0; EVAL x 2 k1 k2 a; EVALSHA abc 1 k1 a b; EXISTS k1 k2; GET k; \
                 HEXISTS k f; HGET k f; HGETALL k; HLEN k; HMGET k f g; HSCAN k 0; LPUSH k v; LRANGE k 0 1; \
                 LTRIM k 0 1; PEXPIRE k 1; PTTL k; SADD k m; SET k v; SMEMBERS k; SMISMEMBER k m; SREM k m; \
                 UNLINK k1 k2; XDEL k 1-1; XGROUP CREATE k g 0; XPENDING k g; XRANGE k - +; \
                 XREAD COUNT 1 STREAMS k1 k2 0 0; XREADGROUP GROUP g c STREAMS k >; ZADD k 1 m; ZCARD k; \
                 ZMSCORE k m; ZRANGE k 0 1; ZRANGEBYSCORE k 0 1; ZREM k m; ZREVRANGE k 0 1; \
                 ZREVRANGEBYSCORE k 1 0; ZSCAN k 0; ZSCORE k m; MGET a b c; DEL a b; MSET a 1 b 2; \
                 ZUNIONSTORE d 2 a b; ZINTER 2 a b; SINTERCARD 2 a b; GEOSEARCH k FROMMEMBER m BYRADIUS 1 km; \
                 COPY a b; BITOP AND d a b; PFCOUNT a b; PFMERGE d a b; MEMORY USAGE k; OBJECT ENCODING k; \
                 XINFO STREAM k; SINTERSTORE d a b; ZRANGESTORE d s 0 1; LMPOP 2 a b LEFT; WATCH a b; TYPE k";
    let mut plain = connect(&server).await;
    for line in lines.split("; ") {
        let words: Vec<&str> = line.split(' ').collect();
        let recording = Recording::default();
        // Most fail. They are noted all the same, and so is one that blocks.
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut sender = connection.clone();
        let sending = tokio::time::timeout(Duration::from_millis(100), command.exec_async(&mut sender));
        let _ = recording.of(sending).await;
        let mut getkeys = redis::cmd("COMMAND");
        let named: Vec<String> = getkeys.arg("GETKEYS").arg(&words).query_async(&mut plain).await.unwrap();
        assert_eq!(recording.keys(), named, "{line}");
        if words[0] == "BLPOP" {
            // It still blocks the connection.
            redis::cmd("LPUSH").arg("k1").arg("x").exec_async(&mut plain).await.unwrap();
        }
    }
    let recording = Recording::default();
    for line in ["PING", "TIME", "WAIT 0 1", "INFO", "PUBLISH c m", "COMMAND COUNT", "CLIENT ID", "DBSIZE"] {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        recording.of(command.exec_async(&mut connection.clone())).await.unwrap();
        redis::cmd("COMMAND").arg("GETKEYS").arg(&words).exec_async(&mut plain).await.unwrap_err();
    }
    assert!(recording.keys().is_empty(), "{:?}", recording.keys());
}

#[tokio::test]
async fn every_script_of_every_pattern_is_known() {
    let server = Server::start().unwrap();
    let mut connection = Recorded::new(connect(&server).await);
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../patterns/src")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = files
        .filter(|name| Path::new(name).extension().is_some_and(|lua| lua == "lua") && name != "script.lua");
    let all: Vec<&Script> = patterns::scripts().map(|(_, script)| script).collect();
    let known = all.iter().map(|script| script.name().split(':').next().unwrap().to_owned());
    assert_eq!(known.collect::<BTreeSet<_>>(), files.collect());
    for known in all {
        assert_eq!(script(known.hash()).unwrap().source(), known.source());
        assert_eq!(script(known.name()).unwrap().name(), known.name());
        // By its source, too. Without keys it fails, but it was sent.
        let recording = Recording::default();
        let sent = redis::cmd("EVAL").arg(known.source()).arg(0).to_owned();
        let _ = recording.of(sent.exec_async(&mut connection)).await;
        assert_eq!(recording.commands()[0].hash, Some(known.hash()));
    }
}
