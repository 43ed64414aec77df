//! What a cluster's connection does when an answer is lost: it sends the command again. Here each is sent twice, and the
//! second answer counts.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use storefront::session::Sessions;
use storefront::{Cart, Inventory, NewUser, Representation, UserId, Users};

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
async fn a_rotated_session_lives_on_under_its_new_id() {
    in_each_layout(async |wire, keys| {
        let user = UserId::new(7).unwrap();
        let once = Sessions::new(wire.clone(), keys.clone());
        let old = once.begin(Some(user), &[]).await.unwrap();
        let new = Sessions::new(Twice(wire.clone()), keys.clone()).rotate(&old).await.unwrap();
        assert_eq!(once.read(&old).await.unwrap(), None);
        assert_eq!(once.read(&new).await.unwrap().and_then(|session| session.user), Some(user));
        let listed: Vec<_> = once.list(user).await.unwrap().into_iter().map(|session| session.id).collect();
        assert_eq!(listed, [new]);
        let indexed = wire.send(&["ZCARD", &keys.user_sessions(user)]).await;
        assert_eq!(indexed, Value::Int(1), "the old id left the index");
    })
    .await;
}

#[tokio::test]
async fn who_logs_in_has_one_session() {
    in_each_layout(async |wire, keys| {
        let user = UserId::new(7).unwrap();
        let new = NewUser { first_name: "Parker".parse().unwrap(), last_name: "Perry".parse().unwrap() };
        Users::new(wire.clone(), keys.clone()).create_with_id(user, new).await.unwrap();
        let once = Sessions::new(wire.clone(), keys.clone());
        let guest = once.begin(None, &[]).await.unwrap();
        let twice = Twice(wire.clone());
        let cart = Cart::new(twice.clone(), keys.clone(), Representation::Hash);
        let logged_in = Sessions::new(twice, keys.clone()).login(&cart, &guest, user).await.unwrap();
        assert_eq!(logged_in.session.user, Some(user));
        assert_eq!(once.list(user).await.unwrap().len(), 1);
    })
    .await;
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
