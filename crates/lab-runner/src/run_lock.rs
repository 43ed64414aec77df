//! One run of the lessons at a time on a database: lessons share their key names, and two runs would break each other's claims.
//!
//! The lock is a key with a short TTL that holds a token. The holder renews it. If the holder dies, the key expires. Renewing and
//! releasing compare the token first, so nobody extends or releases another run's lock.
//!
//! A run that was suspended for longer than the TTL (Ctrl-Z, a laptop asleep) takes the lock again if it is free. If another run
//! holds it, this one notices when it renews, and ends where it is, even in the middle of a lesson.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target};
use redis::Script;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::lesson::LessonFuture;
use crate::terminal::Terminal;

/// How long the lock lasts without being renewed.
const TTL: Duration = Duration::from_secs(5);
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// A little longer than the lock of a run that died.
const WAIT_AT_MOST: Duration = Duration::from_secs(6);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local holder = redis.call('GET', KEYS[1])
        if holder and holder ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return 1",
    )
});
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new("return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0")
});

/// The lock of this run. It ends with [`RunLock::end`], or a few seconds after the run.
pub(crate) struct RunLock {
    key: String,
    token: String,
    connection: Connection,
    renewal: JoinHandle<()>,
    lost: watch::Receiver<bool>,
    when_lost: Failure,
}

impl RunLock {
    /// Takes the lock, and waits a few seconds for a run that has just ended.
    pub(crate) async fn take(target: &Target) -> Result<Self, Failure> {
        let key = format!("{}redis-lab:run-lock", target.prefix());
        let token = token();
        let mut connection = target.connection();
        let deadline = Instant::now() + WAIT_AT_MOST;
        let mut announced = false;
        while !is_ours(&key, &token, &mut connection).await.map_err(|error| target.explain(&error))? {
            if Instant::now() > deadline {
                return Err(taken(target));
            }
            if !announced {
                Terminal.note(
                    "Another run of the lessons uses this database. Waiting a few seconds for it to end.",
                );
                announced = true;
            }
            sleep(BETWEEN_TRIES).await;
        }
        let (report, lost) = watch::channel(false);
        let renewal = tokio::spawn(renew(key.clone(), token.clone(), connection.clone(), report));
        Ok(Self { key, token, connection, renewal, lost, when_lost: overtaken(target) })
    }

    /// The lesson, which ends when the lock is lost.
    pub(crate) fn hold<'a>(&self, lesson: LessonFuture<'a>) -> LessonFuture<'a> {
        let mut lost = self.lost.clone();
        let when_lost = self.when_lost.clone();
        Box::pin(async move {
            tokio::select! {
                biased;
                Ok(_) = lost.wait_for(|lost| *lost) => Err(when_lost.into()),
                outcome = lesson => outcome,
            }
        })
    }

    /// Releases the lock. If the connection is lost, the lock expires instead.
    pub(crate) async fn end(mut self) {
        self.renewal.abort();
        // Until the renewal has stopped, it could take the lock again.
        let _stopped = (&mut self.renewal).await;
        let mut call = RELEASE.key(&self.key);
        call.arg(&self.token);
        let releasing = call.invoke_async::<i64>(&mut self.connection);
        let _released = timeout(BETWEEN_TRIES, releasing).await;
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn is_ours(key: &str, token: &str, connection: &mut Connection) -> Result<bool, redis::RedisError> {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(token).arg("NX").arg("PX").arg(milliseconds(TTL));
    Ok(set.query_async::<Option<String>>(connection).await?.is_some())
}

/// Renews until another run holds the lock, and then says so.
async fn renew(key: String, token: String, mut connection: Connection, lost: watch::Sender<bool>) {
    loop {
        sleep(RENEWED_EVERY).await;
        let call = RENEW.key(&key).arg(&token).arg(milliseconds(TTL)).invoke_async(&mut connection).await;
        if let Ok(0_i64) = call {
            lost.send_replace(true);
            return;
        }
    }
}

fn taken(target: &Target) -> Failure {
    busy(
        format!("Another run of the lessons is using database {} of {}.", target.db(), target.address()),
        "Lessons share their key names. Two runs at once would break each other's claims.",
    )
}

fn overtaken(target: &Target) -> Failure {
    busy(
        format!("Another run of the lessons has begun in database {} of {}.", target.db(), target.address()),
        "This one was suspended or cut off for so long that its lock expired (Ctrl-Z, a laptop asleep).",
    )
}

fn busy(what: String, why: &str) -> Failure {
    Failure::new(Class::Busy, what, why)
        .try_next("wait for it to end")
        .try_next("--db N or --prefix NAME: for a place of your own")
        .try_next("--server valkey-9.1 for a private server")
}

/// Different for every run on every machine.
fn token() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    format!("{}:{nanos}", std::process::id())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
