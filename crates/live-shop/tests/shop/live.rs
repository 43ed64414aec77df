//! The event stream. The names are those of the cases from the field: W2, W4, W8, W9. W5 is in `slow`, and W6 in `browser` and
//! `requests`.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use lab_testing::until;
use live_shop::changes::{Change, Kind};
use live_shop::hub::KEPT;
use live_shop::state::Settings;
use patterns::broadcast::Broadcast;

use crate::client::{Browser, Events, left};
use crate::program::Program;
use crate::{Shop, with_shop, with_shop_at};

fn tell(shop: &Shop, left: std::ops::Range<u64>) {
    for left in left {
        shop.runtime.block_on(shop.app.tell(Change::stock("kettle", left)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_comes_back_misses_nothing_and_gets_nothing_twice() {
    with_shop(Settings::default(), |shop| {
        let browser = shop.browser();
        let mut events = browser.events(None);
        let mut last = events.next_of("hello").id;
        let mut seen = Vec::new();
        for round in 0..5 {
            tell(&shop, round * 10..round * 10 + 5);
            // It reads some, goes away, and more happens.
            for _ in 0..3 {
                let event = events.next_of("stock");
                seen.push(left(&event.data));
                last = event.id;
            }
            drop(events);
            tell(&shop, round * 10 + 5..round * 10 + 10);
            events = browser.events(Some(&last));
            for _ in 0..7 {
                let event = events.next_of("stock");
                seen.push(left(&event.data));
                last = event.id;
            }
        }
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    })
    .await;
}

/// Case W2 (c): changes are published while browsers come and go, between the kept changes and the live ones. (d): the shop reads its
/// stream after the last ID it has read, never 'from now on', so this holds for it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_between_the_kept_ones_and_the_live_ones_comes_once() {
    const CHANGES: u64 = 400;
    with_shop(Settings::default(), |shop| {
        let browser = shop.browser();
        let begin = browser.events(None).next_of("hello").id;
        let listen = |every: usize| {
            let (browser, begin) = (browser.clone(), begin.clone());
            thread::spawn(move || {
                let (mut changes, mut events) = (0, browser.events(Some(&begin)));
                events.next_of("hello");
                drop(events);
                browser.listen_after(&begin, |event| {
                    changes += usize::from(event.kind == "stock");
                    let is_last = event.kind == "stock" && left(&event.data) == CHANGES - 1;
                    let goes_on = event.kind != "stock" || changes % every != 0;
                    if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(goes_on) }
                })
            })
        };
        let browsers: Vec<_> = (1..=20).map(listen).collect();
        tell(&shop, 0..CHANGES);
        for browser in browsers {
            let events = browser.join().unwrap();
            assert!(events.iter().all(|event| event.kind != "resync"));
            let seen = events.iter().filter(|event| event.kind == "stock").map(|event| left(&event.data));
            assert_eq!(seen.collect::<Vec<_>>(), (0..CHANGES).collect::<Vec<_>>());
        }
    })
    .await;
}

/// Case W2 (a).
#[tokio::test(flavor = "multi_thread")]
async fn an_id_older_than_what_is_kept_is_one_resync() {
    let prefix = lab_testing::prefix();
    let old = with_shop_at(&prefix, Settings::default(), |shop| {
        let browser = shop.browser();
        let mut events = browser.events(None);
        let old = events.next_of("hello").id;
        tell(&shop, 0..u64::try_from(KEPT).unwrap() + 200);
        while left(&events.next_of("stock").data) + 1 < u64::try_from(KEPT).unwrap() + 200 {}
        assert_one_resync(&shop, &old);
        old
    })
    .await;
    // Another process reads what Redis has kept.
    with_shop_at(&prefix, Settings::default(), move |shop| assert_one_resync(&shop, &old)).await;
}

/// One `resync`, and then each change.
fn assert_one_resync(shop: &Shop, last: &str) {
    let mut events = shop.browser().events(Some(last));
    assert_eq!(events.next().unwrap().kind, "resync", "{last}");
    tell(shop, 7..9);
    for change in 7..9 {
        let next = events.next().unwrap();
        assert_eq!((next.kind.as_str(), left(&next.data)), ("stock", change), "{last}");
    }
}

/// Case W2 (b).
#[tokio::test(flavor = "multi_thread")]
async fn an_id_from_before_a_reset_is_one_resync() {
    let prefix = lab_testing::prefix();
    let old = with_shop_at(&prefix, Settings::default(), |shop| {
        let browser = shop.browser();
        let mut events = browser.listening();
        tell(&shop, 0..5);
        let old = (0..5).map(|_| events.next_of("stock").id).last().unwrap();
        // While the shop runs.
        reset(&shop);
        tell(&shop, 5..7);
        assert_eq!(events.next().unwrap().kind, "resync");
        for change in 5..7 {
            assert_eq!(left(&events.next().unwrap().data), change);
        }
        assert_one_resync(&shop, &old);
        reset(&shop);
        old
    })
    .await;
    // While it does not.
    with_shop_at(&prefix, Settings::default(), move |shop| assert_one_resync(&shop, &old)).await;
}

/// The stream and its epoch are gone, so its IDs begin again.
fn reset(shop: &Shop) {
    let keys = Broadcast::new(shop.app.redis.clone(), &shop.app.prefix, "changes").keys().unwrap();
    let mut delete = redis::cmd("DEL");
    delete.arg(&keys).arg(format!("{}epoch", shop.app.prefix));
    let deleted: usize = shop.runtime.block_on(delete.query_async(&mut shop.app.redis.clone())).unwrap();
    assert_eq!(deleted, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_means_nothing_is_one_resync() {
    with_shop(Settings::default(), |shop| {
        let browser = shop.browser();
        let known = browser.events(None).next_of("hello").id;
        tell(&shop, 0..3);
        let (epoch, _) = known.split_once('.').unwrap();
        let of_another = known.replace(epoch, "another");
        for id in [of_another.as_str(), &format!("{epoch}.1-1"), "nothing", ".", "x.y", ""] {
            assert_one_resync(&shop, id);
        }
    })
    .await;
}

/// Case W8: whatever a change or the epoch holds, it is one event, without a field of its own.
#[tokio::test(flavor = "multi_thread")]
async fn line_ends_stay_inside_the_event_that_has_them() {
    const TEXT: &str = "a\rb\r\nc\nd\n\nevent: bye\ndata: x\u{0}\u{2028}";
    let prefix = lab_testing::prefix();
    // The epoch is a part of each ID. Not even a bad one in Redis may stop the streams.
    with_shop_at(&prefix, Settings::default(), |shop| {
        let mut set = redis::cmd("SET");
        set.arg(format!("{}epoch", shop.app.prefix)).arg("x\ny\u{0}");
        shop.runtime.block_on(set.exec_async(&mut shop.app.redis.clone())).unwrap();
    })
    .await;
    with_shop_at(&prefix, Settings::default(), |shop| {
        let browser = shop.browser();
        let mut events = browser.events(None);
        let hello = events.next().unwrap();
        assert!(hello.kind == "hello" && !hello.id.contains('y'), "{hello:?}");
        shop.runtime.block_on(shop.app.tell(Change::stock(TEXT, 1)));
        tell(&shop, 2..3);
        let event = events.next().unwrap();
        let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!((event.kind.as_str(), data["sku"].as_str()), ("stock", Some(TEXT)));
        assert_eq!(left(&events.next().unwrap().data), 2);
        // As IDs that a script names.
        for last in ["%00", "x%0Aevent:%20bye%0A%0A", "%0D%0A", "%FF"] {
            let mut other = browser.clone();
            let answer = other.first_line_of(&format!("/events?last={last}"));
            assert!(answer.contains("200") || answer.contains("400"), "{last}: {answer}");
        }
        tell(&shop, 3..4);
        assert_eq!(left(&events.next().unwrap().data), 3, "others go on");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_events_of_another_customer() {
    with_shop(Settings::default(), |shop| {
        let (ann, ben) = (shop.customer("Ann"), shop.customer("Ben"));
        let (mut for_ann, mut for_ben) = (ann.listening(), ben.listening());
        shop.runtime.block_on(async {
            shop.app.tell(Change::to(Kind::Cart, "user:Ann")).await;
            shop.app.tell(Change::all(Kind::Order)).await;
        });
        assert_eq!(for_ann.next().unwrap().kind, "cart");
        assert_eq!(for_ben.next().unwrap().kind, "order");
    })
    .await;
}

/// Case W4 (a).
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_streams_of_its_session_only() {
    let settings = Settings { keep_alive: Duration::from_millis(50), ..Settings::default() };
    with_shop(settings, |shop| {
        let (mut one, other) = (shop.customer("Ann"), shop.customer("Ann"));
        let (mut ends, mut stays) = (one.listening(), other.listening());
        one.post("/logout", &[]);
        ends.next_of("bye");
        assert_eq!(ends.next(), None);

        // Even if nobody tells: the next keep-alive finds it out.
        let ended = shop.app.sessions.clone();
        shop.runtime.block_on(ended.end_everywhere("Ann")).unwrap();
        stays.next_of("bye");
        assert_eq!(stays.next(), None);
        shop.runtime.block_on(until("no stream is open", || async { shop.app.events.open() == 0 }));
    })
    .await;
}

/// Case W9 (a).
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_gone_is_noticed_without_an_event() {
    let settings = Settings { keep_alive: Duration::from_millis(20), ..Settings::default() };
    with_shop(settings, |shop| {
        let events = shop.browser().listening();
        assert_eq!(shop.app.events.open(), 1);
        drop(events);
        shop.runtime.block_on(until("the stream is closed", || async { shop.app.events.open() == 0 }));
    })
    .await;
}

/// Case W9 (b): the program ends with its idle streams, and tells each browser another time to come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_stopped_ends_idle_streams_and_exits_with_0() {
    let stopped = tokio::task::spawn_blocking(|| {
        let mut program = Program::open(&lab_testing::prefix());
        let browser = Browser::new(program.address);
        let streams: Vec<_> = (0..20).map(|_| browser.events(None)).collect();
        let streams: Vec<_> = streams.into_iter().map(Events::after_hello).collect();
        assert_eq!(program.stop().code(), Some(0));
        let pause = |mut events: Events| {
            assert_eq!(events.next(), None);
            let [_, at_the_end] = events.retries[..] else { panic!("{:?}", events.retries) };
            assert!((1_000..2_000).contains(&at_the_end), "{at_the_end}");
            at_the_end
        };
        let pauses: std::collections::BTreeSet<u64> = streams.into_iter().map(pause).collect();
        assert!(pauses.len() > 1, "all come back at once: {pauses:?}");
    });
    stopped.await.unwrap();
}
