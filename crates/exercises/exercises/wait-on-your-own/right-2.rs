use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// It asks ten times a second, and blocks nobody.
pub async fn next_job(_: &Client, shared: &MultiplexedConnection) -> RedisResult<String> {
    loop {
        if let Some(job) = shared.clone().lpop("jobs", None).await? {
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
