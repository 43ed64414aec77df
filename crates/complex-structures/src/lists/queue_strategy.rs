//! Ways for a worker to take a job.

/// How a worker takes a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueStrategy {
    /// RPOP: from then on only the worker knows of the job.
    Pop,
    /// BLMOVE to a list of the worker's own, and LREM when the job is done; a reaper gives back the jobs of the dead.
    MoveAside,
}

impl QueueStrategy {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::Pop, Self::MoveAside];

    /// Its name within a key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pop => "popped",
            Self::MoveAside => "moved",
        }
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pop => "RPOP",
            Self::MoveAside => "BLMOVE, LREM, reaper",
        }
    }
}
