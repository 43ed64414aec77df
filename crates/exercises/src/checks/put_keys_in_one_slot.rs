//! All keys of a user are in one slot, and users are spread.

use std::collections::BTreeSet;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const USERS: usize = 50;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let cluster = lab.one_node_cluster().await?;
    let client = cluster.nodes()[0].client();
    let mut redis = crate::lab::connect(&client).await?;
    for id in 1..=USERS {
        let mut user = Player::at(&client, "A").await?;
        commands.with("$id", &id.to_string()).play(&mut user).await?;
        if let Some(error) = user.log.iter().find(|line| line.contains("(error)")) {
            return Err(Fault::new(error.clone()).observed(user.log.clone()));
        }
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
    let (mut slots, mut in_both) = (BTreeSet::new(), 0);
    for key in &keys {
        let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut redis).await?;
        slots.insert(slot);
        let members: Vec<String> =
            redis::cmd("SMEMBERS").arg(key).query_async(&mut redis).await.unwrap_or_default();
        in_both += usize::from(members == ["mouse"]);
    }
    ensure(in_both == USERS, || {
        Fault::new(format!(
            "{in_both} Sets with the one member `mouse` for {USERS} users: each user needs one of its own."
        ))
    })?;
    ensure(slots.len() > 1, || {
        Fault::new(format!("The keys of {USERS} users are all in one slot, so one node has all the work."))
    })?;
    ensure(slots.len() >= USERS / 2, || {
        Fault::new(format!("The keys of {USERS} users are in only {} slots.", slots.len()))
    })?;
    Ok(Passed::with(format!("{USERS} users in {} slots, and all keys of a user in one.", slots.len())))
}
