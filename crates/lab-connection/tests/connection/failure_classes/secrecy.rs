//! No failure shows a password, and none prints what a terminal would execute.

use lab_connection::failure::{Class, Endpoint, Failure, explain};
use lab_server::Server;
use redis::make_extension_error;

use super::setup::{Setup, logged_in_as, send};

fn everywhere(failure: &Failure) -> String {
    format!("{failure}\n{failure:?}\n{failure:#?}\n{}", serde_json::to_string(failure).unwrap())
}

#[tokio::test]
async fn a_password_in_a_url_appears_nowhere() {
    let server = Server::builder().start().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [
        logged_in_as(&server.url(), "ali:sesame@"),
        logged_in_as(&server.url(), ":sesame@"),
        format!("redis://ali:sesame@{closed}"),
        "redis://ali:sesame@redis.invalid".into(),
    ] {
        let mut setup = Setup::at(&url);
        let failure = setup.failure_to_connect().await;
        assert!(!everywhere(&failure).contains("sesame"), "{failure:?}");
        // Even when a URL is taken for an address.
        setup.endpoint.address = url;
        let failure = setup.failure_to_connect().await;
        assert!(!everywhere(&failure).contains("sesame"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_password_in_a_refused_acl_rule_is_not_repeated() {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&server.url());
    let mut connection = setup.connected().await;
    let error = send(&mut connection, "ACL SETUSER ali sesame").await.unwrap_err();
    assert!(!everywhere(&explain(&error, &setup.endpoint)).contains("sesame"));
}

#[test]
fn a_hostile_server_cannot_write_to_the_terminal() {
    let hostile = "\x1b]0;owned\x07\u{202e}\r\n(done)";
    for code in ["ERR", "NOPERM", "MOVED", "CLUSTERDOWN", "\x1b[2J"] {
        let error = make_extension_error(code.into(), Some(hostile.into()));
        let endpoint =
            Endpoint { address: hostile.into(), user: Some(hostile.into()), ..Endpoint::default() };
        let text = explain(&error, &endpoint).to_string();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(!text.contains("\n(done)"), "{text:?}");
    }
}

#[test]
fn json_has_class_exit_code_and_texts() {
    let failure = Failure::new(Class::Refused, "What.", "Why.").try_next("this");
    assert_eq!(
        serde_json::to_string(&failure).unwrap(),
        r#"{"class":"refused","exit_code":3,"what":"What.","why":"Why.","next":["this"]}"#
    );
    assert_eq!(failure.to_string(), "What.\nWhy.\n  try: this");
}
