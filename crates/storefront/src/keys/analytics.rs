//! The names of what is counted.
