//! Keeping what is expensive to compute: cache-aside with one loader at a time.
