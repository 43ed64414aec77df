use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::ConnectionLike;
use serde::Serialize;

use super::end::session_id;
use super::fields::OWN;
use super::scripts::{READ, REGISTER};
use super::{MOST_SESSIONS, Sessions, error, milliseconds};
use crate::store::{Reply, StoreError};
use crate::{SessionId, UserId};

/// A session as it was read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Session {
    /// Its id. Whoever knows it *is* the customer: show it to nobody else, and log it nowhere.
    pub id: SessionId,
    /// Who is logged in; `None` for a guest.
    pub user: Option<UserId>,
    /// What was stored in it, without the fields whose time is over.
    pub fields: BTreeMap<String, String>,
    /// When it began, in milliseconds of the Unix epoch by the server's clock.
    pub created_ms: u64,
    /// How long it lives if nobody reads it.
    pub expires_in: Duration,
    /// How long it can live at most.
    pub ends_in: Duration,
}

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// Reads a session and lets it slide; `None` if it has ended, or never was.
    ///
    /// One round trip. Of the reads of a logged-in user's session about one in an idle time makes two more.
    pub async fn read(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let Some(found) = self.read_once(id, Some(milliseconds(self.idle)), None).await? else {
            return Ok(None);
        };
        let (Some(user), true) = (found.session.user, found.wants_more) else {
            return Ok(Some(found.session));
        };
        // The index has to know first: a session that lived longer than the index knows could be missed.
        let Some(indexed) = self.promise(user, id, &format!("at {}", found.ends_ms), Some(id)).await? else {
            return Ok(None);
        };
        let slid = self.read_once(id, Some(milliseconds(self.idle)), Some(indexed.until)).await?;
        Ok(slid.map(|found| found.session))
    }

    /// Reads a session and leaves its TTL alone. One round trip.
    pub async fn peek(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.read_once(id, None, None).await?.map(|found| found.session))
    }

    /// The sessions of a user, by id, none of them slid. One round trip, and one for each session, which are all under way
    /// at once; at most 100.
    pub async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let index = self.keys.user_sessions(user);
        let ids: Vec<Vec<u8>> = redis::cmd("ZRANGE")
            .arg(&index)
            .arg(0)
            .arg(MOST_SESSIONS)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(|error| error::of_redis(error, &index))?;
        let ids: Vec<SessionId> = ids.iter().filter_map(|id| session_id(id)).collect();
        let found = try_join_all(ids.iter().map(|id| self.peek(id))).await?;
        let mut sessions: Vec<Session> =
            found.into_iter().flatten().filter(|session| session.user == Some(user)).collect();
        sessions.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(sessions)
    }

    async fn read_once(
        &self,
        id: &SessionId,
        idle: Option<u64>,
        promised: Option<u64>,
    ) -> Result<Option<Found>, StoreError> {
        let key = self.keys.session(id);
        let mut call = READ.key(&key);
        call.arg(idle.map_or_else(String::new, |idle| idle.to_string()));
        call.arg(promised.map_or_else(String::new, |promised| promised.to_string()));
        let reply = self.run(&key, &call).await?;
        match reply.outcome.as_str() {
            "SESSION" => Found::from_reply(id, &key, reply).map(Some),
            "NONE" => Ok(None),
            _ => Err(reply.into_error()),
        }
    }

    /// Has the user's index know of a session for two idle times more, or to its end. With `must`, only if that one is in
    /// the index: `None` if it is not. Also `None` if there is no room for one more.
    pub(super) async fn promise(
        &self,
        user: UserId,
        id: &SessionId,
        ends: &str,
        must: Option<&SessionId>,
    ) -> Result<Option<Indexed>, StoreError> {
        let index = self.keys.user_sessions(user);
        let mut call = REGISTER.key(&index);
        call.arg(id.as_str()).arg(milliseconds(self.idle)).arg(ends).arg(self.skew_ms()).arg(MOST_SESSIONS);
        call.arg(must.map_or("", SessionId::as_str));
        let mut reply = self.run(&index, &call).await?;
        match reply.outcome.as_str() {
            "REGISTERED" => {
                Ok(Some(Indexed { until: reply.next()?, created: reply.next()?, ends: reply.next()? }))
            }
            "GONE" | "FULL" => Ok(None),
            _ => Err(reply.into_error()),
        }
    }
}

/// What the index promised, in milliseconds of the Unix epoch: until when it knows of the session, what time it is, and when
/// the session ends.
#[derive(Clone, Copy)]
pub(super) struct Indexed {
    pub(super) until: u64,
    pub(super) created: u64,
    pub(super) ends: u64,
}

struct Found {
    session: Session,
    ends_ms: u64,
    /// It could live on for longer if the index knew.
    wants_more: bool,
}

impl Found {
    fn from_reply(id: &SessionId, key: &str, mut reply: Reply) -> Result<Self, StoreError> {
        let now: u64 = reply.next()?;
        let expires: u64 = reply.next()?;
        let wants_more = reply.next::<u8>()? == 1;
        let (mut user, mut created_ms, mut ends_ms) = (None, None, None);
        let (mut fields, mut over) = (BTreeMap::new(), Vec::new());
        for (field, value) in reply.next::<Vec<(Vec<u8>, Vec<u8>)>>()? {
            let field = String::from_utf8(field)
                .map_err(|error| StoreError::malformed(key, &String::from_utf8_lossy(error.as_bytes())))?;
            let value = String::from_utf8(value).map_err(|_| StoreError::malformed(key, &field))?;
            match field.as_str() {
                "user" => user = Some(value.parse().map_err(|_| StoreError::malformed(key, "user"))?),
                "created_ms" => created_ms = value.parse().ok(),
                "ends_ms" => ends_ms = value.parse().ok(),
                own if OWN.contains(&own) => {}
                _ => match field.strip_suffix(":until") {
                    Some(name) if value.parse().map_or(true, |deadline: u64| deadline <= now) => {
                        over.push(name.to_owned());
                    }
                    Some(_) => {}
                    None => {
                        fields.insert(field, value);
                    }
                },
            }
        }
        for name in over {
            fields.remove(&name);
        }
        let created_ms = created_ms.ok_or_else(|| StoreError::malformed(key, "created_ms"))?;
        let ends_ms: u64 = ends_ms.ok_or_else(|| StoreError::malformed(key, "ends_ms"))?;
        let session = Session {
            id: id.clone(),
            user,
            fields,
            created_ms,
            expires_in: Duration::from_millis(expires.saturating_sub(now)),
            ends_in: Duration::from_millis(ends_ms.saturating_sub(now)),
        };
        Ok(Self { session, ends_ms, wants_more })
    }
}
