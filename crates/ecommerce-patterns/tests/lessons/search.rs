//! What the lesson on search counts and shows.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::data::{Data, Size};
use ecommerce_patterns::search::{CompleteBy, FilterBy, FilterQueries, PrefixQueries, Shop};
use lab_connection::{Target, TargetArgs};
use lab_runner::{Approach, Comparison};

use crate::assert_types;
use lab_testing::lessons::{open, run_lesson, skipped, stored_keys, table};

const SMALL: Size = Size { products: 300, customers: 0, orders: 0 };

async fn has_full_text(target: &Target) -> bool {
    target.can("FT.SEARCH").await && !target.is_cluster()
}

async fn filled_shop(target: &Target, seed: u64) -> Shop {
    let shop = Shop::new(&Data::new(seed, SMALL), target.prefix());
    shop.fill(&target.connection()).await.unwrap();
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn the_naive_index_keeps_stale_terms_the_counts_of_a_page_agree_and_the_keys_stay() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, PatternLesson::Search).await;
        let rows = table(&report, "Stale terms");
        let stale: Vec<u64> = rows.iter().map(|row| row[3].replace(',', "").parse().unwrap()).collect();
        // A removed product leaves the terms of its name, a renamed one those of the former: at least one each.
        assert!(stale[0] >= 100 && stale[1] == 0, "{rows:?}");
        assert_eq!(rows[1][1], rows[1][2], "every term is of a current name: {rows:?}");

        let counts = table(&report, "The counts of the page");
        let sum = |facet: &str| -> u64 {
            let rows = counts.iter().filter(|row| row[0] == facet && (row[3] == "x" || facet == "stars"));
            rows.map(|row| row[2].parse::<u64>().unwrap()).sum()
        };
        // Each product of the result has one of the selected brands, the selected category, and so on.
        for facet in ["category", "price", "stars"] {
            assert_eq!(sum("brand"), sum(facet), "{facet}: {counts:?}");
        }
        assert_eq!(skipped(&report).len(), usize::from(!target.can("FT.SEARCH").await));

        let types = [
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
        ];
        assert_types(&target, &types).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_of_filtering_find_the_same_pages() {
    for (cluster, seed) in [(false, 1), (false, 2), (true, 3)] {
        let target = open(cluster).await;
        let queries = FilterQueries::new(filled_shop(&target, seed).await, 5);
        let approaches = FilterBy::all(has_full_text(&target).await);
        let comparison = Comparison { title: "", approaches: &approaches, input: &queries };
        comparison.verify(&target.connection()).await.unwrap();
        // Now the server knows the scripts.
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        assert!(traffic.iter().all(|traffic| traffic.round_trips == 5), "{traffic:?}");
        let [least, most] = [&traffic[1], &traffic[traffic.len() - 1]];
        assert!(most.bytes_received > 10 * least.bytes_received, "{traffic:?}");
        let pages = FilterBy::Facets.run(&queries, &mut target.connection()).await.unwrap();
        assert!(pages.iter().all(|page| page.total > 0), "{pages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_of_completing_suggest_the_same() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let queries = PrefixQueries::new(filled_shop(&target, 1).await, 10);
        let approaches = CompleteBy::all(has_full_text(&target).await);
        let comparison = Comparison { title: "", approaches: &approaches, input: &queries };
        comparison.verify(&target.connection()).await.unwrap();
        // Now the server knows the scripts.
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        assert!(traffic.iter().all(|traffic| traffic.round_trips == 10), "{traffic:?}");
        let found = CompleteBy::PrefixLines.run(&queries, &mut target.connection()).await.unwrap();
        assert!(found.iter().all(|skus| !skus.is_empty()), "{found:?}");
    }
}

/// The lesson's own names begin with its prefix, which may end as one of them does.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_without_a_prefix_that_ends_like_a_name() {
    for cluster in [false, true] {
        let args = TargetArgs { prefix: Some("users".into()), cluster, ..TargetArgs::private() };
        let target = args.open().await.unwrap();
        run_lesson(&target, PatternLesson::Search).await;
        let stored = stored_keys(&target).await;
        let strays: Vec<&String> = stored.iter().filter(|key| !key.starts_with("users")).collect();
        assert!(strays.is_empty(), "{strays:?}");
    }
}
