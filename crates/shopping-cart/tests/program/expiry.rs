//! Carts and lines that expire.

use crate::support::{self, every_shop, wait_until};

#[test]
fn an_unused_cart_expires() {
    let shops = every_shop();
    for shop in &shops {
        shop.ok(["add", "1", "sku123", "--cart-ttl", "1"]);
    }
    for shop in &shops {
        wait_until("the key of the cart is gone", || {
            !shop.ask::<bool>(redis::cmd("EXISTS").arg(shop.cart_key("1")))
        });
        assert!(shop.units("1").is_empty());
    }
}

#[test]
fn a_change_and_a_view_renew_the_ttl() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "--cart-ttl", "100"]);
        let left = |shop: &support::Shop| shop.ask::<i64>(redis::cmd("TTL").arg(shop.cart_key("1")));
        assert!((1..=100).contains(&left(&shop)));
        shop.ok(["view", "1"]);
        assert!((101..=1800).contains(&left(&shop)), "30 minutes unless told otherwise");
    }
}

#[test]
fn a_line_can_expire_before_the_cart() {
    let shops = every_shop();
    for shop in &shops {
        shop.ok(["add", "1", "sku456"]);
        shop.ok(["add", "1", "sku123", "2", "--expires-in", "1"]);
    }
    for shop in &shops {
        wait_until("the line has expired", || shop.units("1").len() == 1);
        let view = shop.cart("1");
        assert_eq!(view["lines"][0]["sku"], "sku456");
        assert_eq!(view["total"]["cents"], 8950);
        shop.refused(1, ["remove", "1", "sku123"]);
    }
}

#[test]
fn a_view_says_when_a_line_expires() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "--expires-in", "100"]);
        let left = shop.cart("1")["lines"][0]["expires_in_ms"].as_u64().unwrap();
        assert!((1..=100_000).contains(&left), "{left}");
        let text = shop.ok(["view", "1"]);
        assert!(text.contains("sku123: expires in"), "{text}");
    }
}
