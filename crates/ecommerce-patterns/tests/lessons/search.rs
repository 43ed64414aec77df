//! What the lesson on search counts and shows.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::data::{Data, Size};
use ecommerce_patterns::search::{CompleteBy, FilterBy, Shop, Ticked, Typed};
use lab_connection::{Target, TargetArgs};
use lab_runner::{Approach, Comparison};

use lab_testing::lessons::{open, skipped, stored_keys, table, take};

const SMALL: Size = Size { products: 300, customers: 0, orders: 0 };

async fn has_full_text(target: &Target) -> bool {
    target.can("FT.SEARCH").await && !target.is_cluster()
}

async fn open_shop(target: &Target, seed: u64) -> Shop {
    let shop = Shop::of(&Data::new(seed, SMALL), target.prefix());
    shop.open(&target.connection()).await.unwrap();
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn the_naive_index_keeps_ghosts_and_ours_has_none() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let reports = take(&target, PatternLesson::Search).await;
        let rows = table(&reports, "Ghosts");
        let ghosts: Vec<u64> = rows.iter().map(|row| row[3].replace(',', "").parse().unwrap()).collect();
        // A removed product leaves the terms of its name, a renamed one those of the former: at least one each.
        assert!(ghosts[0] >= 100, "{rows:?}");
        assert_eq!(ghosts[1], 0, "{rows:?}");
        assert_eq!(rows[1][1], rows[1][2], "every entry is of a product as it is: {rows:?}");

        let shelf = table(&reports, "The shelf");
        let sum = |facet: &str| -> u64 {
            let rows = shelf.iter().filter(|row| row[0] == facet && (row[3] == "x" || facet == "stars"));
            rows.map(|row| row[2].parse::<u64>().unwrap()).sum()
        };
        // What is left has one of the ticked brands, the ticked category, and so on.
        assert_eq!(sum("brand"), sum("category"), "{shelf:?}");
        assert_eq!(sum("brand"), sum("price"), "{shelf:?}");
        assert_eq!(sum("brand"), sum("stars"), "{shelf:?}");
        assert_eq!(skipped(&reports).len(), usize::from(!target.can("FT.SEARCH").await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_both_indexes_are_left_with_their_types() {
    let target = open(false).await;
    take(&target, PatternLesson::Search).await;
    let stored = stored_keys(&target).await;
    for (key, expected) in [
        ("autocomplete:{autocomplete}:index", "zset"),
        ("facets:{facets}:products", "hash"),
        ("facets:{facets}:ids", "hash"),
        ("facets:{facets}:brands", "zset"),
        ("facets:{facets}:categories", "zset"),
        ("facets:{facets}:rows", "hash"),
        ("facets:{facets}:bits", "string"),
        ("shop_search:{shop_search}:brand:Bolt & Co.", "set"),
        ("shop_search:{shop_search}:category:Kitchen", "set"),
        ("shop_search:{shop_search}:prices", "zset"),
    ] {
        assert!(stored.contains(key), "{key}");
        let kind: String = redis::cmd("TYPE").arg(key).query_async(&mut target.connection()).await.unwrap();
        assert_eq!(kind, expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_of_filtering_see_the_same_pages() {
    for (cluster, seed) in [(false, 1), (false, 2), (true, 3)] {
        let target = open(cluster).await;
        let ticked = Ticked::of(open_shop(&target, seed).await);
        let approaches = FilterBy::all(has_full_text(&target).await);
        let comparison = Comparison { title: "", approaches: &approaches, input: &ticked };
        // The server learns the scripts.
        comparison.verify(&target.connection()).await.unwrap();
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        assert!(traffic.iter().all(|traffic| traffic.round_trips == 5), "{traffic:?}");
        let [least, most] = [&traffic[1], &traffic[traffic.len() - 1]];
        assert!(most.bytes_received > 10 * least.bytes_received, "{traffic:?}");
        let pages = FilterBy::Facets.run(&ticked, &mut target.connection()).await.unwrap();
        assert!(pages.iter().all(|page| page.total > 0), "{pages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_of_completing_suggest_the_same() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let typed = Typed::of(open_shop(&target, 1).await);
        let approaches = CompleteBy::all(has_full_text(&target).await);
        let comparison = Comparison { title: "", approaches: &approaches, input: &typed };
        // The server learns the scripts.
        comparison.verify(&target.connection()).await.unwrap();
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        assert!(traffic.iter().all(|traffic| traffic.round_trips == 10), "{traffic:?}");
        let found = CompleteBy::Weighted.run(&typed, &mut target.connection()).await.unwrap();
        assert!(found.iter().all(|skus| !skus.is_empty()), "{found:?}");
    }
}

/// The lesson's own names begin with its prefix, which may end as one of them does.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_without_a_prefix_that_ends_like_a_name() {
    for cluster in [false, true] {
        let args = TargetArgs { prefix: Some("users".into()), cluster, ..TargetArgs::private() };
        let target = args.open().await.unwrap();
        take(&target, PatternLesson::Search).await;
        let stored = stored_keys(&target).await;
        let strays: Vec<&String> = stored.iter().filter(|key| !key.starts_with("users")).collect();
        assert!(strays.is_empty(), "{strays:?}");
    }
}
