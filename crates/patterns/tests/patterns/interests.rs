use std::collections::BTreeSet;

use patterns::interests::{InterestError, Interests, MAX_CUSTOMERS};
use patterns::script::StoreError;

use crate::everywhere;

#[test]
fn interests_lead_to_a_customer_and_back() {
    everywhere(async |connection, prefix| {
        let interests = Interests::new(connection.clone(), &prefix);
        let (ann, chefs) = ("ann@example.com", "Chef's & {Co}:*");
        let likes = ["Books", chefs, "Books"];
        assert_eq!(interests.add(ann, &likes).await.unwrap(), 2);
        assert_eq!(interests.add(ann, &likes).await.unwrap(), 0);
        assert_eq!(interests.add(ann, &[]).await.unwrap(), 0);
        assert_eq!(interests.of(ann).await.unwrap(), BTreeSet::from(["Books".into(), chefs.into()]));
        assert_eq!(interests.who_like(chefs, 10).await.unwrap(), [ann]);
        assert!(interests.remove(ann, chefs).await.unwrap());
        assert!(!interests.remove(ann, chefs).await.unwrap());
        assert_eq!(interests.who_like(chefs, 10).await.unwrap(), [""; 0]);
        assert_eq!(interests.who_like("Books", 0).await.unwrap(), [""; 0]);

        let many: Vec<String> = (0..50).map(|number| format!("interest{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_matches!(interests.add(ann, &many).await, Err(InterestError::TooMany));
        assert_eq!(interests.of(ann).await.unwrap().len(), 1);
        assert_eq!(interests.who_like(many[0], 10).await.unwrap(), [""; 0], "refused, so not indexed");
        assert_eq!(interests.add(ann, &many[1..]).await.unwrap(), 49);
    });
}

#[test]
fn an_index_keeps_the_last_thousand_customers_and_an_add_that_was_cut_off_is_completed() {
    everywhere(async |connection, prefix| {
        let interests = Interests::new(connection.clone(), &prefix);
        let index = interests.index_key("Books").unwrap();
        let mut zadd = vec!["ZADD".to_owned(), index.as_str().to_owned()];
        for number in 1..=MAX_CUSTOMERS {
            zadd.extend([number.to_string(), format!("user{number}")]);
        }
        let _: i64 = connection.send(&zadd.iter().map(String::as_str).collect::<Vec<_>>()).await;
        interests.add("ann", &["Books"]).await.unwrap();
        let all = interests.who_like("Books", usize::MAX).await.unwrap();
        assert_eq!((all.len(), all[0].as_str(), all.contains(&"user1".to_owned())), (1_000, "ann", false));

        // The first step was done, and then the client died.
        let _: i64 = connection.send(&["DEL", index.as_str()]).await;
        assert_eq!(interests.add("ann", &["Books"]).await.unwrap(), 0);
        assert_eq!(interests.who_like("Books", 10).await.unwrap(), ["ann"]);

        let _: () = connection.send(&["SET", index.as_str(), "mine"]).await;
        let error = interests.add("bob", &["Books"]).await.unwrap_err();
        assert_matches!(error, InterestError::Store(StoreError::WrongType(_)));
    });
}
