//! Nothing is named on servers that are well.

use std::time::Duration;

use lab_server::{Replicated, Sentinels, Server};
use lab_testing::until;
use operations::private::blocking;

use super::{doctor, healthy, healthy_cluster, send, start};

async fn assert_healthy(url: &str) {
    let found = doctor(url).await;
    assert_eq!(found.diagnosis.findings.len(), 0, "{:#?}", found.diagnosis.findings);
    assert!(!found.diagnosis.was_refused(), "{:#?}", found.diagnosis.skipped);
}

async fn is_healthy(url: &str) -> bool {
    doctor(url).await.diagnosis.findings.is_empty()
}

/// From this server, so many are found.
async fn assert_examined(url: &str, servers: usize) {
    let facts = doctor(url).await.facts;
    assert_eq!(facts.nodes.len(), servers, "{:?}", facts.unreached);
}

/// Some keys of every type, as an application has them.
fn fill(server: &Server) {
    let mut connection = server.client().get_connection().unwrap();
    let mut pipe = redis::pipe();
    for number in 0..200 {
        pipe.cmd("SET").arg(format!("user:{number}")).arg("x".repeat(100)).ignore();
        pipe.cmd("SET").arg(format!("session:{number}")).arg("x").arg("EX").arg(3_600).ignore();
        pipe.cmd("HSET").arg("cart:1").arg(number).arg(1).ignore();
        pipe.cmd("ZADD").arg("ranking").arg(number).arg(number).ignore();
        pipe.cmd("RPUSH").arg("queue:mail").arg(number).ignore();
        pipe.cmd("XADD").arg("events").arg("*").arg("n").arg(number).ignore();
    }
    pipe.cmd("XGROUP").arg("CREATE").arg("events").arg("readers").arg("$").ignore();
    pipe.exec(&mut connection).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_password_limit_and_append_only_file_is_healthy() {
    let server = start(healthy()).await;
    assert_healthy(&server.url()).await;
    fill(&server);
    assert_healthy(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_snapshots_is_healthy() {
    let server = start(healthy().config("appendonly", "no").config("save", "3600 1 300 100")).await;
    fill(&server);
    assert_healthy(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_password_on_loopback_is_healthy() {
    let server = start(healthy().no_password()).await;
    assert_healthy(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_without_persistence_is_healthy() {
    let server = start(healthy().config("appendonly", "no").config("maxmemory-policy", "allkeys-lru")).await;
    for number in 0..100 {
        send(&server, &["SET", &format!("page:{number}"), "x", "EX", "60"]);
    }
    assert_healthy(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_with_few_rights_are_healthy() {
    let user = "app on >secret ~shop:* &* -@all +@read +@write -@dangerous";
    let server = start(healthy().config("user", user).config("user", "admin on >secret ~* &* +@all")).await;
    assert_healthy(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_with_replicas_is_healthy_from_every_side() {
    let builder = healthy().config("min-replicas-to-write", "1");
    let group = blocking(move || Replicated::start_with(builder, 2)).await.unwrap();
    send(&group.primary, &["SET", "k", "v"]);
    let url = group.primary.url();
    until("the replicas are good", || is_healthy(&url)).await;
    assert_healthy(&group.replicas[0].url()).await;
    assert_examined(&group.replicas[1].url(), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_replicas_is_healthy() {
    let cluster = blocking(|| healthy_cluster().replicas_each(1).start()).await.unwrap();
    let urls = cluster.urls();
    // On a busy machine, a replica may still copy its primary when the cluster serves already.
    until("the replicas are online", || is_healthy(&urls[0])).await;
    for url in [&urls[0], &urls[5]] {
        assert_healthy(url).await;
        assert_examined(url, 6).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_sentinels_with_a_primary_and_two_replicas_are_healthy() {
    let builder = healthy().config("min-replicas-to-write", "1");
    let group =
        blocking(move || Sentinels::start_with(builder, 2, 3, 2, Duration::from_secs(30))).await.unwrap();
    let url = group.sentinels[0].url();
    until("the Sentinels agree", || is_healthy(&url)).await;
    assert_examined(&url, 6).await;
}
