//! The lesson on recommendations.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::recommendations::embedding::Embedding;
use ecommerce_patterns::recommendations::evaluation::{Evaluation, Method};
use redis::AsyncTypedCommands;

use crate::column;
use lab_testing::lessons::{open, run_lesson, skipped, stored_keys};

#[tokio::test(flavor = "multi_thread")]
async fn purchases_predict_the_next_ones_far_better_than_popularity() {
    let target = open(false).await;
    let vectors = target.can("VSIM").await;
    for seed in 1..=3 {
        let mut evaluation =
            Evaluation::learn(seed, 80, target.connection(), "evaluation:", vectors, 200).await.unwrap();
        let mut precisions = Vec::new();
        for &method in Method::all(vectors) {
            let quality = evaluation.evaluate(method).await.unwrap();
            println!("seed {seed}: {:24} {quality:?}", method.label());
            precisions.push(quality.precision);
            if seed == 1 {
                let again = evaluation.evaluate(method).await.unwrap();
                assert_eq!((again.precision, again.to_taste), (quality.precision, quality.to_taste));
            }
        }
        // Measured over seeds 1 to 4: popularity 2.8 to 3.2%, cosine 10.3 to 11.9%, buyers 10.5 to 13.3%, vectors 5.3 to 6.8%,
        // interests 5.1 to 6.9%.
        let [popular, _, cosine, buyers, _, ref vectors @ ..] = precisions[..] else {
            panic!("{precisions:?}")
        };
        assert!(cosine >= 2.2 * popular, "seed {seed}: {precisions:?}");
        assert!(buyers >= 2.2 * popular, "seed {seed}: {precisions:?}");
        assert!(vectors.iter().all(|vectors| *vectors >= 1.2 * popular), "seed {seed}: {precisions:?}");
        evaluation.clean_up().await.unwrap();
    }
    let left = stored_keys(&target).await;
    assert!(left.iter().all(|key| !key.starts_with("evaluation:")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_show_what_is_wasted_and_the_keys_of_the_right_ways_stay() {
    let target = open(false).await;
    let report = run_lesson(&target, PatternLesson::Recommendations).await;
    assert_eq!(column(&report, "Recent views", 3), ["4", "0"]);
    assert_eq!(column(&report, "Views as they count now", 3)[1], "1");
    let commands = column(&report, "Recommendations for the fourth week", 5);
    let commands: Vec<u32> = commands.iter().map(|cell| cell.parse().unwrap()).collect();
    let vectors = target.can("VSIM").await;
    assert_eq!(commands.len(), if vectors { 6 } else { 5 });
    // Popularity and the pipeline of pairs are one; the others depend on what the first customer bought.
    assert_eq!(commands[..2], [1, 1]);
    assert!(commands[2..5].iter().all(|commands| *commands <= 400), "{commands:?}");
    assert_eq!(skipped(&report).len(), usize::from(!vectors));

    let left = stored_keys(&target).await;
    assert!(left.iter().all(|key| !key.starts_with("naive:")), "{left:?}");
    let mut redis = target.connection();
    assert_eq!(redis.lrange("recent_views:user123", 0, -1).await.unwrap().len(), 5);
    assert_eq!(redis.lrange("recent_views:user_12345", 0, 9).await.unwrap().len(), 10);
    assert_eq!(redis.smembers("interests:user123").await.unwrap().len(), 2);
    assert_eq!(redis.smembers("interests:user_12345").await.unwrap().len(), 4);
    let mut best = redis::cmd("ZREVRANGE");
    best.arg("popular_products").arg(&["0", "9", "WITHSCORES"]);
    let best: Vec<(String, f64)> = best.query_async(&mut redis).await.unwrap();
    assert_eq!(best.len(), 10);
    assert!(
        best.iter().all(|(sku, score)| sku.starts_with("PROD") && *score > 1.0 && *score < 1e7),
        "{best:?}"
    );
}

#[test]
fn traits_that_say_nothing_make_no_vector() {
    assert_eq!(Embedding::of([]), None);
    assert_eq!(Embedding::of([("a", 0.0)]), None);
    assert_eq!(Embedding::of([("a", f32::NAN)]), None);
    assert_eq!(Embedding::of([("a", f32::MAX), ("a", f32::MAX)]), None);
    assert_eq!(Embedding::between([]), None);
    assert_eq!(Embedding::of([("a", 1.0)]), Embedding::of([("a", 7.5)]));
}
