//! A server that speaks TLS, and certificates of our own. The private Valkey is built without TLS, so a program is
//! looked for on PATH and in `REDIS_LAB_TLS_PROGRAM`; without one the tests say so and pass.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab_server::{Certificates, Choice, Server};
use redis::ClientTlsConfig;

/// The name in the server's certificate.
pub const NAME: &str = "localhost";

/// A server that also speaks TLS, and the authority that vouches for it.
pub struct TlsServer {
    /// The server itself.
    pub server: Server,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// A certificate that the authority signed, and its key.
    pub client_certificate: ClientTlsConfig,
}

impl TlsServer {
    /// `auth_clients` is the server's setting `tls-auth-clients`.
    pub fn start(auth_clients: &str) -> Option<Self> {
        let program = tls_program()?;
        let certificates = Certificates::signed_by("ours", &[NAME]).unwrap();
        let client_certificate = ClientTlsConfig {
            client_cert: certificates.client.certificate.clone().into_bytes(),
            client_key: certificates.client.key.clone().into_bytes(),
        };
        let server = Server::builder()
            .choice(Choice { program: Some(program), ..Choice::default() })
            .tls(&certificates)
            .config("tls-auth-clients", auth_clients)
            .start()
            .unwrap();
        Some(Self { server, authority: certificates.authority, client_certificate })
    }

    /// The port where it speaks TLS.
    pub fn port(&self) -> u16 {
        self.server.tls_port().unwrap()
    }

    /// `server.pem`, `server.key` or `authority.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.server.dir().join(name)
    }
}

/// The certificate of an authority that nobody knows yet, PEM.
pub fn authority(name: &str) -> String {
    Certificates::signed_by(name, &[NAME]).unwrap().authority
}

#[expect(clippy::print_stdout, reason = "a test that checks nothing has to say so")]
fn tls_program() -> Option<PathBuf> {
    let by_hand = env::var_os("REDIS_LAB_TLS_PROGRAM").map(PathBuf::from);
    let on_path =
        env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let candidates = by_hand.into_iter().chain(on_path.map(|directory| directory.join("redis-server")));
    let found = candidates.into_iter().find(|program| speaks_tls(program));
    if found.is_none() {
        println!("skipped: no redis-server with TLS on PATH, and REDIS_LAB_TLS_PROGRAM names none");
    }
    found
}

/// A program without TLS does not know the setting and ends at once; the other one ends because it may not listen.
fn speaks_tls(program: &Path) -> bool {
    let output = Command::new(program)
        .args(["--port", "0", "--tls-port", "0", "--save", "", "--syslog-enabled", "x"])
        .output();
    output.is_ok_and(|output| {
        let said = [output.stdout, output.stderr].concat();
        !String::from_utf8_lossy(&said).contains("tls-port")
    })
}
