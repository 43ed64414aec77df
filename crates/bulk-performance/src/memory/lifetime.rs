//! What a run leaves, and how the next one removes exactly that.

use std::collections::HashMap;

use lab_connection::{Connection, own_keys};
use redis::RedisResult;

use super::{Encoding, Store};
use crate::stored::index_keys;

const RECORDS: &str = "records";
const BUCKET: &str = "bucket";

/// Notes down how many users there will be, before the first is written.
pub async fn note(store: &Store, connection: &mut Connection) -> RedisResult<()> {
    let mut command = redis::cmd("HSET");
    command.arg(store.keys().memory_written()).arg(RECORDS).arg(store.records());
    command.arg(BUCKET).arg(store.bucket()).exec_async(connection).await
}

/// Removes what the last run noted down, ended or not.
pub async fn forget(store: &Store, connection: &mut Connection) -> RedisResult<()> {
    let written = store.keys().memory_written();
    let noted: HashMap<String, u64> = redis::cmd("HGETALL").arg(&written).query_async(connection).await?;
    let (Some(&records), Some(&bucket)) = (noted.get(RECORDS), noted.get(BUCKET)) else {
        return Ok(());
    };
    let old = Store::new(store.keys().clone(), records, bucket, None);
    for encoding in Encoding::ALL {
        own_keys::unlink(connection, &old.keys_of(encoding)).await?;
    }
    own_keys::unlink(connection, &index_keys(&old.keys().memory_indexes())).await?;
    own_keys::unlink(connection, &[written]).await?;
    Ok(())
}
