//! The addresses of a server as URLs.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Names the default user, because `redis-cli` 7.0 sends an empty user name as a name.
pub(crate) fn tcp(scheme: &str, password: &str, port: u16) -> String {
    match password {
        "" => format!("{scheme}://127.0.0.1:{port}/"),
        _ => format!("{scheme}://default:{}@127.0.0.1:{port}/", encoded(password.as_bytes())),
    }
}

pub(crate) fn unix(socket: &Path, password: &str) -> String {
    let path: Vec<_> = socket.as_os_str().as_bytes().split(|byte| *byte == b'/').map(encoded).collect();
    let path = path.join("/");
    match password {
        "" => format!("redis+unix://{path}"),
        _ => format!("redis+unix://{path}?pass={}", encoded(password.as_bytes())),
    }
}

/// Percent-encodes everything but the characters that have no special meaning anywhere in a URL.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::IntoConnectionInfo as _;

    #[test]
    fn a_hostile_password_survives_both_urls() {
        let password = "a/b:c@d?e#f%25 é";
        for url in [tcp("redis", password, 7000), unix(Path::new("/tmp/redis lab/s?.sock"), password)] {
            let info = url.as_str().into_connection_info().unwrap();
            assert_eq!(info.redis_settings().password(), Some(password), "{url}");
        }
    }

    #[test]
    fn a_socket_path_with_odd_characters_survives() {
        let path = Path::new("/tmp/redis lab/s?%.sock");
        let info = unix(path, "").as_str().into_connection_info().unwrap();
        assert_eq!(info.addr(), &redis::ConnectionAddr::Unix(path.to_owned()));
    }

    #[test]
    fn without_a_password_the_url_has_none() {
        assert_eq!(tcp("redis", "", 6379), "redis://127.0.0.1:6379/");
    }
}
