//! Certificates for a TLS connection.

use std::fs;
use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::args::TargetArgs;
use crate::failure::{Class, Failure};

/// The same address with the certificates that the flags name. Without `--cacert` the system's authorities count.
pub(crate) fn with_certificates(info: ConnectionInfo, args: &TargetArgs) -> Result<ConnectionInfo, Failure> {
    choose_provider();
    let Some(certificates) = certificates(args)? else {
        return Ok(info);
    };
    let client = Client::build_with_tls(info, certificates)
        .map_err(|error| unusable("The certificate files cannot be used.", &error))?;
    Ok(client.get_connection_info().clone())
}

fn unusable(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Class::Usage, what, error.to_string())
        .try_next("give PEM files: --cacert for the authority, --cert with --key for a client certificate")
}

/// What the flags name, or nothing.
pub(crate) fn certificates(args: &TargetArgs) -> Result<Option<TlsCertificates>, Failure> {
    let root_cert = args.cacert.as_deref().map(read_authorities).transpose()?;
    let client_tls = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    let any = root_cert.is_some() || client_tls.is_some();
    Ok(any.then_some(TlsCertificates { client_tls, root_cert }))
}

/// The same, in the terms of rustls, for connections that redis-rs does not make.
pub(crate) fn client_config(
    certificates: Option<&TlsCertificates>,
    insecure: bool,
) -> Result<ClientConfig, Failure> {
    if insecure {
        let why = "The URL says #insecure, so any server that answers would be trusted.";
        return Err(Failure::new(Class::Usage, "This takes no connection without a certificate.", why)
            .try_next("--cacert FILE with the authority that signed the server's certificate"));
    }
    choose_provider();
    let unusable = |error: &dyn std::fmt::Display| unusable("The certificates cannot be used.", error);
    let mut authorities = RootCertStore::empty();
    match certificates.and_then(|certificates| certificates.root_cert.as_deref()) {
        Some(pem) => {
            for authority in CertificateDer::pem_slice_iter(pem) {
                let authority = authority.map_err(|error| unusable(&error))?;
                authorities.add(authority).map_err(|error| unusable(&error))?;
            }
        }
        None => {
            authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder().with_root_certificates(authorities);
    match certificates.and_then(|certificates| certificates.client_tls.as_ref()) {
        None => Ok(config.with_no_client_auth()),
        Some(ClientTlsConfig { client_cert, client_key }) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(client_cert).collect();
            let chain = chain.map_err(|error| unusable(&error))?;
            let key = PrivateKeyDer::from_pem_slice(client_key).map_err(|error| unusable(&error))?;
            config.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))
        }
    }
}

/// Tells rustls which cryptography to use. A second call changes nothing.
fn choose_provider() {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
}

/// Without this check, a file without an authority would show up only later, as an untrusted server.
fn read_authorities(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = read(path)?;
    if !CertificateDer::pem_slice_iter(&pem).any(|certificate| certificate.is_ok()) {
        let what = format!("{} holds no certificate.", path.display());
        return Err(Failure::new(Class::Usage, what, "No part of it is a certificate in PEM.").try_next(
            "--cacert FILE with the PEM file of the authority that signed the server's certificate",
        ));
    }
    Ok(pem)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::new(Class::Usage, format!("{} cannot be read.", path.display()), error.to_string())
            .try_next("check the path given to --cacert, --cert or --key")
    })
}
