//! Which node serves which slot.

use std::io::{Read, Write};

use crc::{CRC_16_XMODEM, Crc, Table};
use redis::Value;

use crate::endpoint::{Address, Endpoint};
use crate::reply;
use crate::setup::{self, SetupError};

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

static CRC16: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_XMODEM);

/// The slot of a key: CRC16 of what stands between the first `{` and the next `}`, or of the whole key.
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let length = key[open + 1..].iter().position(|&byte| byte == b'}')?;
        (length > 0).then(|| &key[open + 1..open + 1 + length])
    });
    CRC16.checksum(tag.unwrap_or(key)) % SLOTS
}

/// The node of every slot.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    /// Every node that ever served a slot; a node keeps its index.
    nodes: Vec<Address>,
    /// An index into `nodes` for every slot; empty on a single server, where everything is node 0.
    owners: Vec<usize>,
    /// Nodes that were given slots of others since somebody last asked.
    gainers: Vec<usize>,
}

impl Topology {
    /// A single server.
    pub(crate) fn single(address: Address) -> Self {
        Self { nodes: vec![address], owners: Vec::new(), gainers: Vec::new() }
    }

    /// Asks a node of a cluster.
    pub(crate) fn ask(address: &Address, endpoint: &Endpoint) -> Result<Self, SetupError> {
        let mut topology =
            Self { nodes: Vec::new(), owners: vec![usize::MAX; usize::from(SLOTS)], gainers: Vec::new() };
        topology.refresh(address, endpoint)?;
        Ok(topology)
    }

    /// Asks a node again. Slots that nobody serves keep their last node.
    pub(crate) fn refresh(&mut self, address: &Address, endpoint: &Endpoint) -> Result<(), SetupError> {
        let (mut stream, _) = setup::open(address, endpoint, None, &[])?;
        let mut command = Vec::new();
        crate::source::push_command(&mut command, &["CLUSTER", "SLOTS"]);
        stream.write_all(&command)?;
        let mut input = Vec::new();
        let length = loop {
            match reply::length(&input) {
                Ok(Some(length)) => break length,
                Ok(None) => {}
                Err(_malformed) => return Err(SetupError::Later("no reply in RESP".into())),
            }
            let mut part = [0; 4096];
            match stream.read(&mut part)? {
                0 => return Err(SetupError::Later("the connection was closed".into())),
                bytes => input.extend_from_slice(&part[..bytes]),
            }
        };
        match redis::parse_redis_value(&input[..length]) {
            Ok(Value::Array(ranges)) => {
                for range in &ranges {
                    self.assign_range(range, address);
                }
                if self.nodes.is_empty() {
                    return Err(SetupError::Later("the cluster serves no slots".into()));
                }
                Ok(())
            }
            Ok(other) => Err(SetupError::Never(format!("CLUSTER SLOTS was answered with {other:?}"))),
            Err(error) => Err(SetupError::Never(error.to_string())),
        }
    }

    /// A range is: first slot, last slot, primary, replicas; a node is: host, port, id and more.
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
            let before = std::mem::replace(owner, node);
            if before != node && before != usize::MAX && !self.gainers.contains(&node) {
                self.gainers.push(node);
            }
        }
    }

    /// The nodes that were given slots of others since the last call.
    pub(crate) fn gainers(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.gainers)
    }

    /// A slot has moved.
    pub(crate) fn assign(&mut self, slot: u16, address: &Address) -> usize {
        let node = self.index(address);
        if let Some(owner) = self.owners.get_mut(usize::from(slot)) {
            *owner = node;
        }
        node
    }

    /// The index of a node, new or known.
    pub(crate) fn index(&mut self, address: &Address) -> usize {
        self.nodes.iter().position(|node| node == address).unwrap_or_else(|| {
            self.nodes.push(address.clone());
            self.nodes.len() - 1
        })
    }

    pub(crate) fn nodes(&self) -> &[Address] {
        &self.nodes
    }

    /// The node that serves a slot; node 0 on a single server.
    pub(crate) fn owner(&self, slot: u16) -> usize {
        match self.owners.get(usize::from(slot)) {
            Some(&usize::MAX) | None => 0,
            Some(&owner) => owner,
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        !self.owners.is_empty()
    }

    /// Whether a node serves any slot now.
    pub(crate) fn serves(&self, node: usize) -> bool {
        !self.is_cluster() || self.owners.contains(&node)
    }

    /// A hash tag whose slot the node serves: the smallest number that hashes there.
    pub(crate) fn tag_on(&self, node: usize) -> Option<u32> {
        (0..1_000_000).find(|tag: &u32| self.owner(slot_of(tag.to_string().as_bytes())) == node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{}{bar}"), CRC16.checksum(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }
}
