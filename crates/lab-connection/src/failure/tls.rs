//! TLS: which fault an error stands for, and what to say.

use std::error::Error;

use super::class::{Cause, TlsFault};
use super::{Endpoint, Failure};

/// The fault behind an error of the TLS library.
#[cfg(feature = "tls")]
pub fn fault(error: &(dyn Error + 'static)) -> Option<TlsFault> {
    use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

    Some(match error.downcast_ref::<Tls>()? {
        Tls::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
            // A bad signature is what another authority of the same name comes to.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownAuthority,
            other => fault_in(&format!("{other:?}")).unwrap_or(TlsFault::Other),
        },
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => TlsFault::ClientCertificate,
        // The first bytes of the answer were no TLS record.
        Tls::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            TlsFault::ServerIsPlain
        }
        _ => TlsFault::Other,
    })
}

/// Without the TLS library there is no such error.
#[cfg(not(feature = "tls"))]
pub fn fault(_error: &(dyn Error + 'static)) -> Option<TlsFault> {
    None
}

/// The fault behind a text, for where only the text is left.
pub fn fault_in(text: &str) -> Option<TlsFault> {
    let has = |words: &str| text.contains(words);
    if has("not valid for name") {
        Some(TlsFault::WrongName)
    } else if has("expired") || has("not valid yet") {
        Some(TlsFault::Expired)
    // A self-signed certificate is refused for being an authority's own.
    } else if has("UnknownIssuer") || has("BadSignature") || has("CaUsedAsEndEntity") {
        Some(TlsFault::UnknownAuthority)
    } else if has("CertificateRequired") {
        Some(TlsFault::ClientCertificate)
    } else if has("InvalidContentType") {
        Some(TlsFault::ServerIsPlain)
    } else if has("invalid peer certificate")
        || has("received fatal alert")
        || has("received corrupt message")
    {
        Some(TlsFault::Other)
    } else {
        None
    }
}

/// What to say.
pub fn text(fault: TlsFault, cause: &Cause, endpoint: &Endpoint) -> Failure {
    let address = endpoint.shown();
    let said = &cause.server_reply;
    match fault {
        TlsFault::ServerIsPlain => cause.failure(
            format!("{address} does not speak TLS."),
            "You asked for TLS, but the port answers in plain text.",
        )
        .try_next(
            "leave --tls out (in a URL: redis:// instead of rediss://), if plain text is acceptable there",
        )
        .try_next("-p PORT with the server's tls-port; it is a separate port"),
        TlsFault::ServerWantsTls => cause.failure(
            format!("{address} speaks TLS, and this connection does not."),
            "The port only takes encrypted connections.",
        )
        .try_next("--tls (in a URL: rediss:// instead of redis://)")
        .try_next("--tls --cacert FILE, when the server's certificate is signed by an authority of your own"),
        TlsFault::UnknownAuthority => cause.failure(
            format!("The certificate of {address} is not trusted."),
            "It is signed by an authority that neither this machine nor --cacert names.",
        )
        .try_next("--tls --cacert FILE with the PEM file of the authority that signed it"),
        TlsFault::WrongName => cause.failure(
            format!("The certificate of {address} is for another name."),
            format!("Another server may be answering, or the certificate uses another name for this one: {said}."),
        )
        .try_next("-h NAME with a name that is in the certificate")
        .try_next("--sni NAME to keep the address and expect that name"),
        TlsFault::Expired => cause.failure(
            format!("The certificate of {address} is not valid at this time."),
            format!("It has expired or is not valid yet, or this machine's clock is wrong: {said}."),
        )
        .try_next("date, to compare the clock; then renew the server's certificate"),
        TlsFault::ClientCertificate => cause.failure(
            format!("{address} wants a client certificate."),
            "The server identifies clients by certificate (tls-auth-clients) and got none that it accepts.",
        )
        .try_next("--tls --cert FILE --key FILE with a certificate that the server's authority signed"),
        TlsFault::Other => cause.failure(
            format!("No TLS connection to {address} came about."),
            format!("{said}."),
        )
        .try_next("--tls --cacert FILE --sni NAME, and --cert FILE --key FILE where the server wants them")
        .try_next("openssl s_client -connect HOST:PORT, to see what the server offers"),
    }
}
