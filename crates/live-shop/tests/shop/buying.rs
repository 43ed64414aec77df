use lab_testing::until;
use live_shop::state::Settings;

use crate::with_shop;

#[tokio::test(flavor = "multi_thread")]
async fn two_browsers_of_one_customer_share_a_cart() {
    with_shop(Settings::default(), |shop| {
        let (mut one, mut other, mut stranger) =
            (shop.customer("Ann"), shop.customer("Ann"), shop.customer("Ben"));
        let mut events = other.listening();
        assert_eq!(one.post("/cart/add", &[("sku", "kettle"), ("quantity", "2")]).status, 303);
        events.next_of("cart");
        assert!(other.get("/cart").body.contains("/product/kettle"));
        assert_eq!(other.get("/cart").between("id=\"total\">", "<"), "79.98");
        assert!(stranger.get("/cart").body.contains("The cart is empty"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_takes_the_cart_along_to_the_login() {
    with_shop(Settings::default(), |shop| {
        let mut browser = shop.browser();
        browser.post("/cart/add", &[("sku", "pen"), ("quantity", "1")]);
        browser.log_in("Cleo");
        assert!(browser.get("/cart").body.contains("/product/pen"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_is_sent_again_is_one_order() {
    with_shop(Settings::default(), |shop| {
        let mut ann = shop.customer("Ann");
        ann.post("/cart/add", &[("sku", "tent"), ("quantity", "3")]);
        let key = ann.get("/cart").field("key");

        let copies: Vec<_> = (0..4)
            .map(|_| {
                let (mut browser, key) = (ann.clone(), key.clone());
                std::thread::spawn(move || browser.post("/checkout", &[("key", &key)]).status)
            })
            .collect();
        let statuses: Vec<_> = copies.into_iter().map(|copy| copy.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| [303, 409].contains(status)), "{statuses:?}");
        assert!(statuses.contains(&303), "{statuses:?}");

        let again = ann.post("/checkout", &[("key", &key)]);
        assert_eq!((again.status, again.header("location")), (303, format!("/order/{key}").as_str()));
        assert_eq!(ann.get(&format!("/order/{key}")).between("id=\"state\">", "<"), "done");
        assert_eq!((shop.app.bank.charges(), shop.free("tent")), (1, 5));
        assert!(ann.get("/cart").body.contains("The cart is empty"));
        assert_eq!(shop.browser().get(&format!("/order/{key}")).status, 404, "it is not theirs");

        let app = shop.app.clone();
        shop.runtime.block_on(until("the email was sent", || async {
            app.emails.counts().await.unwrap().completed == 1
        }));
        assert!(ann.get("/notifications").body.contains(&key));
        assert!(ann.get("/dashboard").body.contains("<dt>Orders</dt><dd>1</dd>"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_is_is_not_sold() {
    with_shop(Settings::default(), |shop| {
        let mut ann = shop.customer("Ann");
        ann.post("/cart/add", &[("sku", "turntable"), ("quantity", "6")]);
        let key = ann.get("/cart").field("key");
        ann.post("/checkout", &[("key", &key)]);
        assert_eq!(ann.get(&format!("/order/{key}")).between("id=\"state\">", "<"), "cancelled");
        assert_eq!((shop.app.bank.charges(), shop.free("turntable")), (0, 5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_works() {
    with_shop(Settings::default(), |shop| {
        let mut ann = shop.customer("Ann");
        for (path, text) in [
            ("/?brand=Larch&order=cheapest", "3 products"),
            ("/product/kettle", "in stock"),
            ("/suggest?q=ket", "[[\"kettle\",\"Electric kettle\"]]"),
            ("/stores?longitude=13.4&latitude=52.5&km=5", "Kreuzberg"),
            ("/flash", "There is no sale"),
            ("/notifications", "0 unread"),
            ("/dashboard", "Funnel"),
            ("/lab", "Fifty buyers"),
            ("/healthz", "ok"),
            ("/metrics", "shop_responses_total"),
            ("/assets/shop.js", "EventSource"),
        ] {
            let page = ann.get(path);
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            assert!(page.body.contains(text), "{path}: {}", page.body);
        }
        assert_eq!(ann.post("/flash/open", &[]).status, 303);
        assert!(ann.get("/flash").body.contains("It begins in"));
        assert_eq!(ann.get("/product/none").status, 404);
    })
    .await;
}
