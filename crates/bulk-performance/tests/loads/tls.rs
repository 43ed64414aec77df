//! Loads over TLS, as people ask for it.
#![cfg(feature = "tls")]

use bulk_performance::load::{Kind, LoadPlan, Writing};
use bulk_performance::people::People;
use bulk_performance::stored::Content;
use lab_connection::TargetArgs;
use lab_testing::tls_server::{NAME, TlsServer, authority};
use redis::cmd;

use crate::loading::{Underway, kill_connections, plan, run};
use crate::relay::Relay;

/// `--tls -h HOST -p PORT --cacert authority.pem`; the password comes by URL, because the environment belongs to all tests.
fn flags(at: &TlsServer, host: &str) -> TargetArgs {
    flags_by(at, host, at.port())
}

fn flags_by(at: &TlsServer, host: &str, port: u16) -> TargetArgs {
    let url = format!("rediss://:{}@{host}:{port}", at.server.password());
    TargetArgs { tls: true, cacert: Some(at.file("authority.pem")), ..TargetArgs::at(url) }
}

async fn loads(args: TargetArgs, plan: &LoadPlan) {
    let target = args.open().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(target.transport().starts_with("TLS"), "{}", target.transport());
    let report = run(&target, plan).await.unwrap();
    assert_eq!((report.records, report.verified), (plan.records, Some(true)), "{plan:?}");
}

#[tokio::test]
async fn every_kind_arrives_over_tls() {
    let Some(at) = TlsServer::start("no") else { return };
    for kind in [Kind::Users, Kind::Strings, Kind::List] {
        for connections in [1, 3] {
            let plan = LoadPlan { kind, connections, indexes: kind == Kind::Users, ..plan(20_000) };
            loads(flags(&at, NAME), &plan).await;
        }
    }
    // Not what the load says of itself: read over the port without TLS.
    let plain = TargetArgs::at(at.server.url()).open().await.unwrap();
    let keys = bulk_performance::keys::Keys::new("");
    let content = Content::of_users(&keys, 20_000, &plain.connection()).await.unwrap();
    assert_eq!(content, Content::expected(&People::new(), 20_000));
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it_from_every_connection() {
    let Some(at) = TlsServer::start("yes") else { return };
    let certificate = |port| TargetArgs {
        cert: Some(at.file("server.pem")),
        key: Some(at.file("server.key")),
        ..flags_by(&at, NAME, port)
    };
    loads(certificate(at.port()), &LoadPlan { connections: 2, ..plan(5_000) }).await;

    // What the loader's own connections show, and not only those before it. The 5,000 of before are removed first.
    let relay = Relay::to(at.port());
    let target = certificate(relay.port()).open().await.unwrap();
    let loading = Underway::held_by(relay, target, plan(50_000));
    loading.until(5_001).await;
    kill_connections(&at.server);
    let report = loading.end().await.unwrap();
    assert!(report.reconnections > 0, "{report:?}");
    assert_eq!((report.records, report.verified), (50_000, Some(true)));
}

#[tokio::test]
async fn sni_is_the_name_that_the_loader_expects_too() {
    let Some(at) = TlsServer::start("no") else { return };
    let args = TargetArgs { sni: Some(NAME.into()), ..flags(&at, "127.0.0.1") };
    for writing in [Writing::Auto, Writing::Hset] {
        loads(args.clone(), &LoadPlan { writing, ..plan(5_000) }).await;
    }
}

#[tokio::test]
async fn connections_that_are_killed_lose_nothing() {
    let Some(at) = TlsServer::start("no") else { return };
    for (kind, records) in [(Kind::Users, 50_000), (Kind::List, 2_000_000)] {
        let relay = Relay::to(at.port());
        let target = flags_by(&at, NAME, relay.port()).open().await.unwrap();
        let loading = Underway::held_by(relay, target, LoadPlan { kind, connections: 2, ..plan(records) });
        for part in 1..=3 {
            // What the server has: over TLS it is the faster one, and its replies are read late.
            loading.until_so(|| stored(&at, kind) >= records * part / 5).await;
            kill_connections(&at.server);
        }
        let report = loading.end().await.unwrap();
        assert!(report.reconnections > 0, "{kind:?}: the load was over before a connection was killed");
        assert_eq!((report.records, report.replayed, report.verified), (records, 0, Some(true)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_stranger_gets_no_record() {
    let Some(at) = TlsServer::start("no") else { return };
    let other = at.file("other.pem");
    std::fs::write(&other, authority("another")).unwrap();
    let args = TargetArgs { cacert: Some(other), ..flags(&at, NAME) };
    assert!(args.open().await.is_err(), "the load does not even begin");
}

fn stored(at: &TlsServer, kind: Kind) -> u64 {
    let mut admin = at.server.client().get_connection().unwrap();
    let count = if kind == Kind::List { cmd("LLEN").arg("biglist").clone() } else { cmd("DBSIZE") };
    count.query(&mut admin).unwrap()
}
