//! Sessions that log in, rotate, and end everywhere, many at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use storefront::session::{BeginError, LoginError, RotateError, Sessions, UpdateError};
use storefront::{Layout, SessionId};
use tokio::task::JoinSet;

use crate::shop::{in_each_layout, units, until};
use crate::visit::{cart_of, field, indexed, pttl, units_of, user};

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
        // On a slow machine many have expired by themselves before.
        assert!(ended > 0, "none was alive when it was to be ended: this shows nothing");
        println!("{:?}: {existed} sessions at work, {ended} ended, {later} begun meanwhile", keys.layout());
    })
    .await;
}
