//! TLS, each way it can go wrong.
#![cfg(feature = "tls")]

use std::time::Duration;

use insta::assert_snapshot;
use lab_connection::failure::Class;
use lab_server::Server;
use redis::{Client, ClientTlsConfig, TlsCertificates};

use super::setup::{Setup, service};
use lab_testing::tls_server::{NAME, TlsServer, authority};

/// A server to be reached with other certificates than it expects.
struct Vault(TlsServer);

impl Vault {
    fn open(auth_clients: &str) -> Option<Self> {
        choose_provider();
        TlsServer::start(auth_clients).map(Self)
    }

    /// Over TLS, trusting `authority`.
    fn setup(&self, host: &str, authority: &str) -> Setup {
        self.setup_with(host, authority, None)
    }

    fn setup_with(&self, host: &str, authority: &str, client_tls: Option<ClientTlsConfig>) -> Setup {
        let certificates = TlsCertificates { client_tls, root_cert: Some(authority.as_bytes().to_vec()) };
        let url = format!("rediss://{host}:{}", self.0.port());
        Setup::of(Client::build_with_tls(url, certificates).unwrap())
    }
}

/// Only the first one decides for the process, so that another test was faster is fine.
fn choose_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    let Some(vault) = Vault::open("no") else { return };
    let trusting = vault.setup(NAME, &vault.0.authority);
    // NOAUTH: TLS came about, and the server was asked.
    assert_eq!(trusting.failure_to_connect().await.class(), Class::NoAuth);
    for (snapshot, host, authority) in [
        ("unknown_authority", NAME, authority("another")),
        // A namesake of the server's own.
        ("unknown_authority", NAME, authority("ours")),
        ("a_certificate_for_another_name_is_refused", "127.0.0.1", vault.0.authority.clone()),
    ] {
        let setup = vault.setup(host, &authority);
        assert_snapshot!(snapshot, setup.message(&setup.failure_to_connect().await));
    }
    let plain = Setup::at(&format!("redis://127.0.0.1:{}", vault.0.port()));
    assert_snapshot!(
        "plain_text_to_a_tls_port_is_told_apart_from_a_connection_just_closed",
        plain.message(&plain.failure_to_connect().await)
    );
}

#[tokio::test]
async fn a_server_may_want_a_client_certificate() {
    let Some(vault) = Vault::open("yes") else { return };
    let setup = vault.setup(NAME, &vault.0.authority);
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
    let identified = vault.setup_with(NAME, &vault.0.authority, Some(vault.0.client_certificate.clone()));
    assert_eq!(identified.failure_to_connect().await.class(), Class::NoAuth);
}

#[tokio::test]
async fn tls_to_a_plain_port_is_told_apart_from_a_timeout() {
    choose_provider();
    let server = Server::builder().start().unwrap();
    let address = Setup::at(&server.url()).endpoint.address;
    let mut setup = Setup::at(&format!("rediss://{address}"));
    // A plain server waits for the end of what it takes for a command.
    setup.timeout = Duration::from_millis(500);
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
}

#[tokio::test]
async fn tls_to_a_web_server_is_told_apart() {
    choose_provider();
    let plain = service("", "HTTP/1.1 400 Bad Request\r\n\r\n");
    let setup = Setup::at(&format!("rediss://{}", plain.endpoint.address));
    assert_eq!(setup.failure_to_connect().await.exit_code(), 3);
}
