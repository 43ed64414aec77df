use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

/// A task renews the lock and says when it is lost. One script does both: a time of 0 releases.
pub async fn with_lock(redis: &MultiplexedConnection, work: impl Future<Output = ()>) -> RedisResult<bool> {
    let mut redis = redis.clone();
    let number: u64 = redis::cmd("INCR").arg("lock:report:number").query_async(&mut redis).await?;
    let mut take = redis::cmd("SET");
    take.arg("lock:report").arg(number).arg(&["NX", "PX", "800"]);
    if take.query_async::<Option<String>>(&mut redis).await?.is_none() {
        return Ok(false);
    }
    let keep = Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
    );
    let (lost, mut notice) = tokio::sync::watch::channel(false);
    let (renew, mut own) = (keep.clone(), redis.clone());
    let renewing = tokio::spawn(async move {
        while renew.key("lock:report").arg(number).arg(800).invoke_async::<bool>(&mut own).await == Ok(true) {
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        let _ = lost.send(true);
    });
    let done = tokio::select! {
        () = work => true,
        _ = notice.changed() => false,
    };
    renewing.abort();
    Ok(done && keep.key("lock:report").arg(number).arg(0).invoke_async::<bool>(&mut redis).await?)
}
