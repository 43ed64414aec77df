//! Finds the fastest commands that this server takes for users, and proves that they mean the same.

use bulk_loader::dump::{self, Dump};
use lab_connection::{Connection, Target, own_keys};
use redis::{RedisError, RedisResult, cmd};

use super::plan::{LoadPlan, Writing};
use super::retry;
use crate::keys::Keys;
use crate::people::{FIELDS, People, Record};

/// How users are going to be written.
pub(crate) struct Encoding {
    /// Makes values for RESTORE; without it, HSET.
    pub dump: Option<Dump>,
    /// Why it is not RESTORE, when it could have been.
    pub why_not: Option<String>,
}

impl Encoding {
    /// Writes two users both ways, the first one and the longest possible one, and compares what DUMP says of them. Only
    /// when nothing differs, type, encoding and every byte, values are sent as the server stores them.
    pub(crate) async fn choose(plan: &LoadPlan, keys: &Keys, target: &Target) -> Self {
        if plan.writing == Writing::Hset {
            return Self { dump: None, why_not: None };
        }
        let (by_hset, by_restore) = (&keys.probe_by_hset(), &keys.probe_by_restore());
        let proof = |connection| prove(by_hset, by_restore, plan.records, connection);
        let tried = retry::until_reachable(target, plan.retry, proof).await;
        // The probes are ours; a server that does not let them be removed does not let them be written either.
        let _ = own_keys::unlink(&mut target.connection(), &[by_hset, by_restore]).await;
        match tried {
            Ok(Some(dump)) => Self { dump: Some(dump), why_not: None },
            Ok(None) => {
                let why = "a value made here is not what the server makes of the same fields";
                Self { dump: None, why_not: Some(why.into()) }
            }
            Err(error) => Self { dump: None, why_not: Some(reason(&error)) },
        }
    }
}

async fn prove(
    plain: &str,
    made: &str,
    records: u64,
    mut connection: Connection,
) -> RedisResult<Option<Dump>> {
    let connection = &mut connection;
    let people = People::new();
    let mut record = Record::default();
    let mut found: Option<Dump> = None;
    for user in [people.user(1), people.longest(records)] {
        record.write(&user);
        own_keys::unlink(connection, &[plain, made]).await?;
        let mut hset = cmd("HSET");
        hset.arg(plain);
        for (field, value) in FIELDS.iter().zip(record.values()) {
            hset.arg(field).arg(value);
        }
        hset.exec_async(connection).await?;
        let by_server: Vec<u8> = cmd("DUMP").arg(plain).query_async(connection).await?;
        let Some(version) = dump::version(&by_server) else { return Ok(None) };
        let mut dump = Dump::new(version);
        let ours = dump.hash(FIELDS.iter().zip(record.values()));
        cmd("RESTORE").arg(made).arg(0).arg(ours).exec_async(connection).await?;
        let by_us: Vec<u8> = cmd("DUMP").arg(made).query_async(connection).await?;
        if by_server != by_us {
            return Ok(None);
        }
        let encodings: [String; 2] = [
            cmd("OBJECT").arg("ENCODING").arg(plain).query_async(connection).await?,
            cmd("OBJECT").arg("ENCODING").arg(made).query_async(connection).await?,
        ];
        if encodings[0] != encodings[1] {
            return Ok(None);
        }
        found = Some(dump);
    }
    Ok(found)
}

fn reason(error: &RedisError) -> String {
    format!(
        "the server does not take RESTORE: {}",
        error.detail().unwrap_or("no reason given").trim_end_matches('.')
    )
}
