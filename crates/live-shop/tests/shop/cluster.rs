//! `--url URL --cluster`: the patterns keep the keys of one decision in one slot, so the shop is the same.

use lab_connection::TargetArgs;
use lab_testing::until;
use live_shop::Running;
use live_shop::state::Settings;

use crate::{Shop, open_sale, with_shop_on};

fn args() -> TargetArgs {
    let url = lab_testing::cluster().urls().swap_remove(0);
    TargetArgs { prefix: Some(lab_testing::prefix()), ..TargetArgs::at(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_runs_on_a_cluster() {
    let args = TargetArgs { cluster: true, ..args() };
    with_shop_on(&args, Settings::default(), |shop| {
        buy_at_the_checkout(&shop);
        buy_at_the_flash_sale(&shop);
        let mut browser = shop.browser();
        for path in ["/", "/suggest?q=ket", "/stores", "/dashboard", "/lab", "/login", "/healthz", "/metrics"]
        {
            let page = browser.get(path);
            assert_eq!(page.status, 200, "{path}: {}", page.body);
        }
    })
    .await;
}

fn buy_at_the_checkout(shop: &Shop) {
    let mut ann = shop.customer("Ann");
    let mut events = ann.listening();
    ann.post("/cart/add", &[("sku", "tent"), ("quantity", "1")]);
    events.next_of("cart");
    let key = ann.get("/cart").field("key");
    assert_eq!(ann.post("/checkout", &[("key", &key)]).status, 303);
    assert_eq!(ann.get(&format!("/order/{key}")).between("id=\"state\">", "<"), "done");
    assert_eq!(shop.free("tent"), 7);
    // The worker has sent the email.
    events.next_of("note");
    assert!(ann.get("/notifications").body.contains(&key));
    let page = ann.get("/wire");
    let shown = page.between("href=\"/wire/key?", "\"").replace("&amp;", "&");
    assert_eq!(ann.get(&format!("/wire/key?{shown}")).status, 200);
}

fn buy_at_the_flash_sale(shop: &Shop) {
    let app = shop.app.clone();
    shop.runtime.block_on(open_sale(&app, 50, 100));
    let mut ben = shop.customer("Ben");
    ben.post("/flash/buy", &[("order", "1")]);
    assert!(ben.get("/flash").body.contains("reserved for you"));
    assert_eq!(ben.post("/lab/buyers", &[("buyers", "200")]).status, 303);
    let report = || app.crowd.lock().unwrap().clone();
    shop.runtime.block_on(until("they have bought", || async { report().is_some() }));
    let report = report().unwrap();
    assert_eq!((report.bought, report.waiting, report.refused), (49, 100, 51), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_a_cluster_is_refused_with_what_to_do() {
    let opened = Running::open(&args(), ([127, 0, 0, 1], 0).into(), Settings::default()).await;
    let failure = opened.err().unwrap();
    assert!(failure.next().iter().any(|next| next.contains("--cluster")), "{failure:?}");
}
