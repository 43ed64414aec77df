//! `watch`: what another process does to a cart is told here, with the new total.

use std::time::Duration;

use lab_server::{Cluster, Server};
use serde_json::{Value, json};

use crate::support::{Shop, Watcher, every_shop, wait_until};

#[test]
fn every_change_is_told_with_the_new_total() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku456"]);
        let mut watcher = Watcher::start(&shop, "1", []);
        watcher.prints("89.50");
        shop.ok(["add", "1", "sku123", "2"]);
        assert_eq!(watcher.prints("+2"), "+2 sku123; now 2 lines, 3 units, total 129.48");
        shop.ok(["remove", "1", "sku123", "1"]);
        assert_eq!(watcher.prints("-1"), "-1 sku123; now 2 lines, 2 units, total 109.49");
        shop.ok(["add", "abc123", "sku123", "3"]);
        shop.ok(["merge", "abc123", "1"]);
        assert_eq!(watcher.prints("merged"), "+3 units, merged at login; now 2 lines, 5 units, total 169.46");
        shop.ok(["clear", "1"]);
        assert_eq!(watcher.prints("emptied"), "emptied; now 0 lines, 0 units, total 0.00");
        assert!(
            !watcher.printed().iter().any(|line| line.contains("+3 sku123")),
            "another's cart is not told"
        );
        assert_eq!(watcher.interrupt(), 130);
    }
}

#[test]
fn in_json_every_change_is_one_line() {
    for shop in every_shop() {
        let mut watcher = Watcher::start(&shop, "abc123", ["--json"]);
        let first: Value = serde_json::from_str(&watcher.prints("{")).unwrap();
        assert_eq!(first["lines"], json!([]), "the cart as it is comes first");
        shop.ok(["add", "abc123", "sku123", "2"]);
        let told: Value = serde_json::from_str(&watcher.prints("{")).unwrap();
        assert_eq!(
            told,
            json!({
                "event": "added", "owner": { "guest": "abc123" }, "sku": "sku123", "quantity": 2, "change": 2,
                "lines": 1, "units": 2, "total": { "cents": 3998, "text": "39.98" },
            })
        );
        shop.ok(["remove", "abc123", "sku123"]);
        let told: Value = serde_json::from_str(&watcher.prints("{")).unwrap();
        assert_eq!(
            (&told["event"], &told["change"], &told["total"]["cents"]),
            (&json!("removed"), &json!(-2), &json!(0))
        );
        assert_eq!(watcher.interrupt(), 130);
    }
}

#[test]
fn garbage_on_the_channel_is_reported_and_does_not_end_it() {
    for shop in every_shop() {
        let mut watcher = Watcher::start(&shop, "1", ["--json"]);
        let stranger = json!({
            "event": "added", "owner": "2", "sku": "sku123", "quantity": 1, "change": 1, "lines": 1, "units": 1,
            "total_cents": 1,
        })
        .to_string();
        let garbage: [&[u8]; 5] =
            [b"", b"\xff\x00\x1b[2J", b"{}", "\u{202e}{\"event\":1}".as_bytes(), stranger.as_bytes()];
        for payload in garbage {
            publish(&shop, "1", payload);
            watcher.notes("is no change of this cart");
        }
        shop.ok(["add", "1", "sku123"]);
        watcher.prints("\"added\"");
        assert_eq!(watcher.interrupt(), 130);
    }
}

#[test]
fn it_survives_a_server_that_was_killed_and_came_back() {
    for shape in ["hash", "sorted-set"] {
        let mut server = keeping_everything();
        let shop = Shop::alone_on(server.url(), false, shape);
        shop.open();
        let mut watcher = Watcher::start(&shop, "1", []);
        shop.ok(["add", "1", "sku123"]);
        watcher.prints("+1 sku123");
        server.kill();
        watcher.notes("The connection to the server is lost");
        server.restart().unwrap();
        watcher.notes("may have been missed");
        watcher.prints("Total: 19.99");
        shop.ok(["add", "1", "sku456"]);
        assert_eq!(watcher.prints("+1"), "+1 sku456; now 2 lines, 2 units, total 109.49");
        let lost = watcher.noted().iter().filter(|line| line.contains("is lost")).count();
        assert_eq!(lost, 1, "{:#?}", watcher.noted());
        assert_eq!(watcher.interrupt(), 130);
    }
}

#[test]
fn a_server_that_came_back_empty_is_followed_too() {
    let mut server = Server::start().unwrap();
    let shop = Shop::alone_on(server.url(), false, "hash");
    shop.open();
    let mut watcher = Watcher::start(&shop, "1", []);
    server.restart().unwrap();
    watcher.notes("There is no user 1.");
    shop.open();
    shop.ok(["add", "1", "sku123"]);
    watcher.prints("+1 sku123");
    assert!(watcher.is_running());
}

#[test]
fn it_survives_a_node_of_the_cluster_that_was_killed_and_came_back() {
    let mut cluster =
        Cluster::builder().config("appendonly", "yes").config("appendfsync", "always").start().unwrap();
    let shop = Shop::alone_on(cluster.urls()[0].clone(), true, "hash");
    shop.open();
    let mut watcher = Watcher::start(&shop, "1", []);
    shop.ok(["add", "1", "sku123"]);
    watcher.prints("+1 sku123");
    cluster.nodes_mut()[0].kill();
    watcher.notes("The connection to the server is lost");
    cluster.nodes_mut()[0].restart().unwrap();
    watcher.notes("may have been missed");
    watcher.prints("Total: 19.99");
    // The nodes pass on what is published once they have found each other again; what comes earlier is missed.
    wait_until("a change is told again", || {
        let added = shop.run(["add", "1", "sku123"]);
        added.code == 0 && watcher.prints_within(Duration::from_millis(500), "+1 sku123")
    });
    assert_eq!(watcher.interrupt(), 130);
}

#[test]
fn two_watchers_hear_the_same() {
    for shop in every_shop() {
        let mut watchers = [Watcher::start(&shop, "1", []), Watcher::start(&shop, "1", ["--json"])];
        shop.ok(["add", "1", "sku123"]);
        watchers[0].prints("+1 sku123");
        watchers[1].prints("\"added\"");
    }
}

/// What was acknowledged is there after a restart.
fn keeping_everything() -> Server {
    Server::builder().config("appendonly", "yes").config("appendfsync", "always").start().unwrap()
}

fn publish(shop: &Shop, owner: &str, payload: &[u8]) {
    let channel = format!("{}cart_updates:{owner}", shop.prefix);
    let client = redis::Client::open(shop.url.as_str()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let _: i64 = redis::cmd("PUBLISH").arg(channel).arg(payload).query(&mut connection).unwrap();
}
