//! Dry runs of what a failover needs, as the users that the Sentinels and the replicas log in with.

use std::collections::BTreeSet;

use redis::Value;

use super::asker::Asker;
use super::facts::{Client, FailoverUser, Missing, NodeFacts, Reply, Role};
use crate::failover_roles::FailoverRole;

/// What one dry run costs, in microseconds.
const MICROS: f64 = 20.0;
/// With more users, something else is wrong.
const MOST_USERS: usize = 8;

/// A user, and what it is for.
type User = (FailoverRole, String);

/// The users that a failover of this group needs, and Valkey's major version where its Sentinels, or else its servers, are Valkeys.
pub(crate) struct FailoverUsers {
    users: BTreeSet<User>,
    valkey: Option<u32>,
}

impl FailoverUsers {
    /// Sentinels give their connections a name. The replicas' user is a setting.
    pub(crate) fn of(nodes: &[&NodeFacts]) -> Self {
        let mut users = BTreeSet::new();
        for node in nodes {
            let role = match node.role {
                Role::Sentinel => FailoverRole::SentinelPeer,
                _ => FailoverRole::Sentinel,
            };
            let sentinels = node.clients.iter().flatten().filter(|client| is_sentinel(client));
            users.extend(sentinels.map(|client| (role, client.user.clone())));
            users.extend(node.setting("masteruser").map(|user| (FailoverRole::Replica, user.to_owned())));
        }
        users.retain(|(_, user)| !user.is_empty());
        let sentinels = || nodes.iter().filter(|node| node.role == Role::Sentinel);
        let valkey = match sentinels().next() {
            Some(_) => sentinels().filter_map(|node| valkey(node)).max(),
            None => nodes.iter().filter_map(|node| valkey(node)).max(),
        };
        Self { users, valkey }
    }

    /// Whether these users may do on this server what they must.
    pub(crate) async fn dry_run(&self, node: &NodeFacts, asker: &mut Asker) -> Reply<Vec<FailoverUser>> {
        let here = self
            .users
            .iter()
            .filter(|(role, _)| (*role == FailoverRole::SentinelPeer) == (node.role == Role::Sentinel));
        let mut found = Vec::new();
        for (role, user) in here.take(MOST_USERS) {
            found.push(self.dry_run_as(*role, user, node, asker).await?);
        }
        Ok(found)
    }

    async fn dry_run_as(
        &self,
        role: FailoverRole,
        user: &str,
        node: &NodeFacts,
        asker: &mut Asker,
    ) -> Reply<FailoverUser> {
        let mut found = FailoverUser { name: user.to_owned(), role, exists: true, refused: Vec::new() };
        let rights: Vec<_> = role.rights(self.valkey).collect();
        let commands: Vec<Vec<&[u8]>> = rights
            .iter()
            .map(|right| {
                let words = ["ACL", "DRYRUN", user].into_iter().chain(right.command.iter().copied());
                words.map(str::as_bytes).collect()
            })
            .collect();
        for (right, reply) in rights.into_iter().zip(asker.ask_all(&commands, MICROS).await) {
            match reply {
                Ok(Value::Okay) => {}
                Ok(reply) => {
                    let said: String = redis::from_redis_value(reply).unwrap_or_default();
                    if said != "OK" {
                        found.refused.push((right, super::facts::shortened(&said, 200)));
                    }
                }
                Err(Missing::Failed(error)) if error.contains("not found") => {
                    // Either the user, or a command that this server does not have, and so nobody needs.
                    let known = node.users.as_deref().unwrap_or_default();
                    let named = known.iter().any(|line| line.split(' ').nth(1) == Some(user));
                    found.exists &= named || !error.contains(user);
                }
                Err(missing) => return Err(missing),
            }
        }
        Ok(found)
    }
}

/// `sentinel-1a2b3c4d-cmd` and `sentinel-1a2b3c4d-pubsub`.
fn is_sentinel(client: &Client) -> bool {
    let id = client
        .name
        .strip_prefix("sentinel-")
        .and_then(|rest| rest.strip_suffix("-cmd").or(rest.strip_suffix("-pubsub")));
    id.is_some_and(|id| id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn valkey(node: &NodeFacts) -> Option<u32> {
    let (name, version) = node.info.version()?;
    version.split('.').next()?.parse().ok().filter(|_| name == "Valkey")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_sentinels_give_themselves_count() {
        let named = |name: &str| is_sentinel(&Client { name: name.to_owned(), ..Client::default() });
        assert!(named("sentinel-1a2b3c4d-cmd") && named("sentinel-1a2b3c4d-pubsub"));
        assert!(!named("sentinel-watcher-cmd") && !named("sentinel-1a2b3c4d") && !named("app"));
    }
}
