//! What a cluster's connection does when an answer is lost: it sends the command again. Here each is sent twice, and the
//! second answer counts.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use storefront::Inventory;

use crate::shop::{Wire, in_each_layout, sku, units};

#[derive(Clone)]
struct Twice(Wire);

impl ConnectionLike for Twice {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async {
            let _lost = self.0.req_packed_command(cmd).await?;
            self.0.req_packed_command(cmd).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn stock_and_sale_change_once() {
    in_each_layout(async |wire, keys| {
        let stock = Inventory::new(Twice(wire.clone()), keys.clone());
        let product = sku("PROD123");
        stock.set_up(&product, 10, Some(3)).await.unwrap();
        stock.restock(&product, &"delivery".parse().unwrap(), 5).await.unwrap();
        for id in ["ann", "bob", "cas"] {
            let id = id.parse().unwrap();
            let held = stock.reserve(&product, &id, units(4), Duration::from_mins(5)).await;
            assert!(held.unwrap().again, "the second answer");
        }
        assert_eq!(stock.confirm(&product, &"ann".parse().unwrap()).await.unwrap().units, 4);
        assert_eq!(stock.release(&product, &"bob".parse().unwrap()).await.unwrap().units, 4);
        let level = stock.level(&product).await.unwrap();
        assert_eq!((level.free, level.held, level.sold), (7, 4, 4));
    })
    .await;
}
