use std::io::{Read, Write};
use std::time::Duration;

use lab_testing::until;
use live_shop::database::PASSWORD;
use live_shop::state::Settings;

use crate::client::{connect, form, health, raw};
use crate::with_shop;

#[tokio::test(flavor = "multi_thread")]
async fn each_response_says_how_many_requests_are_left() {
    with_shop(Settings { requests: 3, ..Settings::default() }, |shop| {
        let mut browser = shop.browser();
        let second = browser.get("/");
        assert_eq!(second.header("ratelimit-policy"), "\"minute\";q=3;w=60");
        let left = second.header("ratelimit");
        assert!(left.starts_with("\"minute\";r=1;t="), "{left}");
        browser.get("/");
        let refused = browser.send("GET", "/", "", "");
        assert_eq!((refused.status, refused.header("content-type")), (429, "application/problem+json"));
        assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(refused.body.contains("\"status\":429"));

        // Case W6: a browser gives up on an event stream that is not answered with 200.
        let refused = browser.send("GET", "/events", "", "");
        assert_eq!((refused.status, refused.header("content-type")), (200, "text/event-stream"));
        assert!(refused.body.contains("retry: "), "{}", refused.body);
        assert_eq!(browser.get("/healthz").status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_is_refused() {
    with_shop(Settings::default(), |shop| {
        let mut ann = shop.customer("Ann");
        let add = [("sku", "kettle"), ("quantity", "1")];
        let without = ann.send("POST", "/cart/add", "", &form(&add));
        assert_eq!((without.status, without.header("content-type")), (403, "application/problem+json"));
        let other = shop.browser().csrf;
        let of_another = form(&[&[("csrf", other.as_str())], &add[..]].concat());
        assert_eq!(ann.send("POST", "/cart/add", "", &of_another).status, 403);

        let good = form(&[&[("csrf", ann.csrf.as_str())], &add[..]].concat());
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            let refused = ann.send("POST", "/cart/add", &format!("Origin: {origin}\r\n"), &good);
            assert_eq!(refused.status, 403, "{origin}");
        }
        assert!(ann.get("/cart").body.contains("The cart is empty"));
        let origin = format!("Origin: http://{}\r\n", ann.address);
        assert_eq!(ann.send("POST", "/cart/add", &origin, &good).status, 303);
        assert_eq!(ann.send("POST", "/lab", "", &form(&[("what", "off"), ("token", "guess")])).status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_names_of_this_shop_are_answered() {
    with_shop(Settings { hosts: vec!["shop.example".to_owned()], ..Settings::default() }, |shop| {
        let (mut browser, port) = (shop.browser(), shop.app.address.port());
        for (host, status) in [
            (format!("localhost:{port}"), 200),
            (format!("Shop.Example:{port}"), 200),
            (format!("evil.example:{port}"), 421),
            ("127.0.0.1:1".to_owned(), 421),
            ("localhost".to_owned(), 421),
            (format!("localhost:{port}@evil.example"), 421),
            (String::new(), 421),
        ] {
            assert_eq!(browser.send("GET", "/", &format!("Host: {host}\r\n"), "").status, status, "{host}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_name_is_it_is_text() {
    const NAME: &str = "\"><script>alert(1)</script>'&\r\nevent: bye";
    with_shop(Settings::default(), |shop| {
        shop.app.database.add_customer(NAME, PASSWORD);
        let mut browser = shop.customer(NAME);
        let mut events = browser.events(None);
        assert_eq!(events.next().unwrap().kind, "hello");
        assert_eq!(browser.post("/product/kettle/rename", &[("name", NAME)]).status, 303);
        browser.post("/cart/add", &[("sku", "kettle"), ("quantity", "1")]);
        assert_eq!(events.next().unwrap().kind, "cart");
        for path in
            ["/", "/cart", "/product/kettle", "/wire", "/nowhere", "/order/%3Cscript%3E", "/dashboard"]
        {
            let page = browser.get(path);
            assert!(!page.body.contains("<script>alert"), "{path}: {}", page.body);
            assert!(page.header("content-security-policy").contains("script-src 'self'"), "{path}");
        }
        assert!(browser.get("/product/kettle").body.contains("&lt;script&gt;alert(1)"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_this_shop_did_not_make_is_a_guest() {
    let foreign = with_shop(Settings::default(), |shop| shop.customer("Ann").cookie).await;
    with_shop(Settings::default(), move |shop| {
        let name = format!("shop-{}", shop.app.address.port());
        let token = foreign.split_once('=').unwrap().1;
        for value in [token, "planted", "", "%", "%zz", "a=b; c", "%FF"] {
            let mut browser = shop.browser();
            browser.cookie = format!("{name}={value}");
            let page = browser.get("/");
            assert!(page.status == 200 && page.body.contains("Log in"), "{value}");
            assert!(!page.body.contains("Hello,"), "{value}");
            let cookie = page.header("set-cookie");
            assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Lax"), "{value}: {cookie}");
            assert!(value.is_empty() || !cookie.contains(&format!("={value};")), "{value}: {cookie}");
        }
        // A login and a logout replace the token.
        let mut browser = shop.browser();
        let guest = browser.clone();
        browser.log_in("Ann");
        assert_ne!(browser.cookie, guest.cookie);
        assert!(guest.clone().get("/").body.contains("Log in"));
        let ann = browser.clone();
        assert_eq!(browser.post("/logout", &[]).status, 303);
        assert!(ann.clone().get("/").body.contains("Log in"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_request_gets_an_error() {
    with_shop(Settings::default(), |shop| {
        let (mut ann, address) = (shop.customer("Ann"), shop.app.address);
        let head = format!(
            "POST /cart/add HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nContent-Length: 10485760\r\n\r\n",
            ann.cookie
        );
        assert_eq!(raw(address, &[head.as_bytes(), &vec![b'a'; 100_000]].concat()).status, 413);
        // All of it, also where no handler reads it, and without a word on its length.
        let body = vec![b'a'; 10 * 1024 * 1024];
        let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        for (path, status) in [("/cart/add", 413), ("/login", 413), ("/lab", 413), ("/nowhere", 404)] {
            for (length, body) in
                [("Content-Length: 10485760", &body), ("Transfer-Encoding: chunked", &chunk)]
            {
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nConnection: close\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\n{length}\r\n\r\n",
                    ann.cookie
                );
                let answer = raw(address, &[head.as_bytes(), body].concat());
                // 0: the shop has closed while the rest was on its way, and the system forgot the answer.
                assert!([0, status].contains(&answer.status), "{path} {length}: {}", answer.status);
            }
        }
        for garbage in
            [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"* * *\r\n\r\n"]
        {
            assert!([0, 400].contains(&raw(address, &[garbage, b"\r\n\r\n"].concat()).status));
        }
        let long = format!("GET / HTTP/1.1\r\nHost: {address}\r\nX: {}\r\n\r\n", "a".repeat(100_000));
        assert!([0, 431].contains(&raw(address, long.as_bytes()).status));
        assert_eq!(ann.send("POST", "/cart/add", "", "%%%=\0").status, 403);
        assert_eq!(ann.post("/cart/add", &[("sku", "kettle"), ("quantity", "-1")]).status, 422);
        assert_eq!(ann.post("/cart/add", &[("sku", "kettle"), ("quantity", "100")]).status, 409);
        assert_eq!(ann.post("/cart/add", &[("sku", &"x".repeat(600)), ("quantity", "1")]).status, 404);
        assert_eq!(ann.send("DELETE", "/cart", "", "").status, 405);
        assert_eq!(ann.get("/stores?longitude=999").status, 422);
        assert_eq!(ann.get("/").status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_do_not_keep_others_out() {
    let settings = Settings { slow_head: Duration::from_millis(300), connections: 20, ..Settings::default() };
    with_shop(settings, |shop| {
        let slow: Vec<_> = (0..40)
            .map(|_| {
                let mut socket = connect(shop.app.address);
                // The server may have closed it already.
                let _ = socket.write_all(b"GET / HT");
                socket
            })
            .collect();
        // All of them end, with an error or without a word, and then there is room.
        for mut socket in slow {
            let _ = socket.read_to_end(&mut Vec::new());
        }
        shop.runtime.block_on(until("there is room", || async { health(shop.app.address) == 200 }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    with_shop(Settings { slow_request: Duration::from_millis(200), ..Settings::default() }, |shop| {
        let (address, cookie) = (shop.app.address, shop.browser().cookie);
        let head = format!(
            "POST /cart/add HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nContent-Length: 9\r\n\r\n"
        );
        let response = raw(address, head.as_bytes());
        assert_eq!((response.status, response.header("content-type")), (408, "application/problem+json"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_shows_the_last_click_and_never_a_token() {
    with_shop(Settings::default(), |shop| {
        let mut ann = shop.customer("Ann");
        ann.post("/cart/add", &[("sku", "kettle"), ("quantity", "1")]);
        let page = ann.get("/wire");
        assert!(page.body.contains("POST /cart/add: 303"), "{}", page.body);
        assert!(page.body.contains("cart.lua: add"), "{}", page.body);
        let token = ann.cookie.split_once('=').unwrap().1.split('.').next().unwrap().to_owned();
        assert!(token.len() > 10 && !page.body.contains(&token));
        let key = page.between("href=\"/wire/key?", "\"").replace("&amp;", "&");
        assert_eq!(ann.get(&format!("/wire/key?{key}")).status, 200);
        assert_eq!(shop.customer("Ben").get(&format!("/wire/key?{key}")).status, 404, "it is Ann's");
        assert!(ann.get("/wire/script?name=cart.lua:%20add").body.contains("redis.call"));
    })
    .await;
}
