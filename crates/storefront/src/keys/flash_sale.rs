//! The names of flash sales.
