//! A cache inside the client, which the server tells what has changed (RESP3 tracking).

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ProtocolVersion, PushInfo, PushKind, RedisResult,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::keys_of_cache;

/// How often the product is read; half of the way somebody changes it.
pub const READS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

const FOLLOWED: &str = "followed";

pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    keys_of_cache(ctx, [FOLLOWED.to_owned()])
}

pub(super) async fn follow(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "What if even the round trip of a hit is too much? Keep the value in the client. With a TTL alone, it may be old until \
         the TTL ends. With CLIENT TRACKING ON (RESP3), the server remembers what this connection has read and sends a message \
         when it changes. {READS} reads of one product, which somebody changes after half of them:",
    )).await?;
    if ctx.target().is_cluster() {
        ctx.step("(Skipped on a cluster: each node would need a connection of its own.)").await?;
        return Ok(());
    }
    if matches!(ctx.target().connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
        ctx.step("(Skipped over TLS: this part opens a plain connection of its own.)").await?;
        return Ok(());
    }
    let key = keys(ctx)?.swap_remove(0);
    let rows = [
        ("GET each time", Reader::new(ctx, &key, Memory::None).await?.read_all(&ctx.untraced("TODO")).await?),
        (
            "kept for a while",
            Reader::new(ctx, &key, Memory::Kept).await?.read_all(&ctx.untraced("TODO")).await?,
        ),
        (
            "kept until told",
            Reader::new(ctx, &key, Memory::Told).await?.read_all(&ctx.untraced("TODO")).await?,
        ),
    ];
    let mut table =
        Table::new("Client-side caching", &["approach", "reads", "round trips", "old price read"]);
    for (approach, (trips, old)) in rows {
        table = table.row([approach.to_owned(), READS.to_string(), trips.to_string(), old.to_string()]);
    }
    ctx.table(table);
    ctx.check_eq(
        "always right at the price of a trip each; one trip and half of them wrong; two trips and right",
        &rows.map(|(_, counted)| counted),
        &[(READS, 0), (1, READS / 2), (2, 0)],
    )
}

#[derive(Clone, Copy, PartialEq)]
enum Memory {
    None,
    Kept,
    Told,
}

struct Reader {
    redis: MultiplexedConnection,
    told: UnboundedReceiver<PushInfo>,
    memory: Memory,
    key: String,
}

impl Reader {
    async fn new(ctx: &LessonContext, key: &str, memory: Memory) -> Result<Self, LessonError> {
        let info = ctx.target().connection_info().clone();
        let resp3 = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let (tell, told) = unbounded_channel();
        let config = AsyncConnectionConfig::new()
            .set_push_sender(tell)
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let client = Client::open(info.set_redis_settings(resp3))?;
        let mut redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        if memory == Memory::Told {
            redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut redis).await?;
        }
        Ok(Self { redis, told, memory, key: key.to_owned() })
    }

    /// The round trips made, and how often the old price was read after the change.
    async fn read_all(mut self, other: &Connection) -> Result<(usize, usize), LessonError> {
        let (mut kept, mut trips, mut old) = (None, 0, 0);
        self.change(other, "19.99").await?;
        for number in 0..READS {
            if number == READS / 2 {
                self.change(other, "17.99").await?;
                if self.memory == Memory::Told {
                    self.hear().await?;
                    kept = None;
                }
            }
            let price = match kept.clone() {
                Some(price) if self.memory != Memory::None => price,
                _ => {
                    trips += 1;
                    let price: String = redis::cmd("GET").arg(&self.key).query_async(&mut self.redis).await?;
                    kept = Some(price.clone());
                    price
                }
            };
            old += usize::from(number >= READS / 2 && price == "19.99");
        }
        Ok((trips, old))
    }

    /// Waits for the message that our key has changed.
    async fn hear(&mut self) -> Outcome {
        let silence = || LessonError::Check("the server says that the product has changed".into());
        loop {
            let message = tokio::time::timeout(PATIENCE, self.told.recv()).await;
            match message.map_err(|_| silence())? {
                Some(PushInfo { kind: PushKind::Invalidate, .. }) => return Ok(()),
                Some(_) => {}
                None => return Err(silence()),
            }
        }
    }

    async fn change(&self, other: &Connection, price: &str) -> RedisResult<()> {
        let mut set = redis::cmd("SET");
        set.arg(&self.key).arg(price).arg("EX").arg(60);
        set.exec_async(&mut other.clone()).await
    }
}
