//! The shop as browsers see it, and the parts of it that need no browser.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod browser;
mod buying;
mod client;
mod cluster;
mod crowd;
mod faults;
mod flood;
mod live;
mod login;
mod modules;
mod picture;
mod program;
mod requests;
mod resume;
mod slow;
mod waitlist;

use lab_connection::TargetArgs;
use live_shop::Running;
use live_shop::state::{App, Settings};
use patterns::flash_sale::Plan;

use crate::client::Browser;

/// Opens a shop of its own on the shared server, and runs a test on a thread that may block.
async fn with_shop<T: Send + 'static>(
    settings: Settings,
    test: impl FnOnce(Shop) -> T + Send + 'static,
) -> T {
    with_shop_at(&lab_testing::prefix(), settings, test).await
}

/// The same under this prefix: what an earlier shop has left is there.
async fn with_shop_at<T: Send + 'static>(
    prefix: &str,
    settings: Settings,
    test: impl FnOnce(Shop) -> T + Send + 'static,
) -> T {
    let args = TargetArgs { prefix: Some(prefix.to_owned()), ..TargetArgs::at(lab_testing::server().url()) };
    with_shop_on(&args, settings, test).await
}

/// The same on the server that these arguments name.
async fn with_shop_on<T: Send + 'static>(
    args: &TargetArgs,
    settings: Settings,
    test: impl FnOnce(Shop) -> T + Send + 'static,
) -> T {
    // On a busy machine, a server that is well may take longer than a customer waits.
    let settings = Settings { answers_in: lab_testing::TIMEOUT, ..settings };
    let running = open(args, settings).await;
    let (app, runtime) = (running.app.clone(), tokio::runtime::Handle::current());
    let result = tokio::task::spawn_blocking(move || test(Shop { app, runtime })).await;
    running.close().await;
    result.unwrap()
}

async fn open(args: &TargetArgs, settings: Settings) -> Running {
    Running::open(args, ([127, 0, 0, 1], 0).into(), settings).await.unwrap()
}

/// Opens a sale that goes on for an hour, one unit for each customer.
async fn open_sale(app: &App, units: u32, places: u32) {
    let starts = app.flash_sale.now().await.unwrap();
    let (name, product) = ("Today".to_owned(), "turntable".to_owned());
    let plan = Plan { name, product, starts, ends: starts + 3_600_000, units, cap: 1, places };
    app.flash_sale.open("today", &plan).await.unwrap();
}

/// The shop of a test.
#[derive(Clone)]
struct Shop {
    app: App,
    runtime: tokio::runtime::Handle,
}

impl Shop {
    fn browser(&self) -> Browser {
        Browser::new(self.app.address)
    }

    /// A browser of a customer.
    fn customer(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        browser.log_in(name);
        browser
    }

    fn free(&self, sku: &str) -> u64 {
        self.runtime.block_on(self.app.inventory.level(sku)).unwrap().free
    }
}
