//! The stores near a place.
