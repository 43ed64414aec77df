use std::time::Duration;

use live_shop::changes::{Change, Kind};
use live_shop::state::Settings;

use crate::{Shop, with_shop, with_shop_at};

fn tell(shop: &Shop, left: std::ops::Range<u64>) {
    for left in left {
        shop.runtime.block_on(shop.app.tell(Change::stock("kettle", left)));
    }
}

fn left(data: &str) -> u64 {
    data.split_once("\"left\":").unwrap().1.split([',', '}']).next().unwrap().parse().unwrap()
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

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_browsers_resume_at_a_shop_that_was_started_again() {
    const BROWSERS: usize = 200;
    let prefix = lab_testing::prefix();
    let seen = with_shop_at(&prefix, Settings::default(), |shop| {
        let browser = shop.browser();
        let mut streams: Vec<_> = (0..BROWSERS).map(|_| browser.events(None)).collect();
        for events in &mut streams {
            events.next_of("hello");
        }
        tell(&shop, 0..20);
        // Each has read another number of changes when its stream ends.
        let read = |(number, events): (usize, &mut crate::client::Events)| {
            let read: Vec<_> = (0..=number % 20).map(|_| events.next_of("stock")).collect();
            read.into_iter().map(|event| (left(&event.data), event.id)).collect::<Vec<_>>()
        };
        streams.iter_mut().enumerate().map(read).collect::<Vec<_>>()
    })
    .await;
    with_shop_at(&prefix, Settings::default(), move |shop| {
        tell(&shop, 20..30);
        let browser = shop.browser();
        let mut streams: Vec<_> =
            seen.iter().map(|seen| browser.events(seen.last().map(|(_, id)| id.as_str()))).collect();
        tell(&shop, 30..35);
        for (events, seen) in streams.iter_mut().zip(seen) {
            let mut all: Vec<_> = seen.into_iter().map(|(left, _)| left).collect();
            while all.last() != Some(&34) {
                all.push(left(&events.next_of("stock").data));
            }
            assert_eq!(all, (0..35).collect::<Vec<_>>());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_means_nothing_is_one_resync() {
    with_shop(Settings::default(), |shop| {
        let browser = shop.browser();
        let known = browser.events(None).next_of("hello").id;
        tell(&shop, 0..3);
        let (epoch, _) = known.split_once('.').unwrap();
        let of_another = known.replace(epoch, "another");
        for id in [of_another.as_str(), &format!("{epoch}.1-1"), "nothing", ".", "x.y"] {
            let mut events = browser.events(Some(id));
            assert_eq!(events.next().unwrap().kind, "resync", "{id}");
            tell(&shop, 7..8);
            let next = events.next().unwrap();
            assert_eq!((next.kind.as_str(), left(&next.data)), ("stock", 7), "{id}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_events_of_another_customer() {
    with_shop(Settings::default(), |shop| {
        let (ann, ben) = (shop.customer("Ann"), shop.customer("Ben"));
        let (mut for_ann, mut for_ben) = (ann.events(None), ben.events(None));
        for_ann.next_of("hello");
        for_ben.next_of("hello");
        shop.runtime.block_on(async {
            shop.app.tell(Change::to(Kind::Cart, "user:Ann")).await;
            shop.app.tell(Change::all(Kind::Order)).await;
        });
        assert_eq!(for_ann.next().unwrap().kind, "cart");
        assert_eq!(for_ben.next().unwrap().kind, "order");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_streams_of_its_session_only() {
    let settings = Settings { keep_alive: Duration::from_millis(50), ..Settings::default() };
    with_shop(settings, |shop| {
        let (mut one, other) = (shop.customer("Ann"), shop.customer("Ann"));
        let (mut ends, mut stays) = (one.events(None), other.events(None));
        ends.next_of("hello");
        stays.next_of("hello");
        one.post("/logout", &[]);
        ends.next_of("bye");
        assert_eq!(ends.next(), None);

        // Even if nobody tells: the next keep-alive finds it out.
        let ended = shop.app.sessions.clone();
        shop.runtime.block_on(ended.end_everywhere("Ann")).unwrap();
        stays.next_of("bye");
        assert_eq!(stays.next(), None);
        shop.runtime
            .block_on(lab_testing::until("no stream is open", || async { shop.app.events.open() == 0 }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_gone_is_noticed_without_an_event() {
    let settings = Settings { keep_alive: Duration::from_millis(20), ..Settings::default() };
    with_shop(settings, |shop| {
        let mut events = shop.browser().events(None);
        events.next_of("hello");
        assert_eq!(shop.app.events.open(), 1);
        drop(events);
        shop.runtime
            .block_on(lab_testing::until("the stream is closed", || async { shop.app.events.open() == 0 }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_closes_ends_idle_streams_and_work() {
    let streams = with_shop(Settings::default(), |shop| {
        let browser = shop.browser();
        let mut streams: Vec<_> = (0..20).map(|_| browser.events(None)).collect();
        for events in &mut streams {
            events.next_of("hello");
        }
        streams
    })
    .await;
    // It is closed: `with_shop` has waited for it.
    tokio::task::spawn_blocking(|| {
        for mut events in streams {
            assert_eq!(events.next(), None);
        }
    })
    .await
    .unwrap();
}
