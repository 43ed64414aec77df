//! The names of stock.
