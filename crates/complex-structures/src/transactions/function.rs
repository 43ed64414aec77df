//! The library of functions that a server keeps for us.

use redis::RedisResult;
use redis::aio::ConnectionLike;

/// Its source.
pub(super) const SOURCE: &str = include_str!("scripts/library.lua");
/// What the source calls it.
const NAME: &str = "redislab_bank";
/// The function in it.
const TRANSFER: &str = "redislab_transfer";

/// The library with the function that transfers. Libraries belong to the whole server, not to a database, so it is
/// loaded only on a server of our own, and deleted afterwards. On a cluster every primary gets it.
#[derive(Clone, Copy, Debug)]
pub struct Library;

impl Library {
    /// Loads it, in the place of one with the same name.
    pub async fn load(connection: &mut impl ConnectionLike) -> RedisResult<()> {
        redis::cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(SOURCE).exec_async(connection).await
    }

    /// Deletes it; an error if it is not there.
    pub async fn delete(connection: &mut impl ConnectionLike) -> RedisResult<()> {
        redis::cmd("FUNCTION").arg("DELETE").arg(NAME).exec_async(connection).await
    }

    /// Calls the function; true if the money was moved.
    pub(super) async fn transfer(
        connection: &mut impl ConnectionLike,
        from: &str,
        to: &str,
        cents: i64,
    ) -> RedisResult<bool> {
        redis::cmd("FCALL").arg(TRANSFER).arg(2).arg(from).arg(to).arg(cents).query_async(connection).await
    }
}
