//! The doctor names every planted fault, nothing that is not there, and writes nothing.

mod facts;
mod faults;
mod healthy;
mod permissions;
mod program;
mod roles;

use lab_connection::TargetArgs;
use lab_server::{Builder, Cluster, ClusterBuilder, Server};
use operations::doctor::finding::Diagnosis;
use operations::doctor::{Depth, Examination, examine};
use operations::private::{self, blocking};

/// As deep as by default, but without pauses.
const DEPTH: Depth = Depth { keys: 20_000, paced: false };

/// Settings with nothing to complain about. Machines that run tests are busy, so no command counts as slow there.
const HEALTHY: [(&str, &str); 4] = [
    ("maxmemory", "200mb"),
    ("appendonly", "yes"),
    ("slowlog-log-slower-than", "10000000"),
    ("latency-monitor-threshold", "10000"),
];

fn healthy() -> Builder {
    private::with_settings(Server::builder(), &HEALTHY)
}

/// Three primaries.
fn healthy_cluster() -> ClusterBuilder {
    let builder = Cluster::builder().primaries(3);
    HEALTHY.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value))
}

async fn start(builder: Builder) -> Server {
    blocking(move || builder.start()).await.unwrap()
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
