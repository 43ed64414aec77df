//! The same over TLS, and who may connect at all.

use lab_connection::connection::unguarded;
use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use lab_server::{Certificates, Server};
use redis::aio::MultiplexedConnection;
use redis::{Client, ClientTlsConfig, RedisResult, TlsCertificates};

use super::{PAYMENTS, Tap, overheard, pay, table};
use crate::private::{self, code};

/// Who comes to the TLS port.
struct Visitor<'a> {
    /// The authority that it trusts.
    trusts: &'a str,
    /// What it shows, if anything.
    shows: Option<&'a lab_server::Identity>,
    password: &'a str,
}

pub(super) async fn with_tls(
    ctx: &LessonContext,
    server: &Server,
    certificates: &Certificates,
    password: &str,
) -> Outcome {
    let port = server.tls_port().unwrap_or_default();
    ctx.step(
        "With TLS, both sides agree on a key that the relay cannot know. The certificates are made for this run: an authority signed the server's, \
         and the client trusts only that authority. The settings of the server, and the client:",
    )
    .await?;
    ctx.listing(
        "tls-port PORT\ntls-ca-cert-file authority.pem\ntls-cert-file server.pem\ntls-key-file server.key\ntls-auth-clients yes",
    );
    ctx.function("connect");
    ctx.announce("The client sends AUTH and SET through the relay again.");
    let tap = Tap::in_front_of(port).await.map_err(private::failure)?;
    let good = Visitor { trusts: &certificates.authority, shows: Some(&certificates.client), password };
    pay(&mut connect(tap.port(), &good).await?).await?;
    let [passwords, cards, bytes] = overheard(&tap.heard(), password);
    ctx.table(table("with TLS", [passwords, cards, bytes]));
    ctx.check_eq("the relay has neither the password nor a number", &[passwords, cards], &[0, 0])?;
    ctx.check(format!("although all {PAYMENTS} passed through it"), bytes > PAYMENTS * 19)?;
    who_gets_in(ctx, port, certificates, password).await
}

async fn connect(port: u16, visitor: &Visitor<'_>) -> RedisResult<MultiplexedConnection> {
    let url = match visitor.password {
        "" => format!("rediss://127.0.0.1:{port}/"),
        password => format!("rediss://default:{password}@127.0.0.1:{port}/"),
    };
    let shows = visitor.shows.map(|identity| ClientTlsConfig {
        client_cert: identity.certificate.clone().into_bytes(),
        client_key: identity.key.clone().into_bytes(),
    });
    let trusts = Some(visitor.trusts.as_bytes().to_vec());
    let client = Client::build_with_tls(url, TlsCertificates { client_tls: shows, root_cert: trusts })?;
    unguarded(&client).await
}

async fn who_gets_in(ctx: &LessonContext, port: u16, certificates: &Certificates, password: &str) -> Outcome {
    ctx.step(
        "Mutual TLS: the client checks the server's certificate, and the server checks the client's. A client with the password and no \
         certificate stays outside. A certificate does not replace the password, unless the server maps its name to a user \
         (tls-auth-clients-user, Redis 8.6 and Valkey 9.0).",
    )
    .await?;
    ctx.function("visit");
    ctx.announce("Five clients try to connect, and send AUTH and PING.");
    // It looks the same, and nobody here trusts it.
    let other = private::blocking(Certificates::make).await?;
    let (ours, client) = (certificates.authority.as_str(), Some(&certificates.client));
    let visitors = [
        ("trusts another authority", Visitor { trusts: &other.authority, shows: client, password }),
        ("password, no certificate", Visitor { trusts: ours, shows: None, password }),
        (
            "a certificate of another authority",
            Visitor { trusts: ours, shows: Some(&other.client), password },
        ),
        ("certificate, no password", Visitor { trusts: ours, shows: client, password: "" }),
        ("certificate and password", Visitor { trusts: ours, shows: client, password }),
    ];
    let mut table = Table::new("At the TLS port", &["client", "what it gets"]);
    let mut outcomes = Vec::new();
    for (label, visitor) in &visitors {
        let outcome = visit(port, visitor).await;
        table = table.row([*label, outcome]);
        outcomes.push(outcome);
    }
    ctx.table(table);
    ctx.check_eq(
        "only who has both gets an answer",
        &outcomes,
        &vec!["no connection", "no connection", "no connection", "NOAUTH", "PONG"],
    )
}

async fn visit(port: u16, visitor: &Visitor<'_>) -> &'static str {
    let Ok(mut redis) = connect(port, visitor).await else { return "no connection" };
    let reply: RedisResult<String> = redis::cmd("PING").query_async(&mut redis).await;
    match reply {
        Ok(_) => "PONG",
        error if code(&error) == Some("NOAUTH") => "NOAUTH",
        Err(_) => "no connection",
    }
}
