//! Ways to publish, compared.

use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::broadcast::Broadcast;
use patterns::script::StoreError;
use redis::{AsyncTypedCommands, RedisResult};

/// How many calls are sent at a time.
const IN_FLIGHT: usize = 50;
const MAX_ENTRIES: usize = 10_000;

labeled! {
    /// How a message is published.
    pub enum Announcing {
        /// To those who listen now: the baseline.
        Publish => "PUBLISH (the baseline)",
        /// To a bounded stream.
        Xadd => "XADD MAXLEN ~",
        /// The pattern, whose entries name the one before.
        Broadcast => "broadcast",
    }
}

/// Messages to publish.
#[derive(Clone, Debug)]
pub struct Announcements {
    prefix: String,
    count: usize,
}

impl Announcements {
    /// This many under a prefix.
    #[must_use]
    pub fn new(prefix: &str, count: usize) -> Self {
        Self { prefix: prefix.to_owned(), count }
    }

    fn broadcast<C: AnyConnection>(&self, redis: &C) -> Broadcast<C> {
        Broadcast::new(redis.clone(), &self.prefix, "compared")
    }

    /// Every key that an approach writes.
    pub fn keys(&self) -> Result<Vec<String>, StoreError> {
        let key = patterns::key::Key::new(&self.prefix, "broadcast", &["compared"])?;
        Ok(vec![key.as_str().to_owned(), key.companion("last")])
    }
}

impl Approach for Announcing {
    type Input = Announcements;
    /// How many messages were taken.
    type Output = usize;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, input: &Announcements) -> u64 {
        input.count as u64
    }

    async fn reset<C: AnyConnection>(self, input: &Announcements, redis: &mut C) -> RedisResult<()> {
        for key in input.keys().map_err(into_redis_error)? {
            redis.unlink(key).await?;
        }
        // The server learns the script before the time is taken.
        input.broadcast(redis).publish(b"0").await.map(drop).map_err(into_redis_error)
    }

    async fn run<C: AnyConnection>(self, input: &Announcements, redis: &mut C) -> RedisResult<usize> {
        let news = input.broadcast(redis);
        let key = news.channel().map_err(into_redis_error)?;
        let publish = |number: usize| {
            let (mut redis, news, key, text) = (redis.clone(), news.clone(), key.clone(), number.to_string());
            async move {
                match self {
                    Self::Publish => redis.publish(key, text).await.map(drop),
                    Self::Xadd => {
                        let mut add = redis::cmd("XADD");
                        add.arg(key)
                            .arg("MAXLEN")
                            .arg("~")
                            .arg(MAX_ENTRIES)
                            .arg("*")
                            .arg("payload")
                            .arg(text);
                        add.exec_async(&mut redis).await
                    }
                    Self::Broadcast => {
                        news.publish(text.as_bytes()).await.map(drop).map_err(into_redis_error)
                    }
                }
            }
        };
        Ok(concurrently(IN_FLIGHT, input.count, publish).await?.len())
    }
}
