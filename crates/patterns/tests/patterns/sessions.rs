use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lab_server::{Replicated, Server};
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, server, until};
use patterns::script::StoreError;
use patterns::sessions::{MAX_FIELDS, MAX_SESSIONS, SessionError, Sessions};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::task::JoinSet;

use crate::everywhere;

const ANN: &str = "ann@example.com";
const BOB: &str = "bob";

async fn pttl(connection: &TestConnection, key: &str) -> i64 {
    connection.send(&["PTTL", key]).await
}

fn key_of<C: ConnectionLike + Clone>(sessions: &Sessions<C>, token: &str) -> String {
    sessions.key(token).unwrap().unwrap()
}

#[test]
fn a_session_has_its_ttl_from_the_first_moment_and_slides_with_every_read() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix).with_idle_time(Duration::from_mins(1));
        for user in [None, Some(ANN)] {
            let token = sessions.begin(user, &[("theme", "dark")]).await.unwrap();
            let key = key_of(&sessions, &token);
            assert!((1..=60_000).contains(&pttl(&connection, &key).await));
            let _: i64 = connection.send(&["PEXPIRE", &key, "5000"]).await;
            let peeked = sessions.peek(&token).await.unwrap().unwrap();
            assert!(peeked.expires_in <= Duration::from_secs(5), "peek does not slide");
            let read = sessions.read(&token).await.unwrap().unwrap();
            assert_eq!((read.user.as_deref(), read.fields["theme"].as_str()), (user, "dark"));
            assert!(read.expires_in > Duration::from_secs(50) && pttl(&connection, &key).await > 5_000);
        }
    });
}

#[test]
fn no_session_outlives_its_highest_age_and_reading_does_not_keep_it_in_memory() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix)
            .with_idle_time(Duration::from_millis(250))
            .with_highest_age(Duration::from_millis(300));
        for user in [None, Some(ANN)] {
            let token = sessions.begin(user, &[]).await.unwrap();
            until("the session is over", async || sessions.read(&token).await.unwrap().is_none()).await;
            assert!(!connection.send::<bool>(&["EXISTS", &key_of(&sessions, &token)]).await);
        }
    });
}

#[test]
fn any_user_has_tokens_that_a_cookie_can_hold_and_any_other_text_is_no_session() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        let users = [ANN, "2001:db8::1", "{a}*?[b]\\%.~é;, \"", "7", &"x".repeat(512)];
        let mut tokens = BTreeSet::new();
        for user in users {
            let token = sessions.begin(Some(user), &[]).await.unwrap();
            assert!(
                token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)),
                "{token}"
            );
            assert_eq!(sessions.read(&token).await.unwrap().unwrap().user.as_deref(), Some(user));
            tokens.insert(token);
        }
        let random =
            tokens.iter().find(|token| token.ends_with("com")).unwrap().split('.').next().unwrap().to_owned();
        assert_eq!((tokens.len(), random.len()), (users.len(), 22), "almost 6 bits in each of 22 characters");
        let seven = tokens.iter().find(|token| token.ends_with(".7")).unwrap().clone();
        for text in [
            String::new(),
            "..".to_owned(),
            "user:7".to_owned(),
            "devices.7".to_owned(),
            format!("{random}.7"),
            format!("{random}."),
            seven.replace(".7", ".~37"),
            seven.replace(".7", ".~3"),
            seven.replace(".7", ""),
            format!("{seven}~"),
            "x".repeat(65),
            "\r\n{*}é".to_owned(),
        ] {
            assert_eq!(sessions.read(&text).await.unwrap(), None, "{text}");
            assert!(!sessions.end(&text).await.unwrap());
            assert_matches!(sessions.set(&text, &[("a", "b")]).await, Err(SessionError::NoSession));
        }
        assert!(sessions.read(&seven).await.unwrap().is_some());
        assert!(sessions.begin(Some(""), &[]).await.is_err());
    });
}

#[tokio::test]
async fn requests_that_change_two_fields_both_keep_their_change_and_one_that_changes_nothing_does_not_write()
{
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let sessions = Sessions::new(connection.clone(), "");
    let token = sessions.begin(Some(ANN), &[("theme", "dark"), ("cart", "1")]).await.unwrap();
    let both = tokio::join!(
        sessions.set(&token, &[("theme", "light")]),
        sessions.set(&token, &[("cart", "2"), ("lang", "de")])
    );
    assert!(both.0.is_ok() && both.1.is_ok());
    let fields = sessions.peek(&token).await.unwrap().unwrap().fields;
    assert_eq!(format!("{fields:?}"), r#"{"cart": "2", "lang": "de", "theme": "light"}"#);

    let changes = async || {
        let info: String = connection.send(&["INFO", "persistence"]).await;
        info.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).unwrap().to_owned()
    };
    let before = changes().await;
    sessions.set(&token, &[("cart", "2"), ("lang", "de")]).await.unwrap();
    sessions.set(&token, &[]).await.unwrap();
    assert_eq!(sessions.remove(&token, &["nothing"]).await.unwrap(), 0);
    assert_eq!(changes().await, before);
}

#[test]
fn a_late_save_never_brings_back_a_session_that_has_ended() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix).with_idle_time(Duration::from_millis(30));
        for user in [None, Some(ANN)] {
            for _ in 0..5 {
                let token = sessions.begin(user, &[]).await.unwrap();
                let key = key_of(&sessions, &token);
                // Updates race the expiry.
                loop {
                    match sessions.set(&token, &[("theme", "dark")]).await {
                        Ok(()) => assert_ne!(pttl(&connection, &key).await, -1),
                        Err(SessionError::NoSession) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                assert_matches!(sessions.remove(&token, &["theme"]).await, Err(SessionError::NoSession));
                assert!(sessions.read(&token).await.unwrap().is_none());
                assert!(!connection.send::<bool>(&["EXISTS", &key]).await);
            }
        }
        let sessions = sessions.with_idle_time(Duration::from_mins(1));
        for everywhere in [false, true] {
            let token = sessions.begin(Some(ANN), &[]).await.unwrap();
            if everywhere {
                sessions.end_everywhere(ANN).await.unwrap();
            } else {
                assert!(sessions.end(&token).await.unwrap());
            }
            let late = sessions.set_for(&token, "theme", "dark", Duration::from_mins(1)).await;
            assert_matches!(late, Err(SessionError::NoSession));
            assert_matches!(sessions.rotate(&token).await, Err(SessionError::NoSession));
            assert!(sessions.read(&token).await.unwrap().is_none());
        }
    });
}

#[test]
fn fields_are_bounded_in_number_and_size() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection, &prefix);
        for user in [None, Some(ANN)] {
            let token = sessions.begin(user, &[]).await.unwrap();
            let names: Vec<String> = (0..MAX_FIELDS).map(|number| format!("f{number} {{é}}:")).collect();
            let long = "x".repeat(1024);
            let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
            sessions.set(&token, &all).await.unwrap();
            let one_more = sessions.set(&token, &[("one_more", "")]).await;
            assert_matches!(one_more, Err(SessionError::TooManyFields));
            sessions.set(&token, &[(&names[0], "those that are there can change")]).await.unwrap();
            assert_eq!(sessions.remove(&token, &[&names[1], "nothing"]).await.unwrap(), 1);
            sessions.set(&token, &[("one_more", "")]).await.unwrap();
            let long = sessions.set(&token, &[(&names[0], &"x".repeat(1025))]).await;
            assert_matches!(long, Err(SessionError::TooLong { bytes: 1025 }));
            assert_matches!(
                sessions.set(&token, &[(":ends", "9")]).await,
                Err(SessionError::Reserved { .. })
            );
            assert_matches!(sessions.remove(&token, &[":ends"]).await, Err(SessionError::Reserved { .. }));
            assert!(sessions.set(&token, &[("", "x")]).await.is_err());
            assert_eq!(sessions.peek(&token).await.unwrap().unwrap().fields.len(), MAX_FIELDS);
        }
    });
}

#[test]
fn one_login_more_than_the_list_holds_ends_the_oldest_session() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection, &prefix);
        let mut tokens = Vec::new();
        for number in 0..MAX_SESSIONS + 2 {
            if number <= 3 {
                // The list is exact to the millisecond.
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            tokens.push(sessions.begin(Some(ANN), &[("n", &number.to_string())]).await.unwrap());
        }
        for (number, token) in tokens.iter().enumerate() {
            assert_eq!(sessions.peek(token).await.unwrap().is_some(), number >= 2, "{number}");
        }
        let listed = sessions.list(ANN).await.unwrap();
        assert_eq!((listed.len(), &listed[0].token), (MAX_SESSIONS, &tokens[2]));
        assert_eq!(sessions.end_everywhere(ANN).await.unwrap(), MAX_SESSIONS);
        assert!(sessions.list(ANN).await.unwrap().is_empty());
    });
}

#[test]
fn a_short_lived_field_ends_before_its_session_and_is_not_carried_along() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        let token = sessions.begin(Some(ANN), &[("theme", "dark")]).await.unwrap();
        let has = async |token: &str| {
            let session = sessions.read(token).await.unwrap().unwrap();
            assert_eq!(session.fields["theme"], "dark");
            session.fields.contains_key("sudo")
        };
        sessions.set_for(&token, "sudo", "yes", Duration::from_mins(5)).await.unwrap();
        assert!(has(&token).await);
        let rotated = sessions.rotate(&token).await.unwrap();
        assert!(!has(&rotated).await, "the holder of the old token proved it");
        sessions.set_for(&rotated, "sudo", "yes", Duration::from_mins(5)).await.unwrap();
        let login = sessions.login(&rotated, ANN).await.unwrap().session;
        assert!(!login.fields.contains_key("sudo") && !has(&login.token).await);
        sessions.set_for(&login.token, "sudo", "yes", Duration::from_millis(50)).await.unwrap();
        until("the mark is over", async || !has(&login.token).await).await;
        // The next change frees it, and a field that is set again without an end has none.
        sessions.set(&login.token, &[("lang", "de")]).await.unwrap();
        let key = key_of(&sessions, &login.token);
        assert_eq!(connection.send::<usize>(&["HLEN", &key]).await, 3, ":ends, lang, theme");
        sessions.set_for(&login.token, "sudo", "yes", Duration::from_millis(50)).await.unwrap();
        sessions.set(&login.token, &[("sudo", "for good")]).await.unwrap();
        assert_eq!(connection.send::<usize>(&["HLEN", &key]).await, 4);
        assert!(has(&login.token).await);
    });
}

#[test]
fn a_login_replaces_the_token_and_can_be_repeated_by_the_same_user_only() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection, &prefix);
        let guest = sessions.begin(None, &[("currency", "EUR")]).await.unwrap();
        let login = sessions.login(&guest, ANN).await.unwrap();
        assert!(!login.resumed && login.session.token != guest);
        assert_eq!(
            (login.session.user.as_deref(), login.session.fields["currency"].as_str()),
            (Some(ANN), "EUR")
        );
        let mut read = sessions.read(&login.session.token).await.unwrap().unwrap();
        assert!(read.ends_in <= login.session.ends_in);
        read.ends_in = login.session.ends_in;
        assert_eq!(read, login.session);
        assert!(sessions.read(&guest).await.unwrap().is_none());
        assert_matches!(sessions.set(&guest, &[("currency", "USD")]).await, Err(SessionError::NoSession));
        assert!(!sessions.end(&guest).await.unwrap());

        // The reply was lost: the same login again gets the same session, as it is now.
        sessions.set(&login.session.token, &[("currency", "USD")]).await.unwrap();
        let again = sessions.login(&guest, ANN).await.unwrap();
        assert!(again.resumed && again.session.token == login.session.token);
        assert_eq!(again.session.fields["currency"], "USD");
        let other = sessions.login(&guest, BOB).await;
        assert_matches!(other, Err(SessionError::OtherUser { user }) if user == ANN);
        // What has ended stays ended: a further login begins another session.
        assert!(sessions.end(&login.session.token).await.unwrap());
        let later = sessions.login(&guest, ANN).await.unwrap();
        assert!(!later.resumed && later.session.token != login.session.token);
        assert!(sessions.read(&login.session.token).await.unwrap().is_none());
        let listed = sessions.list(ANN).await.unwrap();
        assert_eq!(listed.iter().map(|session| &session.token).collect::<Vec<_>>(), [&later.session.token]);

        // You cannot log in over another user's session, but the cookie of an ended session does no harm.
        let over = sessions.login(&later.session.token, BOB).await;
        assert_matches!(over, Err(SessionError::OtherUser { user }) if user == ANN);
        let own = sessions.login(&later.session.token, ANN).await.unwrap().session;
        assert_eq!(own.fields["currency"], "EUR");
        assert!(sessions.read(&later.session.token).await.unwrap().is_none());
        assert_eq!(sessions.end_everywhere(ANN).await.unwrap(), 1);
        let bob = sessions.login(&own.token, BOB).await.unwrap().session;
        assert!(bob.fields.is_empty() && sessions.read(&bob.token).await.unwrap().is_some());
    });
}

#[test]
fn a_token_that_a_client_made_up_becomes_no_session() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        for planted in ["planted_by_an_attacker", "nonsense: \0"] {
            let login = sessions.login(planted, ANN).await.unwrap();
            assert_ne!(login.session.token, planted);
            assert!(sessions.read(planted).await.unwrap().is_none());
        }
        let remembered = key_of(&sessions, "planted_by_an_attacker");
        assert!(pttl(&connection, &remembered).await > 0, "what is remembered of it has a TTL");
    });
}

#[test]
fn of_many_logins_from_one_session_one_begins_a_session() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection, &prefix);
        for round in 0..12 {
            let guest = sessions.begin(None, &[("currency", "EUR")]).await.unwrap();
            let mut crowd = JoinSet::new();
            for client in 0..12 {
                let (sessions, guest) = (sessions.clone(), guest.clone());
                // In every other round, two users fight for it.
                let user = [ANN, BOB][(client % 2) * (round % 2)];
                crowd.spawn(async move { (user, sessions.login(&guest, user).await) });
            }
            let (mut tokens, mut users, mut began, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
            for (user, end) in crowd.join_all().await {
                match end {
                    Ok(login) => {
                        assert_eq!(login.session.fields["currency"], "EUR");
                        began += usize::from(!login.resumed);
                        tokens.insert(login.session.token);
                        users.insert(user);
                    }
                    Err(SessionError::OtherUser { .. }) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!((tokens.len(), users.len(), began), (1, 1, 1), "one session, of one user, begun once");
            assert_eq!(refused, if round % 2 == 1 { 6 } else { 0 });
            let alive = sessions.list(ANN).await.unwrap().len() + sessions.list(BOB).await.unwrap().len();
            assert_eq!(alive, 1);
            assert_eq!(sessions.end_everywhere(users.first().unwrap()).await.unwrap(), 1);
        }
    });
}

#[test]
fn a_rotation_kills_the_old_token_and_keeps_the_fields_and_the_age() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        let token = sessions.begin(Some(ANN), &[("theme", "dark")]).await.unwrap();
        let before = sessions.read(&token).await.unwrap().unwrap();
        let new = sessions.rotate(&token).await.unwrap();
        assert!(sessions.read(&token).await.unwrap().is_none());
        let after = sessions.read(&new).await.unwrap().unwrap();
        assert_eq!((&after.fields, &after.user), (&before.fields, &before.user));
        assert!(after.ends_in <= before.ends_in);
        assert_eq!(sessions.list(ANN).await.unwrap().len(), 1);
        let guest = sessions.begin(None, &[]).await.unwrap();
        assert_matches!(sessions.rotate(&guest).await, Err(SessionError::NoSession));
        assert_eq!(sessions.end_everywhere(ANN).await.unwrap(), 1);

        // Sent twice, as a cluster's client does when a reply is lost.
        let twice = Sessions::new(connection.sending_twice(), &prefix);
        let token = twice.begin(Some(ANN), &[("theme", "dark")]).await.unwrap();
        let token = twice.rotate(&token).await.unwrap();
        let login = twice.login(&token, ANN).await.unwrap();
        twice.set(&login.session.token, &[("lang", "de")]).await.unwrap();
        assert_eq!(twice.read(&login.session.token).await.unwrap().unwrap().fields.len(), 2);
        assert_eq!(sessions.list(ANN).await.unwrap().len(), 1);
        twice.end_everywhere(ANN).await.unwrap();
        assert!(sessions.read(&login.session.token).await.unwrap().is_none());
    });
}

#[test]
fn no_session_that_had_begun_survives_an_end_everywhere() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection, &prefix);
        for _ in 0..10 {
            let mut crowd = JoinSet::new();
            let (over, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            for client in 0..8 {
                let token = sessions.begin(Some(ANN), &[]).await.unwrap();
                let (sessions, over, ready) = (sessions.clone(), Arc::clone(&over), Arc::clone(&ready));
                crowd.spawn(async move {
                    // Everybody reads and changes; some replace their token again and again.
                    let mut held = vec![token];
                    while !over.load(Ordering::Relaxed) {
                        let mine = held.last().unwrap().clone();
                        sessions.read(&mine).await.unwrap();
                        let _ = sessions.set(&mine, &[("theme", "dark")]).await;
                        if client % 2 == 0 {
                            match sessions.rotate(&mine).await {
                                Ok(new) => held.push(new),
                                Err(SessionError::NoSession) => {}
                                Err(other) => panic!("{other}"),
                            }
                        }
                        ready.fetch_add(1, Ordering::Relaxed);
                    }
                    held
                });
            }
            until("they are at work", async || ready.load(Ordering::Relaxed) > 24).await;
            let mut logins = JoinSet::new();
            for _ in 0..4 {
                let sessions = sessions.clone();
                logins.spawn(async move { sessions.login("guest", ANN).await });
            }
            sessions.end_everywhere(ANN).await.unwrap();
            over.store(true, Ordering::Relaxed);
            for token in crowd.join_all().await.into_iter().flatten() {
                assert!(sessions.read(&token).await.unwrap().is_none(), "{token} survived");
            }
            let mut begun = Vec::new();
            for login in logins.join_all().await {
                match login {
                    Ok(login) => begun.push(login.session.token),
                    Err(SessionError::EndedMeanwhile) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            // Those that began later are ended by the next call.
            sessions.end_everywhere(ANN).await.unwrap();
            for token in begun {
                assert!(sessions.peek(&token).await.unwrap().is_none());
            }
            assert!(sessions.list(ANN).await.unwrap().is_empty());
        }
    });
}

#[test]
fn a_lost_key_ends_sessions_and_never_keeps_one_alive() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        let root = sessions.user_key(ANN).unwrap();
        // The list: the sessions go on, and still end everywhere.
        let old = sessions.begin(Some(ANN), &[]).await.unwrap();
        let _: i64 = connection.send(&["DEL", &root.companion("devices")]).await;
        assert!(sessions.list(ANN).await.unwrap().is_empty());
        assert!(sessions.read(&old).await.unwrap().is_some());
        assert_eq!(sessions.end_everywhere(ANN).await.unwrap(), 0, "of the list");
        assert!(sessions.peek(&old).await.unwrap().is_none());
        // The generation: all sessions have ended, and the next login does not bring them back.
        let second = sessions.begin(Some(ANN), &[]).await.unwrap();
        let _: i64 = connection.send(&["DEL", root.as_str()]).await;
        assert_matches!(sessions.set(&second, &[("a", "b")]).await, Err(SessionError::NoSession));
        let third = sessions.begin(Some(ANN), &[]).await.unwrap();
        assert!(
            sessions.peek(&second).await.unwrap().is_none() && sessions.peek(&old).await.unwrap().is_none()
        );
        assert!(pttl(&connection, root.as_str()).await > 0);
        // The session itself.
        let _: i64 = connection.send(&["DEL", &key_of(&sessions, &third)]).await;
        assert!(sessions.read(&third).await.unwrap().is_none());
        assert!(sessions.list(ANN).await.unwrap().is_empty());
        assert_matches!(sessions.rotate(&third).await, Err(SessionError::NoSession));
    });
}

#[test]
fn keys_of_another_type_and_foreign_values_are_errors_and_left_alone() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        let key = key_of(&sessions, "abc123");
        let _: () = connection.send(&["SET", &key, "mine"]).await;
        let wrong = |error: &StoreError| matches!(error, StoreError::WrongType(keys) if keys.contains(&key));
        assert!(wrong(&sessions.read("abc123").await.unwrap_err()));
        for error in [
            sessions.end("abc123").await.unwrap_err(),
            sessions.set("abc123", &[("a", "b")]).await.unwrap_err(),
            sessions.login("abc123", ANN).await.unwrap_err(),
            sessions.begin_as("abc123", &[]).await.unwrap_err(),
        ] {
            assert_matches!(&error, SessionError::Store(error) if wrong(error));
        }
        assert_eq!(connection.send::<String>(&["GET", &key]).await, "mine");
        assert_eq!(pttl(&connection, &key).await, -1, "it got no TTL");

        // Somebody else's Hash is no session, and stays as it is.
        let _: i64 = connection.send(&["DEL", &key]).await;
        let _: i64 = connection.send(&["HSET", &key, "name", "mug"]).await;
        assert!(sessions.read("abc123").await.unwrap().is_none());
        assert!(!sessions.begin_as("abc123", &[]).await.unwrap());
        assert!(!sessions.end("abc123").await.unwrap());
        assert!(sessions.login("abc123", ANN).await.unwrap().session.fields.is_empty());
        let stored: Vec<(String, String)> = connection.send(&["HGETALL", &key]).await;
        assert_eq!(stored, [("name".to_owned(), "mug".to_owned())]);
        assert_eq!(pttl(&connection, &key).await, -1);
        for ends in ["soon", "-1", "99999999999999999999999"] {
            let _: i64 = connection.send(&["HSET", &key, ":ends", ends]).await;
            assert_matches!(sessions.read("abc123").await, Err(StoreError::Malformed(_)), "{ends}");
        }

        let root = sessions.user_key(BOB).unwrap();
        for key in [root.as_str(), &root.companion("devices")] {
            let _: i64 = connection.send(&["SADD", key, "mine"]).await;
            assert!(sessions.begin(Some(BOB), &[]).await.is_err());
            assert!(sessions.end_everywhere(BOB).await.is_err());
            assert!(sessions.list(BOB).await.is_err());
            assert_eq!(connection.send::<i64>(&["SCARD", key]).await, 1);
            let _: i64 = connection.send(&["DEL", key]).await;
        }
        // What is no session in the list does not keep a user logged in.
        let token = sessions.begin(Some(BOB), &[]).await.unwrap();
        let mut add = redis::cmd("ZADD");
        add.arg(root.companion("devices")).arg(1_u64 << 52).arg(b"\xff").arg(1).arg("no session");
        add.exec_async(&mut connection.clone()).await.unwrap();
        assert_eq!(sessions.list(BOB).await.unwrap().len(), 1);
        assert_eq!(sessions.end_everywhere(BOB).await.unwrap(), 1);
        assert!(sessions.read(&token).await.unwrap().is_none());
    });
}

#[test]
fn each_call_makes_the_round_trips_that_it_states() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        let guest = sessions.begin(None, &[]).await.unwrap();
        let ann = sessions.begin(Some(ANN), &[]).await.unwrap();
        let mut trips = Vec::new();
        trips.push(connection.round_trips_of(sessions.begin(None, &[])).await);
        trips.push(connection.round_trips_of(sessions.begin(Some(ANN), &[])).await);
        trips.push(connection.round_trips_of(sessions.read(&guest)).await);
        trips.push(connection.round_trips_of(sessions.read(&ann)).await);
        trips.push(connection.round_trips_of(sessions.set(&ann, &[("theme", "dark")])).await);
        trips.push(connection.round_trips_of(sessions.login(&guest, ANN)).await);
        trips.push(connection.round_trips_of(sessions.rotate(&ann)).await);
        trips.push(connection.round_trips_of(sessions.end(&ann)).await);
        trips.push(connection.round_trips_of(sessions.list(ANN)).await);
        trips.push(connection.round_trips_of(sessions.end_everywhere(ANN)).await);
        assert_eq!(trips, [1, 1, 1, 1, 1, 3, 1, 1, 2, 2]);
    });
}

/// A client that dies: nothing it sends reaches the server after so many commands, nor from this command on.
#[derive(Clone)]
struct Dying {
    connection: TestConnection,
    left: Arc<AtomicUsize>,
    at: Option<&'static str>,
}

impl Dying {
    fn after(steps: usize, connection: &TestConnection) -> Self {
        Self { connection: connection.clone(), left: Arc::new(AtomicUsize::new(steps)), at: None }
    }

    fn at(command: &'static str, connection: &TestConnection) -> Self {
        Self { at: Some(command), ..Self::after(usize::MAX, connection) }
    }

    fn dies<'a>(&self, mut commands: impl Iterator<Item = &'a Cmd>) -> bool {
        let is_last = |cmd: &Cmd| {
            self.at.is_some_and(|name| cmd.args_iter().next() == Some(redis::Arg::Simple(name.as_bytes())))
        };
        if commands.any(is_last) {
            self.left.store(0, Ordering::Relaxed);
        }
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

fn dead<T: Send + 'static>() -> RedisFuture<'static, T> {
    Box::pin(async { Err(std::io::Error::other("the client has died").into()) })
}

impl ConnectionLike for Dying {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        if self.dies(std::iter::once(cmd)) { dead() } else { self.connection.req_packed_command(cmd) }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        if self.dies(pipeline.cmd_iter()) {
            dead()
        } else {
            self.connection.req_packed_commands(pipeline, offset, count)
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[test]
fn a_login_cut_off_after_any_step_is_finished_by_the_next_and_leaves_one_session() {
    everywhere(async |connection, prefix| {
        let sessions = Sessions::new(connection.clone(), &prefix);
        for steps in 0.. {
            let guest = sessions.begin(None, &[("currency", "EUR")]).await.unwrap();
            let dying = Dying::after(steps, &connection);
            let finished = Sessions::new(dying, &prefix).login(&guest, ANN).await.is_ok();
            let alive = usize::from(sessions.peek(&guest).await.unwrap().is_some())
                + sessions.list(ANN).await.unwrap().len();
            assert!(alive <= 1, "{alive} sessions after {steps} commands");
            let login = sessions.login(&guest, ANN).await.unwrap();
            assert_eq!(login.session.fields["currency"], "EUR", "after {steps} commands");
            assert!(sessions.peek(&guest).await.unwrap().is_none());
            let listed = sessions.list(ANN).await.unwrap();
            assert_eq!(listed.iter().map(|one| &one.token).collect::<Vec<_>>(), [&login.session.token]);
            sessions.end_everywhere(ANN).await.unwrap();
            if finished {
                assert!(steps >= 3);
                break;
            }
        }
        // 'End everywhere' ends all sessions before it removes the first.
        let token = sessions.begin(Some(ANN), &[]).await.unwrap();
        let dying = Dying::at("UNLINK", &connection);
        assert!(Sessions::new(dying, &prefix).end_everywhere(ANN).await.is_err());
        assert!(sessions.read(&token).await.unwrap().is_none());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_stay_right_over_connections_that_break() {
    let proxy = lossy_proxy(server(), 7);
    let prefix = prefix();
    let sessions = Sessions::new(TestConnection::server().await, &prefix);
    for number in 0..40 {
        let user = format!("user{number}");
        let guest = sessions.begin(None, &[("currency", "EUR")]).await.unwrap();
        let broken = Sessions::new(TestConnection::reconnecting(&proxy.url()).await, &prefix);
        let login = loop {
            match broken.login(&guest, &user).await {
                Ok(login) => break login,
                Err(error) => assert_matches!(error, SessionError::Store(StoreError::Redis(_))),
            }
        };
        assert_eq!(login.session.fields["currency"], "EUR");
        assert_eq!(sessions.list(&user).await.unwrap().len(), 1);
    }
    assert!(proxy.cuts() > 5, "only {} connections broke", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_stay_right_while_their_slots_move() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let sessions = Sessions::new(connection, &prefix);
    let mut guests = Vec::new();
    for _ in 0..3 {
        guests.push(sessions.begin(None, &[("currency", "EUR")]).await.unwrap());
    }
    let keys: Vec<String> = guests.iter().map(|guest| key_of(&sessions, guest)).collect();
    let moving =
        MovingSlots::of(keys.iter().map(String::as_str).chain([sessions.user_key(ANN).unwrap().as_str()]));
    for round in 0..5 {
        for guest in &guests {
            assert_eq!(sessions.read(guest).await.unwrap().is_some(), round == 0);
            let login = sessions.login(guest, ANN).await.unwrap();
            assert_eq!((login.resumed, login.session.fields["currency"].as_str()), (round > 0, "EUR"));
            sessions.set(&login.session.token, &[("theme", "dark")]).await.unwrap();
        }
    }
    assert_eq!(sessions.list(ANN).await.unwrap().len(), 3);
    assert_eq!(sessions.end_everywhere(ANN).await.unwrap(), 3);
    assert!(moving.end() > 1);
}

#[tokio::test]
async fn an_end_waits_for_replicas_if_it_is_told_to() {
    let servers = Replicated::start(1).unwrap();
    let connection = TestConnection::to_server(&servers.primary).await;
    let sessions = Sessions::new(connection, "");
    let one = sessions.clone().with_replicas(1, Duration::from_secs(30));
    let two = sessions.clone().with_replicas(2, Duration::from_millis(1));
    let replica = TestConnection::to_server(&servers.replicas[0]).await;
    for count in 1..=2 {
        let token = sessions.begin(Some(ANN), &[]).await.unwrap();
        let token = one.rotate(&token).await.unwrap();
        let other = sessions.begin(Some(ANN), &[]).await.unwrap();
        let key = key_of(&sessions, &token);
        if count == 1 {
            assert!(one.end(&token).await.unwrap());
            assert_eq!(one.end_everywhere(ANN).await.unwrap(), 1);
            // No wait is needed here.
            assert!(!replica.send::<bool>(&["EXISTS", &key]).await);
            assert!(!replica.send::<bool>(&["EXISTS", sessions.user_key(ANN).unwrap().as_str()]).await);
        } else {
            for error in [two.end(&token).await.unwrap_err(), two.end_everywhere(ANN).await.unwrap_err()] {
                assert_matches!(error, SessionError::NotReplicated { replicas: 0..=1 });
            }
        }
        for token in [token, other] {
            assert!(sessions.read(&token).await.unwrap().is_none(), "it is done here in any case");
        }
    }
}

#[test]
fn extreme_times_are_taken_as_the_nearest_sensible_ones() {
    everywhere(async |connection, prefix| {
        let longest =
            Sessions::new(connection, &prefix).with_idle_time(Duration::MAX).with_highest_age(Duration::MAX);
        let token = longest.begin(Some(ANN), &[]).await.unwrap();
        assert!(longest.read(&token).await.unwrap().unwrap().expires_in > Duration::from_hours(24 * 364));
        let shortest = longest.clone().with_idle_time(Duration::ZERO);
        let token = shortest.begin(Some(ANN), &[]).await.unwrap();
        until("it is over", async || shortest.read(&token).await.unwrap().is_none()).await;
    });
}
