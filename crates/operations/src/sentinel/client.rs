//! A client that finds the primary through the Sentinels, and writes orders through a failover.

use std::time::Duration;

use lab_runner::{LessonError, Retry};
use lab_server::{PRIMARY_NAME, Sentinels, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, ErrorKind, RedisResult, Value};

use crate::private::{READY_TIMEOUT, connect_within};

/// After this long without a reply, the client looks for the primary again.
pub const TIMEOUT: Duration = Duration::from_millis(500);

/// Writes orders, each with the next number.
pub struct Client {
    sentinels: Vec<redis::Client>,
    password: String,
    connection: Option<MultiplexedConnection>,
    next_order: u32,
}

impl Client {
    /// A client that knows the Sentinels and the password.
    pub fn new(group: &Sentinels) -> Self {
        let sentinels = group.sentinels.iter().map(Server::client).collect();
        let password = group.data.primary.password().to_owned();
        Self { sentinels, password, connection: None, next_order: 0 }
    }

    /// Its connection to the primary, which it finds first if it has none.
    pub async fn connection(&mut self) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let found = discover(&self.sentinels, &self.password).await?;
        Ok(self.connection.insert(found).clone())
    }

    /// Writes so many orders, each until it is acknowledged, and returns their numbers.
    pub async fn write(&mut self, count: u32) -> Result<Vec<u32>, LessonError> {
        let first = self.next_order;
        for order in first..first + count {
            let mut retry = Retry::within(READY_TIMEOUT);
            while self.write_once(order).await.is_err() {
                self.connection = None;
                retry.again("a primary takes the order").await?;
            }
        }
        self.next_order += count;
        Ok((first..first + count).collect())
    }

    async fn write_once(&mut self, order: u32) -> RedisResult<()> {
        self.connection().await?.set(key(order), "paid").await
    }

    /// Writes one order, and returns its number and how many replicas have it within 100 ms.
    pub async fn write_and_wait(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<(Vec<u32>, u32)> {
        let order = self.next_order;
        let mut pipeline = redis::pipe();
        pipeline.set(key(order), "paid").ignore();
        pipeline.cmd("WAIT").arg(1).arg(100);
        let (copies,): (u32,) = pipeline.query_async(connection).await?;
        self.next_order += 1;
        Ok((vec![order], copies))
    }
}

/// Asks one Sentinel after the other, until a server says itself that it is the primary.
pub async fn discover(sentinels: &[redis::Client], password: &str) -> RedisResult<MultiplexedConnection> {
    for sentinel in sentinels {
        let Ok(mut sentinel) = open(sentinel).await else { continue };
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(PRIMARY_NAME);
        let Ok((host, port)) = question.query_async::<(String, u16)>(&mut sentinel).await else { continue };

        let url = format!("redis://default:{password}@{host}:{port}/");
        let Ok(mut primary) = open(&redis::Client::open(url)?).await else { continue };
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut primary).await.unwrap_or_default();
        if is_role(&role, "master") {
            return Ok(primary);
        }
    }
    Err((ErrorKind::Io, "no Sentinel knows a primary that answers").into())
}

async fn open(client: &redis::Client) -> RedisResult<MultiplexedConnection> {
    connect_within(TIMEOUT, TIMEOUT, client).await
}

/// Whether ROLE's reply begins with this role, `master` or `slave`.
pub fn is_role(reply: &[Value], role: &str) -> bool {
    matches!(reply.first(), Some(Value::BulkString(name)) if name == role.as_bytes())
}

/// The key of an order.
pub fn key(order: u32) -> String {
    format!("order:{order}")
}

/// How many of these orders the server has.
pub async fn count(orders: &[u32], connection: &mut MultiplexedConnection) -> RedisResult<usize> {
    let keys: Vec<String> = orders.iter().map(|&order| key(order)).collect();
    redis::cmd("EXISTS").arg(keys).query_async(connection).await
}
