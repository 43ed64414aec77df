//! Chooses free ports.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use rand::RngExt as _;

/// Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux), so that no
/// connection of this machine lands on a port between the check and the server's start.
const PORTS: RangeInclusive<u16> = 10_000..=32_767;
/// Before version 7.0 a cluster node talks to the others on its port plus this.
pub(crate) const BUS_OFFSET: u16 = 10_000;

/// A port that is free right now, chosen at random so that two runs at once seldom try the same. Whoever starts a
/// server on it must still be ready to choose again.
pub(crate) fn free() -> u16 {
    let mut rng = rand::rng();
    loop {
        let port = rng.random_range(PORTS);
        if is_free(port) {
            return port;
        }
    }
}

/// Whether a server could listen on the port. A port that is forbidden rather than taken counts as free: the server
/// itself then says what is wrong.
pub(crate) fn is_free(port: u16) -> bool {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::AddrInUse,
    }
}
