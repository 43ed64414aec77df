//! Connects to a server as the programs do, and explains what went wrong as they do.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use lab_connection::failure::{Endpoint, Failure, explain, explain_connecting};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisError, RedisResult, Value,
};

/// Much more than a healthy server needs.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of a server that fails, or is made to fail.
pub struct Setup {
    pub client: Client,
    pub endpoint: Endpoint,
    pub timeout: Duration,
}

impl Setup {
    pub fn at(url: &str) -> Self {
        Self::of(Client::open(url).unwrap())
    }

    pub fn of(client: Client) -> Self {
        let info = client.get_connection_info();
        let endpoint = Endpoint {
            address: info.addr().to_string(),
            tls: matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
            user: info.redis_settings().username().map(str::to_owned),
            cluster: false,
            private: false,
        };
        Self { client, endpoint, timeout: TIMEOUT }
    }

    pub async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    pub async fn connected(&self) -> MultiplexedConnection {
        self.connect().await.unwrap()
    }

    /// Why connecting, or the first command, fails.
    pub async fn failure_to_connect(&self) -> Failure {
        let first_command = async { redis::cmd("PING").exec_async(&mut self.connect().await?).await };
        explain_connecting(&first_command.await.unwrap_err(), &self.endpoint).await
    }

    /// Why this command fails.
    pub async fn failure_of(&self, connection: &mut MultiplexedConnection, command: &str) -> Failure {
        explain(&send(connection, command).await.unwrap_err(), &self.endpoint)
    }

    /// What a person reads. What differs from run to run is replaced.
    pub fn message(&self, failure: &Failure) -> String {
        let class = serde_json::to_value(failure.class()).unwrap();
        let text = format!("{} (exit code {})\n{failure}", class.as_str().unwrap(), failure.exit_code());
        text.replace(&self.endpoint.address, "SERVER")
    }
}

pub async fn send(connection: &mut MultiplexedConnection, command: &str) -> RedisResult<Value> {
    let mut cmd = redis::Cmd::new();
    cmd.arg(command.split(' ').collect::<Vec<_>>());
    cmd.query_async(connection).await
}

/// The error that this command meets sooner or later.
pub async fn refusal(connection: &mut MultiplexedConnection, command: &str) -> RedisError {
    let refused = async {
        loop {
            if let Err(error) = send(connection, command).await {
                break error;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, refused).await.unwrap()
}

/// The URL with another login: `""`, or `user:password@`.
pub fn logged_in_as(url: &str, login: &str) -> String {
    let info = url.into_connection_info().unwrap();
    format!("redis://{login}{}", info.addr())
}

/// A service that says `greeting`, waits for a question if it has an answer, gives it and hangs up.
pub fn service(greeting: &'static str, answer: &'static str) -> Setup {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // The client may have hung up first.
            let _ = stream.write_all(greeting.as_bytes());
            if !answer.is_empty() {
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    Setup::at(&format!("redis://{address}"))
}
