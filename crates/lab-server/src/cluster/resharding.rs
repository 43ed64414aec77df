//! Moves slots between primaries while the cluster serves, as `redis-cli --cluster reshard` does.

use std::ops::RangeInclusive;

use redis::{Connection, RedisResult};

use super::Cluster;
use crate::readiness::{Observation, READY_TIMEOUT, wait_for};
use crate::{Error, Server};

/// How many keys one MIGRATE moves.
const KEYS_AT_ONCE: usize = 100;
/// How long a primary waits for another to take keys over, in milliseconds.
const MIGRATE_TIMEOUT: usize = 10_000;

impl Cluster {
    /// The node that serves `slot`, as an index into [`Cluster::nodes`]. Waits until all primaries agree.
    pub fn owner_of(&self, slot: u16) -> Result<usize, Error> {
        let mut primaries = self.connect_to_primaries()?;
        let owner = agreed_owner(&mut primaries, slot)?;
        let index = primaries.iter().position(|primary| primary.id == owner);
        index.ok_or_else(|| Error::NotReady {
            what: one_owner(slot),
            after: READY_TIMEOUT,
            last: format!("{owner} serves it"),
        })
    }

    /// Moves slots with all their keys from the primary `from` to the primary `to`, both indexes into [`Cluster::nodes`], and returns
    /// when every primary knows. In the meantime, clients see ASK, TRYAGAIN, and MOVED.
    pub fn move_slots(&self, slots: RangeInclusive<u16>, from: usize, to: usize) -> Result<(), Error> {
        let mut primaries = self.connect_to_primaries()?;
        let [source_id, destination_id] = [from, to].map(|index| primaries[index].id.clone());
        for slot in slots {
            let mut moving = || -> RedisResult<()> {
                primaries[to].set_slot(slot, &["IMPORTING", &source_id])?;
                primaries[from].set_slot(slot, &["MIGRATING", &destination_id])?;
                primaries[from].migrate_keys(slot, &self.nodes[to])?;
                // The destination first. Until the source knows, it redirects what it no longer has.
                primaries[to].set_slot(slot, &["NODE", &destination_id])?;
                primaries[from].set_slot(slot, &["NODE", &destination_id])
            };
            moving().map_err(Error::redis("moving a slot to another primary"))?;
            // If the next move began at a node that does not know of this one, two owners would have the same epoch, and the third
            // primary could not tell which one is right.
            agreed_owner(&mut primaries, slot)?;
        }
        Ok(())
    }

    fn connect_to_primaries(&self) -> Result<Vec<Primary>, Error> {
        let connected: RedisResult<Vec<Primary>> = self.primaries().iter().map(Primary::of).collect();
        connected.map_err(Error::redis("connecting to a cluster node"))
    }
}

/// The ID of the node that all primaries name as the owner of this slot, when all of them have the same epoch.
fn agreed_owner(primaries: &mut [Primary], slot: u16) -> Result<String, Error> {
    let mut owner = String::new();
    wait_for(&one_owner(slot), "asking a node who serves a slot", || {
        let views: Vec<(String, String)> = primaries
            .iter_mut()
            .map(|primary| Ok((primary.owner_of(slot)?, primary.epoch()?)))
            .collect::<RedisResult<_>>()?;
        owner.clone_from(&views[0].0);
        let done = !owner.is_empty() && views.iter().all(|view| *view == views[0]);
        Ok(Observation { done, last: format!("{views:?}") })
    })?;
    Ok(owner)
}

fn one_owner(slot: u16) -> String {
    format!("one owner of slot {slot}")
}

struct Primary {
    id: String,
    connection: Connection,
}

impl Primary {
    fn of(server: &Server) -> RedisResult<Self> {
        let mut connection = server.client().get_connection()?;
        let id = redis::cmd("CLUSTER").arg("MYID").query(&mut connection)?;
        Ok(Self { id, connection })
    }

    fn set_slot(&mut self, slot: u16, how: &[&str]) -> RedisResult<()> {
        redis::cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(how).exec(&mut self.connection)
    }

    fn migrate_keys(&mut self, slot: u16, to: &Server) -> RedisResult<()> {
        loop {
            let mut ask = redis::cmd("CLUSTER");
            ask.arg("GETKEYSINSLOT").arg(slot).arg(KEYS_AT_ONCE);
            let keys: Vec<Vec<u8>> = ask.query(&mut self.connection)?;
            if keys.is_empty() {
                return Ok(());
            }
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(to.peer_port()).arg("").arg(0).arg(MIGRATE_TIMEOUT);
            if !to.password().is_empty() {
                migrate.arg("AUTH").arg(to.password());
            }
            migrate.arg("KEYS").arg(keys).exec(&mut self.connection)?;
        }
    }

    /// The ID of the node that this one names as the owner of a slot; empty if it knows none.
    fn owner_of(&mut self, slot: u16) -> RedisResult<String> {
        let view: String = redis::cmd("CLUSTER").arg("NODES").query(&mut self.connection)?;
        let owner = view.lines().find(|line| serves(line, slot)).and_then(|line| line.split(' ').next());
        Ok(owner.unwrap_or_default().to_owned())
    }

    /// The latest epoch that this node knows.
    fn epoch(&mut self) -> RedisResult<String> {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut self.connection)?;
        let epoch = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
        Ok(epoch.unwrap_or_default().trim_end().to_owned())
    }
}

/// Whether a line of `CLUSTER NODES` is of a node that serves this slot. Its slots and ranges come after eight other fields. A slot that
/// is being moved is listed in brackets too, and is still served here.
fn serves(line: &str, slot: u16) -> bool {
    line.split(' ').skip(8).filter(|part| !part.starts_with('[')).any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        range.is_some_and(|(first, last)| (first..=last).contains(&slot))
    })
}
