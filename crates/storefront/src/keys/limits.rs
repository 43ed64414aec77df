//! The names of limits and blocks.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `rate_limit:api_key:minute` | `rate_limit:{api_key}:minute` | String | fixed window: requests admitted in it |
//! | `rate_limit:api_key:minute:log` | `rate_limit:{api_key}:minute:log` | Sorted Set | sliding log: one member for each admitted request, scored by its microsecond |
//! | `rate_limit:api_key:minute:counter` | `rate_limit:{api_key}:minute:counter` | String | sliding counter: begin of the window in ms, admitted in the one before, admitted in it |
//! | `rate_limit:api_key:minute:bucket` | `rate_limit:{api_key}:minute:bucket` | String | token bucket: the microsecond at which it is full again |
//! | `rate_limit:api_key:minute:recorded` | `rate_limit:{api_key}:minute:recorded` | String | when the fixed window began, only where recorded traffic is replayed |
//! | `failed_login:203.0.113.7` | `failed_login:{203.0.113.7}` | String | login attempts of the address since its last success |
//! | `blocked_ip:203.0.113.7` | `blocked_ip:{203.0.113.7}` | String | that number when the pause began; the TTL is the rest of the pause |
//! | `failed_login:account:user123` | `failed_login:account:{user123}` | String | the same of an account |
//! | `blocked_account:user123` | `blocked_account:{user123}` | String | the same of an account |
//!
//! An IPv6 address stands for its /64: `failed_login:2001:db8::/64`. Neither a caller, a window nor an account can have a
//! colon in its name, so no two of these meet.

use std::net::{IpAddr, Ipv6Addr};

use super::Keys;
use crate::limits::Window;
use crate::{ApiKey, CustomerId};

impl Keys {
    /// The counter of one caller's fixed window: a String.
    #[must_use]
    pub fn rate_limit(&self, caller: &ApiKey, window: &Window) -> String {
        format!("{}rate_limit:{}:{}", self.prefix, self.tagged(caller.as_str()), window.name())
    }

    /// One caller's log of requests: a Sorted Set.
    #[must_use]
    pub fn rate_limit_log(&self, caller: &ApiKey, window: &Window) -> String {
        self.rate_limit(caller, window) + ":log"
    }

    /// One caller's two weighted windows: a String.
    #[must_use]
    pub fn rate_limit_counter(&self, caller: &ApiKey, window: &Window) -> String {
        self.rate_limit(caller, window) + ":counter"
    }

    /// One caller's token bucket: a String.
    #[must_use]
    pub fn rate_limit_bucket(&self, caller: &ApiKey, window: &Window) -> String {
        self.rate_limit(caller, window) + ":bucket"
    }

    /// When one caller's fixed window began, in recorded time: a String.
    #[must_use]
    pub fn rate_limit_recorded(&self, caller: &ApiKey, window: &Window) -> String {
        self.rate_limit(caller, window) + ":recorded"
    }

    /// The login attempts of an address: a String. An IPv6 address counts with its whole /64, which is what one customer
    /// of a provider has to himself; an IPv4 address written as IPv6 counts as IPv4.
    #[must_use]
    pub fn failed_login(&self, address: IpAddr) -> String {
        format!("{}failed_login:{}", self.prefix, self.tagged(&network(address)))
    }

    /// The pause of an address: a String. See [`Keys::failed_login`] for IPv6.
    #[must_use]
    pub fn blocked_ip(&self, address: IpAddr) -> String {
        format!("{}blocked_ip:{}", self.prefix, self.tagged(&network(address)))
    }

    /// The login attempts on an account: a String.
    #[must_use]
    pub fn failed_login_of_account(&self, account: &CustomerId) -> String {
        format!("{}failed_login:account:{}", self.prefix, self.tagged(account.as_str()))
    }

    /// The pause of an account: a String.
    #[must_use]
    pub fn blocked_account(&self, account: &CustomerId) -> String {
        format!("{}blocked_account:{}", self.prefix, self.tagged(account.as_str()))
    }
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
