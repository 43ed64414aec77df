//! Sessions: they begin, slide, carry fields and end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use redis::Value;
use storefront::session::{
    BeginError, FieldName, LoginError, MOST_FIELDS, MOST_SESSIONS, Sessions, UpdateError, id,
};
use storefront::{ItemExpiry, Layout, SessionId};

use crate::shop::{Wire, in_each_layout, units, until};
use crate::visit::{cart_of, field, indexed, pttl, user};

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
        let idle = Duration::from_secs(1);
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(idle);
        loop {
            // Three idle times: the promise of the index was renewed.
            let Some((id, last)) = read_until_old(&sessions, idle * 3, idle).await else { continue };
            let indexed = indexed(&wire, &keys, 1).await;
            let ended = sessions.log_out_everywhere(user(1)).await.unwrap();
            assert!(sessions.read(&id).await.unwrap().is_none());
            if ended == 0 && last.elapsed() >= idle {
                // The machine stood still, and the session had ended by itself: begin again.
                continue;
            }
            break assert_eq!((indexed, ended), (1, 1));
        }
    })
    .await;
}

/// A session that was read until it was so old, and when it was last asked for; `None` if the machine stood still for
/// its whole idle time, as then it ends.
async fn read_until_old(
    sessions: &Sessions<Wire>,
    age: Duration,
    idle: Duration,
) -> Option<(SessionId, Instant)> {
    let mut last = Instant::now();
    let id = sessions.begin(Some(user(1)), &[]).await.unwrap();
    let mut begun = None;
    loop {
        let asked = Instant::now();
        let Some(session) = sessions.read(&id).await.unwrap() else {
            assert!(last.elapsed() >= idle, "it ended {:?} after it was read", last.elapsed());
            sessions.log_out_everywhere(user(1)).await.unwrap();
            return None;
        };
        if begun.get_or_insert(session.ends_in).saturating_sub(session.ends_in) > age {
            return Some((id, asked));
        }
        last = asked;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_index_forgets_sessions_that_have_expired() {
    in_each_layout(async |wire, keys| {
        let sessions = Sessions::new(wire.clone(), keys.clone()).with_idle_time(Duration::from_millis(40));
        for _ in 0..30 {
            sessions.begin(Some(user(1)), &[]).await.unwrap();
        }
        // Where the machine stood still it is gone already.
        assert_ne!(pttl(&wire, &keys.user_sessions(user(1))).await, -1, "the index has a TTL of its own");
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
