//! What people mistype, and what hostile ones type on purpose: a clear error, and the cart as it was.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::{Shop, every_shop, run, standalone};

/// Every kind of shop, with something in the cart of user 1; after `mistakes` everything must be as it was.
fn unharmed_by(mistakes: impl Fn(&Shop)) {
    for shop in shops_with_a_cart() {
        let all =
            || [shop.cart("1"), shop.cart("abc123"), shop.json(["sku", "list"]), shop.json(["user", "list"])];
        let before = all();
        mistakes(&shop);
        assert_eq!(all(), before, "{shop:?}");
    }
}

fn shops_with_a_cart() -> Vec<Shop> {
    let shops = every_shop();
    for shop in &shops {
        shop.ok(["add", "1", "sku123", "2"]);
    }
    shops
}

/// Runs it and expects a refusal, short, with this in it.
fn refused(shop: &Shop, code: i32, command: &[&str], says: &str) {
    let error = shop.refused(code, command.iter().copied());
    assert!(error.contains(says), "{command:?} should say {says:?}: {error}");
    assert!(error.len() < 1000, "{} bytes for {:?}", error.len(), &command[..2]);
}

#[test]
fn quantities_are_whole_numbers_from_1_to_99() {
    unharmed_by(|shop| {
        for quantity in ["0", "-1", "100", "1e3", "9223372036854775808", "two", "", " 3 ", "+3", "1.5", "٣"]
        {
            for command in ["add", "remove"] {
                refused(shop, 2, &[command, "1", "sku123", quantity], "must be a whole number from 1 to 99");
            }
        }
        refused(shop, 1, &["add", "1", "sku123", "98"], "limit of 99");
    });
}

#[test]
fn owners_are_numbers_or_sessions_and_skus_are_codes() {
    let hostile = ["a:b", "{1}", "*", "?", "a b", "[a]", "\u{202e}a", "ü", "../x", "a\r\nb", "0", "01", "-1"];
    unharmed_by(|shop| {
        for owner in hostile {
            for command in ["view", "clear", "watch"] {
                if owner != "-1" {
                    refused(shop, 2, &[command, owner], "must be");
                }
            }
            refused(shop, 2, &["user", "show", owner], "is not a user id");
        }
        for sku in ["a:b", "{1}", "*", "?", "a b", "", "\u{202e}a", "ü"] {
            refused(shop, 2, &["sku", "add", sku, "--name", "A", "--price", "1"], "is not a SKU");
            refused(shop, 1, &["add", "1", sku], "No product has the SKU or the exact name");
            refused(shop, 1, &["remove", "1", sku], "No product has the SKU or the exact name");
        }
        for id in ["1:2", "-1", "18446744073709551616"] {
            let add = ["user", "add", "--first-name", "A", "--last-name", "B", "--id", id];
            refused(shop, 2, &add, "is not a user id");
        }
    });
}

#[test]
fn names_hold_nothing_that_hides_or_reorders_text() {
    let hostile = [
        ("", "cannot be empty"),
        ("   ", "cannot be empty"),
        ("a\u{202e}b", "U+202E, which reverses text"),
        ("a\u{200f}b", "U+200F, which reverses text"),
        ("a\r\nb", "U+000D, which ends a line"),
        ("mouse\n", "U+000A, which ends a line"),
        ("\u{1b}[31mred", "U+001B, a control character"),
        ("\u{200b}", "U+200B, which is invisible"),
    ];
    unharmed_by(|shop| {
        for (name, says) in hostile {
            refused(shop, 2, &["sku", "add", "new", "--name", name, "--price", "1"], says);
            refused(shop, 2, &["user", "add", "--first-name", name, "--last-name", "B"], says);
            refused(shop, 2, &["user", "add", "--first-name", "A", "--last-name", name], says);
            refused(shop, 1, &["add", "1", name], "No product has the SKU or the exact name");
        }
    });
}

#[test]
fn long_texts_are_refused_with_a_short_error() {
    let long = "x".repeat(100_000);
    unharmed_by(|shop| {
        refused(shop, 2, &["sku", "add", "new", "--name", &long, "--price", "1"], "at most 100 characters");
        refused(shop, 2, &["sku", "add", &long, "--name", "A", "--price", "1"], "is not a SKU");
        refused(shop, 2, &["sku", "add", "new", "--name", "A", "--price", &long], "is not a price");
        refused(
            shop,
            2,
            &["user", "add", "--first-name", &long, "--last-name", "B"],
            "at most 100 characters",
        );
        refused(shop, 2, &["add", "1", "sku123", &long], "is not a quantity");
        refused(shop, 1, &["add", "1", &long], "No product has the SKU or the exact name");
        refused(shop, 2, &["view", &long], "is not a session");
    });
}

#[test]
fn prices_are_written_like_19_99() {
    unharmed_by(|shop| {
        let prices = [
            ("-1", "without a sign"),
            ("-0.01", "without a sign"),
            ("1.999", "more than two decimals"),
            ("0.1+0.2", "is not a price"),
            ("92233720368547758.07", "too high"),
            ("10000000.01", "too high"),
            ("1e3", "is not a price"),
            ("NaN", "is not a price"),
            ("", "is not a price"),
            ("1,99", "is not a price"),
            (".5", "is not a price"),
            ("€5", "is not a price"),
        ];
        for (price, says) in prices {
            refused(shop, 2, &["sku", "add", "sku123", "--name", "Wireless mouse", "--price", price], says);
        }
    });
}

#[test]
fn the_highest_price_and_a_free_sample_are_added_up_exactly() {
    for shop in every_shop() {
        shop.ok(["sku", "add", "dear", "--name", "Dear", "--price", "10000000"]);
        shop.ok(["sku", "add", "free", "--name", "Free", "--price", "0"]);
        shop.ok(["add", "1", "dear", "99"]);
        shop.ok(["add", "1", "free"]);
        assert_eq!(shop.cart("1")["total"]["text"], "990000000.00");
    }
}

#[test]
fn arguments_that_are_no_text_are_usage_errors() {
    let shop = standalone("hash");
    shop.open();
    for bytes in [&b"\xff\xfe"[..], b"caf\xe9"] {
        let ended = run(shop.command(["add", "1"]).arg(OsStr::from_bytes(bytes)));
        assert_eq!(ended.code, 2, "{ended:?}");
    }
    assert!(shop.units("1").is_empty());
}

#[test]
fn a_cart_key_of_another_type_is_named_and_left_alone_by_every_command() {
    for shop in shops_with_a_cart() {
        let key = shop.cart_key("1");
        let _: () = shop.ask(redis::cmd("SET").arg(&key).arg("x"));
        shop.ok(["add", "abc123", "sku456"]);
        let guest = shop.cart("abc123");
        let commands: [&[&str]; 6] = [
            &["add", "1", "sku123"],
            &["remove", "1", "sku123"],
            &["view", "1"],
            &["clear", "1"],
            &["merge", "abc123", "1"],
            &["watch", "1"],
        ];
        for command in commands {
            let error = shop.refused(1, command.iter().copied());
            assert!(error.contains(&key) && error.contains("another type"), "{command:?}: {error}");
            assert!(error.contains("try:"), "{error}");
            let document = shop.json(command.iter().copied());
            assert_eq!(document["error"]["class"], "wrong-type", "{document}");
        }
        let kept: String = shop.ask(redis::cmd("GET").arg(&key));
        assert_eq!(kept, "x");
        assert_eq!(shop.cart("abc123"), guest, "the guest keeps what could not be merged");
    }
}

#[test]
fn what_somebody_else_wrote_into_a_cart_is_an_error_and_not_a_total() {
    for shop in shops_with_a_cart() {
        if shop.shape == "hash" {
            let _: i64 =
                shop.ask(redis::cmd("HSET").arg(shop.cart_key("1")).arg("sku123").arg("a\u{1b}[31m lot"));
        } else {
            let _: i64 = shop.ask(redis::cmd("ZADD").arg(shop.cart_key("1")).arg("1.5").arg("sku123"));
        }
        for command in [&["view", "1"][..], &["add", "1", "sku123"], &["remove", "1", "sku123"]] {
            let error = shop.refused(1, command.iter().copied());
            assert!(error.contains(&shop.cart_key("1")) && error.contains("sku123"), "{error}");
            assert!(error.contains("cargo cart clear"), "{error}");
        }
        shop.ok(["clear", "1"]);
        shop.ok(["add", "1", "sku123"]);
    }
}
