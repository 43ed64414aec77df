//! Subscribers that are away, or too slow.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use lab_connection::{Connection, Target};
use lab_runner::BoxError;
use lab_runner::concurrent::try_join_all;
use patterns::broadcast::{Broadcast, Position};
use redis::{AsyncTypedCommands, ConnectionAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{MESSAGES, THIRD};

/// Longer than any message takes.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The bytes of each message to the slow subscriber. Valkey 9.1 does not copy a message of 17,000 bytes into the buffer of each client,
/// so the limit does not count it: 1,973 of them, 33 MB, were 0.3 MB there.
pub const PAYLOAD: usize = 8 * 1024;
const LIMIT: &str = "client-output-buffer-limit";
/// More than its buffers hold. 64 MB.
const MOST: usize = 8_192;

/// How many of the messages a phone heard that is away for the second third.
pub async fn heard_by_a_phone(target: &Target, channel: &str) -> Result<usize, BoxError> {
    let (redis, mut heard) = (target.connection(), 0);
    for third in 0..3 {
        let mut phone = target.pubsub().await?;
        let listens = third != 1;
        if listens {
            phone.subscribe(channel).await?;
        }
        try_join_all((0..THIRD).map(|number| {
            let mut redis = redis.clone();
            async move { redis.publish(channel, number).await }
        }))
        .await?;
        let mut messages = phone.on_message();
        for _ in 0..if listens { THIRD } else { 0 } {
            timeout(MESSAGE_TIMEOUT, messages.next()).await?.ok_or("the subscription ended")?;
            heard += 1;
        }
    }
    Ok(heard)
}

/// How many of the messages a phone read that is away for the second third, and resumes.
pub async fn read_by_a_phone(news: &Broadcast<Connection>) -> Result<usize, BoxError> {
    let (_, _, mut seen) = news.read(&Position::Now).await?;
    let mut read = 0;
    for third in 0..3 {
        for number in third * THIRD..(third + 1) * MESSAGES / 3 {
            news.publish(number.to_string().as_bytes()).await?;
        }
        if third != 1 {
            let (gap, messages, last) = news.read(&Position::After(seen)).await?;
            read += if gap { 0 } else { messages.len() };
            seen = last;
        }
    }
    Ok(read)
}

/// What became of the messages to a subscriber that does not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlowResult {
    /// Messages that the server took while the subscriber was connected, and the one after.
    pub published: usize,
    /// Messages that reached it.
    pub received: usize,
}

/// Publishes until the server cuts off a subscriber that reads nothing. Then the subscriber reads what is left. `None` without TCP.
pub async fn slow_subscriber(target: &Target) -> Result<Option<SlowResult>, BoxError> {
    let ConnectionAddr::Tcp(host, port) = target.connection_info().addr() else { return Ok(None) };
    let (mut redis, channel) = (target.connection(), format!("{}slow", target.prefix()));
    let mut subscriber = TcpStream::connect((host.as_str(), *port)).await?;
    let login = target.connection_info().redis_settings();
    let mut hello = format!("SUBSCRIBE {channel}\r\n");
    if let Some(password) = login.password() {
        hello.insert_str(0, &format!("AUTH {} {password}\r\n", login.username().unwrap_or("default")));
    }
    subscriber.write_all(hello.as_bytes()).await?;
    let mut subscribers = 0;
    while subscribers == 0 {
        let mut count = redis::cmd("PUBSUB");
        (_, subscribers) = count.arg("NUMSUB").arg(&channel).query_async::<(String, u64)>(&mut redis).await?;
    }

    let before: HashMap<String, String> =
        redis::cmd("CONFIG").arg("GET").arg(LIMIT).query_async(&mut redis).await?;
    set(&mut redis, "pubsub 262144 0 0").await?;
    let published = publish_until_cut_off(&mut redis, &channel).await?;
    if let Some(limits) = before.get(LIMIT) {
        set(&mut redis, limits).await?;
    }
    let mut bytes = Vec::new();
    // Reading ends with the connection, perhaps with a reset.
    let _ = timeout(MESSAGE_TIMEOUT, subscriber.read_to_end(&mut bytes)).await?;
    let received = bytes.split(|byte| *byte != b'x').filter(|run| run.len() == PAYLOAD).count();
    Ok(Some(SlowResult { published, received }))
}

/// Publishes until nobody gets it. Returns how often it published.
async fn publish_until_cut_off(redis: &mut Connection, channel: &str) -> Result<usize, BoxError> {
    let payload = "x".repeat(PAYLOAD);
    for published in 1..=MOST {
        if redis.publish(channel, &payload).await? == 0 {
            return Ok(published);
        }
    }
    Err("the server did not cut the subscriber off".into())
}

async fn set(redis: &mut Connection, limits: &str) -> Result<(), BoxError> {
    Ok(redis::cmd("CONFIG").arg("SET").arg(LIMIT).arg(limits).exec_async(redis).await?)
}
