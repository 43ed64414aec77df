//! Four common mistakes with sessions, each beside what the pattern does in the same situation.

use lab_connection::{Connection, Target};
use lab_runner::concurrent::count_at_once;
use lab_runner::{BoxError, LessonError};
use patterns::sessions::{SessionError, Sessions};
use redis::AsyncTypedCommands;

/// How many clients make each mistake.
pub const TIMES: usize = 20;

/// For each mistake, how many sessions exist that should not: by hand, and by the pattern.
pub(super) async fn count(target: &Target) -> Result<[(&'static str, usize, usize); 4], BoxError> {
    let shop = &Shop::new(target);
    // All at once, because each client waits for the server several times.
    let by_hand = tokio::try_join!(
        count_at_once(TIMES, |client| keep_token(shop, client)),
        count_at_once(TIMES, |client| crash_before_expire(shop, client)),
        count_at_once(TIMES, |client| save_late(shop, client)),
        count_at_once(TIMES, |client| end_listed(shop, client)),
    )?;
    let pattern = tokio::try_join!(
        count_at_once(TIMES, |client| replace_token(shop, client)),
        count_at_once(TIMES, |client| crash_after_begin(shop, client)),
        count_at_once(TIMES, |client| set_late(shop, client)),
        count_at_once(TIMES, |client| end_everywhere(shop, client)),
    )?;
    Ok([
        ("token kept at login", by_hand.0, pattern.0),
        ("no TTL after a crash", by_hand.1, pattern.1),
        ("brought back by a late save", by_hand.2, pattern.2),
        ("missed by 'log out everywhere'", by_hand.3, pattern.3),
    ])
}

/// The keys that [`count`] writes, without those of random tokens, which it ends.
pub(super) fn keys(target: &Target) -> Result<Vec<String>, BoxError> {
    let shop = Shop::new(target);
    let mut keys = Vec::new();
    for client in 0..TIMES {
        for name in ["planted", "crashed", "late", "device", "rotated"] {
            keys.push(shop.key(name, client)?);
        }
        for name in ["login", "user"] {
            let user = shop.sessions.user_key(&format!("{name}-{client}"))?;
            keys.extend([user.as_str().to_owned(), user.companion("devices"), user.companion("tokens")]);
        }
    }
    Ok(keys)
}

struct Shop {
    redis: Connection,
    sessions: Sessions<Connection>,
}

impl Shop {
    fn new(target: &Target) -> Self {
        let redis = target.connection();
        Self { sessions: Sessions::new(redis.clone(), target.prefix()), redis }
    }

    fn key(&self, name: &str, client: usize) -> Result<String, BoxError> {
        Ok(self.sessions.key(&format!("{name}_{client}"))?.unwrap_or_default())
    }
}

/// The browser had this token from an attacker. After the login, the attacker reads the session.
async fn keep_token(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let (mut redis, planted) = (shop.redis.clone(), shop.key("planted", client)?);
    redis.hset(&planted, "user", "ann").await?;
    let stolen = redis.hget(&planted, "user").await?.is_some();
    redis.unlink(&planted).await?;
    Ok(stolen)
}

async fn replace_token(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let (planted, user) = (format!("planted_{client}"), format!("login-{client}"));
    shop.sessions.login(&planted, &user).await?;
    let stolen = shop.sessions.read(&planted).await?.is_some();
    if shop.sessions.end_everywhere(&user).await? != 1 {
        return Err(LessonError::Check("one session began".into()).into());
    }
    Ok(stolen)
}

async fn crash_before_expire(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let (mut redis, crashed) = (shop.redis.clone(), shop.key("crashed", client)?);
    redis.hset(&crashed, "theme", "dark").await?;
    // The client dies here.
    let endless = redis.ttl(&crashed).await?.raw() == -1;
    redis.unlink(&crashed).await?;
    Ok(endless)
}

async fn crash_after_begin(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let (mut redis, crashed) = (shop.redis.clone(), shop.key("crashed", client)?);
    shop.sessions.begin_as(&format!("crashed_{client}"), &[("theme", "dark")]).await?;
    // The client dies here.
    let endless = redis.ttl(&crashed).await?.raw() == -1;
    redis.unlink(&crashed).await?;
    Ok(endless)
}

async fn save_late(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let (mut redis, late) = (shop.redis.clone(), shop.key("late", client)?);
    redis.hset(&late, "user", "ann").await?;
    let exists = redis.exists(&late).await?;
    // Another tab logs out here.
    redis.unlink(&late).await?;
    if exists {
        redis.hset(&late, "theme", "dark").await?;
    }
    Ok(redis.unlink(&late).await? == 1)
}

async fn set_late(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let (mut redis, late) = (shop.redis.clone(), shop.key("late", client)?);
    let token = format!("late_{client}");
    shop.sessions.begin_as(&token, &[]).await?;
    redis.unlink(&late).await?;
    let saved = shop.sessions.set(&token, &[("theme", "dark")]).await;
    Ok(!matches!(saved, Err(SessionError::NoSession)))
}

async fn end_listed(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let mut redis = shop.redis.clone();
    let (old, new) = (shop.key("device", client)?, shop.key("rotated", client)?);
    let tokens = shop.sessions.user_key(&format!("user-{client}"))?.companion("tokens");
    redis.hset(&old, "user", "ann").await?;
    redis.sadd(&tokens, &old).await?;

    let listed = redis.smembers(&tokens).await?;
    // The session gets a new token here.
    redis.hset(&new, "user", "ann").await?;
    redis.sadd(&tokens, &new).await?;
    redis.unlink(&old).await?;
    for session in listed {
        redis.unlink(session).await?;
    }
    redis.unlink(&tokens).await?;
    Ok(redis.unlink(&new).await? == 1)
}

/// A rotation and 'log out everywhere' at the same time, in either order.
async fn end_everywhere(shop: &Shop, client: usize) -> Result<bool, BoxError> {
    let user = format!("user-{client}");
    let old = shop.sessions.begin(Some(&user), &[]).await?;
    let (new, ended) = tokio::join!(shop.sessions.rotate(&old), shop.sessions.end_everywhere(&user));
    ended?;
    let mut missed = shop.sessions.read(&old).await?.is_some();
    match new {
        Ok(new) => missed |= shop.sessions.read(&new).await?.is_some(),
        Err(SessionError::NoSession) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(missed)
}
