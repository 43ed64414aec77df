//! A cart: filled, shown, emptied, and marked where the shop has changed since.

use serde_json::json;

use crate::support::{self, every_shop};

#[test]
fn adding_by_sku_and_by_exact_name_sums_up() {
    for shop in every_shop() {
        let added = shop.ok(["add", "1", "sku123", "2"]);
        assert!(
            added.starts_with("Added 2 x Wireless mouse (sku123) to the cart of Parker Perry (user 1)"),
            "{added}"
        );
        shop.ok(["add", "1", "Wireless mouse"]);
        shop.ok(["add", "abc123", "sku456", "99"]);
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 3)]);
        assert_eq!(shop.units("abc123"), [("sku456".to_owned(), 99)]);

        let document = shop.json(["add", "1", "sku456"]);
        assert_eq!(document["quantity"], 1);
        assert_eq!(document["unit_price"], json!({ "cents": 8950, "text": "89.50" }));
        assert_eq!(
            document["cart"],
            json!({ "lines": 2, "units": 4, "seen_total": { "cents": 14947, "text": "149.47" } })
        );
    }
}

#[test]
fn a_view_has_every_line_and_the_total_in_cents_and_as_text() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "3"]);
        shop.ok(["add", "1", "sku456"]);
        let mouse = json!({
            "sku": "sku123", "name": "Wireless mouse", "quantity": 3, "state": "on_sale", "expires_in_ms": null,
            "unit_price": { "cents": 1999, "text": "19.99" }, "seen_price": { "cents": 1999, "text": "19.99" },
            "line_total": { "cents": 5997, "text": "59.97" },
        });
        let view = shop.cart("1");
        assert_eq!(view["lines"][0], mouse);
        assert_eq!(view["lines"][1]["line_total"], json!({ "cents": 8950, "text": "89.50" }));
        assert_eq!(view["total"], json!({ "cents": 14947, "text": "149.47" }));
        assert_eq!(view["owner"], json!({ "user": 1 }));

        let text = shop.ok(["view", "1"]);
        for part in ["Cart of Parker Perry (user 1)", "Wireless mouse", "sku123", "19.99", "59.97", "149.47"]
        {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }
}

#[test]
fn removing_takes_some_or_all_and_refuses_what_is_not_there() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "5"]);
        shop.ok(["remove", "1", "sku123", "2"]);
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 3)]);

        let before = shop.cart("1");
        let too_many = shop.refused(1, ["remove", "1", "sku123", "4"]);
        for part in ["Wireless mouse", "Parker Perry (user 1)", "3"] {
            assert!(too_many.contains(part), "{too_many}");
        }
        let not_there = shop.refused(1, ["remove", "1", "Mechanical keyboard"]);
        for part in ["Mechanical keyboard (sku456)", "Parker Perry (user 1)", "not in the cart"] {
            assert!(not_there.contains(part), "{not_there}");
        }
        let unknown = shop.refused(1, ["remove", "1", "nosuch"]);
        assert!(unknown.contains("nosuch") && unknown.contains("not in the cart"), "{unknown}");
        assert_eq!(shop.cart("1"), before);

        let all = shop.ok(["remove", "1", "Wireless mouse"]);
        assert!(all.starts_with("Removed 3 x Wireless mouse (sku123)"), "{all}");
        assert_eq!(shop.ok(["view", "1"]), "The cart of Parker Perry (user 1) is empty.\n");
    }
}

#[test]
fn clearing_empties_one_cart_only() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "5"]);
        shop.ok(["add", "2", "sku123"]);
        assert_eq!(shop.ok(["clear", "1"]), "Emptied the cart of Parker Perry (user 1): 1 line, 5 units.\n");
        assert_eq!(shop.ok(["clear", "1"]), "The cart of Parker Perry (user 1) was empty already.\n");
        assert!(shop.units("1").is_empty());
        assert_eq!(shop.units("2"), [("sku123".to_owned(), 1)]);
    }
}

#[test]
fn a_changed_price_and_a_product_no_longer_sold_are_marked() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "2"]);
        shop.ok(["add", "1", "sku456"]);
        shop.ok(["sku", "add", "sku123", "--name", "Wireless mouse", "--price", "25"]);
        shop.ok(["sku", "remove", "sku456"]);

        let view = shop.cart("1");
        assert_eq!(
            view["lines"][0]["state"],
            json!({ "price_changed": { "was": { "cents": 1999, "text": "19.99" } } })
        );
        assert_eq!(view["lines"][0]["line_total"]["cents"], 5000, "today's price counts");
        assert_eq!(view["lines"][1]["state"], "no_longer_sold");
        assert_eq!(view["total"]["text"], "50.00", "what is no longer sold is not counted");
        let text = shop.ok(["view", "1"]);
        assert!(text.contains("sku123: was 19.99 when added"), "{text}");
        assert!(text.contains("sku456: no longer sold, not counted"), "{text}");

        let refused = shop.refused(1, ["add", "1", "sku456"]);
        assert!(refused.contains("'sku456'"), "{refused}");
        shop.ok(["remove", "1", "sku456"]);
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 2)]);
    }
}

#[test]
fn a_line_holds_99_units_and_a_cart_100_lines() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "98"]);
        let over = shop.refused(1, ["add", "1", "sku123", "2"]);
        for part in ["Wireless mouse", "Parker Perry (user 1)", "98", "99"] {
            assert!(over.contains(part), "{over}");
        }
        shop.ok(["add", "1", "sku123"]);
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 99)]);

        let key = shop.cart_key("2");
        let mut fill = redis::cmd(if shop.shape == "hash" { "HSET" } else { "ZADD" });
        fill.arg(&key);
        for line in 0..100 {
            let sku = format!("line{line:03}");
            if shop.shape == "hash" {
                fill.arg(sku).arg(1);
            } else {
                fill.arg(1).arg(sku);
            }
        }
        let _: i64 = shop.ask(&fill);
        let refused = shop.refused(1, ["add", "2", "sku123"]);
        assert!(refused.contains("full") && refused.contains("100") && refused.contains("Zoë"), "{refused}");
        assert_eq!(shop.units("2").len(), 100);
    }
}

#[test]
fn both_representations_of_one_owner_never_meet() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123"]);
        let other = if shop.shape == "hash" { "sorted-set" } else { "hash" };
        assert!(shop.json(["view", "1", "--cart", other])["lines"].as_array().unwrap().is_empty());
        shop.ok(["add", "1", "sku456", "--cart", other]);
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 1)]);
    }
}

#[test]
fn outputs_fit_60_columns() {
    let shop = every_shop().remove(0);
    let name = "A cable with a name that goes on and on, 2 m";
    shop.ok(["sku", "add", "sku789", "--name", name, "--price", "7.95"]);
    shop.ok(["add", "1", "sku123", "99"]);
    shop.ok(["sku", "add", "sku123", "--name", "Wireless mouse", "--price", "1299.99"]);
    let commands = [
        &["add", "1", "sku789", "2", "--expires-in", "1000"][..],
        &["view", "1"],
        &["sku", "list"],
        &["user", "list"],
        &["remove", "1", "sku789", "1"],
        &["clear", "1"],
        &["merge", "abc123", "1"],
    ];
    for command in commands {
        let run = support::run(shop.command(command.iter().copied()).env("COLUMNS", "60"));
        assert_eq!(run.code, 0, "{run:?}");
        for line in run.stdout.lines() {
            assert!(line.chars().count() <= 60, "{} columns: {line}", line.chars().count());
        }
    }
}
