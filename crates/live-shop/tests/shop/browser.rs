use lab_testing::browser::Chromium;
use lab_testing::until;
use live_shop::state::Settings;

use crate::with_shop;

/// The page's own script runs under the shop's content security policy: each browser opens an event stream, which ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn two_real_browsers_side_by_side_listen() {
    let (Some(one), Some(other)) = (Chromium::start(), Chromium::start()) else { return };
    with_shop(Settings::default(), move |shop| {
        let port = shop.app.address.port();
        for (browser, name) in [(&one, "127.0.0.1"), (&other, "localhost")] {
            let page = browser.open(&format!("http://{name}:{port}/"));
            assert!(page.errors().is_empty(), "{:?}", page.errors());
        }
        shop.runtime.block_on(until("both listen", || async { shop.app.events.open() == 2 }));
        drop((one, other));
        shop.runtime.block_on(until("nobody listens", || async { shop.app.events.open() == 0 }));
    })
    .await;
}
