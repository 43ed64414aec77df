use patterns::interests::Interests;
use patterns::recommendations::{Reason, Recommendation, Recommendations};
use patterns::similar_customers::SimilarCustomers;

use crate::everywhere;

fn reasons(shown: &[Recommendation]) -> Vec<(&str, Reason)> {
    shown.iter().map(|shown| (shown.sku.as_str(), shown.reason)).collect()
}

#[test]
fn no_customer_is_shown_an_empty_page_or_what_they_have() {
    everywhere(async |connection, prefix| {
        let shop = Recommendations::new(connection.clone(), &prefix);
        assert_eq!(shop.recommend("ann", 5, &[]).await.unwrap(), [], "there is no product");
        let fresh = shop.recommend("ann", 2, &["P1", "P2", "P3"]).await.unwrap();
        assert_eq!(reasons(&fresh), [("P1", Reason::OnSale), ("P2", Reason::OnSale)]);

        for _ in 0..3 {
            shop.viewed("bob", "P1", Some("Books")).await.unwrap();
        }
        shop.viewed("bob", "P2", Some("Toys")).await.unwrap();
        let shown = shop.recommend("ann", 2, &["P3"]).await.unwrap();
        assert_eq!(reasons(&shown), [("P1", Reason::Popular), ("P2", Reason::Popular)]);
        Interests::new(connection.clone(), &prefix).add("ann", &["Toys"]).await.unwrap();
        let shown = shop.recommend("ann", 2, &["P3"]).await.unwrap();
        assert_eq!(reasons(&shown), [("P2", Reason::PopularInInterests), ("P1", Reason::Popular)]);

        for order in ["o1", "o2", "o2"] {
            shop.ordered("eve", order, &["P0", "P1"]).await.unwrap();
        }
        shop.ordered("ann", "o3", &["P0"]).await.unwrap();
        let shown = shop.recommend("ann", 5, &["P0", "P3"]).await.unwrap();
        let expected =
            [("P1", Reason::BoughtTogether), ("P2", Reason::PopularInInterests), ("P3", Reason::OnSale)];
        assert_eq!(reasons(&shown), expected);
        // Ann has everything.
        shop.ordered("ann", "o4", &["P1", "P2"]).await.unwrap();
        assert_eq!(shop.recommend("ann", 1, &["P0"]).await.unwrap().len(), 1);
        assert_eq!(shop.recommend("ann", 0, &[]).await.unwrap(), []);
        let all = shop.recommend("ann", usize::MAX, &[]).await.unwrap();
        assert_eq!(all, shop.recommend("ann", usize::MAX, &[]).await.unwrap());
    });
}

#[test]
fn views_count_also_for_a_customer_who_has_bought_a_lot() {
    everywhere(async |connection, prefix| {
        let shop = Recommendations::new(connection.clone(), &prefix);
        for order in ["o1", "o2"] {
            shop.ordered("ann", order, &["TENT", "STOVE"]).await.unwrap();
        }
        let many: Vec<String> = (0..50).map(|number| format!("P{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        SimilarCustomers::new(connection.clone(), &prefix).bought("bob", &many).await.unwrap();
        // In a task of its own, as in a web service: the futures are Send.
        let shown = tokio::spawn(async move {
            shop.viewed("bob", "TENT", None).await.unwrap();
            shop.recommend("bob", 1, &[]).await.unwrap()
        });
        assert_eq!(reasons(&shown.await.unwrap()), [("STOVE", Reason::BoughtTogether)]);
    });
}
