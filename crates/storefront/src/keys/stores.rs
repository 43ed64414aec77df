//! The names of stores on the map.
