//! Customers and products: added, shown, listed, taken off sale.

use serde_json::json;

use crate::support::every_shop;

#[test]
fn users_get_the_next_free_number_and_numbers_are_never_given_twice() {
    for shop in every_shop() {
        let shown = shop.ok(["user", "show", "1"]);
        assert_eq!(shown, "User 1: Parker Perry\n");
        shop.ok(["user", "add", "--first-name", "Three", "--last-name", "Third", "--id", "3"]);
        let refused = shop.refused(1, ["user", "add", "--first-name", "A", "--last-name", "B", "--id", "3"]);
        assert!(refused.contains("There is already a user 3."), "{refused}");
        assert_eq!(shop.ok(["user", "show", "3"]), "User 3: Three Third\n");

        let next = shop.json(["user", "add", "--first-name", "Four", "--last-name", "Fourth"]);
        assert_eq!(next, json!({ "id": 4, "first_name": "Four", "last_name": "Fourth" }), "3 is skipped");
        let listed = shop.json(["user", "list"]);
        let ids: Vec<_> =
            listed.as_array().unwrap().iter().map(|user| user["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(shop.ok(["user", "list"]).contains("Zoë"));
    }
}

#[test]
fn an_unknown_user_is_an_error_that_says_how_to_go_on() {
    for shop in every_shop() {
        for command in
            [&["user", "show", "99"][..], &["view", "99"], &["add", "99", "sku123"], &["clear", "99"]]
        {
            let refused = shop.refused(1, command.iter().copied());
            assert!(refused.contains("There is no user 99."), "{command:?}: {refused}");
            assert!(refused.contains("cargo cart user list"), "{refused}");
        }
        for command in [&["remove", "99", "sku123"][..], &["merge", "abc123", "99"], &["watch", "99"]] {
            let refused = shop.refused(1, command.iter().copied());
            assert!(refused.contains("There is no user 99."), "{command:?}: {refused}");
        }
    }
}

#[test]
fn products_are_put_on_sale_changed_and_taken_off() {
    for shop in every_shop() {
        assert_eq!(shop.ok(["sku", "show", "sku123"]), "sku123: Wireless mouse, 19.99\n");
        assert_eq!(shop.ok(["sku", "show", "Wireless mouse"]), "sku123: Wireless mouse, 19.99\n");
        let changed = shop.ok(["sku", "add", "sku123", "--name", "Wireless mouse", "--price", "0.5"]);
        assert_eq!(changed, "Wireless mouse (sku123) is now sold at 0.50.\n");
        let taken = shop.refused(1, ["sku", "add", "other", "--name", "Wireless mouse", "--price", "1"]);
        assert!(taken.contains("Wireless mouse") && taken.contains("sku123"), "{taken}");

        let removed = shop.ok(["sku", "remove", "Mechanical keyboard"]);
        assert!(removed.contains("Mechanical keyboard (sku456) is no longer sold"), "{removed}");
        for name in ["sku456", "Mechanical keyboard"] {
            for command in ["show", "remove"] {
                let refused = shop.refused(1, ["sku", command, name]);
                assert!(
                    refused.contains(&format!("No product has the SKU or the exact name '{name}'.")),
                    "{refused}"
                );
            }
        }
        let listed = shop.json(["sku", "list"]);
        assert_eq!(
            listed,
            json!([{ "sku": "sku123", "name": "Wireless mouse", "price": { "cents": 50, "text": "0.50" } }])
        );
    }
}

#[test]
fn names_of_any_language_and_emoji_come_back_as_they_were_given() {
    for shop in every_shop() {
        for (sku, name) in
            [("a", "USB-C cable, 2 m"), ("b", "🎁 gift box"), ("c", "日本の緑茶"), ("d", "قهوة")]
        {
            shop.ok(["sku", "add", sku, "--name", name, "--price", "1"]);
            assert_eq!(shop.json(["sku", "show", name])["sku"], sku);
            let added = shop.ok(["add", "1", name]);
            assert!(added.contains(name), "{added}");
        }
        let listed = shop.ok(["sku", "list"]);
        assert!(listed.contains("🎁 gift box") && listed.contains("日本の緑茶"), "{listed}");
        let view = shop.ok(["view", "1"]);
        assert!(view.contains("🎁 gift box") && view.contains("قهوة"), "{view}");
    }
}
