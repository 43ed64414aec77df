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
#[cfg(feature = "tls")]
use self::tls::with_tls;
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
    let (server, certificates) = start(choice, &password).await?;
    let tap = Tap::in_front_of(server.port()).await.map_err(private::failure)?;
    pay(&mut shop::log_in(tap.port(), "default", &password).await?).await?;
    let [passwords, cards, bytes] = overheard(&tap.heard(), &password);
    ctx.table(table("without TLS", [passwords, cards, bytes]));
    ctx.check_eq("anyone on the way has the password and every number", &[passwords, cards], &[1, PAYMENTS])?;
    match certificates {
        Ok(certificates) => with_tls(ctx, &server, &certificates, &password).await?,
        Err(reason) => {
            ctx.step("With TLS, the relay sees only random bytes. This run cannot show it:").await?;
            ctx.skip_part(reason);
        }
    }
    // What TLS is about, where it is not played, too.
    ctx.say(
        "tls-port, tls-cert-file, tls-key-file, and tls-ca-cert-file turn it on, 'port 0' turns the plain port off, and replication and the \
         cluster bus need tls-replication and tls-cluster. With tls-auth-clients yes, the default, a client must show a certificate of \
         its own. 'cargo server --mutual-tls' keeps such a server up, where the program has TLS.",
    );
    Ok(private::stop(server).await?)
}

/// A server, with TLS where that is possible, and its certificates or why there are none.
async fn start(
    choice: &Choice,
    password: &str,
) -> Result<(Server, Result<Certificates, String>), LessonError> {
    let builder = Server::builder().choice(choice.clone()).password(password);
    let started = private::blocking(move || {
        let encrypted = Certificates::make().and_then(|certificates| {
            let server = builder.clone().mutual_tls(&certificates).start()?;
            Ok((server, Ok(certificates)))
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
        Ok((builder.start()?, Err(reason)))
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

/// How many passwords and card numbers are in what the client sent, and its bytes.
fn overheard(heard: &[u8], password: &str) -> [usize; 3] {
    let contains = |secret: &str| heard.windows(secret.len()).any(|window| window == secret.as_bytes());
    let cards = (0..PAYMENTS).filter(|number| contains(&card(*number))).count();
    [usize::from(contains(password)), cards, heard.len()]
}

fn table(connection: &str, overheard: [usize; 3]) -> Table {
    let cards = format!("card numbers, of {PAYMENTS}");
    let header = ["connection", "passwords, of 1", &cards, "bytes"];
    Table::new("What the relay read", &header).labeled(connection, overheard)
}

/// Without the feature, no certificates can be made, so nobody comes here.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "with the feature, it waits")]
async fn with_tls(_: &LessonContext, _: &Server, _: &Certificates, _: &str) -> Outcome {
    Ok(())
}
