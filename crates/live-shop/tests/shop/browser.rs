//! Real browsers side by side, under the shop's content security policy. Nothing but the page's own script tells one what another did.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lab_testing::browser::{Chromium, Page};
use lab_testing::until;
use live_shop::changes::Change;
use live_shop::database::PASSWORD;
use live_shop::state::Settings;

use crate::{open_sale, with_shop};

/// Logs in by hand.
pub fn log_in(page: &Page<'_>, name: &str) {
    page.click("Log in");
    page.fill("[name=name]", name);
    page.fill("[name=password]", PASSWORD);
    page.click_on("document.querySelector('form[action=\"/login\"] button')");
    page.until(&format!("document.querySelector('header').innerText.includes('Hello, {name}')"));
}

fn until_it_listens(page: &Page<'_>) {
    page.until("document.documentElement.dataset.listening === 'yes'");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_browsers_of_one_customer_share_a_cart_and_others_see_the_stock_move() {
    let Some(chromium) = Chromium::start() else { return };
    with_shop(Settings::default(), move |shop| {
        let url = |path: &str| format!("http://{}{path}", shop.app.address);
        let [one, other, stranger] = ["/", "/", "/product/tent"].map(|path| chromium.open(&url(path)));
        log_in(&one, "Ann");
        log_in(&other, "Ann");
        other.go(&url("/cart"));
        for page in [&other, &stranger] {
            until_it_listens(page);
        }
        stranger.until_it_shows("8 in stock");
        one.go(&url("/product/tent"));
        one.click("Add to cart");
        other.until_it_shows("Two-person tent");
        other.until_it_shows("189.00");

        one.click("Pay");
        one.until_it_shows("done");
        stranger.until_it_shows("7 in stock");
        other.until_it_shows("The cart is empty");
        // The wire is beside the page.
        one.until("document.querySelector('#wire').innerText.includes('POST /checkout: 303')");
        one.until("document.querySelector('#wire').innerText.includes('checkout.lua')");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_one_browser_gives_back_shows_up_in_the_next_one() {
    let Some(chromium) = Chromium::start() else { return };
    with_shop(Settings::default(), move |shop| {
        shop.runtime.block_on(open_sale(&shop.app, 1, 10));
        let url = format!("http://{}/flash", shop.app.address);
        let [ann, ben] = [&url, &url].map(|url| chromium.open(url));
        ann.click("Buy one");
        ann.until_it_shows("One unit is reserved for you.");
        ben.until_it_shows("0 left, 1 sold");
        ben.click("Buy one");
        ben.until_it_shows("Customers before you: 0");
        until_it_listens(&ben);
        ann.click("Give it back");
        ben.until_it_shows("One unit is reserved for you.");
        ben.until("document.querySelector('#news').textContent === 'You have a notification.'");
        ann.until_it_shows("0 left, 1 sold, 0 waiting.");
    })
    .await;
}

/// Case W6: what stands between them answers one event request with 502. A browser never asks again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_event_request_was_refused_is_live_again() {
    let Some(chromium) = Chromium::start() else { return };
    with_shop(Settings::default(), move |shop| {
        let gateway = Gateway::before(shop.app.address);
        let page = chromium.open(&format!("http://{}/product/kettle", gateway.address));
        page.until_it_shows("40 in stock");
        until_it_listens(&page);
        assert!(gateway.refused.load(Ordering::Relaxed) >= 1);
        shop.runtime.block_on(until("it listens", || async { shop.app.events.open() == 1 }));
        shop.runtime.block_on(shop.app.tell(Change::stock("kettle", 12)));
        page.until_it_shows("12 in stock");

        // It was live, and is refused when it comes back. What happened meanwhile comes with its last ID.
        gateway.refuse();
        shop.runtime.block_on(shop.app.tell(Change::stock("kettle", 7)));
        page.until_it_shows("7 in stock");
    })
    .await;
}

/// A proxy that answers the first event request after each [`Gateway::refuse`] with 502.
struct Gateway {
    address: SocketAddr,
    refused: Arc<AtomicUsize>,
    to_refuse: Arc<AtomicUsize>,
    streams: Arc<std::sync::Mutex<Vec<TcpStream>>>,
}

impl Gateway {
    fn before(shop: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Self {
            address,
            refused: Arc::default(),
            to_refuse: Arc::new(AtomicUsize::new(1)),
            streams: Arc::default(),
        };
        let (refused, to_refuse, streams) =
            (Arc::clone(&gateway.refused), Arc::clone(&gateway.to_refuse), Arc::clone(&gateway.streams));
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (refused, to_refuse, streams) =
                    (Arc::clone(&refused), Arc::clone(&to_refuse), Arc::clone(&streams));
                thread::spawn(move || {
                    let mut socket = socket.unwrap();
                    let Some(head) = head_of(&mut socket) else { return };
                    let is_events = head.starts_with("GET /events");
                    let less = |count: usize| count.checked_sub(1);
                    if is_events && to_refuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
                    {
                        refused.fetch_add(1, Ordering::Relaxed);
                        let _ = socket.write_all(
                            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                        );
                        return;
                    }
                    let mut upstream = TcpStream::connect(shop).unwrap();
                    let head = head.replace(&address.to_string(), &shop.to_string());
                    let head = head.replace("Connection: keep-alive", "Connection: close");
                    upstream.write_all(head.as_bytes()).unwrap();
                    if is_events {
                        streams.lock().unwrap().push(upstream.try_clone().unwrap());
                    }
                    let _ = std::io::copy(&mut upstream, &mut socket);
                });
            }
        });
        gateway
    }

    /// Cuts the open streams, and refuses the next one.
    fn refuse(&self) {
        self.to_refuse.store(1, Ordering::Relaxed);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// The head of a request without a body.
fn head_of(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
