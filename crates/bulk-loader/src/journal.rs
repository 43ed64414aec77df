//! How far a load got, stored on the servers themselves.
//!
//! Each node has a key with the number of commands that were acknowledged without a gap. A server that crashes may lose its
//! last writes, but never one in between. So the journal that survives a crash never claims more than the node still has.

use crate::source::push_command;
use crate::topology::Topology;

/// The journal's key, and the load that it belongs to.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The key on a single server, and the start of the key on each node of a cluster.
    pub key: String,
    /// The ID of this load, without spaces. A journal of another load with the same key is ignored.
    pub load: String,
}

impl Journal {
    /// The key on a node. On a cluster, a hash tag puts it there.
    pub(crate) fn key_on(&self, node: usize, topology: &Topology) -> Option<String> {
        if !topology.is_cluster() {
            return Some(self.key.clone());
        }
        topology.tag_on(node).map(|tag| format!("{}:{{{tag}}}", self.key))
    }

    pub(crate) fn read_command(key: &str) -> Vec<u8> {
        let mut command = Vec::new();
        push_command(&mut command, &["GET", key]);
        command
    }

    pub(crate) fn push_write(&self, key: &str, acknowledged: u64, out: &mut Vec<u8>) {
        push_command(out, &["SET", key, &format!("{} {acknowledged}", self.load)]);
    }

    /// The acknowledged commands in the reply to [`Journal::read_command`], or 0 if this load has no journal there.
    pub(crate) fn parse(&self, reply: &[u8]) -> u64 {
        let text = String::from_utf8_lossy(reply);
        let value = text.lines().nth(1).unwrap_or_default();
        let acknowledged = value.split_once(' ').filter(|(load, _)| *load == self.load);
        acknowledged.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_of_other_loads_are_ignored() {
        let journal = Journal { key: "journal".into(), load: "a7".into() };
        assert_eq!(journal.parse(b"$6\r\na7 900\r\n"), 900);
        assert_eq!(journal.parse(b"$6\r\nb7 900\r\n"), 0);
        assert_eq!(journal.parse(b"$-1\r\n"), 0);
        assert_eq!(journal.parse(b"$4\r\na7 x\r\n"), 0);
    }
}
