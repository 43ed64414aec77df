//! Certificates for one example, and a client that trusts them.

use std::error::Error;
use std::sync::Arc;

use lab_server::{Builder, Certificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// A name in the server's certificate.
pub(super) const NAME: &str = lab_server::SERVER_NAMES[0];

pub(super) struct Trust {
    /// Trusts the authority, and nobody else.
    pub(super) client: Arc<ClientConfig>,
    certificates: Certificates,
}

impl Trust {
    pub(super) fn make() -> Result<Self, Box<dyn Error>> {
        let certificates = Certificates::make()?;
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_slice(certificates.authority.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self { client: Arc::new(client), certificates })
    }

    /// A server that shows the certificate.
    pub(super) fn shown_by(&self, builder: Builder) -> Builder {
        builder.tls(&self.certificates)
    }
}
