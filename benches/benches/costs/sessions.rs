//! What reading a session costs, beside one that is a String of JSON read by GETEX.

use patterns::sessions::Sessions;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

const FIELDS: [(&str, &str); 2] = [("currency", "EUR"), ("theme", "dark")];
const IDLE_MS: usize = 30 * 60 * 1000;

pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    let sessions = Sessions::new(connection.clone(), "");
    let mut rows = Vec::new();
    for (what, user, commands) in [
        ("read a guest's session", None, &["hgetall", "pexpire"][..]),
        ("read a user's session", Some("user123"), &["hgetall", "pexpire", "get"]),
    ] {
        let token = sessions.begin(user, &FIELDS).await.unwrap();
        let key = format!("{}:json", sessions.key(&token).unwrap().unwrap());
        let json = r#"{"user":"user123","currency":"EUR","theme":"dark"}"#;
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(json).arg("PX").arg(IDLE_MS).exec_async(&mut connection.clone()).await.unwrap();
        let (ours, token) = (&sessions, &token);
        let ours = Side::new("Sessions::read", commands, move |_| async move {
            let session = ours.read(token).await.unwrap().unwrap();
            assert_eq!((session.user.as_deref(), session.fields.len()), (user, 2));
        });
        let peer = Side::new("GETEX of the same as JSON", &["getex"], |_| {
            let (mut connection, key) = (connection.clone(), key.clone());
            async move {
                let mut getex = redis::cmd("GETEX");
                getex.arg(&key).arg("PX").arg(IDLE_MS);
                let found: Option<String> = getex.query_async(&mut connection).await.unwrap();
                assert_eq!(found.as_deref(), Some(json));
            }
        });
        rows.push(compare(connection, what, 3.0, ours, peer).await);
    }
    rows
}
