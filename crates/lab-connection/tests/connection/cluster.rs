//! One connection to a whole cluster.

mod moving;
mod pipeline;
