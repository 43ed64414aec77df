//! Sessions beside what somebody else has written under the same names.

use redis::Value;
use storefront::session::{BeginError, LoginError, Sessions, UpdateError};
use storefront::{SessionId, StoreError, UserId};

use crate::shop::in_each_layout;
use crate::visit::{cart_of, field, indexed, user};

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
