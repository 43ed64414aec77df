//! One run of the lessons at a time on a database: lessons share their key names, and two runs would break each
//! other's claims.
//!
//! A turn is a key with a short TTL and a token. The holder renews it; when the holder dies, it expires by itself.
//! Renewing and giving back compare the token first, so that nobody extends or ends another's turn.
//!
//! A holder that stood still for longer (Ctrl-Z, a laptop asleep) takes its turn again if nobody has it. If somebody
//! has, it learns that when it renews, and ends where it is, in the middle of a lesson too.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target};
use redis::Script;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::lesson::Teaching;
use crate::terminal::Terminal;

/// How long a turn lasts without being renewed.
const TTL: Duration = Duration::from_secs(5);
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// A little longer than the turn of a holder that died.
const PATIENCE: Duration = Duration::from_secs(6);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local holder = redis.call('GET', KEYS[1])
        if holder and holder ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return 1",
    )
});
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new("return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0")
});

/// The turn of this run; it ends with [`Turn::end`], or by itself a few seconds after the run.
pub(crate) struct Turn {
    key: String,
    token: String,
    connection: Connection,
    renewal: JoinHandle<()>,
    lost: watch::Receiver<bool>,
    when_lost: Failure,
}

impl Turn {
    /// Takes the turn, waiting a moment for a run that has just ended.
    pub(crate) async fn take(target: &Target) -> Result<Self, Failure> {
        let key = format!("{}redis-lab:turn", target.prefix());
        let token = token();
        let mut connection = target.connection();
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        while !is_ours(&key, &token, &mut connection).await.map_err(|error| target.explain(&error))? {
            if Instant::now() > deadline {
                return Err(taken(target));
            }
            if !told {
                Terminal.note("Another run of the lessons uses this database; waiting a moment for its end.");
                told = true;
            }
            sleep(BETWEEN_TRIES).await;
        }
        let (tell, lost) = watch::channel(false);
        let renewal = tokio::spawn(renew(key.clone(), token.clone(), connection.clone(), tell));
        Ok(Self { key, token, connection, renewal, lost, when_lost: overtaken(target) })
    }

    /// A lesson that ends when the turn is lost, or does not begin.
    pub(crate) fn hold<'a>(&self, teaching: Teaching<'a>) -> Teaching<'a> {
        let mut lost = self.lost.clone();
        let when_lost = self.when_lost.clone();
        Box::pin(async move {
            tokio::select! {
                biased;
                Ok(_) = lost.wait_for(|lost| *lost) => Err(when_lost.into()),
                outcome = teaching => outcome,
            }
        })
    }

    /// Gives the turn back. A lost connection needs no telling here and no waiting for: the turn then ends by itself.
    pub(crate) async fn end(mut self) {
        self.renewal.abort();
        // Until it has stopped, it could take the turn again behind our back.
        let _stopped = (&mut self.renewal).await;
        let mut call = GIVE_BACK.key(&self.key);
        call.arg(&self.token);
        let giving_back = call.invoke_async::<i64>(&mut self.connection);
        let _given_back = timeout(BETWEEN_TRIES, giving_back).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn is_ours(key: &str, token: &str, connection: &mut Connection) -> Result<bool, redis::RedisError> {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(token).arg("NX").arg("PX").arg(milliseconds(TTL));
    Ok(set.query_async::<Option<String>>(connection).await?.is_some())
}

/// Renews until somebody else has the turn, and tells that.
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
        "Lessons share their key names; two runs at once would break each other's claims.",
    )
}

fn overtaken(target: &Target) -> Failure {
    busy(
        format!("Another run of the lessons has begun in database {} of {}.", target.db(), target.address()),
        "This one stood still, or had lost its server, for so long that its turn ended (Ctrl-Z, a laptop asleep).",
    )
}

fn busy(what: String, why: &str) -> Failure {
    Failure::new(Class::Busy, what, why)
        .try_next("wait for its end")
        .try_next("--db N or --prefix NAME: for a place of one's own")
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
