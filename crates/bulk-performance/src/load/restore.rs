//! Whether this server takes RESTORE for users, and a proof that it means the same as HSET.

use bulk_loader::dump::{self, Dump};
use lab_connection::{Connection, Target, own_keys};
use redis::{RedisResult, cmd};

use super::plan::LoadPlan;
use super::retry;
use crate::keys::Keys;
use crate::people::{FIELDS, People, Record};

/// Writes two users both ways, the first one and the longest possible one, and compares what DUMP says of them. Only when nothing
/// differs, type, encoding, and every byte, values may be sent as the server stores them. Otherwise, returns why not.
pub(crate) async fn prove_restore(plan: &LoadPlan, keys: &Keys, target: &Target) -> Result<Dump, String> {
    let (by_hset, by_restore) = (&keys.probe_by_hset(), &keys.probe_by_restore());
    let proof = |connection| prove(by_hset, by_restore, plan.records, connection);
    let tried = retry::until_reachable(target, plan.retry, proof).await;
    // The probes are ours; a server that does not let them be removed does not let them be written either.
    let _ = own_keys::unlink(&mut target.connection(), &[by_hset, by_restore]).await;
    match tried {
        Ok(Some(dump)) => Ok(dump),
        Ok(None) => Err("a value made here is not what the server makes of the same fields".to_owned()),
        Err(error) => {
            let why = error.detail().unwrap_or("no reason given").trim_end_matches('.');
            Err(format!("the server does not take RESTORE: {why}"))
        }
    }
}

async fn prove(
    by_hset: &str,
    by_restore: &str,
    records: u64,
    mut connection: Connection,
) -> RedisResult<Option<Dump>> {
    let connection = &mut connection;
    let people = People::new();
    let mut record = Record::default();
    let mut found: Option<Dump> = None;
    for user in [people.user(1), people.longest(records)] {
        record.write(&user);
        own_keys::unlink(connection, &[by_hset, by_restore]).await?;
        let mut hset = cmd("HSET");
        hset.arg(by_hset);
        for (field, value) in FIELDS.iter().zip(record.values()) {
            hset.arg(field).arg(value);
        }
        hset.exec_async(connection).await?;
        let by_server: Vec<u8> = cmd("DUMP").arg(by_hset).query_async(connection).await?;
        let Some(version) = dump::version(&by_server) else { return Ok(None) };
        let mut dump = Dump::new(version);
        let ours = dump.hash(FIELDS.iter().zip(record.values()));
        cmd("RESTORE").arg(by_restore).arg(0).arg(ours).exec_async(connection).await?;
        let by_us: Vec<u8> = cmd("DUMP").arg(by_restore).query_async(connection).await?;
        if by_server != by_us {
            return Ok(None);
        }
        let encoding: String = cmd("OBJECT").arg("ENCODING").arg(by_hset).query_async(connection).await?;
        let restored: String = cmd("OBJECT").arg("ENCODING").arg(by_restore).query_async(connection).await?;
        if encoding != restored {
            return Ok(None);
        }
        found = Some(dump);
    }
    Ok(found)
}
