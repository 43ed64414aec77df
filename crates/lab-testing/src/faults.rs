//! Connections that break after the server has executed a command, so the client cannot know whether it did.

use lab_server::{Proxy, Server};

/// A proxy in front of `server` that throws away every `each`-th reply and cuts its connection.
pub fn lossy_proxy(server: &Server, each: u32) -> Proxy {
    let proxy = Proxy::in_front_of(server).unwrap();
    proxy.cut_replies(each);
    proxy
}
