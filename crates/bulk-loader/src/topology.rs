//! Which node serves which slot.

use redis::Value;

use crate::endpoint::{Address, Endpoint};
use crate::handshake::{self, HandshakeError};
pub use crate::slot::{SLOTS, slot_of};

/// Which node owns each slot.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    /// Every node that ever served a slot. A node keeps its index.
    nodes: Vec<Address>,
    /// The index in `nodes` of each slot's owner, if it ever had one. Empty for a single server, which is node 0.
    owners: Vec<Option<usize>>,
    /// Nodes that got slots from other nodes since [`Topology::take_importers`] was called.
    importers: Vec<usize>,
}

impl Topology {
    /// A single server.
    pub(crate) fn single(address: Address) -> Self {
        Self { nodes: vec![address], owners: Vec::new(), importers: Vec::new() }
    }

    /// Reads the slot map from a cluster node.
    pub(crate) fn of_cluster(address: &Address, endpoint: &Endpoint) -> Result<Self, HandshakeError> {
        let mut topology =
            Self { nodes: Vec::new(), owners: vec![None; usize::from(SLOTS)], importers: Vec::new() };
        topology.refresh(address, endpoint)?;
        Ok(topology)
    }

    /// Reads the slot map from a cluster node again. Slots that no node serves keep their last owner.
    pub(crate) fn refresh(&mut self, address: &Address, endpoint: &Endpoint) -> Result<(), HandshakeError> {
        let (socket, _) = handshake::open(address, endpoint, None, &[])?;
        let reply = handshake::ask(socket, &["CLUSTER", "SLOTS"])?;
        match redis::parse_redis_value(&reply) {
            Ok(Value::Array(ranges)) => {
                for range in &ranges {
                    self.assign_range(range, address);
                }
                if self.nodes.is_empty() {
                    return Err(HandshakeError::Temporary("the cluster serves no slots".into()));
                }
                Ok(())
            }
            Ok(other) => Err(HandshakeError::Refused(format!("CLUSTER SLOTS returned {other:?}"))),
            Err(error) => Err(HandshakeError::Refused(error.to_string())),
        }
    }

    /// A range has a first slot, a last slot, a primary, and replicas. A node has a host, a port, an ID, and more.
    fn assign_range(&mut self, range: &Value, asked: &Address) {
        let Value::Array(parts) = range else { return };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice() else {
            return;
        };
        let [host, Value::Int(port), ..] = primary.as_slice() else { return };
        let host = match host {
            Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
            _ => String::new(),
        };
        let Some(address) = Endpoint::redirected(asked, &format!("{host}:{port}")) else { return };
        let node = self.index(&address);
        let (first, last) = (usize::try_from(*first).unwrap_or(0), usize::try_from(*last).unwrap_or(0));
        for owner in self.owners.iter_mut().take(last + 1).skip(first) {
            let before = owner.replace(node);
            if before.is_some_and(|before| before != node) && !self.importers.contains(&node) {
                self.importers.push(node);
            }
        }
    }

    /// The nodes that got slots from other nodes since the last call.
    pub(crate) fn take_importers(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.importers)
    }

    /// Records that a slot moved to a node. Returns the node's index.
    pub(crate) fn move_slot(&mut self, slot: u16, address: &Address) -> usize {
        let node = self.index(address);
        if let Some(owner) = self.owners.get_mut(usize::from(slot)) {
            *owner = Some(node);
        }
        node
    }

    /// The index of a node, which may be new.
    pub(crate) fn index(&mut self, address: &Address) -> usize {
        self.nodes.iter().position(|node| node == address).unwrap_or_else(|| {
            self.nodes.push(address.clone());
            self.nodes.len() - 1
        })
    }

    pub(crate) fn nodes(&self) -> &[Address] {
        &self.nodes
    }

    /// The node that serves a slot. On a single server, it is node 0.
    pub(crate) fn owner(&self, slot: u16) -> usize {
        // A slot without an owner goes to any node: that replies CLUSTERDOWN or MOVED, and the command is sent again.
        self.owners.get(usize::from(slot)).copied().flatten().unwrap_or(0)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        !self.owners.is_empty()
    }

    /// Whether a node serves any slot now.
    pub(crate) fn serves(&self, node: usize) -> bool {
        !self.is_cluster() || self.owners.contains(&Some(node))
    }

    /// The smallest number that, as a hash tag, puts a key on this node.
    pub(crate) fn tag_on(&self, node: usize) -> Option<u32> {
        (0..1_000_000).find(|tag: &u32| self.owner(slot_of(tag.to_string().as_bytes())) == node)
    }
}
