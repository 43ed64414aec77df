//! Counting what happens: metrics, visitors, revenue, funnels and retention, each event once.
