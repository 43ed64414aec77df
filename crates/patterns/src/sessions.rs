//! Sessions: they slide, get a new token at login, and end everywhere at once.
//!
//! Four common mistakes leave a session that should not exist. A login keeps the ID that the browser had, so an attacker who
//! planted that ID is logged in too. A crash between HSET and EXPIRE leaves a session that never ends. A late save with HSET
//! brings back a session that has just ended. "Log out everywhere" goes through a list of IDs, and misses a session that is not
//! in the list.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `session:abc123` | Hash | the session of a guest whose token is `abc123` |
//! | `session:user:ann` | String | the generation of Ann's sessions, a random text |
//! | `session:{session:user:ann}:x7Rk…` | Hash | the session of Ann whose token is `x7Rk….ann` |
//! | `session:{session:user:ann}:devices` | Sorted Set | the IDs of Ann's sessions, scored by the millisecond at which each
//! ends; only [`Sessions::list`] needs it |
//!
//! A user's token carries the user's ID, so one pipeline reads the session and the user's generation in one slot. A session is
//! alive only in the generation in which it began. To end all sessions of a user, delete the generation. No list is needed for
//! that.
//!
//! - **Promise**: no existing session survives [`Sessions::end_everywhere`], and no late save brings one back. A token is 130
//!   random bits made here, never by a client. A login and a rotation replace it, and the old token is dead in the same step. A
//!   read renews the session for the idle time, up to the maximum age. If two requests change two fields, both changes stay.
//!   Of many logins from one guest's session, one begins a session and the others get the same one.
//! - **Cost**: a read is one round trip of plain commands: for a user GET, then PEXPIRE and HGETALL. Each other call is one
//!   round trip, except login (three), the list (two), and ending everywhere (two). Every ten seconds, a read also asks for the
//!   server's time, in the same pipeline.
//! - **Memory**: a session has at most 32 fields, and a user at most 100 sessions: the next login ends the oldest. An ended
//!   session is freed at once or when its idle time is over. A guest's old ID stays for 5 minutes after a login, so that the
//!   login can be repeated.
//! - **Faults**: if a session or a user's generation is evicted or lost, the session has ended. If the list of devices is lost,
//!   it only shows fewer devices. Eviction logs people out, so don't keep sessions on a cache server. A failover may lose the
//!   last writes: a new session is gone, and **an ended session may be alive again** until it is ended again or its time is
//!   over. [`Sessions::with_replicas`] closes that gap: a call that ends a session then waits for replicas. If the server's
//!   clock is set back, sessions live longer by as much. If it jumps forward, a session that has less time left than that ends.
//!
//! ```
//! use patterns::sessions::Sessions;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let sessions = Sessions::new(connection, "");
//! let guest = sessions.begin(None, &[("currency", "EUR")]).await?;
//!
//! // Ann has entered her password. Her cookie gets the new token; then merge the guest's cart into hers.
//! let login = sessions.login(&guest, "ann@example.com").await?;
//! assert_eq!(login.session.fields["currency"], "EUR");
//! assert!(sessions.read(&guest).await?.is_none(), "the guest's token is dead");
//!
//! let token = login.session.token;
//! sessions.set(&token, &[("theme", "dark")]).await?;
//! let session = sessions.read(&token).await?.expect("it is alive");
//! assert_eq!(session.user.as_deref(), Some("ann@example.com"));
//!
//! sessions.end_everywhere("ann@example.com").await?;
//! assert!(sessions.read(&token).await?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Pipeline, Value};

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, first_refusal, milliseconds, quote, send};

/// The most fields of a session.
pub const MAX_FIELDS: usize = 32;
/// The most bytes of a field's value.
pub const MAX_VALUE_BYTES: usize = 1024;
/// The most sessions of a user. One more login ends the oldest.
pub const MAX_SESSIONS: usize = 100;

/// How long the old ID remembers which session replaced it.
const OLD_ID_TTL: Duration = Duration::from_mins(5);
/// How long a prepared session waits for the other steps of its login.
const PREPARATION_TTL: Duration = Duration::from_mins(1);
/// How often a login or an end starts over, because another client or a failover came in between.
const TRIES: usize = 5;
/// How long a reading of the server's clock is used before it is asked again.
const CLOCK_REFRESH: Duration = Duration::from_secs(10);
/// How many characters a random ID has.
const RANDOM_LENGTH: usize = 22;

const FILE: &str = include_str!("sessions.lua");

/// Begins a guest's session and sets its TTL in the same step.
pub static BEGIN_GUEST: Script = Script::new("sessions.lua: begin_guest", FILE, &["begin_guest"]);
/// Begins a user's session.
pub static BEGIN_USER: Script = Script::new("sessions.lua: begin_user", FILE, &["begin_user", "enter"]);
/// First step of a login: prepares a Hash that is not a session yet.
pub static PREPARE: Script = Script::new("sessions.lua: prepare", FILE, &["prepare"]);
/// Second step of a login: the old ID is dead from here on, and remembers which token replaced it.
pub static CLAIM: Script = Script::new("sessions.lua: claim", FILE, &["alive", "carried", "claim"]);
/// Last step of a login: what was prepared becomes a session.
pub static FILL: Script = Script::new("sessions.lua: fill", FILE, &["fill", "enter"]);
/// Gives a user's session a new ID.
pub static ROTATE: Script = Script::new("sessions.lua: rotate", FILE, &["alive", "carried", "rotate"]);
/// Sets and removes fields, only if the session is alive: a late save must not bring back a session that has ended.
pub static CHANGE: Script = Script::new("sessions.lua: change", FILE, &["alive", "change"]);
/// Ends one session.
pub static END: Script = Script::new("sessions.lua: end", FILE, &["alive", "end"]);
/// Ends all sessions of a user, listed or not: without the generation, none of them is alive.
pub static END_ALL: Script = Script::new("sessions.lua: end_all", FILE, &["end_all"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&BEGIN_GUEST, &BEGIN_USER, &PREPARE, &CLAIM, &FILL, &ROTATE, &CHANGE, &END, &END_ALL])
}

/// A session as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its token. A client that has the token is the visitor, so keep it out of logs and pages.
    pub token: String,
    /// Who is logged in; `None` for a guest.
    pub user: Option<String>,
    /// Its fields, without those that have expired.
    pub fields: BTreeMap<String, String>,
    /// How long it lives if it is not read.
    pub expires_in: Duration,
    /// How long it can live at most.
    pub ends_in: Duration,
}

/// The result of a login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// The session. Its token replaces the old one in the visitor's cookie.
    pub session: Session,
    /// Whether an earlier login of this user from the same old session began it.
    pub resumed: bool,
}

/// The sessions under a prefix. All clients must use the same times.
#[derive(Clone, Debug)]
pub struct Sessions<C> {
    connection: C,
    prefix: String,
    idle: Duration,
    highest_age: Duration,
    replicas: Option<(u32, Duration)>,
    clock: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// Sessions that live for half an hour without a read, and for twelve hours at most.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
            idle: Duration::from_mins(30),
            highest_age: Duration::from_hours(12),
            replicas: None,
            clock: Arc::default(),
        }
    }

    /// How long a session lives without a read: a millisecond to a year.
    #[must_use]
    pub fn with_idle_time(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// The maximum age of a session, even if it is read all the time: a millisecond to a year.
    #[must_use]
    pub fn with_highest_age(self, highest_age: Duration) -> Self {
        Self { highest_age, ..self }
    }

    /// Lets [`Sessions::end`], [`Sessions::end_everywhere`], and [`Sessions::rotate`] wait until this many replicas know that a
    /// session has ended: one more round trip, for at most `timeout`. WAIT blocks everything else on its connection, so use a
    /// separate connection with a longer response timeout.
    #[must_use]
    pub fn with_replicas(self, replicas: u32, timeout: Duration) -> Self {
        Self { replicas: Some((replicas, timeout)), ..self }
    }

    /// Begins a session of a user, or of a guest, and returns its token. One round trip.
    pub async fn begin(&self, user: Option<&str>, fields: &[(&str, &str)]) -> Result<String, SessionError> {
        let token = match user {
            Some(user) => Token::new(user)?,
            None => Token { id: random_id()?, user: None },
        };
        // The ID is random. If it is taken, this call was sent twice.
        self.begin_token(&token, fields).await?;
        Ok(token.to_string())
    }

    /// Begins a guest's session with a fixed token, such as `abc123`; false if it exists. Use it only for examples: a service
    /// that takes the token from a client lets an attacker choose it.
    pub async fn begin_as(&self, token: &str, fields: &[(&str, &str)]) -> Result<bool, SessionError> {
        match Token::parse(token) {
            Some(token) if token.user.is_none() => self.begin_token(&token, fields).await,
            _ => Err(SessionError::Token),
        }
    }

    /// Reads a session and renews its idle time; `None` if it has ended, never existed, or the text is not a token. One round
    /// trip.
    pub async fn read(&self, token: &str) -> Result<Option<Session>, StoreError> {
        self.read_with(token, true).await
    }

    /// Reads a session without renewing it. One round trip.
    pub async fn peek(&self, token: &str) -> Result<Option<Session>, StoreError> {
        self.read_with(token, false).await
    }

    /// Sets fields, only if the session is alive. Other fields and the idle time stay. One round trip; none without fields.
    pub async fn set(&self, token: &str, fields: &[(&str, &str)]) -> Result<(), SessionError> {
        if fields.is_empty() {
            return Ok(());
        }
        self.change(token, fields, None, &[]).await.map(|_| ())
    }

    /// Sets a field that expires before the session does, such as a mark that the password was just entered: after `ttl`, a
    /// millisecond to a year. A login or a rotation does not keep it. One round trip.
    pub async fn set_for(
        &self,
        token: &str,
        field: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<(), SessionError> {
        self.change(token, &[(field, value)], Some(ttl), &[]).await.map(|_| ())
    }

    /// Removes fields, and returns how many existed. One round trip.
    pub async fn remove(&self, token: &str, fields: &[&str]) -> Result<usize, SessionError> {
        self.change(token, &[], None, fields).await
    }

    /// Logs in a user whose password you have checked, from the session with the token `old`: a guest's session or the user's
    /// own. The new session has a new token and the old session's fields, and the old token is dead.
    ///
    /// If `old` has ended or never existed, the new session is empty. For five minutes, the same login from the same guest's
    /// session returns the same session while it is alive, so after a lost reply, call again. Three round trips.
    pub async fn login(&self, old: &str, user: &str) -> Result<Login, SessionError> {
        check_id(user).map_err(StoreError::from)?;
        let Some(old) = Token::parse(old) else { return self.login_without_session(user).await };
        if let Some(other) = old.user.as_deref().filter(|other| *other != user) {
            return match self.peek(&old.to_string()).await? {
                Some(_) => Err(SessionError::OtherUser { user: other.to_owned() }),
                None => self.login_without_session(user).await,
            };
        }
        let new = Token::new(user)?;
        self.prepare(&new).await?;
        let mut dead = String::new();
        for _ in 0..TRIES {
            let (moved_to, fields) = self.claim(&old, &new, &dead).await?;
            let Some(moved_to) = moved_to else {
                if !self.fill(&new, &fields).await? {
                    return Err(SessionError::EndedMeanwhile);
                }
                return Ok(Login { session: self.begun(&new, fields), resumed: false });
            };
            match Token::parse(&moved_to) {
                Some(Token { user: Some(other), .. }) if other != user => {
                    return Err(SessionError::OtherUser { user: other });
                }
                // The other login may still be running. Any client can do its last step.
                Some(taken) if self.fill(&taken, &fields).await? => {
                    if let Some(session) = self.read(&moved_to).await? {
                        return Ok(Login { session, resumed: true });
                    }
                }
                _ => {}
            }
            dead = moved_to;
        }
        Err(SessionError::EndedMeanwhile)
    }

    /// Gives a user's session a new token, for example after a password change. The old token is dead in the same step. Fields
    /// are kept, except those that expire early, and so is the time at which the session must end. If the reply is lost, the
    /// user has to log in again. One round trip.
    pub async fn rotate(&self, token: &str) -> Result<String, SessionError> {
        let old = Token::parse(token).ok_or(SessionError::NoSession)?;
        let user = old.user.as_deref().ok_or(SessionError::NoSession)?;
        let new = Token::new(user)?;
        let mut keys = self.keys(&old)?;
        keys.push(self.keys(&new)?.swap_remove(0));
        let call = ROTATE.call(&keys).arg(self.idle_ms()).arg(milliseconds(self.highest_age));
        let reply: Reply = call.arg(&old.id).arg(&new.id).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "ROTATED" => {
                let replicated = self.wait_for_replicas(&old).await?;
                if replicated { Ok(new.to_string()) } else { Err(SessionError::EndedMeanwhile) }
            }
            "NONE" => Err(SessionError::NoSession),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Ends one session; false if there was none. One round trip.
    pub async fn end(&self, token: &str) -> Result<bool, SessionError> {
        let Some(token) = Token::parse(token) else { return Ok(false) };
        let mut ended = false;
        for _ in 0..TRIES {
            let reply: Reply = END.call(&self.keys(&token)?).arg(&token.id).run(&self.connection).await?;
            ended |= reply.either("ENDED", "NONE")?;
            if self.wait_for_replicas(&token).await? {
                return Ok(ended);
            }
        }
        Err(SessionError::EndedMeanwhile)
    }

    /// Ends all sessions of a user, listed or not, and returns how many listed sessions it deleted. A session that begins
    /// meanwhile belongs to a later login. Two round trips; after the first, none of the sessions is alive.
    pub async fn end_everywhere(&self, user: &str) -> Result<usize, SessionError> {
        let root = self.user_key(user)?;
        let mut ended = 0;
        for _ in 0..TRIES {
            let call = END_ALL.call(&[root.as_str(), &root.companion("devices")]);
            let mut reply: Reply = call.run(&self.connection).await?;
            reply.must_be("ENDED")?;
            let generation: Option<Vec<u8>> = reply.next()?;
            let listed: Vec<String> = ids(reply.next()?).iter().map(|id| root.companion(id)).collect();
            if !listed.is_empty() {
                // Sent alone, because a cluster client repeats a whole pipeline while a slot moves, and would then count
                // nothing.
                ended += send::<usize>(&self.connection, redis::cmd("UNLINK").arg(&listed)).await?;
            }
            let Some(wait) = self.replicas else { return Ok(ended) };
            let mut pipeline = redis::pipe();
            pipeline.cmd("GET").arg(root.as_str());
            let mut replies = self.pipeline(pipeline, root.as_str(), Some(wait)).await?;
            let after: Option<Vec<u8>> = next(&mut replies)?;
            self.check_replicas(&mut replies)?;
            // This answer may come from a server that took over and does not know of the end.
            if generation.is_none() || after != generation {
                return Ok(ended);
            }
        }
        Err(SessionError::EndedMeanwhile)
    }

    /// The listed sessions of a user, the oldest first; at most 100. Two round trips.
    pub async fn list(&self, user: &str) -> Result<Vec<Session>, StoreError> {
        let root = self.user_key(user)?;
        let mut range = redis::pipe();
        range.cmd("ZRANGE").arg(root.companion("devices")).arg(0).arg(MAX_SESSIONS).cmd("TIME");
        let mut replies = self.pipeline(range, &root.companion("devices"), None).await?;
        let listed = ids(next(&mut replies)?);
        self.set_clock(next(&mut replies)?);
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(root.as_str());
        for id in &listed {
            pipeline.cmd("HGETALL").arg(root.companion(id)).cmd("PTTL").arg(root.companion(id));
        }
        let mut replies = self.pipeline(pipeline, root.as_str(), None).await?;
        let generation: Option<String> = next(&mut replies)?;
        let mut sessions = Vec::new();
        for id in listed {
            let token = Token { id, user: Some(user.to_owned()) };
            let (fields, ttl) = (next(&mut replies)?, next(&mut replies)?);
            if let Some(session) = self.session(&token, fields, ttl, generation.as_deref())? {
                sessions.push(session);
            }
        }
        Ok(sessions)
    }

    /// The key of a session; `None` if the text is not a token.
    pub fn key(&self, token: &str) -> Result<Option<String>, StoreError> {
        Token::parse(token).map(|token| Ok(self.keys(&token)?.swap_remove(0))).transpose()
    }

    /// The key of a user's generation. The list is its companion `devices`.
    pub fn user_key(&self, user: &str) -> Result<Key, StoreError> {
        check_id(user)?;
        Ok(Key::new(&self.prefix, "session", &["user", user])?)
    }

    /// The session; if it is a user's, also the user's generation and list.
    fn keys(&self, token: &Token) -> Result<Vec<String>, StoreError> {
        Ok(match &token.user {
            None => vec![Key::new(&self.prefix, "session", &[&token.id])?.as_str().to_owned()],
            Some(user) => {
                let root = self.user_key(user)?;
                vec![root.companion(&token.id), root.as_str().to_owned(), root.companion("devices")]
            }
        })
    }

    async fn begin_token(&self, token: &Token, fields: &[(&str, &str)]) -> Result<bool, SessionError> {
        check_fields(fields)?;
        let keys = self.keys(token)?;
        let script = if token.user.is_some() { &BEGIN_USER } else { &BEGIN_GUEST };
        let mut call = script.call(&keys).arg(self.idle_ms()).arg(milliseconds(self.highest_age));
        if token.user.is_some() {
            call = call.arg(random_id()?).arg(&token.id).arg(MAX_SESSIONS);
        }
        for (field, value) in fields {
            call = call.arg(field).arg(value);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        let begun = reply.either("BEGUN", "TAKEN")?;
        if begun {
            self.drop_oldest(token, &mut reply).await?;
        }
        Ok(begun)
    }

    async fn login_without_session(&self, user: &str) -> Result<Login, SessionError> {
        let token = Token::new(user)?;
        self.begin_token(&token, &[]).await?;
        Ok(Login { session: self.begun(&token, Vec::new()), resumed: false })
    }

    async fn prepare(&self, new: &Token) -> Result<(), SessionError> {
        let call = PREPARE.call(&self.keys(new)?[..2]).arg(milliseconds(PREPARATION_TTL));
        let call = call.arg(milliseconds(self.highest_age)).arg(random_id()?);
        let reply: Reply = call.run(&self.connection).await?;
        // Taken: this call was sent twice.
        if matches!(reply.outcome.as_str(), "PREPARED" | "TAKEN") {
            Ok(())
        } else {
            Err(reply.unexpected().into())
        }
    }

    /// The token that replaced the old one, or `None` if it is the new one; and the fields to keep.
    async fn claim(
        &self,
        old: &Token,
        new: &Token,
        dead: &str,
    ) -> Result<(Option<String>, Vec<(String, String)>), SessionError> {
        let call = CLAIM.call(&self.keys(old)?).arg(new.to_string()).arg(dead);
        let call = call.arg(milliseconds(OLD_ID_TTL)).arg(&old.id);
        let mut reply: Reply = call.run(&self.connection).await?;
        let moved_to = match reply.outcome.as_str() {
            "CLAIMED" => None,
            "MOVED" => Some(reply.next()?),
            _ => return Err(reply.unexpected().into()),
        };
        Ok((moved_to, reply.next()?))
    }

    /// False if the session has ended.
    async fn fill(&self, token: &Token, fields: &[(String, String)]) -> Result<bool, SessionError> {
        let mut call = FILL.call(&self.keys(token)?).arg(self.idle_ms()).arg(milliseconds(self.highest_age));
        call = call.arg("").arg(&token.id).arg(MAX_SESSIONS);
        for (field, value) in fields {
            call = call.arg(field).arg(value);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        let begun = reply.either("BEGUN", "NONE")?;
        if begun {
            self.drop_oldest(token, &mut reply).await?;
        }
        Ok(begun)
    }

    /// Ends the sessions that a login removed from a full list.
    async fn drop_oldest(&self, token: &Token, reply: &mut Reply) -> Result<(), SessionError> {
        for id in ids(reply.next::<Option<_>>()?.unwrap_or_default()) {
            let oldest = Token { id, user: token.user.clone() };
            let call = END.call(&self.keys(&oldest)?).arg(&oldest.id);
            let _: Reply = call.run(&self.connection).await?;
        }
        Ok(())
    }

    async fn change(
        &self,
        token: &str,
        set: &[(&str, &str)],
        ttl: Option<Duration>,
        remove: &[&str],
    ) -> Result<usize, SessionError> {
        check_fields(set)?;
        let token = Token::parse(token).ok_or(SessionError::NoSession)?;
        let mut keys = self.keys(&token)?;
        keys.truncate(2);
        let mut call = CHANGE.call(&keys).arg(MAX_FIELDS).arg(set.len());
        call = call.arg(ttl.map_or_else(String::new, |ttl| milliseconds(ttl).to_string()));
        for (field, value) in set {
            call = call.arg(field).arg(value);
        }
        for field in remove {
            check_field(field)?;
            call = call.arg(field);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "CHANGED" => Ok(reply.next()?),
            "FULL" => Err(SessionError::TooManyFields),
            "NONE" => Err(SessionError::NoSession),
            _ => Err(reply.unexpected().into()),
        }
    }

    async fn read_with(&self, token: &str, slide: bool) -> Result<Option<Session>, StoreError> {
        let Some(token) = Token::parse(token) else { return Ok(None) };
        let keys = self.keys(&token)?;
        let (mut pipeline, ask_clock) =
            (redis::pipe(), self.clock().is_none_or(|(asked, _)| asked.elapsed() >= CLOCK_REFRESH));
        // In this order, it costs the server about a tenth less than with HGETALL first.
        if let Some(generation) = keys.get(1) {
            pipeline.cmd("GET").arg(generation);
        }
        if slide {
            // With XX, so that a key of another program without a TTL does not get one.
            pipeline.cmd("PEXPIRE").arg(&keys[0]).arg(self.idle_ms()).arg("XX");
        } else {
            pipeline.cmd("PTTL").arg(&keys[0]);
        }
        pipeline.cmd("HGETALL").arg(&keys[0]);
        if ask_clock {
            pipeline.cmd("TIME");
        }
        let mut replies = self.pipeline(pipeline, &keys[0], None).await?;
        let generation: Option<String> = if token.user.is_some() { next(&mut replies)? } else { None };
        let (time, fields): (i64, BTreeMap<String, String>) = (next(&mut replies)?, next(&mut replies)?);
        if ask_clock {
            self.set_clock(next(&mut replies)?);
        }
        let ours = fields.contains_key(":ends");
        let ttl = if slide { i64::try_from(self.idle_ms()).unwrap_or(i64::MAX) } else { time };
        let session = self.session(&token, fields, ttl, generation.as_deref())?;
        if session.is_none() && ours && slide {
            // It ended with its generation or its maximum age. Reading must not keep it in memory.
            let mut unlink = redis::pipe();
            unlink.cmd("UNLINK").arg(&keys[0]);
            self.pipeline(unlink, &keys[0], None).await?;
        }
        Ok(session)
    }

    /// The session in a Hash, if there is one and it is alive.
    fn session(
        &self,
        token: &Token,
        mut fields: BTreeMap<String, String>,
        ttl_ms: i64,
        generation: Option<&str>,
    ) -> Result<Option<Session>, StoreError> {
        let Some(own) = fields.remove(":ends") else { return Ok(None) };
        let malformed = |field: &str| StoreError::Malformed(quote(&format!("a session's field {field}")));
        let (ends, begun_in) = own.split_once(' ').map_or((own.as_str(), None), |(ends, g)| (ends, Some(g)));
        let ends: u64 = ends.parse().map_err(|_| malformed(":ends"))?;
        // Without a clock, no session counts as alive.
        let now = self.clock().map_or(u64::MAX, |(_, now)| now);
        let is_current = match &token.user {
            None => begun_in.is_none(),
            Some(_) => begun_in.is_some() && begun_in == generation,
        };
        if !is_current || ends <= now {
            return Ok(None);
        }
        let own_fields: Vec<String> =
            fields.range(":".to_owned()..";".to_owned()).map(|(f, _)| f.clone()).collect();
        for own in own_fields {
            let value = fields.remove(&own).unwrap_or_default();
            if let Some(field) = own.strip_prefix(":until:")
                && value.parse::<u64>().map_err(|_| malformed(&own))? <= now
            {
                fields.remove(field);
            }
        }
        let ends_in = Duration::from_millis(ends - now);
        let expires_in = Duration::from_millis(u64::try_from(ttl_ms).unwrap_or(0)).min(ends_in);
        Ok(Some(Session { token: token.to_string(), user: token.user.clone(), fields, expires_in, ends_in }))
    }

    /// A session that has just begun.
    fn begun(&self, token: &Token, fields: Vec<(String, String)>) -> Session {
        Session {
            token: token.to_string(),
            user: token.user.clone(),
            fields: fields.into_iter().collect(),
            expires_in: Duration::from_millis(self.idle_ms()),
            ends_in: Duration::from_millis(milliseconds(self.highest_age)),
        }
    }

    /// Waits for the replicas, if configured. False if the session is still there: the server has taken over and does not know
    /// that the session ended.
    async fn wait_for_replicas(&self, ended: &Token) -> Result<bool, SessionError> {
        if self.replicas.is_none() {
            return Ok(true);
        }
        let key = self.keys(ended)?.swap_remove(0);
        let mut pipeline = redis::pipe();
        pipeline.cmd("HEXISTS").arg(&key).arg(":ends");
        let mut replies = self.pipeline(pipeline, &key, self.replicas).await?;
        let there: bool = next(&mut replies)?;
        self.check_replicas(&mut replies)?;
        Ok(!there)
    }

    /// Checks the reply of WAIT, if it was sent.
    fn check_replicas(&self, replies: &mut std::vec::IntoIter<Value>) -> Result<(), SessionError> {
        let Some((wanted, _)) = self.replicas else { return Ok(()) };
        let replicas = next(replies)?;
        if replicas < wanted { Err(SessionError::NotReplicated { replicas }) } else { Ok(()) }
    }

    /// Sends plain commands of one slot, and then WAIT, which waits for everything that this connection has written so far.
    async fn pipeline(
        &self,
        mut pipeline: Pipeline,
        key: &str,
        wait: Option<(u32, Duration)>,
    ) -> Result<std::vec::IntoIter<Value>, StoreError> {
        if let Some((replicas, timeout)) = wait {
            pipeline.cmd("WAIT").arg(replicas).arg(milliseconds(timeout));
        }
        let replies: Result<Vec<Value>, _> = pipeline.query_async(&mut self.connection.clone()).await;
        Ok(replies.map_err(|error| first_refusal(error, key))?.into_iter())
    }

    fn idle_ms(&self) -> u64 {
        milliseconds(self.idle.min(self.highest_age))
    }

    /// When the server was last asked for its time, and its time now, in ms since 1970.
    fn clock(&self) -> Option<(Instant, u64)> {
        let (asked, time) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some((asked, time + u64::try_from(asked.elapsed().as_millis()).unwrap_or(0)))
    }

    fn set_clock(&self, (seconds, microseconds): (u64, u64)) {
        let time = seconds.saturating_mul(1000).saturating_add(microseconds / 1000);
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), time));
    }
}

/// A token: a random ID, and for a user's session a dot and the user's ID, in characters that are allowed in a cookie.
struct Token {
    id: String,
    user: Option<String>,
}

impl Token {
    fn new(user: &str) -> Result<Self, SessionError> {
        check_id(user).map_err(StoreError::from)?;
        Ok(Self { id: random_id()?, user: Some(user.to_owned()) })
    }

    /// `None` for text that is not a token, since a client may send anything.
    fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let Some((id, user)) = text.split_once('.') else {
            let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
            return fits.then(|| Self { id: text.to_owned(), user: None });
        };
        let token = Self { id: is_random(id).then(|| id.to_owned())?, user: Some(decode(user)?) };
        // One session has one token.
        (token.to_string() == text).then_some(token)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)?;
        let Some(user) = &self.user else { return Ok(()) };
        f.write_char('.')?;
        for byte in user.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "~{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn decode(user: &str) -> Option<String> {
    let mut parts = user.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok().filter(|user| check_id(user).is_ok())
}

/// 130 bits of the operating system's secure generator, as 22 letters and digits.
fn random_id() -> Result<String, SessionError> {
    const CHARACTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut id = String::with_capacity(RANDOM_LENGTH);
    while id.len() < RANDOM_LENGTH {
        let mut bytes = [0; RANDOM_LENGTH];
        getrandom::fill(&mut bytes)?;
        // Skip bytes that would make some characters more likely than others.
        let even = bytes.into_iter().map(usize::from).filter(|byte| *byte < 4 * CHARACTERS.len());
        let missing = RANDOM_LENGTH - id.len();
        id.extend(even.map(|byte| char::from(CHARACTERS[byte % CHARACTERS.len()])).take(missing));
    }
    Ok(id)
}

fn is_random(id: &str) -> bool {
    id.len() == RANDOM_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The IDs in a list, without entries of other programs.
fn ids(listed: Vec<Vec<u8>>) -> Vec<String> {
    listed.into_iter().filter_map(|id| String::from_utf8(id).ok()).filter(|id| is_random(id)).collect()
}

fn check_fields(fields: &[(&str, &str)]) -> Result<(), SessionError> {
    if fields.len() > MAX_FIELDS {
        return Err(SessionError::TooManyFields);
    }
    for (field, value) in fields {
        check_field(field)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(SessionError::TooLong { bytes: value.len() });
        }
    }
    Ok(())
}

fn check_field(field: &str) -> Result<(), SessionError> {
    check_id(field).map_err(StoreError::from)?;
    if field.starts_with(':') { Err(SessionError::Reserved { field: quote(field) }) } else { Ok(()) }
}

fn next<T: FromRedisValue>(replies: &mut std::vec::IntoIter<Value>) -> Result<T, StoreError> {
    Ok(T::from_redis_value(replies.next().unwrap_or(Value::Nil))?)
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session has ended, or there never was one. Nothing was created.
    #[error("there is no such session")]
    NoSession,
    /// The session was ended during this call, or the server failed over. Log in again.
    #[error("the session was ended meanwhile")]
    EndedMeanwhile,
    /// Another user is logged in with this session, or has logged in from it. End it first.
    #[error("{user} is logged in with this session")]
    OtherUser {
        /// The other user's ID.
        user: String,
    },
    /// The session would have too many fields.
    #[error("a session has at most {MAX_FIELDS} fields")]
    TooManyFields,
    /// The value is too long.
    #[error("a field of a session holds at most {MAX_VALUE_BYTES} bytes, and this value has {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Names that begin with a colon are reserved.
    #[error("the name of a field may not begin with a colon: {field}")]
    Reserved {
        /// The name.
        field: String,
    },
    /// Not a valid token for [`Sessions::begin_as`].
    #[error("a guest's token is 1 to 64 of A-Z, a-z, 0-9, - and _")]
    Token,
    /// It is done, but too few replicas have it, so a failover may undo it. Call again.
    #[error("it is done, but only {replicas} replicas have it")]
    NotReplicated {
        /// How many have.
        replicas: u32,
    },
    /// The operating system has no random bits.
    #[error("no random token: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
