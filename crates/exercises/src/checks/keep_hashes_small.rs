//! Many small Hashes take less memory than a big one.

use std::collections::HashMap;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const USERS: usize = 2_000;
const IN_A_BUCKET: usize = 100;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server_with(&[("hash-max-listpack-entries", "128")]).await?;
    let mut redis = server.connect().await?;
    let mut shop = Player::connect(&server, "shop").await?;
    for id in 0..USERS {
        let user = commands
            .with("$id", &id.to_string())
            .with("$name", &format!("name-of-{id}"))
            .with("$bucket", &(id / IN_A_BUCKET).to_string());
        user.play(&mut shop).await?;
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
    let mut found = 0;
    for key in &keys {
        let encoding: String = redis::cmd("OBJECT").arg("ENCODING").arg(key).query_async(&mut redis).await?;
        let names: HashMap<String, String> =
            redis::cmd("HGETALL").arg(key).query_async(&mut redis).await.unwrap_or_default();
        ensure(encoding != "hashtable", || {
            Fault::new(format!("{key} has {} fields, and its encoding is hashtable.", names.len()))
        })?;
        found += names.iter().filter(|(id, name)| **name == format!("name-of-{id}")).count();
    }
    ensure(found == USERS, || {
        Fault::new(format!("{} of {USERS} names are missing in the Hashes.", USERS.saturating_sub(found)))
    })?;
    ensure(keys.len() <= USERS / 10, || {
        Fault::new(format!(
            "There are {} keys for {USERS} users. A Hash of its own for each user takes more memory, not less.",
            keys.len()
        ))
    })?;
    Ok(Passed::with(format!("{USERS} names in {} small Hashes.", keys.len())))
}
