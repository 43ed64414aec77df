//! Key names of the lesson `lists`.
//!
//! A queue whose jobs move from list to list bears a hash tag, `{queue:orders}`, in all of its names: a cluster then
//! keeps them in one slot, and LMOVE, a transaction or a script can touch several of them.

use super::Keys;

impl Keys {
    /// List: what somebody's friends did lately, capped.
    #[must_use]
    pub fn feed(&self) -> String {
        self.named("feed:user123")
    }

    /// List: the same feed, never trimmed.
    #[must_use]
    pub fn untrimmed_feed(&self) -> String {
        self.named("feed:user123:untrimmed")
    }

    /// List: the one who came first is served first.
    #[must_use]
    pub fn support_queue(&self) -> String {
        self.named("queue:support")
    }

    /// List: what was done last is undone first.
    #[must_use]
    pub fn undo_stack(&self) -> String {
        self.named("stack:undo")
    }

    /// List: filled by each approach of a comparison anew.
    #[must_use]
    pub fn bulk_queue(&self) -> String {
        self.named("queue:bulk")
    }

    /// List: the jobs of a queue that nobody has taken yet.
    #[must_use]
    pub fn jobs(&self, queue: &str) -> String {
        self.of_queue(queue, "jobs")
    }

    /// List: jobs of a queue that go first.
    #[must_use]
    pub fn urgent_jobs(&self, queue: &str) -> String {
        self.of_queue(queue, "urgent")
    }

    /// List: the jobs that a worker has taken and not finished.
    #[must_use]
    pub fn processing(&self, queue: &str, worker: &str) -> String {
        self.of_queue(queue, &format!("processing:{worker}"))
    }

    /// Set: the names of all workers that ever took a job.
    #[must_use]
    pub fn workers(&self, queue: &str) -> String {
        self.of_queue(queue, "workers")
    }

    /// String with a TTL: there as long as the worker is alive.
    #[must_use]
    pub fn heartbeat(&self, queue: &str, worker: &str) -> String {
        self.of_queue(queue, &format!("alive:{worker}"))
    }

    /// String: how often a job of this queue was worked on.
    #[must_use]
    pub fn work_done(&self, queue: &str) -> String {
        self.of_queue(queue, "work_done")
    }

    /// Hash: job to the worker that finished it first.
    #[must_use]
    pub fn receipts(&self, queue: &str) -> String {
        self.of_queue(queue, "receipts")
    }

    /// String: tells by its value when it was read.
    #[must_use]
    pub fn marker_of_time(&self, queue: &str) -> String {
        self.of_queue(queue, "time")
    }

    fn of_queue(&self, queue: &str, name: &str) -> String {
        self.named(&format!("{{queue:{queue}}}:{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_queue_share_a_hash_tag_behind_the_prefix() {
        let keys = Keys::new("lab:");
        assert_eq!(keys.jobs("orders"), "lab:{queue:orders}:jobs");
        assert_eq!(keys.processing("orders", "w1"), "lab:{queue:orders}:processing:w1");
    }
}
