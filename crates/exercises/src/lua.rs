//! A Lua script of a learner.

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};

use crate::verdict::Fault;

/// The source of a script, sent with EVAL.
#[derive(Clone, Debug)]
pub struct Lua {
    source: String,
}

impl Lua {
    /// A script.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into() }
    }

    /// Calls it. An error of the script is a fault.
    pub async fn call<T: FromRedisValue>(
        &self,
        redis: &mut (impl ConnectionLike + Send),
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<T, Fault> {
        let mut eval = redis::cmd("EVAL");
        eval.arg(&self.source).arg(keys.len()).arg(keys).arg(arguments);
        let reply: Value = eval.query_async(redis).await?;
        redis::from_redis_value(reply.clone()).map_err(|_| {
            Fault::new(format!(
                "Your script replied {}, which is not what the task asks for.",
                lab_connection::transcript::whole_reply_text(&reply)
            ))
        })
    }
}
