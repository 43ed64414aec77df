//! Users, passwords and permissions.

use insta::assert_snapshot;
use lab_connection::failure::Class;
use lab_server::Server;

use super::setup::{Setup, logged_in_as, send};

#[tokio::test]
async fn no_password_is_noauth() {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&logged_in_as(&server.url(), ""));
    let text = setup.message(&setup.failure_to_connect().await);
    assert_snapshot!(text);
    // Choosing a database comes first then, and redis-rs makes another error of it.
    let with_database = Setup::at(&format!("{}/1", logged_in_as(&server.url(), "")));
    assert_eq!(with_database.message(&with_database.failure_to_connect().await), text);
}

#[tokio::test]
async fn a_wrong_password_is_wrongpass() {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&logged_in_as(&server.url(), ":wrong@"));
    assert_snapshot!("wrong_password", setup.message(&setup.failure_to_connect().await));
    let unknown_user = Setup::at(&logged_in_as(&server.url(), "nobody:wrong@"));
    assert_snapshot!("unknown_user", unknown_user.message(&unknown_user.failure_to_connect().await));
}

#[tokio::test]
async fn what_the_acl_forbids_is_noperm() {
    let server = Server::builder().start().unwrap();
    let mut admin = Setup::at(&server.url()).connected().await;
    send(&mut admin, "ACL SETUSER reader on >sesame ~cart:* +@read").await.unwrap();
    let setup = Setup::at(&logged_in_as(&server.url(), "reader:sesame@"));
    let mut connection = setup.connected().await;
    let command = setup.message(&setup.failure_of(&mut connection, "SET cart:1 x").await);
    // Redis 7.0 does not name the user.
    assert_snapshot!("command_not_allowed", command.replace("this user has", "User reader has"));
    let key = setup.failure_of(&mut connection, "GET user:1").await;
    assert_eq!(key.class(), Class::NoPerm);
}

#[tokio::test]
async fn what_the_acl_forbids_in_a_script_is_noperm_too() {
    let server = Server::builder().start().unwrap();
    let mut admin = Setup::at(&server.url()).connected().await;
    send(&mut admin, "ACL SETUSER reader on >sesame ~cart:* resetchannels +@read +eval +publish")
        .await
        .unwrap();
    let setup = Setup::at(&logged_in_as(&server.url(), "reader:sesame@"));
    let mut connection = setup.connected().await;
    for call in ["'SET',KEYS[1],'x'", "'GET','user:1'", "'PUBLISH','news','x'"] {
        let script = format!("EVAL return(redis.call({call})) 1 cart:1");
        let failure = setup.failure_of(&mut connection, &script).await;
        assert_eq!((failure.class(), failure.exit_code()), (Class::NoPerm, 4), "{call}: {failure}");
    }
}
