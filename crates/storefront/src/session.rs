//! Sessions of customers and guests.
