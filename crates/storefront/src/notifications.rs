//! Telling a customer something, at least once.
