//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{
    backup, cluster, compact_memory, eviction, monitoring, persistence, replication, security, sentinel,
};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OperationsLesson {
    /// A copy that is a little late, and what that means
    Replication,
    /// Processes that replace a primary, and the writes that this costs
    Sentinel,
    /// Slots, redirections, a live reshard, and a failover
    Cluster,
    /// What is on the disk after a crash
    Persistence,
    /// What the server throws away when memory is full
    Eviction,
    /// The same data in less memory
    CompactMemory,
    /// A copy that was restored, and compared
    Backup,
    /// What is slow, big, hot, or slow to read, and which tool finds it
    Monitoring,
    /// Users with few rights, encrypted connections, and known vulnerabilities
    Security,
}

impl Course for OperationsLesson {
    const TITLE: &'static str = "Operations";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Replication => &replication::LESSON,
            Self::Sentinel => &sentinel::LESSON,
            Self::Cluster => &cluster::LESSON,
            Self::Persistence => &persistence::LESSON,
            Self::Eviction => &eviction::LESSON,
            Self::CompactMemory => &compact_memory::LESSON,
            Self::Backup => &backup::LESSON,
            Self::Monitoring => &monitoring::LESSON,
            Self::Security => &security::LESSON,
        }
    }
}
