//! What the lesson on lists builds on.

use std::time::Duration;

use complex_structures::lists::{Items, PushMany, Queue, QueueStrategy};
use lab_connection::Target;
use lab_runner::{Approach, Comparison, Keys};

use lab_testing::lessons::open;

#[tokio::test]
async fn all_ways_of_pushing_leave_the_same_list() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let items = Items::new(200, &Keys::new("lab:"));
        let comparison = Comparison { title: "", approaches: &PushMany::ALL, input: &items };
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
        assert_eq!(trips, [200, 1, 1]);
        for approach in PushMany::ALL {
            let mut connection = target.connection();
            approach.reset(&items, &mut connection).await.unwrap();
            approach.run(&items, &mut connection).await.unwrap();
            let mut range = redis::cmd("LRANGE");
            range.arg(&items.key).arg(0).arg(-1);
            let mut stored: Vec<String> = range.query_async(&mut connection).await.unwrap();
            stored.reverse();
            assert_eq!(stored, items.items, "{}", approach.label());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn popped_jobs_die_with_their_workers() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let delivered =
            QueueStrategy::Pop.deliver(&target, &Keys::new(""), 60, Duration::ZERO).await.unwrap();
        assert_eq!((delivered.sent, delivered.deaths), (60, 12));
        assert_eq!((delivered.finished, delivered.lost(), delivered.repeated()), (54, 6, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_jobs_outlive_their_workers_and_some_are_done_again() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let keys = Keys::new("lab:");
        let delivered = QueueStrategy::Move.deliver(&target, &keys, 60, Duration::ZERO).await.unwrap();
        assert_eq!((delivered.sent, delivered.deaths), (60, 12));
        assert_eq!((delivered.finished, delivered.lost()), (60, 0));
        assert!(delivered.repeated() >= 6 && delivered.given_back >= 12, "{delivered:?}");
        assert_eq!(left_in_lists(&target, &keys).await, 0, "every job is finished and off the lists");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_no_worker_dies_every_job_is_done() {
    let target = open(false).await;
    for strategy in QueueStrategy::ALL {
        // The fifth job is the first that kills its worker.
        let delivered = strategy.deliver(&target, &Keys::new(""), 4, Duration::ZERO).await.unwrap();
        assert_eq!((delivered.finished, delivered.lost(), delivered.deaths), (4, 0, 0), "{delivered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_starts_from_nothing_whatever_an_earlier_one_left() {
    let target = open(false).await;
    let keys = Keys::new("");
    let queue = Queue::new(QueueStrategy::Move.name(), &keys);
    let mut connection = target.connection();
    let mut left = redis::pipe();
    left.cmd("SADD").arg(queue.workers()).arg("w77").ignore();
    left.cmd("LPUSH").arg(queue.taken_by("w77")).arg("job:left").ignore();
    left.cmd("HSET").arg(queue.receipts()).arg("job:old").arg("w1").ignore();
    left.exec_async(&mut connection).await.unwrap();
    let delivered = QueueStrategy::Move.deliver(&target, &keys, 4, Duration::ZERO).await.unwrap();
    assert_eq!(delivered.finished, 4, "{delivered:?}");
    let mut look = redis::pipe();
    look.cmd("LLEN").arg(queue.taken_by("w77"));
    look.cmd("HEXISTS").arg(queue.receipts()).arg("job:left");
    look.cmd("HEXISTS").arg(queue.receipts()).arg("job:old");
    let old: (u64, bool, bool) = look.query_async(&mut connection).await.unwrap();
    assert_eq!(old, (0, false, false), "what was left there is neither kept nor done");
}

/// Jobs in any list of the queue.
async fn left_in_lists(target: &Target, keys: &Keys) -> u64 {
    let queue = Queue::new(QueueStrategy::Move.name(), keys);
    let mut connection = target.connection();
    let workers: Vec<String> =
        redis::cmd("SMEMBERS").arg(queue.workers()).query_async(&mut connection).await.unwrap();
    assert!(workers.len() >= 4, "{workers:?}");
    let lists = workers.iter().map(|worker| queue.taken_by(worker)).chain([queue.jobs()]);
    let mut left = 0;
    for list in lists {
        left += redis::cmd("LLEN").arg(list).query_async::<u64>(&mut connection).await.unwrap();
    }
    left
}
