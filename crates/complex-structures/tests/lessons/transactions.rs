//! The lesson on transactions, and what its approaches promise.

use complex_structures::StructureLesson;
use complex_structures::transactions::{Library, Moved, Order, Payment, Transfer, Transfers, WriteTogether};
use lab_connection::{Target, TargetArgs};
use lab_runner::clients::connect;
use lab_runner::{Approach, Comparison, Keys};

use lab_testing::lessons::{open, run_lesson, skipped, table};

fn order(from: &str, to: &str, cents: i64) -> Order {
    Order { from: from.to_owned(), to: to.to_owned(), cents }
}

async fn libraries(target: &Target) -> usize {
    let list: Vec<redis::Value> =
        redis::cmd("FUNCTION").arg("LIST").query_async(&mut target.connection()).await.unwrap();
    list.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_what_is_torn_and_leaves_no_library() {
    let target = open(false).await;
    let report = run_lesson(&target, StructureLesson::Transactions).await;
    let sums = table(&report, "The sum of all accounts");
    let dollars: Vec<&str> = sums.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(dollars.len(), 7);
    assert_eq!(dollars[0], "37,500");
    assert_eq!(dollars[2..], ["0"; 5]);
    assert_eq!(table(&report, "Torn reads")[1][2], "0");
    assert_eq!(libraries(&target).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_skips_one_part() {
    let target = open(true).await;
    let report = run_lesson(&target, StructureLesson::Transactions).await;
    assert_eq!(skipped(&report).len(), 1, "only MULTI and DISCARD step by step");
    assert_eq!(libraries(&target).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_library_is_loaded_on_a_server_that_is_not_private() {
    let server = lab_server::Server::start().unwrap();
    let args = TargetArgs { url: Some(server.url()), ..TargetArgs::default() };
    let target = args.open().await.unwrap();
    let report = run_lesson(&target, StructureLesson::Transactions).await;
    let reasons = skipped(&report);
    assert!(reasons.len() == 1 && reasons[0].contains("FUNCTION library"), "{reasons:?}");
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut target.connection()).await.unwrap();
    assert!(stats.contains("cmdstat_evalsha"), "{stats}");
    assert!(!stats.contains("cmdstat_function|load") && !stats.contains("cmdstat_fcall"), "{stats}");
}

#[tokio::test]
async fn all_ways_of_transferring_leave_the_same_balances() {
    for target in [open(false).await, open(true).await] {
        let transfers = Transfers::new(20, 10_000, &Keys::new(""));
        let approaches = Transfer::all(true);
        let comparison = Comparison { title: "", approaches, input: &transfers };
        // The script is loaded by its first call.
        Library::load(&mut target.connection()).await.unwrap();
        comparison.verify(&target.connection()).await.unwrap();
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
        // The last one reads both balances.
        assert_eq!(trips, [21, 21, 41, 21, 21]);
        for &approach in approaches {
            let mut connection = target.connection();
            approach.reset(&transfers, &mut connection).await.unwrap();
            let after = approach.run(&transfers, &mut connection).await.unwrap();
            assert_eq!(after, (0, 200_000), "{}", approach.label());
        }
    }
}

#[tokio::test]
async fn too_little_money_writes_nothing() {
    for target in [open(false).await, open(true).await] {
        let mut connection = target.dedicated().await.unwrap();
        Library::load(&mut connection).await.unwrap();
        let (from, to) = ("{bank}:poor", "{bank}:rich");
        for transfer in [Transfer::Watch, Transfer::Script, Transfer::Function] {
            redis::cmd("SET").arg(from).arg(99).exec_async(&mut connection).await.unwrap();
            redis::cmd("DEL").arg(to).exec_async(&mut connection).await.unwrap();
            assert_eq!(
                transfer.once(&mut connection, &order(from, to, 100)).await.unwrap(),
                Moved::NotEnough
            );
            let balances: (i64, Option<i64>) =
                redis::cmd("MGET").arg(from).arg(to).query_async(&mut connection).await.unwrap();
            assert_eq!(balances, (99, None), "{}", transfer.label());
            assert_eq!(transfer.once(&mut connection, &order(from, to, 99)).await.unwrap(), Moved::Done);
            let nobody = transfer.once(&mut connection, &order("{bank}:nobody", to, 1)).await.unwrap();
            assert_eq!(nobody, Moved::NotEnough, "{}", transfer.label());
        }
        Library::delete(&mut connection).await.unwrap();
        assert!(Transfer::Function.once(&mut connection, &order(from, to, 1)).await.is_err());
    }
}

#[tokio::test]
async fn too_little_money_leaves_no_watch_behind() {
    let target = open(false).await;
    let mut own = target.dedicated().await.unwrap();
    let moved = Transfer::Watch.once(&mut own, &order("{bank}:poor", "{bank}:rich", 100)).await.unwrap();
    assert_eq!(moved, Moved::NotEnough);
    redis::cmd("SET").arg("{bank}:poor").arg(100).exec_async(&mut target.connection()).await.unwrap();
    // A forgotten WATCH would make this EXEC refuse.
    let mut transaction = redis::pipe();
    transaction.atomic().set("{bank}:other", 1).ignore();
    let done: Option<()> = transaction.query_async(&mut own).await.unwrap();
    assert!(done.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_read_then_write_makes_money() {
    for target in [open(false).await, open(true).await] {
        Library::load(&mut target.connection()).await.unwrap();
        let clients = connect(&target, 9).await.unwrap();
        for payment in Payment::all(true) {
            let audit = payment.race(&clients, &Keys::new(""), 10).await.unwrap();
            assert!(audit.wrong <= audit.audits);
            match payment {
                Payment::ReadWriteAtWorst => assert_eq!(audit.made, 7 * 10 * 10_000),
                Payment::ReadWrite => assert!((0..=7 * 10 * 10_000).contains(&audit.made), "{audit:?}"),
                Payment::By(Transfer::Pipeline) => assert_eq!(audit.made, 0),
                Payment::By(transfer) => {
                    assert_eq!((audit.made, audit.wrong), (0, 0), "{}", transfer.label());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_written_in_a_transaction_is_never_torn() {
    let [first, second] = ["{pair}:first", "{pair}:second"].map(str::to_owned);
    for target in [open(false).await, open(true).await] {
        let reads = WriteTogether::Transaction.race(&target, [&first, &second], 20).await.unwrap();
        assert!(reads.all > 0 && reads.torn == 0, "{reads:?}");
    }
}
