//! A guest logs in: the guest's cart moves once, up to the limits.

use serde_json::json;

use crate::support::every_shop;

#[test]
fn a_guests_cart_moves_once() {
    for shop in every_shop() {
        shop.ok(["add", "abc123", "sku123", "2"]);
        shop.ok(["add", "abc123", "sku456"]);
        shop.ok(["add", "1", "sku123"]);
        let merged = shop.json(["merge", "abc123", "1"]);
        let moved = json!([{ "sku": "sku123", "quantity": 2 }, { "sku": "sku456", "quantity": 1 }]);
        assert_eq!(merged, json!({ "guest": "abc123", "user": 1, "moved": moved, "left": [] }));
        for _ in 0..2 {
            let again = shop.ok(["merge", "abc123", "1"]);
            assert!(again.starts_with("The cart of guest abc123 is empty, so nothing was moved"), "{again}");
        }
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 3), ("sku456".to_owned(), 1)]);
        assert!(shop.units("abc123").is_empty());
    }
}

#[test]
fn what_does_not_fit_stays_with_the_guest_and_is_reported() {
    for shop in every_shop() {
        shop.ok(["add", "abc123", "sku123", "5"]);
        shop.ok(["add", "1", "sku123", "97"]);
        let merged = shop.ok(["merge", "abc123", "1"]);
        assert_eq!(
            merged,
            "Moved 2 x sku123 from guest abc123 to Parker Perry (user 1).\n\
             3 x sku123 stayed with guest abc123: a line has at most 99 units.\n"
        );
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 99)]);
        assert_eq!(shop.units("abc123"), [("sku123".to_owned(), 3)]);
        let again = shop.json(["merge", "abc123", "1"]);
        assert_eq!(again["left"], json!([{ "sku": "sku123", "quantity": 3, "why": "line_limit" }]));
    }
}

#[test]
fn a_user_is_no_guest_and_a_merge_into_nobody_changes_nothing() {
    for shop in every_shop() {
        shop.ok(["add", "abc123", "sku123", "5"]);
        let before = shop.cart("abc123");
        shop.refused(2, ["merge", "1", "2"]);
        shop.refused(2, ["merge", "abc123", "def456"]);
        shop.refused(1, ["merge", "abc123", "99"]);
        assert_eq!(shop.cart("abc123"), before);
    }
}
