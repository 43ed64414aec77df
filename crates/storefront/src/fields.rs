//! Reading the same fields of many Hashes in a bounded number of round trips.

use std::str::FromStr;

use futures_util::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError};

use crate::Layout;
use crate::store::StoreError;

/// Two fields of a Hash as they are stored, each `None` if missing.
pub(crate) type Two = [Option<Vec<u8>>; 2];

/// The two `fields` of each Hash: one pipeline on one server. A cluster's connection takes a pipeline for one slot only,
/// so there the commands are sent one by one, all at once, and their replies awaited together.
pub(crate) async fn of_many<C: ConnectionLike + Clone>(
    connection: &C,
    layout: Layout,
    keys: &[String],
    fields: [&str; 2],
) -> Result<Vec<Two>, RedisError> {
    match layout {
        _ if keys.is_empty() => Ok(Vec::new()),
        Layout::Standalone => {
            let mut pipeline = redis::pipe();
            for key in keys {
                pipeline.add_command(hmget(key, fields));
            }
            pipeline.query_async(&mut connection.clone()).await
        }
        Layout::Cluster => try_join_all(keys.iter().map(async |key| of(connection, key, fields).await)).await,
    }
}

/// The two `fields` of one Hash. One round trip.
pub(crate) async fn of<C: ConnectionLike + Clone>(
    connection: &C,
    key: &str,
    fields: [&str; 2],
) -> Result<Two, RedisError> {
    hmget(key, fields).query_async(&mut connection.clone()).await
}

/// A field as the type it must be.
pub(crate) fn parse<T: FromStr>(stored: Option<Vec<u8>>, key: &str, field: &str) -> Result<T, StoreError> {
    stored
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::malformed(key, field))
}

fn hmget(key: &str, fields: [&str; 2]) -> Cmd {
    let mut cmd = redis::cmd("HMGET");
    cmd.arg(key).arg(&fields);
    cmd
}
