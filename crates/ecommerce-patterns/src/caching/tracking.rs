//! A cache inside the client. The server tells it what has changed (CLIENT TRACKING).

use std::time::Duration;

use lab_connection::Target;
use lab_runner::concurrent::try_join_all;
use lab_runner::table::Table;
use lab_runner::{BoxError, LessonContext, LessonError, labeled};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, AsyncTypedCommands, Client, ConnectionAddr, ProtocolVersion, PushInfo, PushKind,
    RedisResult,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::keys_of;

/// How often the product is read. Another client changes it after half of the reads.
const READS: usize = 200;
/// How long a message or a reply may take.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, BoxError> {
    keys_of(ctx, (0..3).map(|client| format!("tracked-{client}")))
}

pub(super) async fn follow(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "What if one round trip is still too slow? Then keep the value inside the client. With only a TTL, it may be old until the \
         TTL ends. With CLIENT TRACKING ON, the server remembers what this connection has read, and pushes a message when it \
         changes (RESP3). One product is read many times, and another client changes its price after half of the reads.",
    )
    .await?;
    if ctx.target().is_cluster() {
        ctx.say("Skipped on a cluster: each node would need a connection of its own.");
        return Ok(());
    }
    if matches!(ctx.target().connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
        ctx.say("Skipped over TLS: this part opens a plain connection of its own.");
        return Ok(());
    }
    ctx.function("read");
    ctx.function("wait_for_the_message");
    ctx.say(
        "Here, the client waits for the invalidation message before it reads on. Your client handles messages while it works, so a read that \
         comes before the message still gets the old price.",
    );
    let reads = ctx.fit("reads", READS, 10, 2.0);
    ctx.announce("Three clients send GET; the last one sends CLIENT TRACKING ON first. Another client sends SETEX, and UNLINK.");
    let keys = keys(ctx)?;
    // Each client reads a product of its own. Every second key is that of a lease, which nobody takes.
    let counts = Keeps::ALL.iter().zip(keys.iter().step_by(2)).map(async |(keeps, key)| {
        TrackingClient::connect(ctx.target(), key, *keeps).await?.read_many(ctx.target(), reads).await
    });
    let counts = try_join_all(counts.collect::<Vec<_>>()).await?;
    let mut table =
        Table::new("Client-side caching", &["approach", "reads", "round trips", "old price read"]);
    for (keeps, (trips, old)) in Keeps::ALL.iter().zip(&counts) {
        table = table.labeled(keeps.label(), [reads, *trips, *old]);
    }
    ctx.table(table);
    ctx.check_eq("GET each time: never old, and a round trip for each read", &counts[0], &(reads, 0))?;
    ctx.check_eq(
        "with a TTL: one round trip, and half of the reads are old",
        &counts[1],
        &(1, reads - reads / 2),
    )?;
    ctx.check_eq(
        "CLIENT TRACKING: two round trips, and no old price after the invalidation message",
        &counts[2],
        &(2, 0),
    )?;
    Ok(())
}

labeled! {
    /// How long a client keeps what it has read.
    enum Keeps {
        Nothing => "no client cache: GET each time",
        UntilTtl => "client cache with a TTL",
        UntilPushed => "client cache with CLIENT TRACKING",
    }
}

struct TrackingClient {
    redis: MultiplexedConnection,
    pushed: UnboundedReceiver<PushInfo>,
    keeps: Keeps,
    key: String,
    kept: Option<String>,
    round_trips: usize,
}

impl TrackingClient {
    async fn connect(target: &Target, key: &str, keeps: Keeps) -> Result<Self, BoxError> {
        let info = target.connection_info().clone();
        let resp3 = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let (sender, pushed) = unbounded_channel();
        let config = AsyncConnectionConfig::new()
            .set_push_sender(sender)
            .set_response_timeout(Some(TIMEOUT))
            .set_connection_timeout(Some(TIMEOUT));
        let client = Client::open(info.set_redis_settings(resp3))?;
        let mut redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        if keeps == Keeps::UntilPushed {
            redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut redis).await?;
        }
        Ok(Self { redis, pushed, keeps, key: key.to_owned(), kept: None, round_trips: 0 })
    }

    /// Returns the round trips, and how often the old price was read after the change.
    async fn read_many(mut self, target: &Target, reads: usize) -> Result<(usize, usize), BoxError> {
        let mut other_client = target.connection();
        other_client.set_ex(&self.key, "19.99", 60).await?;
        let mut old = 0;
        for number in 0..reads {
            if number == reads / 2 {
                other_client.set_ex(&self.key, "17.99", 60).await?;
                if self.keeps == Keeps::UntilPushed {
                    self.wait_for_the_message().await?;
                }
            }
            let price = self.read().await?;
            old += usize::from(number >= reads / 2 && price == "19.99");
        }
        other_client.unlink(&self.key).await?;
        Ok((self.round_trips, old))
    }

    async fn read(&mut self) -> RedisResult<String> {
        if self.keeps != Keeps::Nothing
            && let Some(price) = &self.kept
        {
            return Ok(price.clone());
        }
        let price = self.redis.get(&self.key).await?.unwrap_or_default();
        self.round_trips += 1;
        self.kept = Some(price.clone());
        Ok(price)
    }

    /// Forgets what it has kept when the server says that the key has changed.
    async fn wait_for_the_message(&mut self) -> Result<(), BoxError> {
        loop {
            match tokio::time::timeout(TIMEOUT, self.pushed.recv()).await {
                Ok(Some(PushInfo { kind: PushKind::Invalidate, .. })) => {
                    self.kept = None;
                    return Ok(());
                }
                Ok(Some(_)) => {}
                _ => {
                    return Err(
                        LessonError::Check("the server says that the product has changed".into()).into()
                    );
                }
            }
        }
    }
}
