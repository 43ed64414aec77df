use patterns::recent_views::RecentViews;
use patterns::script::StoreError;

use crate::everywhere;

#[test]
fn each_product_is_listed_once_the_latest_first() {
    everywhere(async |connection, prefix| {
        let views = RecentViews::new(connection, &prefix).with_max_products(3);
        for sku in ["a", "b", "a", "c", "a", "a", "d"] {
            views.record("ann@example.com", sku).await.unwrap();
        }
        assert_eq!(views.latest("ann@example.com", 10).await.unwrap(), ["d", "a", "c"]);
        assert_eq!(views.latest("ann@example.com", 2).await.unwrap(), ["d", "a"]);
        assert_eq!(views.latest("ann@example.com", 0).await.unwrap(), [""; 0]);
        assert_eq!(views.latest("2001:db8::1", 10).await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_list_of_one_product_that_is_viewed_again_lives_on() {
    everywhere(async |connection, prefix| {
        let views = RecentViews::new(connection.clone(), &prefix).with_max_products(1);
        for _ in 0..2 {
            views.record("{7}", "a").await.unwrap();
        }
        assert_eq!(views.latest("{7}", 10).await.unwrap(), ["a"]);
        let ttl: i64 = connection.send(&["PTTL", views.key("{7}").unwrap().as_str()]).await;
        assert!(ttl > 0, "{ttl}");
    });
}

#[test]
fn a_key_of_another_type_is_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let views = RecentViews::new(connection.clone(), &prefix);
        let key = views.key("7").unwrap();
        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        let error = views.record("7", "a").await.unwrap_err();
        assert_matches!(&error, StoreError::WrongType(keys) if keys.contains(key.as_str()));
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let views = RecentViews::new(connection.clone(), &prefix);
        assert_eq!(connection.round_trips_of(views.record("7", "a")).await, 1);
        assert_eq!(connection.round_trips_of(views.latest("7", 10)).await, 1);
    });
}
