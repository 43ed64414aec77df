//! Pipelines over many slots of a cluster, as on a single server; transactions over many slots, refused.

use lab_connection::failure::Class;
use lab_connection::{Target, TargetArgs};
use redis::{Pipeline, Value};

async fn cluster() -> Target {
    let args = TargetArgs { cluster: true, ..TargetArgs::private() };
    args.open().await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn replies_come_back_in_the_order_of_the_commands() {
    let target = cluster().await;
    let mut pipeline = Pipeline::new();
    for n in 0..500 {
        pipeline.cmd("SET").arg(format!("price:{n}")).arg(n).ignore();
        pipeline.cmd("INCRBY").arg(format!("price:{n}")).arg(1000);
    }
    let prices: Vec<i64> = pipeline.query_async(&mut target.connection()).await.unwrap();
    assert_eq!(prices, (1000..1500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_over_several_slots_sees_those_before_it_and_not_those_after() {
    let target = cluster().await;
    let mut pipeline = Pipeline::new();
    pipeline.set("a", 1).ignore().set("b", 2).ignore().set("c", 3).ignore();
    pipeline.cmd("MGET").arg(&["a", "b", "c"]);
    pipeline.cmd("DBSIZE");
    pipeline.del("a").ignore().set("b", 20).ignore();
    pipeline.cmd("DEL").arg(&["a", "b", "c"]);
    pipeline.cmd("PING");
    let replies: (Vec<i64>, usize, usize, String) =
        pipeline.query_async(&mut target.connection()).await.unwrap();
    // The guard's marker is a key too.
    assert_eq!(replies, (vec![1, 2, 3], 4, 2, "PONG".into()));
}

#[tokio::test]
async fn an_error_stands_in_its_commands_place_and_the_others_run() {
    let target = cluster().await;
    let mut pipeline = Pipeline::new();
    pipeline.set("a", "text").incr("a", 1).set("b", 2).cmd("SINTER").arg("b").arg("c").set("d", 4);
    let replies: Vec<Value> =
        redis::aio::ConnectionLike::req_packed_commands(&mut target.connection(), &pipeline, 0, 5)
            .await
            .unwrap();
    let refused: Vec<bool> = replies.iter().map(|reply| matches!(reply, Value::ServerError(_))).collect();
    assert_eq!(refused, [false, true, false, true, false]);

    let error = pipeline.exec_async(&mut target.connection()).await.unwrap_err();
    assert_eq!(error.clone().into_server_errors().unwrap()[0].0, 1, "the index is that of the command");
    assert_eq!(target.explain(&error).class(), Class::BadValue);
}

#[tokio::test]
async fn an_empty_pipeline_is_answered_with_nothing() {
    let target = cluster().await;
    let replies: Vec<Value> = Pipeline::new().query_async(&mut target.connection()).await.unwrap();
    assert!(replies.is_empty());
}

#[tokio::test]
async fn a_transaction_over_several_slots_is_refused_and_explained_and_writes_nothing() {
    let target = cluster().await;
    let mut transaction = Pipeline::new();
    transaction.atomic().set("a", 1).set("b", 2);
    let error = transaction.exec_async(&mut target.connection()).await.unwrap_err();
    let failure = target.explain(&error);
    assert_eq!(failure.class(), Class::CrossSlot);
    assert!(failure.to_string().contains("{hash tag}"), "{failure}");
    let there: usize =
        redis::cmd("EXISTS").arg("a").arg("b").query_async(&mut target.connection()).await.unwrap();
    assert_eq!(there, 0);

    let mut tagged = Pipeline::new();
    tagged.atomic().set("{user:1}:a", 1).incr("{user:1}:a", 1);
    let replies: (String, i64) = tagged.query_async(&mut target.connection()).await.unwrap();
    assert_eq!(replies.1, 2);
}
