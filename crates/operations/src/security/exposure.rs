//! What guards a server without users: renamed commands, protected mode, and protected settings.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use lab_connection::Transcript;
use lab_runner::{LessonContext, Outcome};
use lab_server::{Choice, Server};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::private::{self, code, connect, set_config, start_program};

type Shown = Transcript<MultiplexedConnection>;

const KEYS: usize = 100;

pub(super) async fn rename_commands(ctx: &LessonContext, choice: &Choice) -> Outcome {
    ctx.step(
        "Before there were users (6.0), people renamed commands, and you still find it in configurations. An empty name removes the \
         command:",
    )
    .await?;
    let server = start_program(choice.clone(), &[("rename-command", "FLUSHALL \"\"")]).await?;
    store_orders(&mut connect(&server).await?).await?;
    let mut private = ctx.redis_of("private", connect(&server).await?);
    let unknown: RedisResult<()> = redis::cmd("FLUSHALL").exec_async(&mut private).await;
    redis::cmd("FLUSHDB").exec_async(&mut private).await?;
    let left: usize = redis::cmd("DBSIZE").query_async(&mut private).await?;
    ctx.announce(format!("Before that, SET stored {KEYS} orders."));
    ctx.check("FLUSHALL is unknown, to the operator as well", code(&unknown) == Some("ERR"))?;
    ctx.check(format!("FLUSHDB was forgotten, and {} of {KEYS} orders are gone", KEYS - left), left == 0)?;
    ctx.say(
        "A list of what is forbidden has gaps: SCAN with UNLINK, EVAL, and REPLICAOF do the same. Renaming is for everybody, cannot change at run \
         time, breaks tools, and must be equal on all replicas. ACL rules are for one user, and cover commands in scripts.",
    );
    Ok(private::stop(server).await?)
}

async fn store_orders(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for number in 0..KEYS {
        pipeline.set(format!("order:{number}"), "x").ignore();
    }
    pipeline.exec_async(redis).await
}

pub(super) async fn stay_protected(ctx: &LessonContext, choice: &Choice) -> Outcome {
    ctx.step(
        "A server that was just installed has no password. Protected mode is its safety net: while the default user has none, it answers only to \
         its own machine, even if it listens on every address.",
    )
    .await?;
    let address = address_of_this_machine();
    let bind = address.map_or("127.0.0.1".to_owned(), |address| format!("127.0.0.1 {address}"));
    let builder = Server::builder().choice(choice.clone()).no_password().config("bind", bind);
    let server = private::blocking(move || builder.start()).await?;
    let mut private = ctx.redis_of("private", connect(&server).await?);
    let mut ask = redis::cmd("CONFIG");
    let (_, on): (String, String) = ask.arg("GET").arg("protected-mode").query_async(&mut private).await?;
    ctx.check("it is on by default, and the server answers to its own machine", on == "yes")?;
    if let Some(address) = address {
        let at = SocketAddr::new(address, server.port());
        ctx.say("The same server, by the network address of this machine, as any other machine would come:");
        ctx.function("ping");
        ctx.announce("PING goes to that address twice: now, and after the server has a password.");
        let refused = private::blocking(move || ping(at)).await?;
        ctx.listing(first_sentence(&refused));
        set_config("requirepass", super::shop::new_password(), &mut private).await?;
        let asked = private::blocking(move || ping(at)).await?;
        ctx.listing(asked.trim());
        ctx.check("without a password: DENIED", refused.starts_with("-DENIED"))?;
        ctx.check(
            "with one, it answers from anywhere and asks for it: protected mode has ended",
            asked.starts_with("-NOAUTH"),
        )?;
    } else {
        ctx.skip_part(
            "This machine has no address beyond loopback to come from, so the refusal is not shown.",
        );
    }
    ctx.say(
        "The container images of Redis and Valkey turn protected mode off. There, a published port without a password is open to the \
         world. Bind to a private address, set a password, and keep 6379 off the internet.",
    );
    protect_settings(ctx, &mut private).await?;
    Ok(private::stop(server).await?)
}

/// An address of this machine that others could use. Nothing is sent: connecting a UDP socket only chooses the address.
fn address_of_this_machine() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Sends PING without a login and returns the first reply.
fn ping(at: SocketAddr) -> std::io::Result<String> {
    const TIMEOUT: Duration = Duration::from_secs(10);
    let mut socket = TcpStream::connect_timeout(&at, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.write_all(b"PING\r\n")?;
    let mut reply = String::new();
    BufReader::new(socket).read_line(&mut reply)?;
    Ok(reply)
}

/// The refusal is a page long.
fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text.trim(), |(first, _)| first)
}

async fn protect_settings(ctx: &LessonContext, private: &mut Shown) -> Outcome {
    ctx.step(
        "Open servers were taken over by one setting: 'CONFIG SET dir' to a directory of the system, and SAVE writes a file there with the \
         attacker's text in it. Since 7.0, that setting cannot change at run time:",
    )
    .await?;
    let mut set = redis::cmd("CONFIG");
    let refused: RedisResult<()> = set.arg("SET").arg("dir").arg("/etc").exec_async(private).await;
    let mut unlock = redis::cmd("CONFIG");
    unlock.arg("SET").arg("enable-protected-configs").arg("yes");
    let locked: RedisResult<()> = unlock.exec_async(private).await;
    ctx.check("the directory stays what it is", code(&refused) == Some("ERR"))?;
    ctx.check("and nobody can lift that guard without the configuration file", code(&locked) == Some("ERR"))?;
    ctx.say(
        "enable-module-command and enable-debug-command guard MODULE LOAD and DEBUG in the same way. Leave all three at 'no', and run the \
         server as a user of its own, never as root.",
    );
    Ok(())
}
