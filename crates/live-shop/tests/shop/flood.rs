//! Ten thousand slow connections to the program itself, or half as many files as this system allows a process.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use lab_testing::TIMEOUT;
use live_shop::changes::Change;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;

use crate::client::{Browser, health, left};
use crate::program::{Program, hub};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_connections_leave_the_shop_up() {
    let prefix = lab_testing::prefix();
    let hub = hub(&prefix).await;
    let tell =
        move |change| Handle::current().block_on(hub.publish(&Change::stock("kettle", change))).unwrap();
    tokio::task::spawn_blocking(move || flood(&prefix, tell)).await.unwrap();
}

#[expect(clippy::print_stdout, reason = "how many there were depends on the system")]
fn flood(prefix: &str, tell: impl Fn(u64)) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let number = (limit.maximum.unwrap_or(u64::MAX) / 2).min(10_000);
    println!("{number} slow connections");

    let mut program = Program::open(prefix);
    let mut early = Browser::new(program.address).listening();
    let mut slow = Vec::new();
    for count in 0..number {
        let mut socket = TcpStream::connect(program.address).unwrap();
        // One that is too many is closed at once.
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: ");
        slow.push(socket);
        if count % 1_000 == 0 {
            tell(count);
            assert_eq!(left(&early.next().unwrap().data), count, "who was there before them is served");
        }
    }
    assert!(program.is_running());
    // They end by themselves, and then there is room.
    let start = Instant::now();
    while health(program.address) != 200 {
        assert!(start.elapsed() < TIMEOUT, "there is no room");
    }
    assert!(program.is_running());
    drop(slow);
}
