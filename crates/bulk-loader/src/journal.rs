//! How far a load has come, kept on the servers themselves.
//!
//! Every node gets a key that says how many commands were acknowledged without a gap when it was written. A server keeps
//! what it executed as a prefix: persistence may lose the end of it, replication too, never something in between. So
//! whatever a node has after a crash, its journal does not say more than what the node has.

use crate::source::push_command;
use crate::topology::Topology;

/// Names of the journal's keys, and which load it belongs to.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The key on a single server, and the beginning of the key on the nodes of a cluster.
    pub key: String,
    /// Tells this load from another one with the same key: only what bears it counts. No spaces.
    pub load: String,
}

impl Journal {
    /// The key on a node: in a cluster with a hash tag that puts it there.
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

    pub(crate) fn push_write(&self, key: &str, mark: u64, out: &mut Vec<u8>) {
        push_command(out, &["SET", key, &format!("{} {mark}", self.load)]);
    }

    /// The mark in the reply to [`Journal::read_command`]; 0 if there is none, or another load's.
    pub(crate) fn mark(&self, reply: &[u8]) -> u64 {
        let text = String::from_utf8_lossy(reply);
        let value = text.lines().nth(1).unwrap_or_default();
        let mark = value.split_once(' ').filter(|(load, _)| *load == self.load);
        mark.and_then(|(_, mark)| mark.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marks_of_the_same_load_count() {
        let journal = Journal { key: "journal".into(), load: "a7".into() };
        assert_eq!(journal.mark(b"$6\r\na7 900\r\n"), 900);
        assert_eq!(journal.mark(b"$6\r\nb7 900\r\n"), 0);
        assert_eq!(journal.mark(b"$-1\r\n"), 0);
        assert_eq!(journal.mark(b"$4\r\na7 x\r\n"), 0);
    }
}
