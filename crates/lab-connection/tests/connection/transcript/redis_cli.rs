//! The real `redis-cli` as the judge: what the transcript shows is typed into it, and it must print what the
//! transcript printed. Without `redis-cli` on PATH, or beside `REDIS_LAB_TLS_PROGRAM`, this says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "functions of a test, which clippy does not take for one"
)]

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lab_connection::connection::unguarded;
use lab_connection::transcript::{command_line, reply_text};
use lab_server::Server;
use redis::aio::ConnectionLike;
use redis::{Client, Cmd};

fn redis_cli() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|directory| directory.join("redis-cli"));
    let beside = env::var_os("REDIS_LAB_TLS_PROGRAM")
        .map(|program| PathBuf::from(program).with_file_name("redis-cli"));
    let found = on_path.chain(beside).find(|program| program.is_file());
    if found.is_none() {
        println!("skipped: no redis-cli on PATH");
    }
    found
}

/// What `redis-cli` prints on a terminal when this line is typed.
fn typed(program: &PathBuf, server: &Server, resp3: bool, line: &str) -> String {
    let mut child = Command::new(program)
        .args(["--no-raw", "-p", &server.port().to_string()])
        .args(resp3.then_some("-3"))
        .env("REDISCLI_AUTH", server.password())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The pipe is closed at the end of this statement, which ends redis-cli.
    writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn words(words: &[&[u8]]) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg(words);
    cmd
}

fn line(text: &str) -> Cmd {
    words(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
}

async fn compare(resp3: bool, commands: &[Cmd]) {
    let Some(program) = redis_cli() else { return };
    let server = Server::start().unwrap();
    let url = format!("{}{}", server.url(), if resp3 { "?protocol=resp3" } else { "" });
    let mut connection = unguarded(&Client::open(url).unwrap()).await.unwrap();
    for seed in [
        "RPUSH list a b c",
        "HSET hash name Parker",
        "SADD set one",
        "ZADD zset 1.5 one 20 two",
        "SET text v",
    ] {
        line(seed).exec_async(&mut connection).await.unwrap();
    }
    for command in commands {
        let shown = command_line(command);
        // Errors of the server come as values here, nested ones too.
        let printed = reply_text(&connection.req_packed_command(command).await.unwrap());
        assert_eq!(format!("{printed}\n"), typed(&program, &server, resp3, &shown), "{shown}");
    }
}

#[tokio::test]
async fn commands_and_replies_are_those_of_redis_cli() {
    let mut commands: Vec<Cmd> = [
        "PING",
        "GET text",
        "GET nothing",
        "STRLEN text",
        "TYPE list",
        "LRANGE list 0 -1",
        "LRANGE nothing 0 -1",
        "HGETALL hash",
        "ZRANGE zset 0 -1 WITHSCORES",
        "LPUSH text v",
        "INCR text",
        "GET",
    ]
    .map(line)
    .into();
    commands.push(words(&[b"ECHO", b""]));
    commands.push(words(&[b"ECHO", b"two words 'single' \"double\" back\\slash \\x41"]));
    commands.push(words(&[b"ECHO", b"\0\x01\x07\x08\t\n\r\x1b[31m\x7f\x80\xfe\xff"]));
    commands.push(words(&[b"EVAL", b"return {1, {2, {3, {}, 'x'}}, {}, 'y', {err = 'ERR inner'}}", b"0"]));
    commands.push(words(&[b"EVAL", b"local t = {} for i = 1, 12 do t[i] = {i, 'v'} end return t", b"0"]));
    compare(false, &commands).await;
}

#[tokio::test]
async fn resp3_replies_are_those_of_redis_cli() {
    let commands = [
        "HGETALL hash",
        "HGETALL nothing",
        "SMEMBERS set",
        "SMEMBERS nothing",
        "ZSCORE zset one",
        "ZSCORE zset two",
        "ZSCORE zset three",
        "ZRANGE zset 0 -1 WITHSCORES",
        "DEBUG PROTOCOL true",
        "DEBUG PROTOCOL false",
        "DEBUG PROTOCOL double",
        "DEBUG PROTOCOL map",
        "DEBUG PROTOCOL set",
        "DEBUG PROTOCOL verbatim",
        "DEBUG PROTOCOL null",
        "DEBUG PROTOCOL array",
    ]
    .map(line);
    compare(true, &commands).await;
}
