//! The names of limits and blocks.
