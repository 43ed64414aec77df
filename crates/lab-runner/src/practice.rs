//! Which exercises belong to which lesson. Lessons and the quiz name them from this list, and the crate `exercises` orders them by it.

/// Lessons in the order of the tour, each with its exercises. Lessons without any are left out.
pub const EXERCISES: &[(&str, &[&str])] = &[
    ("expiry", &["keep-the-time-to-live"]),
    ("counters", &["sell-one-ticket"]),
    ("hashes", &["change-a-profile"]),
    ("lists", &["keep-the-last-hundred"]),
    ("sets", &["find-all-carts"]),
    ("sorted-sets", &["read-the-next-page", "add-up-the-sales", "keep-the-top-ten", "turn-the-page"]),
    ("uniques", &["count-each-visitor-once"]),
    ("transactions", &["move-the-money", "name-no-keys", "change-all-prices", "watch-on-your-own"]),
    ("insert", &["read-many-users"]),
    ("biglist", &["delete-a-big-list"]),
    ("cart", &["total-of-a-cart"]),
    ("caching", &["rebuild-once", "load-it-once", "drop-what-changed"]),
    ("inventory", &["reserve-all-or-nothing"]),
    ("rate-limits", &["limit-requests", "refill-the-bucket"]),
    ("real-time", &["see-every-change"]),
    ("pub-sub", &["store-the-work"]),
    ("streams", &["finish-what-you-began", "confirm-when-it-is-done"]),
    ("job-queue", &["take-a-job", "wait-on-your-own", "lose-no-job"]),
    (
        "locks",
        &[
            "reserve-a-seat",
            "release-a-lock",
            "extend-your-lock",
            "refuse-a-stale-writer",
            "stop-when-it-is-lost",
        ],
    ),
    ("idempotency", &["credit-once", "count-it-once"]),
    ("cluster", &["put-keys-in-one-slot"]),
    ("compact-memory", &["keep-hashes-small"]),
];

/// The exercises of a lesson, by name; none for most of them.
#[must_use]
pub fn exercises_of(lesson: &str) -> &'static [&'static str] {
    EXERCISES.iter().find(|(name, _)| *name == lesson).map_or(&[], |(_, exercises)| exercises)
}

/// The lesson of an exercise; empty for a name that is none.
#[must_use]
pub fn lesson_of(exercise: &str) -> &'static str {
    EXERCISES.iter().find(|(_, exercises)| exercises.contains(&exercise)).map_or("", |(lesson, _)| lesson)
}
