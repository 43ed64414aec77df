//! A server that three services share, and users with different rights.

use lab_connection::connection::unguarded;
use lab_runner::{LessonError, Outcome};
use lab_server::{Choice, Server};
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};

use crate::private;

/// Keys of the cart service, and of the two others.
pub(super) const CARTS: usize = 400;
const SESSIONS: usize = 400;
const ORDERS: usize = 200;
pub(super) const OF_OTHERS: usize = SESSIONS + ORDERS;

/// The users that the lesson compares, with their rights: from too many to as few as possible.
pub(super) const USERS: [(&str, &[&str]); 3] = [
    ("everything", &["~*", "&*", "+@all"]),
    ("own-keys", &["~cart:*", "+@all"]),
    ("smallest", &["~cart:*", "-@all", "+hset", "+hgetall", "+expire", "+unlink"]),
];

/// The server, a connection of its operator, and the password of the users above.
pub(super) struct Shop {
    pub(super) server: Server,
    pub(super) admin: MultiplexedConnection,
    pub(super) password: String,
}

impl Shop {
    pub(super) async fn open(choice: Choice) -> Result<Self, LessonError> {
        let server = private::start_program(choice, &[]).await?;
        let admin = private::connect(&server).await?;
        let mut shop = Self { server, admin, password: new_password() };
        shop.fill().await?;
        Ok(shop)
    }

    /// Stores the keys of all three services.
    pub(super) async fn fill(&mut self) -> Outcome {
        let mut pipeline = redis::pipe();
        for number in 0..CARTS {
            pipeline.hset(format!("cart:{number}"), "sku123", 1).ignore();
        }
        for key in keys_of_others() {
            pipeline.set(key, "x").ignore();
        }
        Ok(pipeline.exec_async(&mut self.admin).await?)
    }

    /// How many keys of the other services are gone.
    pub(super) async fn lost(&mut self) -> RedisResult<usize> {
        let keys: Vec<String> = keys_of_others().collect();
        let left: usize = redis::cmd("EXISTS").arg(keys).query_async(&mut self.admin).await?;
        Ok(OF_OTHERS - left)
    }

    /// A connection of this user.
    pub(super) async fn log_in(&self, user: &str) -> RedisResult<MultiplexedConnection> {
        log_in(self.server.port(), user, &self.password).await
    }
}

pub(super) async fn log_in(port: u16, user: &str, password: &str) -> RedisResult<MultiplexedConnection> {
    unguarded(&Client::open(format!("redis://{user}:{password}@127.0.0.1:{port}/"))?).await
}

fn keys_of_others() -> impl Iterator<Item = String> {
    let sessions = (0..SESSIONS).map(|number| format!("session:{number}"));
    sessions.chain((0..ORDERS).map(|number| format!("order:{number}")))
}

/// 128 random bits, as ACL GENPASS 128 gives them.
pub(super) fn new_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
