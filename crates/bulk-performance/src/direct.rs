//! The way to a server of our own that goes past the guard of other people's data: to pause it, or to look at a replica,
//! where nothing may be written.

use lab_connection::connection::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use lab_server::Server;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};

/// A connection as patient as all others: redis-rs alone would wait half a second for an answer.
pub async fn connection(server: &Server) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    server.client().get_multiplexed_async_connection_with_config(&config).await
}
