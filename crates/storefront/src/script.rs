use redis::aio::ConnectionLike;
use redis::{FromRedisValue, RedisError, ScriptInvocation};

/// Runs a script, and once more if the end of a key kept it from running the first time.
///
/// A server asks whether the keys of a script are there before it begins, and from then on the script's own commands are asked
/// again. While a slot is half way to another server, a key that is not there counts as one that has moved: the script is
/// told to come back. But one whose TTL ends between the two is only missed inside, and the script fails. Where the slot arrives
/// only a command with several keys misses one, and Redis 8 has a text of its own for that. Our scripts look at every key that
/// can end before they write anything, or take back what they wrote. So they can begin again: the server then knows what is
/// missing.
pub(crate) async fn run<T: FromRedisValue>(
    call: &ScriptInvocation<'_>,
    connection: &(impl ConnectionLike + Clone),
) -> Result<T, RedisError> {
    let mut connection = connection.clone();
    match call.invoke_async(&mut connection).await {
        Err(error) if missed_a_key(&error) => call.invoke_async(&mut connection).await,
        end => end,
    }
}

/// The error has no code of its own, on any server.
fn missed_a_key(error: &RedisError) -> bool {
    const TEXTS: [&str; 2] = ["non local key in a cluster node", "accessed during rehashing of the slot"];
    error.detail().is_some_and(|detail| TEXTS.iter().any(|text| detail.contains(text)))
}
