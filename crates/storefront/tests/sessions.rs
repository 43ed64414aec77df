//! Sessions: they slide, end, rotate and end everywhere, whatever happens at once.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod shop;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use redis::Value;
use shop::faults::Breaking;
use shop::moving::Moving;
use shop::{Wire, in_each_layout, own_keys, server, units, until};
use storefront::session::{
    BeginError, FieldName, LoginError, MOST_FIELDS, MOST_SESSIONS, RotateError, Sessions, UpdateError, id,
};
use storefront::{
    Cart, Catalogue, ItemExpiry, Keys, Layout, NewUser, Product, Representation, SessionId, Sku, StoreError,
    UserId, Users,
};
use tokio::task::JoinSet;

fn field(name: &str) -> FieldName {
    name.parse().unwrap()
}

fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
}

/// A user, a product, and a cart to put it in.
async fn cart_of(wire: &Wire, keys: &Keys, numbers: &[u64]) -> (Cart<Wire>, Sku) {
    for number in numbers {
        let new = NewUser { first_name: "Parker".parse().unwrap(), last_name: "Perry".parse().unwrap() };
        Users::new(wire.clone(), keys.clone()).create_with_id(user(*number), new).await.unwrap();
    }
    let mug =
        Product { sku: "mug".parse().unwrap(), name: "Mug".parse().unwrap(), price: "1".parse().unwrap() };
    Catalogue::new(wire.clone(), keys.clone()).put(&mug).await.unwrap();
    (Cart::new(wire.clone(), keys.clone(), Representation::Hash), mug.sku)
}

async fn units_of(cart: &Cart<Wire>, number: u64) -> u64 {
    cart.contents(&user(number).into()).await.unwrap().units
}

async fn pttl(wire: &Wire, key: &str) -> i64 {
    match wire.send(&["PTTL", key]).await {
        Value::Int(ttl) => ttl,
        other => panic!("{other:?}"),
    }
}

async fn indexed(wire: &Wire, keys: &Keys, number: u64) -> i64 {
    match wire.send(&["ZCARD", &keys.user_sessions(user(number))]).await {
        Value::Int(count) => count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_has_its_ttl_from_the_first_moment_and_slides_with_every_read() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(Duration::from_mins(1));
        for owner in [None, Some(user(1))] {
            let id = sessions.begin(owner, &[(field("theme"), "dark")]).await.unwrap();
            let key = keys.session(&id);
            assert!((1..=60_000).contains(&pttl(&wire, &key).await));
            wire.send(&["PEXPIRE", &key, "5000"]).await;
            let peeked = sessions.peek(&id).await.unwrap().unwrap();
            assert!(peeked.expires_in <= Duration::from_secs(5), "looking does not slide");
            let read = sessions.read(&id).await.unwrap().unwrap();
            assert_eq!((read.user, read.fields["theme"].as_str()), (owner, "dark"));
            assert!(read.expires_in > Duration::from_secs(50) && pttl(&wire, &key).await > 5_000);
        }
        assert!(sessions.read(&id::generate().unwrap()).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn no_session_outlives_its_highest_age_however_often_it_is_read() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone())
            .with_idle_time(Duration::from_mins(1))
            .with_highest_age(Duration::from_millis(300));
        for owner in [None, Some(user(1))] {
            let id = sessions.begin(owner, &[]).await.unwrap();
            // The clock of the server alone decides; were it to slide by the idle time, this would wait for ever.
            until("the session is over", async || sessions.read(&id).await.unwrap().is_none()).await;
            assert_eq!(wire.send(&["EXISTS", &keys.session(&id)]).await, Value::Int(0));
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_read_outlives_its_idle_time_and_stays_in_the_index() {
    in_each_layout(async |wire, keys| {
        // Long enough for a machine that stands still for a moment.
        let idle = Duration::from_millis(1_500);
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(idle);
        let id = sessions.begin(Some(user(1)), &[]).await.unwrap();
        let begun = sessions.peek(&id).await.unwrap().unwrap();
        let left = async || sessions.read(&id).await.unwrap().unwrap().ends_in;
        // Three idle times: the promise of the index was renewed.
        until("it is old", async || begun.ends_in.saturating_sub(left().await) > idle * 3).await;
        assert_eq!(indexed(&wire, &keys, 1).await, 1);
        assert_eq!(sessions.log_out_everywhere(user(1)).await.unwrap(), 1);
        assert!(sessions.read(&id).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_index_forgets_sessions_that_have_expired() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(Duration::from_millis(40));
        for _ in 0..30 {
            sessions.begin(Some(user(1)), &[]).await.unwrap();
        }
        assert!(pttl(&wire, &keys.user_sessions(user(1))).await > 0, "the index has a TTL of its own");
        until("all are over", async || {
            // Each write prunes: only what can still be alive is left, and the new one.
            sessions.begin(Some(user(1)), &[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            indexed(&wire, &keys, 1).await <= 10
        })
        .await;
        until("the index is gone", async || {
            wire.send(&["EXISTS", &keys.user_sessions(user(1))]).await == Value::Int(0)
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn ids_are_ours_and_long_and_no_two_are_the_same() {
    let ids: BTreeSet<SessionId> = (0..10_000).map(|_| id::generate().unwrap()).collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| id.as_str().len() == 32), "16 letters each: 4 bits in each of 32");
    let used: BTreeSet<char> = ids.iter().flat_map(|id| id.as_str().chars()).collect();
    assert_eq!(used.len(), 16);
}

#[tokio::test]
async fn an_update_never_brings_back_a_session_that_has_ended() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(Duration::from_millis(30));
        let mut refused = 0;
        for _ in 0..15 {
            let id = sessions.begin(None, &[]).await.unwrap();
            // Updates race the expiry, which comes while they are on their way.
            loop {
                match sessions.set(&id, &field("theme"), "dark").await {
                    Ok(()) => assert!(pttl(&wire, &keys.session(&id)).await != -1, "no TTL"),
                    Err(UpdateError::NoSession) => break,
                    Err(other) => panic!("{other}"),
                }
            }
            refused += 1;
            assert!(matches!(sessions.unset(&id, &field("theme")).await, Err(UpdateError::NoSession)));
            assert_eq!(wire.send(&["EXISTS", &keys.session(&id)]).await, Value::Int(0));
        }
        assert_eq!(refused, 15);
    })
    .await;
}

#[tokio::test]
async fn fields_are_bounded_in_number_and_size() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire, keys);
        for owner in [None, Some(user(1))] {
            let id = sessions.begin(owner, &[]).await.unwrap();
            for number in 0..MOST_FIELDS {
                sessions.set(&id, &field(&format!("f{number}")), &"x".repeat(1024)).await.unwrap();
            }
            let one_more = sessions.set(&id, &field("one_more"), "").await;
            assert!(matches!(one_more, Err(UpdateError::TooManyFields)));
            sessions.set(&id, &field("f0"), "those that are there can change").await.unwrap();
            assert!(sessions.unset(&id, &field("f1")).await.unwrap());
            sessions.set(&id, &field("one_more"), "").await.unwrap();
            let long = sessions.set(&id, &field("f0"), &"x".repeat(1025)).await;
            assert!(matches!(long, Err(UpdateError::TooLong { bytes: 1025 })));
            assert_eq!(sessions.peek(&id).await.unwrap().unwrap().fields.len(), MOST_FIELDS);
        }
        for bad in ["", "user", "state", "created_ms", "a:until", "Theme", "a b", &"x".repeat(33)] {
            assert!(bad.parse::<FieldName>().is_err(), "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_has_so_many_sessions_and_not_one_more() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, _) = cart_of(&wire, &keys, &[1]).await;
        for _ in 0..MOST_SESSIONS {
            sessions.begin(Some(user(1)), &[]).await.unwrap();
        }
        let more = sessions.begin(Some(user(1)), &[]).await;
        assert!(matches!(more, Err(BeginError::TooManySessions)));
        let guest = sessions.begin(None, &[]).await.unwrap();
        let login = sessions.login(&cart, &guest, user(1)).await;
        assert!(matches!(login, Err(LoginError::Begin(BeginError::TooManySessions))));
        assert!(sessions.read(&guest).await.unwrap().is_some(), "the guest is still one");
        assert_eq!(sessions.log_out_everywhere(user(1)).await.unwrap(), MOST_SESSIONS);
        sessions.login(&cart, &guest, user(1)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_short_lived_field_ends_before_its_session_and_is_not_carried_along() {
    in_each_layout(async |wire, keys| {
        let mut expiries = vec![ItemExpiry::DeadlineSet];
        if ItemExpiry::of_server(&mut wire.clone()).await.unwrap() == ItemExpiry::FieldTtl {
            expiries.push(ItemExpiry::FieldTtl);
        }
        for expiry in expiries {
            let sessions = Sessions::new(wire.clone(), keys.clone()).with_field_expiry(expiry);
            let (sudo, theme) = (field("sudo"), field("theme"));
            let id = sessions.begin(Some(user(1)), &[(theme.clone(), "dark")]).await.unwrap();
            let has = async |id: &SessionId| {
                let session = sessions.read(id).await.unwrap().unwrap();
                assert_eq!(session.fields["theme"], "dark");
                session.fields.contains_key("sudo")
            };
            sessions.set_for(&id, &sudo, "yes", Duration::from_mins(5)).await.unwrap();
            assert!(has(&id).await);
            let rotated = sessions.rotate(&id).await.unwrap();
            assert!(!has(&rotated).await, "{expiry:?}: what was proven was proven by the old id");
            sessions.set_for(&rotated, &sudo, "yes", Duration::from_millis(100)).await.unwrap();
            until("the mark is over", async || !has(&rotated).await).await;
            // A mark set again without an end has none.
            sessions.set_for(&rotated, &sudo, "yes", Duration::from_millis(60)).await.unwrap();
            sessions.set(&rotated, &sudo, "for good").await.unwrap();
            tokio::time::sleep(Duration::from_millis(80)).await;
            assert!(has(&rotated).await, "{expiry:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_login_replaces_the_id_carries_the_session_over_and_moves_the_cart_once() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, mug) = cart_of(&wire, &keys, &[1, 2]).await;
        let guest = sessions.begin(None, &[(field("currency"), "EUR")]).await.unwrap();
        cart.add(&guest.clone().into(), &mug, units(2), None).await.unwrap();
        let login = sessions.login(&cart, &guest, user(1)).await.unwrap();
        assert!(!login.resumed && login.session.id != guest && login.session.user == Some(user(1)));
        assert_eq!(login.session.fields["currency"], "EUR");
        assert_eq!(units_of(&cart, 1).await, 2);
        assert!(sessions.read(&guest).await.unwrap().is_none());
        assert!(matches!(sessions.set(&guest, &field("currency"), "USD").await, Err(UpdateError::NoSession)));
        assert!(!sessions.log_out(&guest).await.unwrap());

        // The answer was lost: the same login again gets the same session, and nothing twice.
        let again = sessions.login(&cart, &guest, user(1)).await.unwrap();
        assert!(again.resumed && again.session.id == login.session.id);
        assert_eq!(units_of(&cart, 1).await, 2);
        // Somebody else cannot log in over it, and cannot take it over.
        let other = sessions.login(&cart, &guest, user(2)).await;
        assert!(matches!(other, Err(LoginError::OtherUser(winner)) if winner == user(1)));
        assert!(matches!(sessions.rotate(&guest).await, Err(RotateError::NoSession)));
        // What has ended stays so; a further login begins another.
        assert!(sessions.log_out(&login.session.id).await.unwrap());
        let later = sessions.login(&cart, &guest, user(1)).await.unwrap();
        assert!(!later.resumed && later.session.id != login.session.id);
        assert!(sessions.read(&login.session.id).await.unwrap().is_none());
        let listed = sessions.list(user(1)).await.unwrap();
        assert_eq!(listed.iter().map(|session| &session.id).collect::<Vec<_>>(), [&later.session.id]);
    })
    .await;
}

#[tokio::test]
async fn an_id_that_a_client_made_up_becomes_nobodys_session() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, _) = cart_of(&wire, &keys, &[1]).await;
        let planted: SessionId = "planted_by_an_attacker".parse().unwrap();
        let login = sessions.login(&cart, &planted, user(1)).await.unwrap();
        assert_ne!(login.session.id, planted);
        assert!(sessions.read(&planted).await.unwrap().is_none());
        assert!(pttl(&wire, &keys.session(&planted)).await > 0, "what is remembered of it has a TTL");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_logins_from_one_session_one_wins_and_the_cart_moves_once() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, mug) = cart_of(&wire, &keys, &[1, 2]).await;
        let rounds: u64 = if keys.layout() == Layout::Standalone { 30 } else { 15 };
        for round in 0..rounds {
            let guest = sessions.begin(None, &[(field("currency"), "EUR")]).await.unwrap();
            cart.add(&guest.clone().into(), &mug, units(3), None).await.unwrap();
            let mut crowd = JoinSet::new();
            for client in 0..12 {
                let (sessions, cart, guest) = (sessions.clone(), cart.clone(), guest.clone());
                // Every other round two users fight for it.
                let who = user(1 + (client % 2) * (round % 2));
                crowd.spawn(async move { (who, sessions.login(&cart, &guest, who).await) });
            }
            let (mut ids, mut users, mut began, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
            for (who, end) in crowd.join_all().await {
                match end {
                    Ok(login) => {
                        assert_eq!(login.session.fields["currency"], "EUR");
                        began += usize::from(!login.resumed);
                        ids.insert(login.session.id);
                        users.insert(who);
                    }
                    Err(LoginError::OtherUser(_)) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!((ids.len(), users.len(), began), (1, 1, 1), "one session, of one user, begun once");
            assert_eq!(refused, if round % 2 == 1 { 6 } else { 0 });
            assert_eq!(units_of(&cart, 1).await + units_of(&cart, 2).await, 3, "moved once, to the winner");
            assert_eq!(units_of(&cart, users.first().unwrap().get()).await, 3);
            let alive =
                sessions.list(user(1)).await.unwrap().len() + sessions.list(user(2)).await.unwrap().len();
            assert_eq!(alive, 1, "one session is alive");
            let winner = *users.first().unwrap();
            assert_eq!(sessions.log_out_everywhere(winner).await.unwrap(), 1);
            cart.clear(&winner.into()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_rotation_kills_the_old_id_keeps_the_fields_and_the_age() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let id = sessions.begin(Some(user(1)), &[(field("theme"), "dark")]).await.unwrap();
        let before = sessions.read(&id).await.unwrap().unwrap();
        let new = sessions.rotate(&id).await.unwrap();
        assert!(sessions.read(&id).await.unwrap().is_none());
        let after = sessions.read(&new).await.unwrap().unwrap();
        assert_eq!(
            (&after.fields, after.user, after.created_ms),
            (&before.fields, before.user, before.created_ms)
        );
        assert!(after.ends_in <= before.ends_in);
        assert_eq!(indexed(&wire, &keys, 1).await, 1, "the index has the new one alone");
        let guest = sessions.begin(None, &[]).await.unwrap();
        assert!(matches!(sessions.rotate(&guest).await, Err(RotateError::NoSession)));
        assert_eq!(sessions.log_out_everywhere(user(1)).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_existed_survives_a_log_out_everywhere() {
    in_each_layout(async |wire, keys| {
        let rounds = if keys.layout() == Layout::Standalone { 40 } else { 20 };
        // So short an idle time that promises are renewed all the time.
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(Duration::from_millis(300));
        let (mut existed, mut ended, mut later) = (0, 0, 0);
        for _ in 0..rounds {
            let mut crowd = JoinSet::new();
            let (over, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let mut first = Vec::new();
            for client in 0..8 {
                let id = sessions.begin(Some(user(1)), &[]).await.unwrap();
                first.push(id.clone());
                let (sessions, over, ready) = (sessions.clone(), Arc::clone(&over), Arc::clone(&ready));
                crowd.spawn(async move {
                    // Everyone reads, slides and updates; some replace their id again and again.
                    let mut held = vec![id];
                    while !over.load(Ordering::Relaxed) {
                        let mine = held.last().unwrap().clone();
                        sessions.read(&mine).await.unwrap();
                        let _ = sessions.set(&mine, &field("theme"), "dark").await;
                        if client % 2 == 0 {
                            match sessions.rotate(&mine).await {
                                Ok(new) => held.push(new),
                                Err(RotateError::NoSession | RotateError::Begin(BeginError::LoggedOut)) => {}
                                Err(other) => panic!("{other}"),
                            }
                        }
                        ready.fetch_add(1, Ordering::Relaxed);
                    }
                    held
                });
            }
            until("they are at work", async || ready.load(Ordering::Relaxed) > 24).await;
            // Logins at the same time: each is in the index, or has failed.
            let mut logins = JoinSet::new();
            for _ in 0..4 {
                let sessions = sessions.clone();
                logins.spawn(async move { sessions.begin(Some(user(1)), &[]).await });
            }
            ended += sessions.log_out_everywhere(user(1)).await.unwrap();
            over.store(true, Ordering::Relaxed);
            for held in crowd.join_all().await {
                existed += 1;
                for id in held {
                    assert!(sessions.read(&id).await.unwrap().is_none(), "{id} survived");
                }
            }
            for id in first {
                assert!(sessions.peek(&id).await.unwrap().is_none());
            }
            let mut begun = Vec::new();
            for login in logins.join_all().await {
                match login {
                    Ok(id) => begun.push(id),
                    Err(BeginError::LoggedOut) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            // Those that came later are in the index: the next call finds them.
            sessions.log_out_everywhere(user(1)).await.unwrap();
            for id in begun {
                assert!(sessions.peek(&id).await.unwrap().is_none(), "{id} was missed");
                later += 1;
            }
            assert!(sessions.list(user(1)).await.unwrap().is_empty());
        }
        assert_eq!(existed, rounds * 8);
        assert!(
            ended > existed / 2,
            "most were alive when they were ended, and had not just expired: {ended}"
        );
        println!("{:?}: {existed} sessions at work, {ended} ended, {later} begun meanwhile", keys.layout());
    })
    .await;
}

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
    assert!(moving.end() > 2);
}

#[tokio::test]
async fn each_operation_makes_the_round_trips_it_states() {
    in_each_layout(async |wire, keys| {
        let cluster = keys.layout() == Layout::Cluster;
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, mug) = cart_of(&wire, &keys, &[1]).await;
        // The servers learn the scripts: of a cluster each for itself.
        for _ in 0..if cluster { 40 } else { 1 } {
            let guest = sessions.begin(None, &[]).await.unwrap();
            cart.add(&guest.clone().into(), &mug, units(1), None).await.unwrap();
            let id = sessions.login(&cart, &guest, user(1)).await.unwrap().session.id;
            let id = sessions.rotate(&id).await.unwrap();
            sessions.set(&id, &field("theme"), "dark").await.unwrap();
            sessions.log_out(&id).await.unwrap();
            sessions.begin(Some(user(1)), &[]).await.unwrap();
            sessions.log_out_everywhere(user(1)).await.unwrap();
        }
        let id = sessions.begin(Some(user(1)), &[]).await.unwrap();
        assert_eq!(wire.round_trips_of(sessions.read(&id)).await, 1);
        assert_eq!(wire.round_trips_of(sessions.set(&id, &field("theme"), "dark")).await, 1);
        assert_eq!(wire.round_trips_of(sessions.begin(None, &[])).await, 1);
        let began = wire.round_trips_of(sessions.begin(Some(user(1)), &[])).await;
        assert_eq!(began, if cluster { 3 } else { 1 });
        let guest = sessions.begin(None, &[]).await.unwrap();
        cart.add(&guest.clone().into(), &mug, units(1), None).await.unwrap();
        let login = wire.round_trips_of(sessions.login(&cart, &guest, user(1))).await;
        assert_eq!(login, if cluster { 8 } else { 3 });
        assert_eq!(wire.round_trips_of(sessions.rotate(&id)).await, if cluster { 7 } else { 2 });
        let id = sessions.list(user(1)).await.unwrap().remove(0).id;
        assert_eq!(wire.round_trips_of(sessions.log_out(&id)).await, 2);
        // Two are left.
        let out = wire.round_trips_of(sessions.log_out_everywhere(user(1))).await;
        assert_eq!(out, if cluster { 4 } else { 3 });
    })
    .await;
}

#[tokio::test]
async fn keys_of_another_type_and_foreign_values_are_errors_and_left_alone() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let (cart, _) = cart_of(&wire, &keys, &[1]).await;
        let id: SessionId = "abc123".parse().unwrap();
        let key = keys.session(&id);
        wire.send(&["SET", &key, "somebody else's"]).await;
        let wrong = |error: &StoreError| matches!(error, StoreError::WrongType { .. });
        assert!(wrong(&sessions.read(&id).await.unwrap_err()));
        assert!(wrong(&sessions.log_out(&id).await.unwrap_err()));
        let set = sessions.set(&id, &field("theme"), "dark").await;
        assert!(matches!(set, Err(UpdateError::Store(error)) if wrong(&error)));
        let login = sessions.login(&cart, &id, user(1)).await;
        assert!(matches!(login, Err(LoginError::Begin(BeginError::Store(error))) if wrong(&error)));
        assert_eq!(wire.send(&["GET", &key]).await, Value::BulkString(b"somebody else's".to_vec()));

        wire.send(&["DEL", &key]).await;
        sessions.begin_as(&id, Some(user(1)), &[]).await.unwrap();
        assert!(matches!(sessions.begin_as(&id, None, &[]).await, Err(BeginError::Taken)));
        for (name, value) in [("ends_ms", "soon"), ("indexed_until_ms", "-1"), ("user", "Parker")] {
            let good = wire.send(&["HGET", &key, name]).await;
            wire.send(&["HSET", &key, name, value]).await;
            let error = sessions.read(&id).await.unwrap_err();
            assert!(matches!(&error, StoreError::Malformed { field, .. } if field.contains(name)), "{error}");
            let Value::BulkString(good) = good else { panic!("{good:?}") };
            wire.send(&["HSET", &key, name, std::str::from_utf8(&good).unwrap()]).await;
        }
        assert!(sessions.read(&id).await.unwrap().is_some());

        let index = keys.user_sessions(user(2));
        wire.send(&["SET", &index, "somebody else's"]).await;
        let begin = sessions.begin(Some(user(2)), &[]).await;
        assert!(matches!(begin, Err(BeginError::Store(error)) if wrong(&error)));
        assert!(wrong(&sessions.log_out_everywhere(user(2)).await.unwrap_err()));
        assert!(wrong(&sessions.list(user(2)).await.unwrap_err()));
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_taken_begins_no_second_session() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let id: SessionId = "abc123".parse().unwrap();
        sessions.begin_as(&id, Some(user(1)), &[]).await.unwrap();
        for again in [Some(user(2)), Some(user(1)), None] {
            let begun = sessions.begin_as(&id, again, &[(field("theme"), "dark")]).await;
            assert!(matches!(begun, Err(BeginError::Taken)), "{again:?}: {begun:?}");
        }
        let session = sessions.read(&id).await.unwrap().unwrap();
        assert_eq!((session.user, session.fields.len()), (Some(user(1)), 0));
        assert_eq!(indexed(&wire, &keys, 2).await, 0);

        wire.send(&["SET", &keys.session(&id), "somebody else's"]).await;
        let begun = sessions.begin_as(&id, Some(user(2)), &[]).await;
        assert!(begun.is_err(), "{begun:?}");
        assert_eq!(indexed(&wire, &keys, 2).await, 0, "nothing was changed");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_session_does_not_keep_a_user_logged_in() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone());
        let id = sessions.begin(Some(user(1)), &[]).await.unwrap();
        for foreign in [b"no session".as_slice(), b"\xff"] {
            let mut add = redis::cmd("ZADD");
            add.arg(keys.user_sessions(user(1))).arg(1_u64 << 52).arg(foreign);
            add.exec_async(&mut wire.clone()).await.unwrap();
        }
        assert_eq!(sessions.list(user(1)).await.unwrap().len(), 1);
        assert_eq!(sessions.log_out_everywhere(user(1)).await.unwrap(), 1);
        assert_eq!(sessions.read(&id).await.unwrap(), None);
        assert_eq!(sessions.log_out_everywhere(user(1)).await.unwrap(), 0, "nothing is left to do");
    })
    .await;
}

#[tokio::test]
async fn extreme_times_are_taken_as_the_nearest_sensible_ones() {
    in_each_layout(async |wire, keys| {
        let longest = Sessions::new(wire, keys).with_idle_time(Duration::MAX).with_highest_age(Duration::MAX);
        let id = longest.begin(Some(user(1)), &[]).await.unwrap();
        assert!(longest.read(&id).await.unwrap().unwrap().expires_in > Duration::from_hours(24 * 364));
        let shortest = longest.clone().with_idle_time(Duration::ZERO);
        let id = shortest.begin(Some(user(1)), &[]).await.unwrap();
        until("it is over", async || shortest.read(&id).await.unwrap().is_none()).await;
    })
    .await;
}

#[tokio::test]
async fn logging_out_everywhere_leaves_somebody_elses_set_alone() {
    in_each_layout(async |wire, keys| {
        let (sessions, user) = (Sessions::new(wire.clone(), keys.clone()), UserId::new(7).unwrap());
        for key in [keys.user_sessions(user), keys.ending_sessions(user)] {
            wire.send(&["SADD", &key, "a"]).await;
            assert!(sessions.log_out_everywhere(user).await.is_err());
            assert_eq!(wire.send(&["SCARD", &key]).await, redis::Value::Int(1));
            wire.send(&["DEL", &key]).await;
        }
    })
    .await;
}
