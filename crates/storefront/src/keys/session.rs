//! The names of sessions.
