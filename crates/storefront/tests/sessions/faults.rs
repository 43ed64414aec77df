//! Sessions when clients die, connections break and slots move.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::Value;
use storefront::session::{Sessions, id};
use storefront::{Cart, Layout, Representation, SessionId};

use crate::shop::faults::Breaking;
use crate::shop::moving::Moving;
use crate::shop::{Wire, in_each_layout, own_keys, server, units};
use crate::visit::{cart_of, field, units_of, user};

/// A client that dies: from its so-many-th command on, nothing it asks reaches the server.
#[derive(Clone)]
struct Dying {
    wire: Wire,
    left: Arc<AtomicUsize>,
}

impl Dying {
    fn after(wire: &Wire, commands: usize) -> Self {
        Self { wire: wire.clone(), left: Arc::new(AtomicUsize::new(commands)) }
    }

    fn dies(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

fn dead<T: Send + 'static>() -> redis::RedisFuture<'static, T> {
    Box::pin(async { Err(std::io::Error::other("the client has died").into()) })
}

impl redis::aio::ConnectionLike for Dying {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a redis::Cmd) -> redis::RedisFuture<'a, Value> {
        if self.dies() { dead() } else { self.wire.req_packed_command(cmd) }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> redis::RedisFuture<'a, Vec<Value>> {
        if self.dies() { dead() } else { self.wire.req_packed_commands(pipeline, offset, count) }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn a_login_cut_off_after_any_step_loses_nothing_and_is_finished_by_the_next() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, mug) = cart_of(&wire, &keys, &[1]).await;
        let mut steps = 0;
        for died_after in 0.. {
            let guest = sessions.begin(None, &[(field("currency"), "EUR")]).await.unwrap();
            cart.add(&guest.clone().into(), &mug, units(2), None).await.unwrap();
            let dying = Dying::after(&wire, died_after);
            let his = Sessions::new(dying.clone(), keys.clone());
            let his_cart = Cart::new(dying, keys.clone(), Representation::Hash);
            let finished = his.login(&his_cart, &guest, user(1)).await.is_ok();

            let alive = usize::from(sessions.peek(&guest).await.unwrap().is_some())
                + sessions.list(user(1)).await.unwrap().len();
            assert!(alive <= 1, "{alive} sessions after {died_after} commands");
            let login = sessions.login(&cart, &guest, user(1)).await.unwrap();
            assert_eq!(login.session.fields["currency"], "EUR", "after {died_after} commands");
            assert_eq!(units_of(&cart, 1).await, 2, "after {died_after} commands");
            assert!(sessions.peek(&guest).await.unwrap().is_none());
            let listed = sessions.list(user(1)).await.unwrap();
            assert_eq!(listed.iter().map(|session| &session.id).collect::<Vec<_>>(), [&login.session.id]);
            assert!(sessions.log_out_everywhere(user(1)).await.unwrap() >= 1);
            cart.clear(&user(1).into()).await.unwrap();
            if finished {
                break;
            }
            steps += 1;
        }
        println!("{:?}: cut off after each of {steps} commands", keys.layout());
        assert!(steps >= 3);
    })
    .await;
}

#[tokio::test]
async fn a_rotation_or_a_log_out_cut_off_after_any_step_leaves_no_session_that_is_missed() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        for died_after in 0.. {
            let id = sessions.begin(Some(user(1)), &[]).await.unwrap();
            let his = Sessions::new(Dying::after(&wire, died_after), keys.clone());
            let rotated = his.rotate(&id).await;
            let ended = sessions.log_out_everywhere(user(1)).await.unwrap();
            assert!(sessions.peek(&id).await.unwrap().is_none());
            if let Ok(new) = rotated {
                assert!(sessions.peek(&new).await.unwrap().is_none());
                assert_eq!(ended, 1);
                break;
            }
        }
        for died_after in 0.. {
            let ids = [
                sessions.begin(Some(user(1)), &[]).await.unwrap(),
                sessions.begin(Some(user(1)), &[]).await.unwrap(),
            ];
            let his = Sessions::new(Dying::after(&wire, died_after), keys.clone());
            let finished = his.log_out_everywhere(user(1)).await.is_ok();
            if !finished {
                // Whatever is left can neither be renewed nor replaced, and the next call finds it.
                sessions.log_out_everywhere(user(1)).await.unwrap();
            }
            for id in &ids {
                assert!(sessions.read(id).await.unwrap().is_none(), "after {died_after} commands");
            }
            assert_eq!(wire.send(&["EXISTS", &keys.ending_sessions(user(1))]).await, Value::Int(0));
            if finished {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_stay_right_over_connections_that_break() {
    let breaking = Breaking::in_front_of(server(), 7).await;
    let keys = own_keys(Layout::Standalone);
    let calm = Wire::standalone().await;
    let numbers: Vec<u64> = (1..=40).collect();
    let (cart, mug) = cart_of(&calm, &keys, &numbers).await;
    let sessions = Sessions::new(calm, keys.clone());
    for number in numbers {
        let guest = sessions.begin(None, &[(field("currency"), "EUR")]).await.unwrap();
        cart.add(&guest.clone().into(), &mug, units(2), None).await.unwrap();
        let broken = Wire::reconnecting(breaking.url()).await;
        let his = Sessions::new(broken.clone(), keys.clone());
        let his_cart = Cart::new(broken, keys.clone(), Representation::Hash);
        let login = loop {
            match his.login(&his_cart, &guest, user(number)).await {
                Ok(login) => break login,
                Err(error) => assert!(error.redis_error().is_some(), "{error}"),
            }
        };
        assert_eq!(login.session.fields["currency"], "EUR");
        assert_eq!(units_of(&cart, number).await, 2);
        assert_eq!(sessions.list(user(number)).await.unwrap().len(), 1);
    }
    assert!(breaking.broken() > 5, "only {} connections broke", breaking.broken());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_stay_right_while_their_slots_move() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    let sessions = Sessions::new(wire.clone(), keys.clone());
    let (cart, mug) = cart_of(&wire, &keys, &[1]).await;
    let guests: Vec<SessionId> = (0..4).map(|_| id::generate().unwrap()).collect();
    for guest in &guests {
        sessions.begin_as(guest, None, &[(field("currency"), "EUR")]).await.unwrap();
        cart.add(&guest.clone().into(), &mug, units(2), None).await.unwrap();
    }
    let moving =
        Moving::slots_of(guests.iter().map(|id| keys.session(id)).chain([keys.user_sessions(user(1))]));
    for round in 0..5 {
        for guest in &guests {
            assert_eq!(sessions.read(guest).await.unwrap().is_some(), round == 0);
            let login = sessions.login(&cart, guest, user(1)).await.unwrap();
            assert_eq!(login.resumed, round > 0);
            assert_eq!(login.session.fields["currency"], "EUR");
            sessions.set(&login.session.id, &field("theme"), "dark").await.unwrap();
        }
    }
    assert_eq!(units_of(&cart, 1).await, 8);
    assert_eq!(sessions.log_out_everywhere(user(1)).await.unwrap(), 4);
    assert!(moving.end() > 1);
}
