//! Case W5: a browser that reads too slowly never misses a change without a word, and nobody waits for it.

use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::Duration;

use lab_testing::{TIMEOUT, until};
use live_shop::changes::Change;
use live_shop::state::Settings;

use crate::client::{Events, left};
use crate::{Shop, with_shop};

/// More than an open stream may be behind, and what the system keeps of a connection that nobody reads: at most 4 MB here.
const CHANGES: u64 = 700;
const BYTES: usize = 20_000;

/// A connection of a browser that takes little before it reads.
fn narrow(shop: &Shop) -> TcpStream {
    async fn connect(address: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    }
    let socket = shop.runtime.block_on(connect(shop.app.address));
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

/// Tells changes while the fast browser reads along: it gets each one, though the slow one reads nothing.
fn tell(shop: &Shop, changes: std::ops::Range<u64>, fast: &mut Events) {
    let sku = "x".repeat(BYTES);
    for change in changes {
        shop.runtime.block_on(shop.app.events.publish(&Change::stock(&sku, change))).unwrap();
        assert_eq!(left(&fast.next_of("stock").data), change);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_browser_is_told_that_it_missed_changes_and_a_fast_one_misses_none() {
    // Not closed, however long the changes take.
    let settings = Settings { slow_reader: 10 * TIMEOUT, ..Settings::default() };
    with_shop(settings, |shop| {
        let browser = shop.browser();
        let (mut slow, mut fast) = (browser.events_over(narrow(&shop), None).unwrap(), browser.events(None));
        slow.next_of("hello");
        fast.next_of("hello");
        tell(&shop, 0..CHANGES, &mut fast);

        let (mut expected, mut resyncs) = (0, 0);
        while expected < CHANGES {
            let event = slow.next().unwrap();
            if event.kind == "resync" {
                // What comes next may be any later change. It has to read the page again, so nothing is wrong for long.
                let next = left(&slow.next_of("stock").data);
                assert!(next > expected, "{next} after a resync at {expected}");
                (expected, resyncs) = (next + 1, resyncs + 1);
            } else {
                assert_eq!(left(&event.data), expected, "it missed a change, and nobody told");
                expected += 1;
            }
        }
        assert!(resyncs > 0, "it was never too slow");
        // It goes on with the others.
        tell(&shop, CHANGES..CHANGES + 3, &mut fast);
        for change in CHANGES..CHANGES + 3 {
            assert_eq!(left(&slow.next().unwrap().data), change);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_reads_nothing_is_closed_and_resumes_with_every_change_once() {
    let settings = Settings { slow_reader: Duration::from_millis(300), ..Settings::default() };
    with_shop(settings, |shop| {
        let browser = shop.browser();
        let (mut slow, mut fast) = (browser.events_over(narrow(&shop), None).unwrap(), browser.events(None));
        let mut last = slow.next_of("hello").id;
        fast.next_of("hello");
        tell(&shop, 0..CHANGES, &mut fast);
        shop.runtime.block_on(until("it is closed", || async { shop.app.events.open() == 1 }));
        tell(&shop, CHANGES..CHANGES + 10, &mut fast);

        let mut seen = Vec::new();
        // What was on its way when the connection was closed, and then the rest.
        while let Some(event) = slow.next() {
            seen.push(left(&event.data));
            last = event.id;
        }
        assert!(seen.len() < usize::try_from(CHANGES).unwrap(), "it was never too slow");
        // On a busy machine, it may be too slow again, and resumes again.
        let rest = browser.listen_after(&last, |event| {
            let is_last = event.kind == "stock" && left(&event.data) == CHANGES + 9;
            if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(true) }
        });
        assert!(rest.iter().all(|event| event.kind != "resync"));
        seen.extend(rest.iter().filter(|event| event.kind == "stock").map(|event| left(&event.data)));
        assert_eq!(seen, (0..CHANGES + 10).collect::<Vec<_>>());
    })
    .await;
}
