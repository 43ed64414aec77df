//! A clock for the scripts of a connection: they ask it for the time, and their keys expire by it.
//!
//! The scripts run as they are, behind a few lines that put other functions in the place of `redis.call`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lab_testing::TestConnection;
use patterns::script::Script;
use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisFuture, Value};

/// Keys expire half a century later than by the virtual clock, so that they never do by the server's.
const PRELUDE: &str = "
local server, now, shift = redis, tonumber(ARGV[#ARGV]), 1577836800000
local ms = math.floor(now / 1000)
for _, key in ipairs(KEYS) do
  local at = server.call('PEXPIRETIME', key)
  if at > 0 and at - shift < ms then
    server.call('DEL', key)
  end
end
local redis = {acl_check_cmd = server.acl_check_cmd, call = function(name, key, ...)
  local rest = {...}
  if name == 'TIME' then
    return {string.format('%.0f', math.floor(now / 1000000)), string.format('%.0f', now % 1000000)}
  elseif name == 'PTTL' then
    local at = server.call('PEXPIRETIME', key)
    return at < 0 and at or at - shift - ms
  elseif name == 'PEXPIRE' then
    return server.call('PEXPIREAT', key, string.format('%.0f', ms + rest[1] + shift))
  elseif name == 'SET' and rest[2] == 'PX' then
    return server.call('SET', key, rest[1], 'PXAT', string.format('%.0f', ms + rest[3] + shift))
  end
  return server.call(name, key, ...)
end}
";

#[derive(Clone)]
pub struct VirtualClock {
    connection: TestConnection,
    scripts: Vec<&'static Script>,
    now_us: Arc<AtomicU64>,
}

impl VirtualClock {
    /// At a full minute of the year 2023.
    pub const BEGIN_US: u64 = 1_700_000_040_000_000;

    pub fn new(connection: TestConnection, scripts: &[(&str, &'static Script)]) -> Self {
        let scripts = scripts.iter().map(|(_, script)| *script).collect();
        Self { connection, scripts, now_us: Arc::new(AtomicU64::new(Self::BEGIN_US)) }
    }

    pub fn set_us(&self, now: u64) {
        self.now_us.store(now, Ordering::Relaxed);
    }

    pub fn now_us(&self) -> u64 {
        self.now_us.load(Ordering::Relaxed)
    }

    fn translate(&self, cmd: &Cmd) -> Cmd {
        let words = cmd.args_iter().map(|arg| match arg {
            Arg::Simple(word) => word.to_vec(),
            _ => panic!("a cursor"),
        });
        let words: Vec<Vec<u8>> = words.collect();
        if words[0] != b"EVALSHA" {
            return cmd.clone();
        }
        let script = self.scripts.iter().find(|script| script.hash().as_bytes() == words[1]).unwrap();
        let mut eval = redis::cmd("EVAL");
        eval.arg(format!("{PRELUDE}{}", script.source())).arg(&words[2..]).arg(self.now_us());
        eval
    }
}

impl ConnectionLike for VirtualClock {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async {
            let cmd = self.translate(cmd);
            self.connection.req_packed_command(&cmd).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}
