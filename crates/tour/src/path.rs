//! Shorter ways through the lessons.

use clap::ValueEnum;

/// A selection of lessons for one kind of learner.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Path {
    /// Five lessons in 20 minutes
    Essentials,
    /// For people who build services: data structures, transactions, caching, sessions, limits, jobs, locks
    Backend,
    /// For people who move a lot of data: loading, querying, memory, concurrency
    Data,
    /// For people who build a shop: the cart, stock, search, recommendations, analytics
    Shop,
    /// For people who prepare for an interview: the lessons that most questions belong to
    Interview,
}

impl Path {
    /// The names of its lessons, in order.
    pub(crate) fn lessons(self) -> &'static [&'static str] {
        match self {
            Self::Essentials => &["strings", "expiry", "counters", "hashes", "sorted-sets"],
            Self::Backend => &[
                "strings",
                "expiry",
                "counters",
                "hashes",
                "lists",
                "transactions",
                "caching",
                "sessions",
                "rate-limits",
                "streams",
                "job-queue",
                "locks",
                "idempotency",
            ],
            Self::Data => &[
                "strings",
                "hashes",
                "sorted-sets",
                "uniques",
                "insert",
                "query",
                "memory",
                "biglist",
                "concurrency",
            ],
            Self::Shop => &[
                "hashes",
                "sorted-sets",
                "cart",
                "inventory",
                "sessions",
                "search",
                "recommendations",
                "real-time",
                "analytics",
            ],
            Self::Interview => {
                &["strings", "expiry", "lists", "sets", "sorted-sets", "transactions", "insert", "caching"]
            }
        }
    }
}
