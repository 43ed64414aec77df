//! What somebody on the way between client and server reads, without TLS and with it.

mod tap;
#[cfg(feature = "tls")]
mod tls;

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use lab_server::{Certificates, Choice, Error, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisResult};

use self::tap::Tap;
use super::shop;
use crate::private;

/// Payments that cross the network.
const PAYMENTS: usize = 20;

pub(super) async fn listen_on_the_way(ctx: &LessonContext, choice: &Choice) -> Outcome {
    ctx.step(format!(
        "Redis speaks plain text. Between a client and its server here is a relay that keeps a copy of what the client sends, as a switch, a \
         neighbor's machine, or a debugging tool can. The client logs in and stores {PAYMENTS} card numbers:"
    ))
    .await?;
    ctx.function("pay");
    ctx.announce("The client sends AUTH and SET through the relay.");
    let password = shop::new_password();
    let server = start(choice, &password).await?;
    let tap = Tap::in_front_of(server.server.port()).await.map_err(|error| private::failure(&error))?;
    pay(&mut shop::log_in(tap.port(), "default", &password).await?).await?;
    let plain = Overheard::of(&tap.heard(), &password);
    ctx.table(Overheard::table().row(plain.row("without TLS")));
    ctx.check_eq("anyone on the way has the password and every number", &plain.secrets(), &[1, PAYMENTS])?;
    match server.tls {
        Encryption::On(certificates) => with_tls(ctx, server.server, &certificates, &password).await,
        Encryption::Missing(reason) => {
            ctx.step("With TLS, the relay sees only random bytes. This run cannot show it:").await?;
            ctx.skip_part(reason);
            explain(ctx);
            private::on_another_thread(move || drop(server.server)).await?;
            Ok(())
        }
    }
}

/// A server, with TLS where that is possible.
struct Started {
    server: Server,
    tls: Encryption,
}

enum Encryption {
    On(Box<Certificates>),
    /// Why there is none.
    Missing(String),
}

async fn start(choice: &Choice, password: &str) -> Result<Started, LessonError> {
    let builder = Server::builder().choice(choice.clone()).password(password);
    let started = private::blocking(move || -> Result<Started, Error> {
        let encrypted = Certificates::make().and_then(|certificates| {
            let server = builder.clone().mutual_tls(&certificates).start()?;
            Ok(Started { server, tls: Encryption::On(Box::new(certificates)) })
        });
        let reason = match encrypted {
            Err(Error::NoTls { program, .. }) => {
                format!("{program} was built without TLS. Debian's redis-server has it: --server redis-7.0.")
            }
            Err(Error::BuiltWithoutTls) => {
                "This program was built without TLS. To see this part: cargo run --release -p operations -- security.".to_owned()
            }
            other => return other,
        };
        Ok(Started { server: builder.start()?, tls: Encryption::Missing(reason) })
    });
    Ok(started.await?)
}

async fn pay(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    for number in 0..PAYMENTS {
        redis.set(format!("payment:{number}"), card(number)).await?;
    }
    Ok(())
}

fn card(number: usize) -> String {
    format!("4111 1111 1111 {number:04}")
}

/// What was found in what the client sent.
struct Overheard {
    passwords: usize,
    cards: usize,
    bytes: usize,
}

impl Overheard {
    fn of(heard: &[u8], password: &str) -> Self {
        let contains = |secret: &str| heard.windows(secret.len()).any(|window| window == secret.as_bytes());
        Self {
            passwords: usize::from(contains(password)),
            cards: (0..PAYMENTS).filter(|number| contains(&card(*number))).count(),
            bytes: heard.len(),
        }
    }

    fn secrets(&self) -> [usize; 2] {
        [self.passwords, self.cards]
    }

    fn table() -> Table {
        let cards = format!("card numbers, of {PAYMENTS}");
        Table::new("What the relay read", &["connection", "passwords, of 1", &cards, "bytes"])
    }

    fn row(&self, label: &str) -> [String; 4] {
        [label.to_owned(), self.passwords.to_string(), self.cards.to_string(), self.bytes.to_string()]
    }
}

/// What TLS is about, where it is not played.
fn explain(ctx: &LessonContext) {
    ctx.say(
        "tls-port, tls-cert-file, tls-key-file, and tls-ca-cert-file turn it on, 'port 0' turns the plain port off, and replication and the \
         cluster bus need tls-replication and tls-cluster. With tls-auth-clients yes, the default, a client must show a certificate of \
         its own. 'cargo server --mutual-tls' keeps such a server up, where the program has TLS.",
    );
}

#[cfg(feature = "tls")]
async fn with_tls(
    ctx: &LessonContext,
    server: Server,
    certificates: &Certificates,
    password: &str,
) -> Outcome {
    tls::play(ctx, &server, certificates, password).await?;
    explain(ctx);
    private::on_another_thread(move || drop(server)).await?;
    Ok(())
}

/// Without the feature, no certificates can be made, so nobody comes here.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "with the feature, it waits")]
async fn with_tls(
    ctx: &LessonContext,
    _server: Server,
    _certificates: &Certificates,
    _password: &str,
) -> Outcome {
    explain(ctx);
    Ok(())
}
