//! The names of notifications.
