//! TLS as people ask for it: the flags of every program, with certificate files and a real server.

use std::path::PathBuf;

use lab_connection::failure::{Class, TlsFault};
use lab_connection::{Failure, TargetArgs};
use redis::AsyncCommands;

use lab_testing::tls_server::{NAME, TlsServer, authority};

/// `--tls -h localhost -p PORT --user default --cacert authority.pem`, the password aside: that one comes by URL,
/// because the environment belongs to all tests.
fn flags(at: &TlsServer, host: &str) -> TargetArgs {
    let url = format!("rediss://:{}@{host}:{}", at.server.password(), at.port());
    TargetArgs { tls: true, cacert: Some(at.file("authority.pem")), ..TargetArgs::at(url) }
}

async fn works(args: TargetArgs) {
    let target = args.open().await.unwrap_or_else(|failure| panic!("{failure}"));
    let mut own = target.dedicated().await.unwrap();
    for mut connection in [target.connection(), own.clone()] {
        let _: () = connection.set("greeting", "hello").await.unwrap();
    }
    assert_eq!(own.get::<_, String>("greeting").await.unwrap(), "hello");
    assert_eq!(target.transport(), "TLS, nodelay, RESP2");
}

async fn failure(args: TargetArgs) -> Failure {
    args.open().await.err().expect("it must not connect")
}

#[tokio::test]
async fn a_trusted_certificate_for_the_right_name_works_by_flag_and_by_url() {
    let Some(at) = TlsServer::start("no") else { return };
    works(flags(&at, NAME)).await;
    works(TargetArgs { tls: false, ..flags(&at, NAME) }).await;
    let plain_scheme = format!("redis://:{}@{NAME}:{}", at.server.password(), at.port());
    works(TargetArgs { url: Some(plain_scheme), ..flags(&at, NAME) }).await;
}

#[tokio::test]
async fn sni_names_what_the_certificate_is_for() {
    let Some(at) = TlsServer::start("no") else { return };
    let wrong = failure(flags(&at, "127.0.0.1")).await;
    assert_eq!(wrong.class(), Class::Tls(TlsFault::WrongName), "{wrong}");
    assert!(wrong.to_string().contains("--sni"), "{wrong}");

    let args = TargetArgs { sni: Some(NAME.into()), ..flags(&at, "127.0.0.1") };
    works(args.clone()).await;
    let target = args.open().await.unwrap();
    assert!(target.address().starts_with("127.0.0.1:"), "{}", target.address());
    let error = target.pubsub().await.err().expect("a subscriber would go to the other host");
    assert!(target.explain(&error).to_string().contains("--sni"));
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it() {
    let Some(at) = TlsServer::start("yes") else { return };
    let without = failure(flags(&at, NAME)).await;
    assert_eq!(without.class(), Class::Tls(TlsFault::ClientCertificate), "{without}");
    works(TargetArgs {
        cert: Some(at.file("server.pem")),
        key: Some(at.file("server.key")),
        ..flags(&at, NAME)
    })
    .await;
}

#[tokio::test]
async fn subscribers_hear_over_tls() {
    use futures_util::StreamExt;
    let Some(at) = TlsServer::start("no") else { return };
    let target = flags(&at, NAME).open().await.unwrap();
    let mut subscriber = target.pubsub().await.unwrap();
    subscriber.subscribe("news").await.unwrap();
    let _: i64 = target.connection().publish("news", "hello").await.unwrap();
    let message = subscriber.on_message().next().await.unwrap();
    assert_eq!(message.get_payload::<String>().unwrap(), "hello");
}

#[tokio::test]
async fn what_is_wrong_is_told_apart() {
    let Some(at) = TlsServer::start("no") else { return };
    let other = at.file("other.pem");
    std::fs::write(&other, authority("another")).unwrap();
    let stranger = failure(TargetArgs { cacert: Some(other), ..flags(&at, NAME) }).await;
    assert_eq!(stranger.class(), Class::Tls(TlsFault::UnknownAuthority), "{stranger}");

    let system = failure(TargetArgs { cacert: None, ..flags(&at, NAME) }).await;
    assert_eq!(system.exit_code(), 3, "no authority of this machine signed it: {system}");

    let plain = failure(TargetArgs::at(format!("redis://{NAME}:{}", at.port()))).await;
    assert_eq!(plain.class(), Class::Tls(TlsFault::ServerWantsTls), "{plain}");

    let port = format!("rediss://{NAME}:{}", at.server.port());
    let to_plain = failure(TargetArgs { url: Some(port), ..flags(&at, NAME) }).await;
    assert_eq!(to_plain.class(), Class::Tls(TlsFault::ServerIsPlain), "{to_plain}");
}

#[tokio::test]
async fn files_that_are_no_certificates_are_usage_errors() {
    let Some(at) = TlsServer::start("no") else { return };
    let text = at.file("text.pem");
    std::fs::write(&text, "no certificate").unwrap();
    let missing = PathBuf::from("/nonexistent/ca.pem");
    for args in [
        TargetArgs { cacert: Some(missing.clone()), ..flags(&at, NAME) },
        TargetArgs { cert: Some(missing), key: Some(at.file("server.key")), ..flags(&at, NAME) },
        TargetArgs { cert: Some(text.clone()), key: Some(text.clone()), ..flags(&at, NAME) },
        TargetArgs {
            cert: Some(at.file("server.pem")),
            key: Some(at.file("server.pem")),
            ..flags(&at, NAME)
        },
        TargetArgs { cacert: Some(text), ..flags(&at, NAME) },
    ] {
        let shown = format!("{:?} {:?}", args.cacert, args.cert);
        let failure = failure(args).await;
        assert_eq!(failure.class(), Class::Usage, "{shown}: {failure}");
    }
}
