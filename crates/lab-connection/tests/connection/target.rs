//! Opening a server: each way in, the guard, and what the connection survives.

use std::time::{Duration, Instant};

use lab_connection::connection::unguarded;
use lab_connection::failure::Class;
use lab_connection::{Connection, Target, TargetArgs, guard, own_keys};
use lab_server::{Cluster, Server};
use redis::AsyncCommands;

async fn open(args: TargetArgs) -> Target {
    args.open().await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn url_host_port_and_socket_reach_the_same_server() {
    let server = Server::builder().no_password().start().unwrap();
    let by_url = open(TargetArgs::at(server.url())).await;
    let _: () = by_url.connection().set("greeting", "hello").await.unwrap();
    let port = TargetArgs { port: Some(server.port()), ..TargetArgs::default() };
    let host =
        TargetArgs { host: Some("localhost".into()), port: Some(server.port()), ..TargetArgs::default() };
    for args in [port, host, TargetArgs::at(server.unix_url())] {
        let target = open(args).await;
        let greeting: String = target.connection().get("greeting").await.unwrap();
        assert_eq!(greeting, "hello", "{}", target.describe());
    }
}

#[tokio::test]
async fn passwords_are_in_no_description() {
    let server = Server::start().unwrap();
    let args = TargetArgs::at(server.url());
    let shown = format!("{args:?}");
    let target = open(args).await;
    for text in [shown, target.describe(), target.address().to_owned()] {
        assert!(!text.contains(server.password()), "{text}");
    }
}

#[tokio::test]
async fn a_url_that_does_not_parse_is_explained_without_being_repeated() {
    for url in ["redis://u:s3cret@", "http://u:s3cret@localhost/", "redis://:s3cret@host:99999/", "s3cret"] {
        let failure = TargetArgs::at(url).open().await.err().expect("not a server");
        assert_eq!(failure.class(), Class::Usage, "{url}");
        assert!(
            !failure.to_string().contains("s3cret") && !format!("{failure:?}").contains("s3cret"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_private_server_takes_no_flags_that_it_would_ignore() {
    for args in [
        TargetArgs { tls: true, ..TargetArgs::private() },
        TargetArgs { user: Some("parker".into()), ..TargetArgs::private() },
        TargetArgs { cacert: Some("ca.pem".into()), ..TargetArgs::private() },
    ] {
        let failure = args.open().await.err().expect("nothing is started");
        assert_eq!(failure.class(), Class::Usage, "{failure}");
    }
}

#[tokio::test]
async fn an_empty_database_becomes_ours_and_stays_ours() {
    let server = Server::start().unwrap();
    let target = open(TargetArgs::at(server.url())).await;
    let _: () = target.connection().set("user:1", "ours").await.unwrap();
    let again = open(TargetArgs::at(server.url())).await;
    let marker: Option<String> = again.connection().get(guard::MARKER).await.unwrap();
    assert!(marker.is_some());
}

#[tokio::test]
async fn foreign_data_is_refused_until_a_prefix_or_another_database_is_named() {
    let server = Server::start().unwrap();
    let mut direct = unguarded(&server.client()).await.unwrap();
    let _: () = direct.set("theirs", "precious").await.unwrap();

    let refused = TargetArgs::at(server.url()).open().await.err().expect("foreign data");
    assert_eq!(refused.class(), Class::ForeignData);
    let size: usize = redis::cmd("DBSIZE").query_async(&mut direct).await.unwrap();
    assert_eq!(size, 1, "a refusal leaves no trace");

    open(TargetArgs { prefix: Some("lab:".into()), ..TargetArgs::at(server.url()) }).await;
    open(TargetArgs { db: Some(3), ..TargetArgs::at(server.url()) }).await;
    let refused = TargetArgs { prefix: Some("the".into()), ..TargetArgs::at(server.url()) }.open().await;
    assert_eq!(refused.err().expect("foreign prefix").class(), Class::ForeignData);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_needs_its_flag_and_is_guarded_on_every_node() {
    let cluster = Cluster::start(3).unwrap();
    let url = cluster.urls()[0].clone();
    let plain = TargetArgs::at(&url).open().await.err().expect("MOVED would follow");
    assert_eq!(plain.class(), Class::Moved);
    assert!(plain.to_string().contains("--cluster"), "{plain}");

    let with_flag = TargetArgs { cluster: true, ..TargetArgs::at(&url) };
    let target = open(with_flag.clone()).await;
    let mut connection = target.connection();
    let keys: Vec<String> = (0..200).map(|n| format!("spread:{n}")).collect();
    for key in &keys {
        let _: () = connection.set(key, 1).await.unwrap();
    }
    assert_eq!(own_keys::matching(&mut connection, "spread:*", usize::MAX).await.unwrap().len(), 200);
    assert_eq!(own_keys::unlink(&mut connection, &keys).await.unwrap(), 200);

    // Somebody's key on any node is enough to be refused.
    own_keys::unlink(&mut connection, &[guard::MARKER]).await.unwrap();
    let _: () = connection.set("theirs", 1).await.unwrap();
    let refused = with_flag.open().await.err().expect("foreign data");
    assert_eq!(refused.class(), Class::ForeignData);
}

#[tokio::test]
async fn a_lone_server_refuses_to_be_a_cluster() {
    let server = Server::start().unwrap();
    let failure =
        TargetArgs { cluster: true, ..TargetArgs::at(server.url()) }.open().await.err().expect("no cluster");
    assert_eq!(failure.class(), Class::NotCluster, "{failure}");
}

#[tokio::test]
async fn capabilities_are_what_the_server_says() {
    let target = open(TargetArgs::private()).await;
    assert!(target.can("HSET").await);
    assert!(!target.can("NO.SUCH.COMMAND").await);
    let missing = target.missing(&["GET", "NO.SUCH.COMMAND", "ZADD"]).await.unwrap();
    assert_eq!(missing, ["NO.SUCH.COMMAND"]);
}

#[tokio::test]
async fn the_shared_connection_repairs_itself_after_a_restart() {
    let mut server =
        Server::builder().config("appendonly", "yes").config("appendfsync", "always").start().unwrap();
    let target = open(TargetArgs::at(server.url())).await;
    let mut connection = target.connection();
    let _: () = connection.set("kept", "yes").await.unwrap();
    server.kill();
    let lost: Result<String, _> = connection.get("kept").await;
    assert!(lost.is_err(), "a lost connection is an error, not silence");
    server.restart().unwrap();
    let deadline = Instant::now() + lab_testing::TIMEOUT;
    loop {
        match connection.get::<_, Option<String>>("kept").await {
            Ok(value) => break assert_eq!(value.as_deref(), Some("yes")),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn blocking_does_not_hold_up_the_shared_connection() {
    let target = open(TargetArgs::private()).await;
    let mut waiting = target.blocking(Duration::from_secs(30)).await.unwrap();
    assert!(matches!(waiting, Connection::Single(_)));
    let popped = tokio::spawn(async move { waiting.blpop::<_, (String, String)>("queue", 30.0).await });
    let mut shared = target.connection();
    let _: () = shared.rpush("queue", "job").await.unwrap();
    let (_, job) = popped.await.unwrap().unwrap();
    assert_eq!(job, "job");
}

#[tokio::test]
async fn subscribers_hear_on_one_server_and_on_a_cluster() {
    use futures_util::StreamExt;
    for cluster in [false, true] {
        let target = open(TargetArgs { cluster, ..TargetArgs::private() }).await;
        let mut subscriber = target.pubsub().await.unwrap();
        subscriber.subscribe("news").await.unwrap();
        let _: () = redis::cmd("PUBLISH")
            .arg("news")
            .arg("hello")
            .query_async(&mut target.connection())
            .await
            .unwrap();
        let mut messages = subscriber.into_on_message();
        let message = tokio::time::timeout(lab_testing::TIMEOUT, messages.next());
        let message = message.await.expect("in time").expect("a message");
        assert_eq!(message.get_payload::<String>().unwrap(), "hello");
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_tls_an_encrypted_address_is_refused_and_not_reached_in_plain_text() {
    for args in [
        TargetArgs::at("rediss://127.0.0.1:1"),
        TargetArgs { tls: true, ..TargetArgs::at("redis://127.0.0.1:1") },
    ] {
        let failure = args.open().await.err().expect("no TLS");
        assert_eq!(failure.class(), Class::Unsupported, "{failure}");
        assert!(failure.to_string().contains("built without TLS"), "{failure}");
    }
}

#[tokio::test]
async fn a_private_server_that_died_is_not_taken_for_one_that_somebody_named() {
    let target = open(TargetArgs::private()).await;
    let mut connection = target.connection();
    // It ends without a reply.
    let _ended: Result<(), _> = redis::cmd("SHUTDOWN").arg("NOSAVE").exec_async(&mut connection).await;
    let error = redis::cmd("PING").exec_async(&mut connection).await.unwrap_err();
    let failure = target.explain(&error);
    assert!(failure.what().starts_with("The private server at"), "{failure}");
    assert!(!failure.to_string().contains("leave the address out"), "{failure}");
}
