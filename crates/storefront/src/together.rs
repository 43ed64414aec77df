use futures_util::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, RedisError};

use crate::Layout;

/// The most commands of one pipeline: what a server must hold of replies stays small.
const MOST: usize = 500;

/// The replies to several reading commands: on one server a pipeline for each 500 of them; on a cluster, whose connection
/// takes a pipeline for one slot only, one by one, all in flight at once.
pub(crate) async fn together<T: FromRedisValue, C: ConnectionLike + Clone>(
    connection: &C,
    layout: Layout,
    commands: Vec<Cmd>,
) -> Result<Vec<T>, RedisError> {
    let mut replies = Vec::with_capacity(commands.len());
    for commands in commands.chunks(MOST) {
        replies.extend(match layout {
            Layout::Standalone => {
                let mut pipeline = redis::pipe();
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                pipeline.query_async::<Vec<T>>(&mut connection.clone()).await?
            }
            Layout::Cluster => {
                // In a loop: of a closure that borrows, the compiler cannot see that its futures may be sent to
                // another thread.
                let mut asked = Vec::with_capacity(commands.len());
                for command in commands {
                    asked.push(ask(connection.clone(), command));
                }
                try_join_all(asked).await?
            }
        });
    }
    Ok(replies)
}

async fn ask<T: FromRedisValue, C: ConnectionLike>(
    mut connection: C,
    command: &Cmd,
) -> Result<T, RedisError> {
    command.query_async(&mut connection).await
}
