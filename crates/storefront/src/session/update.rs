use std::time::Duration;

use redis::aio::ConnectionLike;

use super::scripts::{SET, UNSET};
use super::{FieldName, LONGEST_VALUE, MOST_FIELDS, Sessions, UpdateError, milliseconds};
use crate::{ItemExpiry, SessionId};

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// Sets a field of a session that is alive. Never brings back one that has ended, and does not let it slide. One round
    /// trip.
    pub async fn set(&self, id: &SessionId, name: &FieldName, value: &str) -> Result<(), UpdateError> {
        self.set_until(id, name, value, None).await
    }

    /// Sets a field that is over before the session is, such as a mark that the password was entered a moment ago: after
    /// `ttl`, a millisecond to a year. A login or a rotation does not carry it along. One round trip.
    pub async fn set_for(
        &self,
        id: &SessionId,
        name: &FieldName,
        value: &str,
        ttl: Duration,
    ) -> Result<(), UpdateError> {
        self.set_until(id, name, value, Some(ttl)).await
    }

    /// Removes a field; false if there was none. One round trip.
    pub async fn unset(&self, id: &SessionId, name: &FieldName) -> Result<bool, UpdateError> {
        let key = self.keys.session(id);
        let mut call = UNSET.key(&key);
        call.arg(name.as_str());
        let mut reply = self.run(&key, &call).await?;
        match reply.outcome.as_str() {
            "REMOVED" => Ok(reply.next::<u8>()? == 1),
            "NONE" => Err(UpdateError::NoSession),
            _ => Err(reply.into_error().into()),
        }
    }

    async fn set_until(
        &self,
        id: &SessionId,
        name: &FieldName,
        value: &str,
        ttl: Option<Duration>,
    ) -> Result<(), UpdateError> {
        check_value(value)?;
        let key = self.keys.session(id);
        let mut call = SET.key(&key);
        call.arg(name.as_str()).arg(value).arg(MOST_FIELDS);
        call.arg(ttl.map_or_else(String::new, |ttl| milliseconds(ttl).to_string()));
        call.arg(if self.field_expiry == ItemExpiry::FieldTtl { "field_ttl" } else { "" });
        let reply = self.run(&key, &call).await?;
        match reply.outcome.as_str() {
            "SET" => Ok(()),
            "NONE" => Err(UpdateError::NoSession),
            "FULL" => Err(UpdateError::TooManyFields),
            _ => Err(reply.into_error().into()),
        }
    }
}

pub(super) fn check_value(value: &str) -> Result<(), UpdateError> {
    if value.len() > LONGEST_VALUE { Err(UpdateError::TooLong { bytes: value.len() }) } else { Ok(()) }
}
