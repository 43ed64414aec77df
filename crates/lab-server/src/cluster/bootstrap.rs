//! How a primary of a new cluster serves its slots at once.
//!
//! A cluster node that starts as a primary refuses commands for two seconds (`CLUSTER_WRITABLE_DELAY` in the server's
//! `cluster_legacy.c`), in case another node has taken over from it. In a new cluster, that cannot be. So each primary starts as the
//! replica of a placeholder that owns its slots, takes them over (`CLUSTER FAILOVER TAKEOVER`), and forgets the placeholder before it
//! meets other nodes.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::Error;
use crate::version::Version;

const SLOTS: usize = 16_384;
/// The first version that reads a node's shard from `nodes.conf`.
const SHARD_IDS: Version = Version::new(7, 2, 0);

/// What a primary starts with.
pub(super) struct Bootstrap {
    slots: RangeInclusive<usize>,
    /// Different for each primary, so no two claims are equal.
    epoch: usize,
}

impl Bootstrap {
    /// The share of primary number `index`, from 0. Shares differ by at most one slot.
    pub(super) fn of_primary(index: usize, primaries: usize) -> Self {
        let start = |index| index * SLOTS / primaries;
        Self { slots: start(index)..=start(index + 1) - 1, epoch: index + 1 }
    }

    /// The node's `nodes.conf`. The server replaces its own address with the configured one.
    ///
    /// Both nodes name one shard. Valkey 9.1 otherwise has the node in no shard after it forgets the placeholder: CLUSTER SHARDS is
    /// empty, and SPUBLISH ends the server.
    pub(super) fn nodes_conf(&self, version: Version) -> String {
        let shard = if version >= SHARD_IDS { format!(",,shard-id={}", node_id()) } else { String::new() };
        let (node, placeholder) = (node_id(), node_id());
        let (first, last, epoch) = (self.slots.start(), self.slots.end(), self.epoch);
        // Nothing listens on port 1. The takeover needs no votes, so it waits for no node.
        format!(
            "{node} 127.0.0.1:0@0{shard} myself,slave {placeholder} 0 0 0 connected\n\
             {placeholder} 127.0.0.1:1@2{shard} master - 0 0 {epoch} disconnected {first}-{last}\n\
             vars currentEpoch {epoch} lastVoteEpoch 0\n"
        )
    }
}

/// Makes a newly started node the primary of its slots.
pub(super) fn take_over(connection: &mut redis::Connection) -> Result<(), Error> {
    let failed = || Error::redis("making a new cluster node serve its slots");
    let placeholder: String = redis::cmd("CLUSTER").arg("NODES").query(connection).map_err(failed())?;
    redis::cmd("CLUSTER").arg("FAILOVER").arg("TAKEOVER").exec(connection).map_err(failed())?;
    let others = placeholder.lines().filter(|line| !line.contains("myself"));
    for id in others.filter_map(|line| line.split(' ').next()) {
        redis::cmd("CLUSTER").arg("FORGET").arg(id).exec(connection).map_err(failed())?;
    }
    Ok(())
}

/// 160 random bits in hexadecimal, as a server would choose for itself.
fn node_id() -> String {
    rand::random::<[u8; 20]>().iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_exactly_one_primary() {
        for primaries in [1, 2, 3, 5, 7, 1000] {
            let shares = (0..primaries).flat_map(|index| Bootstrap::of_primary(index, primaries).slots);
            assert!(shares.eq(0..SLOTS), "{primaries} primaries");
        }
    }

    #[test]
    fn node_ids_are_forty_hexadecimal_digits() {
        let id = node_id();
        assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}
