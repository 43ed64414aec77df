use futures_util::future::try_join_all;
use redis::aio::ConnectionLike;

use super::scripts::{END, END_ALL};
use super::{Sessions, error};
use crate::store::StoreError;
use crate::{Layout, SessionId, UserId};

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// Ends one session; false if there was none. One round trip for a guest's, two for a user's: the session first, then
    /// its entry in the index, which would go by itself.
    pub async fn log_out(&self, id: &SessionId) -> Result<bool, StoreError> {
        let key = self.keys.session(id);
        let mut reply = self.run(&key, &END.key(&key)).await?;
        match reply.outcome.as_str() {
            "ENDED" => {
                if let Ok(user) = reply.next::<String>()?.parse() {
                    self.forget(&self.keys.user_sessions(user), &[id.as_str()]).await?;
                }
                Ok(true)
            }
            "NONE" => Ok(false),
            _ => Err(reply.into_error()),
        }
    }

    /// Ends every session of a user, and tells how many (on a cluster those count too that a login has only prepared). No
    /// session that existed when this was called is alive when it returns, whatever reads, slides and rotations are under
    /// way; one that begins meanwhile belongs to a later login.
    ///
    /// After an error, call it again: what was not ended is remembered. Three round trips; on a cluster one for each session
    /// and two more, those of the sessions under way at once.
    pub async fn log_out_everywhere(&self, user: UserId) -> Result<usize, StoreError> {
        let (index, ending) = (self.keys.user_sessions(user), self.keys.ending_sessions(user));
        let mut call = END_ALL.key(&index);
        call.key(&ending);
        let mut reply = self.run(&index, &call).await?;
        if reply.outcome != "ENDING" {
            return Err(reply.into_error());
        }
        let ids: Vec<Vec<u8>> = reply.next()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let sessions: Vec<String> =
            ids.iter().filter_map(|id| session_id(id)).map(|id| self.keys.session(&id)).collect();
        let ended = self.unlink(&sessions).await?;
        self.forget(&ending, &ids).await?;
        Ok(ended)
    }

    pub(super) async fn unlink(&self, sessions: &[String]) -> Result<usize, StoreError> {
        let one = async |keys: &[String]| -> Result<usize, StoreError> {
            let mut unlink = redis::cmd("UNLINK");
            Ok(unlink.arg(keys).query_async(&mut self.connection.clone()).await?)
        };
        match self.keys.layout() {
            _ if sessions.is_empty() => Ok(0),
            Layout::Standalone => one(sessions).await,
            Layout::Cluster => Ok(try_join_all(sessions.chunks(1).map(one)).await?.into_iter().sum()),
        }
    }

    pub(super) async fn forget(
        &self,
        index: &str,
        ids: &[impl redis::ToRedisArgs],
    ) -> Result<(), StoreError> {
        let mut remove = redis::cmd("ZREM");
        remove.arg(index).arg(ids);
        remove.exec_async(&mut self.connection.clone()).await.map_err(|error| error::of_redis(error, index))
    }
}

/// What stands in an index; `None` if somebody else has put it there, which need not even be a text.
pub(super) fn session_id(indexed: &[u8]) -> Option<SessionId> {
    std::str::from_utf8(indexed).ok()?.parse().ok()
}
