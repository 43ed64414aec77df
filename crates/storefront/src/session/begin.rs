use redis::aio::ConnectionLike;

use super::read::Indexed;
use super::scripts::{ACTIVATE, BEGIN, PREPARE};
use super::update::check_value;
use super::{
    BeginError, FieldName, LONGEST_VALUE, MOST_FIELDS, MOST_SESSIONS, PREPARED, Sessions, UpdateError, id,
    milliseconds,
};
use crate::store::StoreError;
use crate::{Layout, SessionId, UserId};

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// Begins a session of a user, or of a guest, and gives it an id that nobody can guess. With its TTL in one step: no
    /// crash can leave one that never ends.
    ///
    /// One round trip. On a cluster three for a user, because the index is in another slot: the session is prepared, entered
    /// there, and only then can be used.
    pub async fn begin(
        &self,
        user: Option<UserId>,
        fields: &[(FieldName, &str)],
    ) -> Result<SessionId, BeginError> {
        loop {
            let id = id::generate()?;
            match self.begin_as(&id, user, fields).await {
                // A cluster's connection may send a command twice, when the answer to the first was lost.
                Err(BeginError::Taken) => {}
                other => return other.map(|()| id),
            }
        }
    }

    /// For demonstrations and tests alone: begins a session under an id that others know, such as `abc123`. A service that
    /// takes the id from a client lets an attacker choose it. Round trips as [`Sessions::begin`].
    pub async fn begin_as(
        &self,
        id: &SessionId,
        user: Option<UserId>,
        fields: &[(FieldName, &str)],
    ) -> Result<(), BeginError> {
        if fields.len() > MOST_FIELDS {
            return Err(UpdateError::TooManyFields.into());
        }
        for (_, value) in fields {
            check_value(value)?;
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        match (self.keys.layout(), user) {
            (Layout::Standalone, _) | (Layout::Cluster, None) => {
                self.begin_in_one_step(id, user, &fields).await
            }
            (Layout::Cluster, Some(user)) => {
                self.prepare(id, user).await?;
                let age = format!("in {}", milliseconds(self.highest_age));
                let indexed = self.promise(user, id, &age, None).await?.ok_or(BeginError::TooManySessions)?;
                let mut image = indexed.image(user);
                image.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
                if self.activate(id, indexed.until, &image).await? {
                    Ok(())
                } else {
                    Err(BeginError::LoggedOut)
                }
            }
        }
    }

    async fn begin_in_one_step(
        &self,
        id: &SessionId,
        user: Option<UserId>,
        fields: &[(&str, &str)],
    ) -> Result<(), BeginError> {
        let key = self.keys.session(id);
        let mut call = BEGIN.key(&key);
        if let Some(user) = user {
            call.key(self.keys.user_sessions(user));
        }
        call.arg(id.as_str()).arg(user.map_or_else(String::new, |user| user.to_string()));
        call.arg(milliseconds(self.idle)).arg(milliseconds(self.highest_age)).arg(self.skew_ms());
        call.arg(MOST_SESSIONS);
        for (name, value) in fields {
            call.arg(*name).arg(*value);
        }
        let reply = self.run(&key, &call).await?;
        match reply.outcome.as_str() {
            "BEGUN" => Ok(()),
            "TAKEN" => Err(BeginError::Taken),
            "FULL" => Err(BeginError::TooManySessions),
            _ => Err(reply.into_error().into()),
        }
    }

    /// A session that is there and cannot be used yet.
    pub(super) async fn prepare(&self, id: &SessionId, user: UserId) -> Result<(), BeginError> {
        let key = self.keys.session(id);
        let mut call = PREPARE.key(&key);
        call.arg(milliseconds(PREPARED)).arg(user.get());
        let reply = self.run(&key, &call).await?;
        match reply.outcome.as_str() {
            "PREPARED" => Ok(()),
            "TAKEN" => Err(BeginError::Taken),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Makes a prepared session one that can be used, or finds that it is one. False if it is gone.
    pub(super) async fn activate(
        &self,
        id: &SessionId,
        indexed_until_ms: u64,
        image: &[(String, String)],
    ) -> Result<bool, StoreError> {
        let key = self.keys.session(id);
        let mut call = ACTIVATE.key(&key);
        call.arg(milliseconds(self.idle)).arg(indexed_until_ms);
        for (name, value) in image {
            call.arg(name).arg(value);
        }
        let reply = self.run(&key, &call).await?;
        match reply.outcome.as_str() {
            "ACTIVE" => Ok(true),
            "GONE" => Ok(false),
            _ => Err(reply.into_error()),
        }
    }
}

impl Indexed {
    /// The session's own fields.
    fn image(self, user: UserId) -> Vec<(String, String)> {
        [
            ("user", user.to_string()),
            ("created_ms", self.created.to_string()),
            ("ends_ms", self.ends.to_string()),
            ("indexed_until_ms", self.until.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

const _: () = assert!(MOST_FIELDS * LONGEST_VALUE <= 64 * 1024, "a session stays small");
