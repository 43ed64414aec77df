//! What the obvious ways do, counted, beside what the library does in the same moment.

use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::sessions::{SessionError, Sessions};
use redis::RedisResult;

use super::{failed, key_of};

/// How often each mistake is made.
pub const TIMES: usize = 20;

/// A user whom no other lesson makes.
const NOBODY: &str = "nobody";

/// The keys of this part that are not sessions of the library, which go by themselves.
pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    let sessions = Sessions::new(ctx.untraced("TODO"), ctx.prefix());
    let user = sessions.user_key(NOBODY).map_err(failed)?;
    let mut all = vec![user.as_str().to_owned(), user.companion("devices"), user.companion("naive")];
    for number in 0..TIMES {
        for name in ["planted", "crashed", "late", "device", "rotated"] {
            all.push(key_of(&sessions, &token(name, number))?);
        }
    }
    Ok(all)
}

fn token(name: &str, number: usize) -> String {
    format!("{name}_{number}")
}

pub(super) async fn count(ctx: &LessonContext) -> Outcome {
    let sessions = Sessions::new(ctx.untraced("TODO"), ctx.prefix());
    let naive_list = sessions.user_key(NOBODY).map_err(failed)?.companion("naive");
    let shop = Shop { redis: ctx.untraced("TODO"), sessions, naive_list };
    ctx.step(format!(
        "Break it: four things that are often done, {TIMES} times each, and counted. 1. The client's token is kept at login. An \
         attacker who planted it is logged in, too. 2. HSET, then EXPIRE, and the client dies in between: a session that never \
         ends. 3. An update looks with EXISTS and then writes with HSET. The session ended in between, and HSET makes a new one, \
         of nobody, forever. 4. 'Log out everywhere' reads a Set of tokens and deletes those sessions. In between, a session got \
         a new token.",
    )).await?;
    let counted = [
        ("logged in by a planted token", shop.keep_tokens().await?, shop.replace_tokens().await?),
        ("without a TTL after a crash", shop.crash_between().await?, shop.crash_after().await?),
        ("brought back by an update", shop.look_then_write().await?, shop.update().await?),
        ("missed by 'log out everywhere'", shop.end_those_read().await?, shop.end_all().await?),
    ];
    let mut table =
        Table::new("Sessions that should not be there", &["how", "tried", "obvious way", "library"]);
    for (how, naive, ours) in &counted {
        table = table.row([(*how).to_owned(), TIMES.to_string(), naive.to_string(), ours.to_string()]);
    }
    ctx.table(table);
    ctx.start_clean(&keys(ctx)?).await?;
    ctx.check(
        "each of the obvious ways fails every time, given the moment; the library never",
        counted.iter().all(|(_, naive, ours)| (*naive, *ours) == (TIMES, 0)),
    )
}

struct Shop {
    redis: Connection,
    sessions: Sessions<Connection>,
    /// The Set of tokens that the obvious 'log out everywhere' goes through.
    naive_list: String,
}

impl Shop {
    /// The victim's browser has a token from the attacker, and keeps it.
    async fn keep_tokens(&self) -> Result<usize, LessonError> {
        let mut stolen = 0;
        for number in 0..TIMES {
            let key = self.key("planted", number)?;
            self.send::<()>("HSET", &key, &["user", "1"]).await?;
            self.send::<()>("EXPIRE", &key, &["1800"]).await?;
            // The attacker reads the session of the token they chose.
            let user: Option<String> = self.send("HGET", &key, &["user"]).await?;
            stolen += usize::from(user.is_some());
            self.send::<()>("UNLINK", &key, &[]).await?;
        }
        Ok(stolen)
    }

    async fn replace_tokens(&self) -> Result<usize, LessonError> {
        let mut stolen = 0;
        for number in 0..TIMES {
            let planted = token("planted", number);
            self.sessions.login(&planted, NOBODY).await.map_err(failed)?;
            stolen += usize::from(self.sessions.read(&planted).await.map_err(failed)?.is_some());
        }
        let begun = self.sessions.end_everywhere(NOBODY).await.map_err(failed)?;
        if begun == TIMES {
            Ok(stolen)
        } else {
            Err(LessonError::Check(format!("{begun} logins, not {TIMES}")))
        }
    }

    async fn crash_between(&self) -> Result<usize, LessonError> {
        let mut immortal = 0;
        for number in 0..TIMES {
            let key = self.key("crashed", number)?;
            self.send::<()>("HSET", &key, &["theme", "dark"]).await?;
            // Here the client dies, and EXPIRE is never sent.
            immortal += usize::from(self.is_immortal(&key).await?);
            self.send::<()>("UNLINK", &key, &[]).await?;
        }
        Ok(immortal)
    }

    /// One step: a client that dies before it leaves nothing, and after it a session that ends.
    async fn crash_after(&self) -> Result<usize, LessonError> {
        let mut immortal = 0;
        for number in 0..TIMES {
            let crashed = token("crashed", number);
            self.sessions.begin_as(&crashed, &[("theme", "dark")]).await.map_err(failed)?;
            immortal += usize::from(self.is_immortal(&key_of(&self.sessions, &crashed)?).await?);
        }
        Ok(immortal)
    }

    async fn look_then_write(&self) -> Result<usize, LessonError> {
        let mut back = 0;
        for number in 0..TIMES {
            let key = self.key("late", number)?;
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
            let late = token("late", number);
            self.sessions.begin_as(&late, &[]).await.map_err(failed)?;
            self.send::<()>("PEXPIRE", &self.key("late", number)?, &["0"]).await?;
            let updated = self.sessions.set(&late, &[("theme", "dark")]).await;
            back += usize::from(!matches!(updated, Err(SessionError::NoSession)));
        }
        Ok(back)
    }

    async fn end_those_read(&self) -> Result<usize, LessonError> {
        let mut missed = 0;
        for number in 0..TIMES {
            let (old, new) = (token("device", number), token("rotated", number));
            let (old_key, new_key) = (self.key("device", number)?, self.key("rotated", number)?);
            self.send::<()>("HSET", &old_key, &["user", "9"]).await?;
            self.send::<()>("SADD", &self.naive_list, &[&old]).await?;
            let found: Vec<String> = self.send("SMEMBERS", &self.naive_list, &[]).await?;
            // The session gets a new token, and the Set gets it, too.
            self.send::<()>("HSET", &new_key, &["user", "9"]).await?;
            self.send::<()>("UNLINK", &old_key, &[]).await?;
            self.send::<()>("SADD", &self.naive_list, &[&new]).await?;
            for token in &found {
                self.send::<()>("UNLINK", &key_of(&self.sessions, token)?, &[]).await?;
            }
            self.send::<()>("UNLINK", &self.naive_list, &[]).await?;
            missed += usize::from(self.send::<bool>("EXISTS", &new_key, &[]).await?);
        }
        Ok(missed)
    }

    /// A rotation and 'log out everywhere' at the same time: whichever comes first, nothing is left.
    async fn end_all(&self) -> Result<usize, LessonError> {
        let mut missed = 0;
        for _ in 0..TIMES {
            let old = self.sessions.begin(Some(NOBODY), &[]).await.map_err(failed)?;
            let (rotated, ended) =
                tokio::join!(self.sessions.rotate(&old), self.sessions.end_everywhere(NOBODY));
            ended.map_err(failed)?;
            match rotated {
                Ok(new) => missed += usize::from(self.sessions.read(&new).await.map_err(failed)?.is_some()),
                Err(SessionError::NoSession) => {}
                Err(error) => return Err(failed(error)),
            }
            missed += usize::from(self.sessions.read(&old).await.map_err(failed)?.is_some());
        }
        Ok(missed)
    }

    fn key(&self, name: &str, number: usize) -> Result<String, LessonError> {
        key_of(&self.sessions, &token(name, number))
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
