//! TLS, each way it can go wrong.
#![cfg(feature = "tls")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use insta::assert_snapshot;
use lab_connection::failure::Class;
use lab_server::Server;
use redis::{Client, ClientTlsConfig, TlsCertificates};

use super::setup::Setup;
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
        self.scene_with(host, authority, None)
    }

    fn scene_with(&self, host: &str, authority: &str, client_tls: Option<ClientTlsConfig>) -> Setup {
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
async fn a_trusted_certificate_for_the_right_name_works() {
    let Some(vault) = Vault::open("no") else {
        return;
    };
    // NOAUTH: TLS came about, and the server was asked.
    assert_eq!(vault.setup(NAME, &vault.0.authority).failure_to_connect().await.class(), Class::NoAuth);
}

#[tokio::test]
async fn an_authority_of_ones_own_is_unknown() {
    let Some(vault) = Vault::open("no") else {
        return;
    };
    let setup = vault.setup(NAME, &authority("another"));
    assert_snapshot!("unknown_authority", setup.message(&setup.failure_to_connect().await));
    let namesake = vault.setup(NAME, &authority("ours"));
    assert_snapshot!("unknown_authority", namesake.message(&namesake.failure_to_connect().await));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let Some(vault) = Vault::open("no") else {
        return;
    };
    let setup = vault.setup("127.0.0.1", &vault.0.authority);
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
}

#[tokio::test]
async fn a_server_may_want_a_client_certificate() {
    let Some(vault) = Vault::open("yes") else {
        return;
    };
    let setup = vault.setup(NAME, &vault.0.authority);
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
    let identified = vault.scene_with(NAME, &vault.0.authority, Some(vault.0.client_certificate.clone()));
    assert_eq!(identified.failure_to_connect().await.class(), Class::NoAuth);
}

#[tokio::test]
async fn plain_text_to_a_tls_port_is_told_apart_from_a_connection_just_closed() {
    let Some(vault) = Vault::open("no") else {
        return;
    };
    let setup = Setup::at(&format!("redis://127.0.0.1:{}", vault.0.port()));
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // The client may have hung up first.
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let setup = Setup::at(&format!("rediss://{address}"));
    assert_eq!(setup.failure_to_connect().await.exit_code(), 3);
}
