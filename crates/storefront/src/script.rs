use redis::aio::ConnectionLike;
use redis::{FromRedisValue, RedisError, ScriptInvocation};

/// Runs a script, and once more if the end of a key kept it from running the first time.
///
/// A server looks for the keys of a script before it begins, and again for those of each command inside. While a slot is half
/// way to another server, a key that is not there counts as moved: at the first look the caller is told to try again or to
/// ask elsewhere, which redis-rs does; at the second the script fails. A key whose TTL ends between the two is met by the
/// second look only.
///
/// This is for scripts that have changed nothing by then, or take it back: ours read every key that can end before they
/// write. A script that touches a key which it has itself emptied fails the same way, and would be done twice.
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

/// The error has no code of its own. The second text is that of Redis 8 for commands with several keys.
fn missed_a_key(error: &RedisError) -> bool {
    const TEXTS: [&str; 2] = ["non local key in a cluster node", "accessed during rehashing of the slot"];
    error.detail().is_some_and(|detail| TEXTS.iter().any(|text| detail.contains(text)))
}
