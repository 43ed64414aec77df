//! The names of autocomplete and facets.
