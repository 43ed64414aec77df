//! Certificates for one run: an authority of its own, and a server and a client that it vouches for.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::config::{self, quoted};

/// The names in the server's certificate, unless others are asked for: where private servers listen.
pub const SERVER_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

const AUTHORITY_FILE: &str = "authority.pem";
const SERVER_FILES: (&str, &str) = ("server.pem", "server.key");
const CLIENT_FILES: (&str, &str) = ("client.pem", "client.key");

/// An authority's certificate, and what it signed. Give it to [`Builder::tls`](crate::Builder::tls) or
/// [`Builder::mutual_tls`](crate::Builder::mutual_tls).
#[derive(Clone)]
pub struct Certificates {
    /// The authority's certificate, as PEM. A program that trusts it trusts the other two.
    pub authority: String,
    /// What servers show to clients, and to each other.
    pub server: Identity,
    /// What a client shows, where the server asks for it.
    pub client: Identity,
}

/// A certificate and its private key, as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Certificates {
    /// Makes new ones for `localhost` and 127.0.0.1. It takes about a millisecond. The authority's key is forgotten at once, so nothing
    /// else can be signed with it. Without the feature `tls`, this fails with [`Error::BuiltWithoutTls`].
    pub fn make() -> Result<Self, Error> {
        Self::signed_by("a private authority", &SERVER_NAMES)
    }

    /// The same with the authority's name and the names in the server's certificate: host names and IP addresses.
    #[cfg(feature = "tls")]
    pub fn signed_by(authority: &str, names: &[&str]) -> Result<Self, Error> {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

        let failed = |source: rcgen::Error| Error::Certificates { reason: source.to_string() };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, authority);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
        let sign = |name: &str, names: &[&str]| -> Result<Identity, rcgen::Error> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?.pem();
            Ok(Identity { certificate, key: key.serialize_pem() })
        };
        Ok(Self {
            server: sign("a private server", names).map_err(failed)?,
            client: sign("a client", &[]).map_err(failed)?,
            authority: authority.pem(),
        })
    }

    /// The same with the authority's name and the names in the server's certificate: host names and IP addresses.
    #[cfg(not(feature = "tls"))]
    pub fn signed_by(_authority: &str, _names: &[&str]) -> Result<Self, Error> {
        Err(Error::BuiltWithoutTls)
    }
}

/// Shows no key.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// Shows no key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The certificates of a server as files in its directory, which only its owner can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The authority's certificate: `--cacert` of redis-cli and of this project's programs.
    pub authority: PathBuf,
    /// The client's certificate: `--cert`.
    pub client: PathBuf,
    /// The client's key: `--key`.
    pub client_key: PathBuf,
    /// The server's certificate.
    pub server: PathBuf,
    /// The server's key.
    pub server_key: PathBuf,
}

impl CertificateFiles {
    pub(crate) fn inside(directory: &Path) -> Self {
        Self {
            authority: directory.join(AUTHORITY_FILE),
            client: directory.join(CLIENT_FILES.0),
            client_key: directory.join(CLIENT_FILES.1),
            server: directory.join(SERVER_FILES.0),
            server_key: directory.join(SERVER_FILES.1),
        }
    }
}

/// How a server uses TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) certificates: Certificates,
    /// Whether clients must show a certificate.
    pub(crate) mutual: bool,
}

impl Tls {
    /// The settings that a builder's own come after. Replication, Sentinels, and the cluster bus use TLS, too.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let ask = if self.mutual { "yes" } else { "no" };
        [("tls-auth-clients", ask), ("tls-replication", "yes"), ("tls-cluster", "yes")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// Writes the files, and returns the settings that name them.
    pub(crate) fn write(&self, directory: &Path) -> Result<Vec<(String, String)>, Error> {
        let files = CertificateFiles::inside(directory);
        let Certificates { authority, server, client } = &self.certificates;
        for (path, text) in [
            (&files.authority, authority),
            (&files.server, &server.certificate),
            (&files.server_key, &server.key),
            (&files.client, &client.certificate),
            (&files.client_key, &client.key),
        ] {
            config::write_private(path, text)?;
        }
        let named = [
            ("tls-ca-cert-file", files.authority),
            ("tls-cert-file", files.server),
            ("tls-key-file", files.server_key),
        ];
        Ok(named.map(|(key, path)| (key.to_owned(), quoted(&path.to_string_lossy()))).to_vec())
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_two_runs_have_nothing_in_common_and_show_no_key() {
        let (one, other) = (Certificates::make().unwrap(), Certificates::make().unwrap());
        assert_ne!(one.authority, other.authority);
        assert_ne!(one.server.key, other.server.key);
        assert_ne!(one.client.key, one.server.key);
        let shown = format!("{one:?} {:?}", one.client);
        assert!(!shown.contains("BEGIN"), "{shown}");
    }
}
