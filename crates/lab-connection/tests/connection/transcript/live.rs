//! What a listener gets on a connection to a real server.

use lab_connection::connection::unguarded;
use lab_connection::transcript::{Exchange, Shape, Transcript};
use lab_server::Server;
use redis::aio::MultiplexedConnection;
use redis::{Client, Value};

use super::{Recorded, recorded};

struct Stage {
    connection: Transcript<MultiplexedConnection>,
    recorded: Recorded,
    _server: Server,
}

impl Stage {
    async fn set(resp3: bool) -> Self {
        let server = Server::start().unwrap();
        let client =
            Client::open(format!("{}{}", server.url(), if resp3 { "?protocol=resp3" } else { "" })).unwrap();
        let connection = unguarded(&client).await.unwrap();
        let (connection, recorded) = recorded(connection);
        Self { connection, recorded, _server: server }
    }

    fn last(&self) -> Exchange {
        self.recorded.lock().unwrap().pop().unwrap()
    }
}

#[tokio::test]
async fn what_the_caller_gets_is_what_was_shown() {
    let mut stage = Stage::set(false).await;
    let mut set = redis::cmd("SET");
    set.arg("greeting").arg("hello, world");
    let reply: Value = set.query_async(&mut stage.connection).await.unwrap();
    let exchange = stage.last();
    assert_eq!(reply, Value::Okay);
    assert_eq!(exchange.commands, [r#"SET greeting "hello, world""#]);
    assert_eq!(exchange.replies, ["OK"]);
    assert_eq!(exchange.bytes_sent, set.get_packed_command().len());
    assert!(!exchange.elapsed.is_zero());
}

#[tokio::test]
async fn a_discarded_transaction_shows_which_command_was_refused() {
    let mut stage = Stage::set(false).await;
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("SET").arg("k").arg("v").cmd("INCR");
    transaction.exec_async(&mut stage.connection).await.unwrap_err();
    let exchange = stage.last();
    assert_eq!(exchange.shape, Shape::Transaction);
    assert_eq!(exchange.commands, ["MULTI", "SET k v", "INCR", "EXEC"]);
    assert_eq!(
        exchange.replies,
        [
            "OK",
            "QUEUED",
            "(error) ERR wrong number of arguments for 'incr' command",
            "(error) EXECABORT Transaction discarded because of previous errors."
        ]
    );
}

#[tokio::test]
async fn a_command_that_fails_inside_exec_does_not_undo_the_others() {
    let mut stage = Stage::set(false).await;
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("SET").arg("k").arg("v").cmd("INCR").arg("k");
    transaction.exec_async(&mut stage.connection).await.unwrap_err();
    let executed = stage.last().replies.pop().unwrap();
    assert_eq!(executed, "1) OK\n2) (error) ERR value is not an integer or out of range");
}

#[tokio::test]
async fn an_error_in_a_pipeline_stands_beside_its_command() {
    let mut stage = Stage::set(false).await;
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg("k").arg("v").cmd("LPUSH").arg("k").arg("v").cmd("GET").arg("k");
    pipeline.exec_async(&mut stage.connection).await.unwrap_err();
    let replies = stage.last().replies;
    assert_eq!(replies[0], "OK");
    assert!(replies[1].starts_with("(error) WRONGTYPE "), "{replies:?}");
    assert_eq!(replies[2], "\"v\"");
}

#[tokio::test]
async fn a_refused_password_is_not_shown() {
    let mut stage = Stage::set(false).await;
    redis::cmd("AUTH").arg("nobody").arg("sesame").exec_async(&mut stage.connection).await.unwrap_err();
    let exchange = stage.last();
    assert_eq!(exchange.commands, ["AUTH (redacted) (redacted)"]);
    assert!(exchange.replies[0].starts_with("(error) WRONGPASS "), "{exchange:?}");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_as_no_reply() {
    let server = Server::start().unwrap();
    let (mut connection, recorded) = recorded(unguarded(&server.client()).await.unwrap());
    drop(server);
    redis::cmd("PING").exec_async(&mut connection).await.unwrap_err();
    let exchange = recorded.lock().unwrap().pop().unwrap();
    assert!(exchange.replies[0].starts_with("(no reply) "), "{exchange:?}");
}

#[tokio::test]
async fn maps_are_shown_as_resp3_has_them() {
    let mut stage = Stage::set(true).await;
    redis::cmd("HSET")
        .arg("user:1")
        .arg("firstname")
        .arg("Parker")
        .exec_async(&mut stage.connection)
        .await
        .unwrap();
    redis::cmd("HGETALL").arg("user:1").exec_async(&mut stage.connection).await.unwrap();
    let exchange = stage.last();
    assert_eq!(exchange.replies, ["1# \"firstname\" => \"Parker\""]);
    assert_eq!(exchange.bytes_received, "%1\r\n$9\r\nfirstname\r\n$6\r\nParker\r\n".len());
}
