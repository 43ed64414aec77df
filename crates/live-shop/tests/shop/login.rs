use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use live_shop::database::PASSWORD;
use live_shop::state::Settings;
use patterns::login_guard::{Guarded, LoginRules};

use crate::client::{Browser, connect, form};
use crate::with_shop;

const HERE: Guarded<'_> = Guarded::Address(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST));

/// As many guesses, and then a pause that does not end in a test.
fn guesses(of_address: u32, of_account: u32) -> Settings {
    let rules = |attempts| {
        let (pause, remembered) = (Duration::from_mins(10), Duration::from_hours(1));
        LoginRules::new(NonZeroU32::new(attempts).unwrap(), pause, pause, remembered).unwrap()
    };
    Settings { logins: [rules(of_address), rules(of_account)], ..Settings::default() }
}

fn try_login(browser: &mut Browser, name: &str, password: &str) -> u16 {
    browser.post("/login", &[("name", name), ("password", password)]).status
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_once_five_are_looked_at_and_then_no_password_helps() {
    with_shop(guesses(5, 100), |shop| {
        let mut browser = shop.browser();
        let guess = |number: usize| {
            let mut browser = browser.clone();
            thread::spawn(move || try_login(&mut browser, "Ann", &format!("guess {number}")))
        };
        let guesses: Vec<_> = (0..30).map(guess).collect();
        let statuses: Vec<_> = guesses.into_iter().map(|guess| guess.join().unwrap()).collect();
        let count = |status| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(401), count(429)), (5, 25), "{statuses:?}");

        let refused = browser.post("/login", &[("name", "Ann"), ("password", PASSWORD)]);
        assert_eq!((refused.status, refused.header("content-type")), (429, "application/problem+json"));
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=600).contains(&wait), "{wait}");
        assert_eq!(try_login(&mut browser, "Ben", PASSWORD), 429, "the address waits, whatever the name");
        assert!(browser.get("/").body.contains("Log in"));

        shop.runtime.block_on(shop.app.login_guard.unblock(HERE)).unwrap();
        let before = browser.cookie.clone();
        assert_eq!(try_login(&mut browser, "Ann", PASSWORD), 303);
        assert_ne!(browser.cookie, before, "a login has a new token");
        assert!(browser.get("/").body.contains("Hello, Ann"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_one_password_from_many_addresses_is_stopped_and_a_success_is_no_failure() {
    with_shop(guesses(3, 4), |shop| {
        let mut browser = shop.browser();
        // Two mistakes and a success, again and again, never begin a pause.
        for _ in 0..4 {
            assert_eq!(try_login(&mut browser, "Ann", "wrong"), 401);
            assert_eq!(try_login(&mut browser, "Ann", "wrong"), 401);
            assert_eq!(try_login(&mut browser, "Ann", PASSWORD), 303);
            browser = shop.browser();
        }
        for _ in 0..4 {
            // As from another address: this one is not remembered.
            shop.runtime.block_on(shop.app.login_guard.unblock(HERE)).unwrap();
            assert_eq!(try_login(&mut browser, "Ann", "wrong"), 401);
        }
        shop.runtime.block_on(shop.app.login_guard.unblock(HERE)).unwrap();
        assert_eq!(try_login(&mut browser, "Ann", PASSWORD), 429);
        assert_eq!(try_login(&mut browser, "Ben", PASSWORD), 303, "only one customer has to wait");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_does_not_say_which_customers_there_are_and_a_password_is_never_shown() {
    with_shop(Settings::default(), |shop| {
        shop.app.database.add_customer("Eve", "correct horse");
        let mut browser = shop.browser();
        let page = browser.get("/login").body;
        assert!(page.contains("<strong>Ann</strong>") && page.contains("&lt;b&gt;Dot&lt;/b&gt;"), "{page}");
        let answers = [("Eve", "wrong"), ("nobody", "wrong"), ("eve", "correct horse"), ("Eve", "")]
            .map(|(name, password)| browser.post("/login", &[("name", name), ("password", password)]));
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (401, &answers[0].body));
        }
        for (name, password) in [("", PASSWORD), (&"x".repeat(101), PASSWORD), ("Eve", &"x".repeat(101))] {
            assert_eq!(try_login(&mut browser, name, password), 422);
        }
        assert_eq!(try_login(&mut browser, "Eve", "correct horse"), 303);
        let wire = browser.get("/wire").body;
        assert!(wire.contains("login_guard.lua: attempt"), "{wire}");
        assert!(!wire.contains("horse"), "{wire}");
    })
    .await;
}

/// A form whose last byte has not come. The shop has read the session: it waits for the rest.
fn begin_form(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> (TcpStream, String) {
    let body = form(&[&[("csrf", browser.csrf.as_str())], fields].concat());
    let (address, cookie) = (browser.address, &browser.cookie);
    let mut socket = connect(address);
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut go_on = [0; 25];
    socket.read_exact(&mut go_on).unwrap();
    assert_eq!(go_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    let (begin, end) = body.split_at(body.len() - 1);
    socket.write_all(begin.as_bytes()).unwrap();
    (socket, end.to_owned())
}

fn finish((mut socket, end): (TcpStream, String)) -> String {
    socket.write_all(end.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// Case W4 (b): requests that began before a logout end after it. The session stays gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_ends_after_the_logout_does_not_bring_the_session_back() {
    with_shop(Settings::default(), |shop| {
        let mut ann = shop.customer("Ann");
        let mut elsewhere = ann.clone();
        let add = [("sku", "kettle"), ("quantity", "1")];
        let slow = [
            begin_form(&ann, "/cart/add", &add),
            begin_form(&ann, "/notifications/read", &[]),
            begin_form(&ann, "/logout", &[]),
        ];
        assert_eq!(ann.post("/logout", &[]).status, 303);
        for request in slow {
            let answer = finish(request);
            assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
            assert!(!answer.contains("set-cookie: ") || answer.contains("Max-Age=0"), "{answer}");
        }
        let page = elsewhere.get("/");
        assert!(page.body.contains("Log in") && !page.body.contains("Hello"), "{}", page.body);
    })
    .await;
}

/// Case W4 (b) for a guest who logs in meanwhile: the new session is one of its own, with a guest of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ends_after_the_logout_begins_a_session_that_is_whole() {
    with_shop(Settings::default(), |shop| {
        let late = |name| {
            let mut guest = shop.browser();
            let slow = begin_form(&guest, "/login", &[("name", name), ("password", PASSWORD)]);
            assert_eq!(guest.clone().post("/logout", &[]).status, 303);
            let answer = finish(slow);
            assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
            let (_, cookie) = answer.split_once("set-cookie: ").unwrap();
            cookie.split(';').next().unwrap().clone_into(&mut guest.cookie);
            guest
        };
        let (mut ann, mut ben) = (late("Ann"), late("Ben"));
        assert!(ann.get("/cart").body.contains("Hello, Ann"));
        assert!(ann.get("/wire").body.contains("GET /cart"));
        assert!(!ben.get("/wire").body.contains("GET /cart"), "the wire of Ann is hers");
    })
    .await;
}

/// Case W4 (c).
#[tokio::test(flavor = "multi_thread")]
async fn two_requests_that_change_one_session_keep_both_changes() {
    with_shop(Settings::default(), |shop| {
        let ann = shop.customer("Ann");
        let token = percent_decoded(ann.cookie.split_once('=').unwrap().1);
        let sessions = shop.app.sessions.clone();
        let set = |field: usize| {
            let (sessions, token) = (sessions.clone(), token.clone());
            async move { sessions.set(&token, &[(&format!("field{field}"), "x")]).await }
        };
        let done = shop.runtime.block_on(futures_util::future::join_all((0..10).map(set)));
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        let session = shop.runtime.block_on(sessions.peek(&token)).unwrap().unwrap();
        let kept = session.fields.keys().filter(|field| field.starts_with("field")).count();
        assert_eq!((kept, session.fields.contains_key("csrf")), (10, true));

        ann.clone().post("/logout", &[]);
        shop.runtime.block_on(sessions.set(&token, &[("late", "x")])).unwrap_err();
        assert_eq!(shop.runtime.block_on(sessions.peek(&token)).unwrap(), None);
    })
    .await;
}

fn percent_decoded(text: &str) -> String {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("x={text}")).unwrap();
    pairs.into_iter().next().unwrap().1
}
