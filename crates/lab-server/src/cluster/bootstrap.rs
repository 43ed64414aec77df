//! How a primary of a new cluster comes to serve its slots at once.
//!
//! A cluster node that starts as a primary refuses commands for two seconds (`CLUSTER_WRITABLE_DELAY` in the server's
//! `cluster_legacy.c`), lest a rebooted one accept writes that its successor has long replaced. A new cluster has no such
//! past. So each primary is born as the replica of a placeholder that owns its slots, which the server believes at
//! once, takes the slots over (`CLUSTER FAILOVER TAKEOVER`), and forgets the placeholder before it meets anybody.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::Error;

const SLOTS: usize = 16_384;

/// What a primary is born with.
pub(super) struct Bootstrap {
    slots: RangeInclusive<usize>,
    /// Distinct for each primary, so that no two claim their slots with equal right.
    epoch: usize,
}

impl Bootstrap {
    /// The share of the `index`th of `primaries` primaries, counted from 0; shares differ by one slot at most.
    pub(super) fn of_primary(index: usize, primaries: usize) -> Self {
        let start = |index| index * SLOTS / primaries;
        Self { slots: start(index)..=start(index + 1) - 1, epoch: index + 1 }
    }

    /// The node's `nodes.conf`. The server replaces its own address by the one it is configured with.
    pub(super) fn nodes_conf(&self) -> String {
        let (node, placeholder) = (node_id(), node_id());
        let (first, last, epoch) = (self.slots.start(), self.slots.end(), self.epoch);
        // Nothing listens on port 1. The takeover asks for no consent, so it waits for no node.
        format!(
            "{node} 127.0.0.1:0@0 myself,slave {placeholder} 0 0 0 connected\n\
             {placeholder} 127.0.0.1:1@2 master - 0 0 {epoch} disconnected {first}-{last}\n\
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
