//! The stock of a product, live, to everyone who watches it.
