//! Chooses free ports.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use rand::RngExt as _;

/// Below the ports that the kernel gives to outgoing connections (32768 and up on Linux), so no connection takes a port between the
/// check and the server's start.
const PORTS: RangeInclusive<u16> = 10_000..=32_767;
/// Before version 7.0, the port of the cluster bus is the server's port plus this.
pub(crate) const BUS_OFFSET: u16 = 10_000;

/// A port that is free now. It is random, so two runs at once rarely try the same one. The caller must be ready to choose again.
pub(crate) fn free() -> u16 {
    let mut rng = rand::rng();
    loop {
        let port = rng.random_range(PORTS);
        if is_free(port) {
            return port;
        }
    }
}

/// Whether a server can listen on the port. A port that is forbidden, not taken, counts as free. Then the server says what is wrong.
pub(crate) fn is_free(port: u16) -> bool {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::AddrInUse,
    }
}
