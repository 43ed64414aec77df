//! What a listener gets on a connection whose replies the test defines.

use std::collections::VecDeque;
use std::time::Duration;

use lab_connection::transcript::{Exchange, SHOWN_COMMANDS, Shape, Transcript};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value, parse_redis_value};

use super::{Recorded, recorded};

/// Answers with what it was given, in order; with nothing left, it never answers.
struct Scripted(VecDeque<Result<Vec<Value>, RedisError>>);

impl Scripted {
    fn next(&mut self) -> RedisFuture<'_, Vec<Value>> {
        Box::pin(async move {
            match self.0.pop_front() {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

impl ConnectionLike for Scripted {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.next().await?.remove(0)) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.next()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn transcript(
    answers: impl IntoIterator<Item = Result<Vec<Value>, RedisError>>,
) -> (Transcript<Scripted>, Recorded) {
    recorded(Scripted(answers.into_iter().collect()))
}

fn resp(reply: &str) -> Value {
    parse_redis_value(reply.as_bytes()).unwrap()
}

async fn one(cmd: &Cmd, reply: &str) -> Exchange {
    let (mut connection, recorded) = transcript([Ok(vec![resp(reply)])]);
    let _ = cmd.query_async::<Value>(&mut connection).await;
    recorded.lock().unwrap().remove(0)
}

#[tokio::test]
async fn a_command_is_heard_with_its_reply_and_its_bytes() {
    let exchange = one(redis::cmd("GET").arg("user:1"), "$6\r\nParker\r\n").await;
    assert_eq!(exchange.shape, Shape::Command);
    assert_eq!(exchange.commands, ["GET user:1"]);
    assert_eq!(exchange.replies, ["\"Parker\""]);
    assert_eq!(exchange.bytes_sent, "*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n".len());
    assert_eq!(exchange.bytes_received, "$6\r\nParker\r\n".len());
    assert_eq!((exchange.command_count, exchange.round_trips), (1, 1));
}

#[tokio::test]
async fn a_long_pipeline_shows_its_first_commands_and_a_count() {
    let mut pipeline = redis::pipe();
    (0..100).for_each(|n| {
        pipeline.cmd("INCRBY").arg("n").arg(n);
    });
    let (mut connection, recorded) = transcript([Ok((0..100).map(Value::Int).collect())]);
    pipeline.query_async::<Vec<i64>>(&mut connection).await.unwrap();
    let exchange = recorded.lock().unwrap().remove(0);
    assert_eq!(exchange.shape, Shape::Pipeline);
    assert_eq!(exchange.command_count, 100);
    assert_eq!(exchange.commands.len(), SHOWN_COMMANDS + 1);
    assert_eq!(exchange.commands.last().unwrap(), "… 94 more commands");
    assert_eq!(exchange.replies.last().unwrap(), "… 94 more replies");
    assert_eq!(exchange.bytes_sent, pipeline.get_packed_pipeline().len());
    assert_eq!(exchange.round_trips, 1);
}

#[tokio::test]
async fn a_transaction_is_shown_between_multi_and_exec() {
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("SET").arg("k").arg(1).cmd("INCR").arg("k");
    let (mut connection, recorded) = transcript([Ok(vec![resp("*2\r\n+OK\r\n:2\r\n")])]);
    pipeline.query_async::<(String, i64)>(&mut connection).await.unwrap();
    let exchange = recorded.lock().unwrap().remove(0);
    assert_eq!(exchange.shape, Shape::Transaction);
    assert_eq!(exchange.commands, ["MULTI", "SET k 1", "INCR k", "EXEC"]);
    assert_eq!(exchange.replies, ["OK", "QUEUED", "QUEUED", "1) OK\n2) (integer) 2"]);
    assert_eq!(exchange.bytes_sent, pipeline.get_packed_pipeline().len());
    assert_eq!(exchange.bytes_received, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n".len());
}

#[tokio::test]
async fn a_transaction_that_lost_its_race_shows_nil() {
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("INCR").arg("k");
    let (mut connection, recorded) = transcript([Ok(vec![Value::Nil])]);
    pipeline.query_async::<Option<(i64,)>>(&mut connection).await.unwrap();
    assert_eq!(recorded.lock().unwrap()[0].replies, ["OK", "QUEUED", "(nil)"]);
}

#[tokio::test]
async fn errors_are_shown_as_redis_cli_shows_them() {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    let exchange = one(redis::cmd("LPUSH").arg("k").arg("v"), wrong).await;
    assert_eq!(
        exchange.replies,
        ["(error) WRONGTYPE Operation against a key holding the wrong kind of value"]
    );
    assert_eq!(exchange.bytes_received, wrong.len());

    let hostile = one(redis::cmd("GET").arg("k"), "-ERR \x1b[31mred\u{202e}\r\n").await;
    assert_eq!(hostile.replies, [r"(error) ERR \x1b[31mred\xe2\x80\xae"]);
}

#[tokio::test]
async fn a_broken_connection_says_so() {
    let broken = std::io::Error::from(std::io::ErrorKind::TimedOut);
    let (mut connection, recorded) = transcript([Err(broken.into())]);
    redis::cmd("PING").exec_async(&mut connection).await.unwrap_err();
    let exchange = recorded.lock().unwrap().remove(0);
    assert_eq!(exchange.replies, ["(no reply) timed out"]);
    assert_eq!(exchange.bytes_received, 0);
}

#[tokio::test]
async fn a_command_given_up_on_is_heard_too() {
    let (mut connection, recorded) = transcript([]);
    let mut blpop = redis::cmd("BLPOP");
    blpop.arg("queue").arg(0);
    let waiting = blpop.exec_async(&mut connection);
    tokio::time::timeout(Duration::from_millis(1), waiting).await.unwrap_err();
    let exchange = recorded.lock().unwrap().remove(0);
    assert_eq!(exchange.commands, ["BLPOP queue 0"]);
    assert_eq!(exchange.replies, ["(no reply) the caller stopped waiting"]);
}

#[tokio::test]
async fn passwords_are_redacted() {
    for (sent, shown) in [
        ("AUTH sesame", "AUTH (redacted)"),
        ("auth ali sesame", "auth (redacted) (redacted)"),
        ("HELLO 3 AUTH ali sesame SETNAME me", "HELLO 3 AUTH (redacted) (redacted) SETNAME me"),
        (
            "ACL SETUSER ali on >sesame #5e884898da28 ~cart:* +@read",
            "ACL SETUSER ali on (redacted) (redacted) ~cart:* +@read",
        ),
        (
            "CONFIG SET maxmemory 1mb requirepass sesame masterauth sesame",
            "CONFIG SET maxmemory 1mb requirepass (redacted) masterauth (redacted)",
        ),
        ("MIGRATE h 1 k 0 9 AUTH2 ali sesame", "MIGRATE h 1 k 0 9 AUTH2 (redacted) (redacted)"),
    ] {
        let words: Vec<&str> = sent.split(' ').collect();
        assert_eq!(one(redis::Cmd::new().arg(words), "+OK\r\n").await.commands, [shown]);
    }
}

#[tokio::test]
async fn passwords_in_replies_are_redacted() {
    let get = one(
        redis::cmd("CONFIG").arg("GET").arg("*"),
        "*4\r\n$11\r\nrequirepass\r\n$6\r\nsesame\r\n$10\r\nmasterauth\r\n$0\r\n\r\n",
    )
    .await;
    assert_eq!(get.replies, ["1) \"requirepass\"\n2) (redacted)\n3) \"masterauth\"\n4) \"\""]);
    let refused = "-ERR Error in ACL SETUSER modifier '>ses ame': Syntax error\r\n";
    let set = one(redis::cmd("ACL").arg("SETUSER").arg("ali").arg(">ses ame"), refused).await;
    assert!(!format!("{set:?}").contains("ses ame"), "{set:?}");
}
