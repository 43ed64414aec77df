//! Which server the flags and the environment mean.

use lab_server::Server;

use crate::support;

#[test]
fn login_flags_are_for_the_server_that_redis_url_names() {
    let server = Server::builder().config("user", "parker on >s3cret ~* &* +@all").start().unwrap();
    let url = format!("redis://127.0.0.1:{}", server.port());
    let mut command = support::anywhere();
    command.args(["--user", "parker", "--no-pause", "strings"]);
    command.env("REDIS_URL", url).env("REDISCLI_AUTH", "s3cret");
    let (code, output, error) = support::run(&mut command);
    assert_eq!(code, 0, "{output}\n{error}");
    assert!(error.contains(&server.port().to_string()) && error.contains("REDIS_URL"), "{error}");
    assert!(!output.contains("s3cret") && !error.contains("s3cret"), "{error}");
}

#[test]
fn what_cannot_be_an_address_is_a_usage_error() {
    for wrong in [["-p", "0"], ["-p", "70000"], ["-h", ""], ["-u", "s3cret"], ["--prefix", "a*"]] {
        let (code, output, error) = support::run(support::anywhere().args(wrong));
        assert_eq!((code, output.as_str()), (2, ""), "{wrong:?}\n{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
