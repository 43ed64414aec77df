//! What the lesson on sets builds on.

use complex_structures::sets::{BoughtBoth, CountNew, Purchases};
use lab_runner::clients::connect;
use lab_runner::{Approach, Comparison, Keys};

use lab_testing::lessons::open;

#[tokio::test]
async fn all_ways_of_asking_who_bought_both_agree() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let approaches = &BoughtBoth::ALL[..if target.can("SINTERCARD").await { 3 } else { 2 }];
        let purchases = Purchases::new(200, 3, &Keys::new("lab:"));
        let comparison = Comparison { title: "", approaches, input: &purchases };
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
        assert_eq!(trips[..2], [6, 3]);
        assert!(traffic.is_sorted_by(|one, next| one.bytes_received > next.bytes_received), "{traffic:?}");
        for &approach in approaches {
            let both = approach.run(&purchases, &mut target.connection()).await.unwrap();
            assert_eq!(both, [180, 160, 140], "{}", approach.label());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_first_counts_too_many() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let (keys, clients) = (Keys::new(""), connect(&target, 6).await.unwrap());
        for count in CountNew::ALL {
            let counted = count.race(&target, &clients, &keys, 10).await.unwrap();
            match count {
                CountNew::AskThenAdd => assert_eq!(counted, 60),
                CountNew::Add => assert_eq!(counted, 10),
            }
            let members: u64 = redis::cmd("SCARD")
                .arg(&count.keys(&keys)[0])
                .query_async(&mut target.connection())
                .await
                .unwrap();
            assert_eq!(members, 10, "the Set itself is right either way");
        }
    }
}
