//! The names of orders.
