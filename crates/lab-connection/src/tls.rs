//! Certificates for a TLS connection.

use std::fs;
use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::args::TargetArgs;
use crate::failure::{Class, Failure};

/// The same address with the certificates that the flags name. Without `--cacert` the system's authorities count.
pub(crate) fn with_certificates(info: ConnectionInfo, args: &TargetArgs) -> Result<ConnectionInfo, Failure> {
    choose_provider();
    let Some(certificates) = certificates(args)? else {
        return Ok(info);
    };
    let client = Client::build_with_tls(info, certificates).map_err(|error| {
        Failure::new(Class::Usage, "The certificate files cannot be used.", error.to_string()).try_next(
            "give PEM files: --cacert for the authority, --cert with --key for a client certificate",
        )
    })?;
    Ok(client.get_connection_info().clone())
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

/// rustls wants to be told which cryptography to use; a second call changes nothing.
fn choose_provider() {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
}

/// A file that names no authority would only show later, as a server that nobody vouches for.
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
