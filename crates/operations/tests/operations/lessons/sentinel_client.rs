//! The client that finds the primary through the Sentinels.

use lab_server::{PRIMARY_NAME, Sentinels, Server};
use lab_testing::until;
use operations::private::{blocking, caught_up, connect};
use operations::sentinel::client::{Client, count, is_role};
use redis::{AsyncTypedCommands, Value};

async fn role(server: &Server) -> Vec<Value> {
    let Ok(mut connection) = connect(server).await else { return Vec::new() };
    redis::cmd("ROLE").query_async(&mut connection).await.unwrap_or_default()
}

/// The client listens to no event of the Sentinels, so it can miss none. A Sentinel that knows only the old primary does not mislead
/// it, because it asks each server for its role.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_nobody_announced_is_noticed_at_the_next_write() {
    let group = blocking(|| Sentinels::start(1, 3)).await.unwrap();
    let mut client = Client::new(&group);
    let before = client.write(10).await.unwrap();
    let mut replica = connect(&group.data.replicas[0]).await.unwrap();
    let mut primary = connect(&group.data.primary).await.unwrap();
    caught_up(&mut primary, &mut replica).await.unwrap();

    // The Sentinel that the client asks first misses the switch. The old primary lives on.
    group.sentinels[0].pause().unwrap();
    let mut sentinel = connect(&group.sentinels[1]).await.unwrap();
    let mut failover = redis::cmd("SENTINEL");
    failover.arg("FAILOVER").arg(PRIMARY_NAME).exec_async(&mut sentinel).await.unwrap();
    let (old, new) = (&group.data.primary, &group.data.replicas[0]);
    until("the old primary is a replica", || async { is_role(&role(old).await, "slave") }).await;
    until("the other has taken over", || async { is_role(&role(new).await, "master") }).await;

    // The client still has its connection to the old primary, which refuses the write.
    let after = client.write(10).await.unwrap();
    group.sentinels[0].resume().unwrap();
    let more = client.write(10).await.unwrap();
    let mut new = connect(new).await.unwrap();
    let mut counts = Vec::new();
    for orders in [before, after, more] {
        counts.push(count(&orders, &mut new).await.unwrap());
    }
    assert_eq!(counts, [10, 10, 10]);
    // A new client that asks that Sentinel first finds the right one, too.
    let mut found = Client::new(&group).connection().await.unwrap();
    assert!(found.set("order:last", "paid").await.is_ok());
}
