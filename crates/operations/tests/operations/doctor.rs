//! The doctor names every planted fault, nothing that is not there, and writes nothing.

mod facts;
mod faults;
mod healthy;
mod permissions;
mod program;
mod roles;

use lab_connection::TargetArgs;
use lab_server::{Builder, Server};
use operations::doctor::finding::Diagnosis;
use operations::doctor::{Depth, Examination, examine};

/// As deep as by default, but without pauses.
const DEPTH: Depth = Depth { keys: 20_000, paced: false };

/// A server with nothing to complain about. Machines that run tests are busy, so no command counts as slow there.
fn healthy() -> Builder {
    Server::builder()
        .config("maxmemory", "200mb")
        .config("appendonly", "yes")
        .config("slowlog-log-slower-than", "10000000")
        .config("latency-monitor-threshold", "10000")
}

/// Starts a server without blocking the other tests.
async fn start(builder: Builder) -> Server {
    tokio::task::spawn_blocking(move || builder.start().unwrap()).await.unwrap()
}

/// What the doctor says about the server at this URL.
async fn doctor(url: &str) -> Examination {
    examine(&TargetArgs::at(url), DEPTH, None).await.unwrap()
}

fn names(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(|finding| finding.name).collect()
}

/// Sends one command, such as `["SET", "k", "v"]`.
fn send(server: &Server, words: &[&str]) -> redis::Value {
    let mut connection = server.client().get_connection().unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
}
