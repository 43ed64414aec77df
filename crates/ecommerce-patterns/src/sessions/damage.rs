//! What the obvious ways do, counted, beside what the storefront does in the same moment.

use lab_connection::Connection;
use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use redis::RedisResult;
use storefront::session::{LoginError, RotateError, Sessions, UpdateError};
use storefront::{Cart, Keys, Representation, SessionId, UserId};

use super::told;
use crate::names::known;

/// How often each mistake is made.
pub const TIMES: usize = 20;

/// The keys of this part that are not sessions of the storefront, which go by themselves.
pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    let mut all: Vec<String> = (0..TIMES)
        .flat_map(|number| {
            [planted(number), crashed(number), late(number), known(&format!("device_{number}"))]
        })
        .map(|id: SessionId| keys.session(&id))
        .collect();
    all.extend((0..TIMES).map(|number| keys.session(&rotated(number))));
    all.extend([keys.user_sessions(nobody()), keys.ending_sessions(nobody()), naive_index(keys)]);
    all
}

fn planted(number: usize) -> SessionId {
    known(&format!("planted_{number}"))
}

fn crashed(number: usize) -> SessionId {
    known(&format!("crashed_{number}"))
}

fn late(number: usize) -> SessionId {
    known(&format!("late_{number}"))
}

fn rotated(number: usize) -> SessionId {
    known(&format!("rotated_{number}"))
}

/// The Set of ids that the obvious 'log out everywhere' goes through.
fn naive_index(keys: &Keys) -> String {
    format!("{}:naive", keys.user_sessions(nobody()))
}

pub(super) async fn count(page: &Page, keys: &Keys) -> Outcome {
    let shop = Shop {
        redis: page.quietly(),
        keys: keys.clone(),
        sessions: Sessions::new(page.quietly(), keys.clone()),
    };
    page.say(format!(
        "Break it: four things that are often done, {TIMES} times each, and counted. 1. The client's id is kept at login; an \
         attacker who planted it is logged in too. 2. HSET, then EXPIRE, and the client dies in between: a session that never \
         ends. 3. An update looks with EXISTS and then writes with HSET; the session ended in between, and HSET makes a new \
         one, of nobody, for ever. 4. 'Log out everywhere' reads a Set of ids and deletes those; in between, a session got a \
         new id.",
    ));
    let counted = [
        ("logged in by a planted id", shop.keep_ids().await?, shop.replace_ids().await?),
        ("without a TTL after a crash", shop.crash_between().await?, shop.crash_after().await?),
        ("brought back by an update", shop.look_then_write().await?, shop.update().await?),
        ("missed by 'log out everywhere'", shop.end_those_read().await?, shop.end_all().await?),
    ];
    let mut facts =
        Facts::new("Sessions that should not be there", &["how", "tried", "obvious way", "storefront"]);
    for (how, naive, ours) in &counted {
        facts = facts.row([(*how).to_owned(), TIMES.to_string(), naive.to_string(), ours.to_string()]);
    }
    page.facts(facts);
    page.start_clean(&keys_of(keys)).await?;
    page.check(
        "each of the obvious ways fails every time, given the moment; the storefront never",
        counted.iter().all(|(_, naive, ours)| (*naive, *ours) == (TIMES, 0)),
    )
}

struct Shop {
    redis: Connection,
    keys: Keys,
    sessions: Sessions<Connection>,
}

/// A user whom no other lesson makes: those on loading make a hundred thousand, from 1 up.
fn nobody() -> UserId {
    UserId::MAX
}

impl Shop {
    /// The victim's browser has an id from the attacker, and keeps it.
    async fn keep_ids(&self) -> Result<usize, LessonError> {
        let mut stolen = 0;
        for number in 0..TIMES {
            let key = self.keys.session(&planted(number));
            self.send::<()>("HSET", &key, &["user", "1"]).await?;
            self.send::<()>("EXPIRE", &key, &["1800"]).await?;
            // The attacker reads the session of the id he chose.
            let user: Option<String> = self.send("HGET", &key, &["user"]).await?;
            stolen += usize::from(user.is_some());
            self.send::<()>("UNLINK", &key, &[]).await?;
        }
        Ok(stolen)
    }

    async fn replace_ids(&self) -> Result<usize, LessonError> {
        let cart = Cart::new(self.redis.clone(), self.keys.clone(), Representation::Hash);
        let mut stolen = 0;
        for number in 0..TIMES {
            // There is no such user, so no cart moves; the session is replaced all the same.
            let login = self.sessions.login(&cart, &planted(number), nobody()).await;
            if !matches!(login, Err(LoginError::Cart(_))) {
                return Err(LessonError::Check("only the cart stays where it is".into()));
            }
            stolen += usize::from(self.sessions.read(&planted(number)).await.map_err(told)?.is_some());
        }
        let begun = self.sessions.log_out_everywhere(nobody()).await.map_err(told)?;
        if begun == TIMES {
            Ok(stolen)
        } else {
            Err(LessonError::Check(format!("{begun} logins, not {TIMES}")))
        }
    }

    async fn crash_between(&self) -> Result<usize, LessonError> {
        let mut immortal = 0;
        for number in 0..TIMES {
            let key = self.keys.session(&crashed(number));
            self.send::<()>("HSET", &key, &["theme", "dark"]).await?;
            // Here the client dies, and EXPIRE is never sent.
            immortal += usize::from(self.is_immortal(&key).await?);
            self.send::<()>("UNLINK", &key, &[]).await?;
        }
        Ok(immortal)
    }

    /// One step: whoever dies before it leaves nothing, and after it a session that ends.
    async fn crash_after(&self) -> Result<usize, LessonError> {
        let mut immortal = 0;
        for number in 0..TIMES {
            let id = crashed(number);
            self.sessions.begin_as(&id, None, &[(known("theme"), "dark")]).await.map_err(told)?;
            immortal += usize::from(self.is_immortal(&self.keys.session(&id)).await?);
        }
        Ok(immortal)
    }

    async fn look_then_write(&self) -> Result<usize, LessonError> {
        let mut back = 0;
        for number in 0..TIMES {
            let key = self.keys.session(&late(number));
            self.send::<()>("HSET", &key, &["user", "1"]).await?;
            let there: bool = self.send("EXISTS", &key, &[]).await?;
            // Its time is over in this moment.
            self.send::<()>("PEXPIRE", &key, &["0"]).await?;
            if there {
                self.send::<()>("HSET", &key, &["theme", "dark"]).await?;
            }
            back += usize::from(self.is_immortal(&key).await?);
            self.send::<()>("UNLINK", &key, &[]).await?;
        }
        Ok(back)
    }

    async fn update(&self) -> Result<usize, LessonError> {
        let mut back = 0;
        for number in 0..TIMES {
            let (id, theme) = (late(number), known("theme"));
            self.sessions.begin_as(&id, None, &[]).await.map_err(told)?;
            self.send::<()>("PEXPIRE", &self.keys.session(&id), &["0"]).await?;
            let updated = self.sessions.set(&id, &theme, "dark").await;
            back += usize::from(!matches!(updated, Err(UpdateError::NoSession)));
        }
        Ok(back)
    }

    async fn end_those_read(&self) -> Result<usize, LessonError> {
        let (index, mut missed) = (naive_index(&self.keys), 0);
        for number in 0..TIMES {
            let (old, new) = (known::<SessionId>(&format!("device_{number}")), rotated(number));
            self.send::<()>("HSET", &self.keys.session(&old), &["user", "9"]).await?;
            self.send::<()>("SADD", &index, &[old.as_str()]).await?;
            let found: Vec<String> = self.send("SMEMBERS", &index, &[]).await?;
            // The session gets a new id, and the Set gets it too.
            self.send::<()>("HSET", &self.keys.session(&new), &["user", "9"]).await?;
            self.send::<()>("UNLINK", &self.keys.session(&old), &[]).await?;
            self.send::<()>("SADD", &index, &[new.as_str()]).await?;
            for id in &found {
                self.send::<()>("UNLINK", &self.keys.session(&known(id)), &[]).await?;
            }
            self.send::<()>("UNLINK", &index, &[]).await?;
            missed += usize::from(self.send::<bool>("EXISTS", &self.keys.session(&new), &[]).await?);
        }
        Ok(missed)
    }

    /// A rotation and 'log out everywhere' at the same time: whichever comes first, nothing is left.
    async fn end_all(&self) -> Result<usize, LessonError> {
        let mut missed = 0;
        for _ in 0..TIMES {
            let id = self.sessions.begin(Some(nobody()), &[]).await.map_err(told)?;
            let both = tokio::join!(self.sessions.rotate(&id), self.sessions.log_out_everywhere(nobody()));
            both.1.map_err(told)?;
            if let Ok(new) = both.0 {
                missed += usize::from(self.sessions.read(&new).await.map_err(told)?.is_some());
            } else if let Err(RotateError::Begin(error)) = both.0
                && let Some(redis) = error.redis_error()
            {
                return Err(told(redis));
            }
            missed += usize::from(self.sessions.read(&id).await.map_err(told)?.is_some());
        }
        Ok(missed)
    }

    async fn is_immortal(&self, key: &str) -> RedisResult<bool> {
        Ok(self.send::<i64>("TTL", key, &[]).await? == -1)
    }

    async fn send<T: redis::FromRedisValue>(
        &self,
        command: &str,
        key: &str,
        rest: &[&str],
    ) -> RedisResult<T> {
        redis::cmd(command).arg(key).arg(rest).query_async(&mut self.redis.clone()).await
    }
}
