use lab_connection::TargetArgs;
use live_shop::state::Settings;

use crate::client::Browser;
use crate::open;

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_catalog_is_still_there_and_after_a_failover_so_is_the_cart() {
    let running = open(&TargetArgs::private(), Settings::default()).await;
    let (app, faults) = (running.app.clone(), running.app.faults.clone().unwrap());
    let address = app.address;
    let browse = |work: fn(&mut Browser), mut browser: Browser| {
        tokio::task::spawn_blocking(move || {
            work(&mut browser);
            browser
        })
    };

    let ann = tokio::task::spawn_blocking(move || {
        let mut ann = Browser::new(address);
        ann.log_in("Ann");
        ann.post("/cart/add", &[("sku", "lamp"), ("quantity", "1")]);
        ann
    });
    let ann = ann.await.unwrap();
    faults.turn_off(true).await.unwrap();
    let off = |ann: &mut Browser| {
        let catalog = ann.get("/");
        assert!(catalog.status == 200 && catalog.body.contains("Electric kettle"), "{}", catalog.body);
        assert_eq!(ann.get("/product/kettle").status, 200);
        let cart = ann.get("/cart");
        assert!(cart.status == 503 && cart.body.contains("Without Redis"), "{}", cart.body);
        assert_eq!(ann.get("/healthz").status, 503);
    };
    let ann = browse(off, ann).await.unwrap();
    faults.turn_off(false).await.unwrap();
    let back = |ann: &mut Browser| {
        let start = std::time::Instant::now();
        while ann.get("/healthz").status != 200 {
            assert!(start.elapsed() < lab_testing::TIMEOUT, "Redis is not back");
        }
        assert!(ann.get("/cart").body.contains("/product/lamp"));
    };
    let ann = browse(back, ann).await.unwrap();
    faults.kill_primary().await.unwrap();
    browse(back, ann).await.unwrap();
    running.close().await;
}
