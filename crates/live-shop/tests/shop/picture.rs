use lab_connection::TargetArgs;
use lab_server::Server;
use lab_testing::browser::picture::{FONT, Picture};
use lab_testing::browser::{Chromium, Page, View};
use live_shop::state::Settings;

use crate::browser::log_in;
use crate::{Shop, with_shop_on};

/// A customer has put four things into the cart, and the wire shows what the last click sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_of_the_shop_is_what_a_browser_shows() {
    let Some(chromium) = Chromium::with_font(Some(FONT)) else { return };
    // A server of its own, so that keys have their plain names.
    let server = Server::start().unwrap();
    with_shop_on(&TargetArgs::at(server.url()), Settings::default(), move |shop| {
        // The first customer lets the server learn the scripts: each is sent once with its source.
        fill_a_cart(&chromium.page(), &shop, "Ben");
        let page = chromium.page();
        fill_a_cart(&page, &shop, "Ann");
        let picture = Picture {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/pictures/shop").into(),
            view: View { width: 1000, height: 640, scale: 1.5, ..View::default() },
            command: "UPDATE=1 cargo test -p live-shop --test shop picture",
        };
        page.show(picture.view);
        // The page is folded up, and the click scrolled to its script. Older requests are below the picture.
        page.value(
            "const wire = document.querySelector('#wire');
            const requests = [...wire.querySelectorAll('details')];
            requests[0].open = false;
            const product = requests[1].querySelectorAll('li')[4];
            requests.slice(2).forEach((older) => older.remove());
            wire.scrollTop += product.getBoundingClientRect().top - wire.getBoundingClientRect().top - 36",
        );
        picture.assert_true(&page);
    })
    .await;
}

fn fill_a_cart(page: &Page<'_>, shop: &Shop, customer: &str) {
    let url = |path: &str| format!("http://{}{path}", shop.app.address);
    page.go(&url("/"));
    log_in(page, customer);
    for sku in ["tent", "lamp", "bottle", "kettle"] {
        page.go(&url(&format!("/product/{sku}")));
        page.click("Add to cart");
    }
    page.until("location.pathname === '/cart' && document.querySelectorAll('#wire details').length > 1");
}
