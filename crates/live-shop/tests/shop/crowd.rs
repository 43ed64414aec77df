use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lab_connection::TargetArgs;
use lab_testing::{TIMEOUT, until};
use live_shop::state::{App, Settings};
use tokio::sync::Barrier;

use crate::client::Browser;
use crate::{open, open_sale};

const UNITS: u32 = 50;
const BROWSERS: usize = 80;

/// Clicks until the shop has answered, always with the same order. Returns the last status.
fn buy(browser: &mut Browser, order: &str) -> u16 {
    let start = Instant::now();
    loop {
        let status = browser.post("/flash/buy", &[("order", order)]).status;
        if status != 503 || start.elapsed() > TIMEOUT {
            return status;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// How many units each customer has by the sale's own books.
async fn units_of_customers(app: &App) -> Vec<u32> {
    let [_, bought, _] = app.flash_sale.keys("today").unwrap();
    let fields: HashMap<String, String> =
        redis::cmd("HGETALL").arg(bought).query_async(&mut app.redis.clone()).await.unwrap();
    let entries = fields.iter().filter(|(field, _)| !field.contains(':'));
    entries.map(|(_, entry)| entry.split(':').next().unwrap().parse().unwrap()).collect()
}

/// How many units are sold; 0 while Redis does not answer.
async fn sold(app: &App) -> u32 {
    app.flash_sale.sale("today").await.ok().flatten().map_or(0, |sale| sale.sold)
}

/// The buttons "Five hundred" and "Kill the primary", one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_buyers_get_fifty_units_at_most_and_each_is_charged_once_though_the_primary_is_killed() {
    let running = open(&TargetArgs::private(), Settings::default()).await;
    let app = running.app.clone();
    open_sale(&app, UNITS, 0).await;
    let address = app.address;
    let buyers = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::new(address);
        let token = browser.get("/lab").field("token");
        assert_eq!(browser.post("/lab/buyers", &[("buyers", "500")]).status, 303);
        (browser, token)
    });
    let (mut browser, token) = buyers.await.unwrap();
    until("some are sold", async || sold(&app).await > 5).await;
    let kill = move || browser.post("/lab", &[("what", "kill"), ("token", &token)]).status;
    assert_eq!(tokio::task::spawn_blocking(kill).await.unwrap(), 303);
    let report = || app.crowd.lock().unwrap().clone();
    until("each buyer has an answer", async || report().is_some()).await;
    let report = report().unwrap();

    until("the shop is back", async || sold(&app).await > 0).await;
    assert_eq!(app.faults.as_ref().unwrap().state().failovers, 1);
    let units = units_of_customers(&app).await;
    assert!(units.iter().all(|units| *units == 1), "{units:?}");
    assert_eq!(
        (u32::try_from(units.len()), sold(&app).await),
        (Ok(sold(&app).await), report.bought),
        "{report:?}"
    );
    assert!(report.bought <= UNITS, "{report:?}");
    assert_eq!(app.bank.charges(), u64::from(report.bought), "{report:?}");
    assert_eq!((report.bought + report.refused, report.unknown), (500, 0), "{report:?}");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eighty_browsers_get_fifty_units_though_the_primary_is_killed() {
    let settings = Settings { requests: 100_000, ..Settings::default() };
    let running = open(&TargetArgs::private(), settings).await;
    let app = running.app.clone();
    open_sale(&app, UNITS, 0).await;

    let all_here = Arc::new(Barrier::new(BROWSERS));
    let clicks: Vec<_> = (0..BROWSERS)
        .map(|number| {
            let (address, all_here) = (app.address, Arc::clone(&all_here));
            tokio::spawn(async move {
                let opening = tokio::task::spawn_blocking(move || Browser::new(address));
                let mut browser = opening.await.unwrap();
                all_here.wait().await;
                let order = format!("order-{number}");
                tokio::task::spawn_blocking(move || buy(&mut browser, &order)).await.unwrap()
            })
        })
        .collect();
    until("some are sold", async || sold(&app).await > 5).await;
    running.app.faults.as_ref().unwrap().kill_primary().await.unwrap();
    let mut statuses = HashMap::<u16, u32>::new();
    for click in clicks {
        *statuses.entry(click.await.unwrap()).or_default() += 1;
    }

    until("the shop is back", async || sold(&app).await > 0).await;
    let sale = app.flash_sale.sale("today").await.unwrap().unwrap();
    let units = units_of_customers(&app).await;
    assert_eq!((sale.sold, sale.left), (UNITS, 0), "{statuses:?}");
    assert!(units.iter().all(|units| *units == 1) && units.len() == 50, "{units:?}");
    assert!(!statuses.contains_key(&503), "everybody has an answer: {statuses:?}");
    running.close().await;
}
