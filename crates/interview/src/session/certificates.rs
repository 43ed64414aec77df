//! Certificates for one example: an authority of its own, and a server that it vouches for.

use std::error::Error;
use std::sync::Arc;

use lab_server::Builder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};

/// The name in the server's certificate.
pub(super) const NAME: &str = "localhost";

pub(super) struct Certificates {
    /// Trusts the authority, and nobody else.
    pub(super) client: Arc<ClientConfig>,
    server: String,
    key: String,
    authority: String,
}

impl Certificates {
    pub(super) fn make() -> Result<Self, Box<dyn Error>> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an example's authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([NAME.to_owned()])?.signed_by(&key, &authority)?;

        let mut trusted = RootCertStore::empty();
        trusted.add(authority.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self {
            client: Arc::new(client),
            server: certificate.pem(),
            key: key.serialize_pem(),
            authority: authority.pem(),
        })
    }

    /// A server that shows the certificate.
    pub(super) fn shown_by(&self, builder: Builder) -> Builder {
        builder.tls(&self.server, &self.key, &self.authority)
    }
}
