//! From a cart to an order: reserve every line, pay, confirm or release.
