//! A cluster: without `--cluster`, across slots, incomplete; and `--cluster` on a server that is no cluster.

use insta::assert_snapshot;
use lab_connection::connection::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use lab_connection::failure::{Class, Endpoint, explain, explain_connecting};
use lab_server::{Cluster, Server};
use redis::cluster::ClusterClient;

use super::setup::{Setup, send};

#[tokio::test]
async fn a_node_without_the_cluster_flag_says_moved_and_crossslot() {
    let cluster = Cluster::builder().primaries(3).start().unwrap();
    let setup = Setup::at(&cluster.urls()[0]);
    let mut connection = setup.connected().await;
    // Three keys of one primary's slots would be a coincidence among so many.
    let mut moved = None;
    for n in 0..100 {
        if let Err(error) = send(&mut connection, &format!("SET key:{n} v")).await {
            moved = Some(error);
            break;
        }
    }
    let failure = explain(&moved.unwrap(), &setup.endpoint);
    assert_eq!(failure.class(), Class::Moved);
    assert_eq!(failure.exit_code(), 2);
    assert_eq!(failure.next(), ["--cluster"]);
    let failure = setup.failure_of(&mut connection, "SINTER tags:1 tags:2").await;
    assert_snapshot!("keys_of_several_slots_are_crossslot", setup.message(&failure));
}

#[tokio::test]
async fn a_cluster_without_its_slots_is_down() {
    let node = Server::builder().config("cluster-enabled", "yes").start().unwrap();
    let setup = Setup::at(&node.url());
    let mut connection = setup.connected().await;
    assert_snapshot!(setup.message(&setup.failure_of(&mut connection, "SET k v").await));
}

#[tokio::test]
async fn a_lone_server_is_no_cluster() {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&server.url());
    assert_snapshot!(setup.message(&failure_as_cluster(&server.url(), &setup.endpoint).await));
}

#[tokio::test]
async fn a_cluster_client_hides_reasons_that_are_found_again() {
    let refused = failure_as_cluster("redis://127.0.0.1:1", &Endpoint::default()).await;
    assert_eq!(refused.class(), Class::Refused);

    let server = Server::builder().start().unwrap();
    let address = Setup::at(&server.url()).endpoint.address;
    let no_password = failure_as_cluster(&format!("redis://{address}"), &Endpoint::default()).await;
    assert_eq!(no_password.class(), Class::NoAuth);
    let wrong_password = failure_as_cluster(&format!("redis://:wrong@{address}"), &Endpoint::default()).await;
    assert_eq!(wrong_password.class(), Class::WrongPass);
}

async fn failure_as_cluster(url: &str, endpoint: &Endpoint) -> lab_connection::Failure {
    let client = ClusterClient::builder([url])
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .build()
        .unwrap();
    let Err(error) = client.get_async_connection().await else { panic!("{url} is a cluster") };
    explain_connecting(&error, endpoint).await
}
