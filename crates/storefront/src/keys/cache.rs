//! The names of cached documents.
