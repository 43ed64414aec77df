//! Stores: which are near a place, and whether they are open.
//!
//! The naive way keeps coordinates with each store, reads all of them, and computes distances in the program: a thousand reads
//! to find three stores. A Sorted Set scored by a geohash (GEOADD) finds them in a few ranges (GEOSEARCH), nearest first. A
//! store's place is only on the map, and every change of the map and of the details is one script. So a store that moved is
//! never in two places, and a removed store is gone from both.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `stores` | Sorted Set | store IDs by place |
//! | `stores:{stores}:details` | Hash | store ID to name and opening hours, as JSON |
//!
//! - **Promise**: a store is found once, where it was last put. A removed store is not found.
//! - **Cost**: one round trip for each call. A search is O(n + log m) for n stores in the squares around the area and m in all.
//!   A circle that reaches over a pole reads all stores. All stores are on one node of a cluster.
//! - **Memory**: about 300 bytes for each store, until it is removed.
//! - **Faults**: use `noeviction`. If one of the two keys is lost, a search returns [`StoresError::Damaged`] until you clear
//!   the stores ([`Stores::clear`]) and put all of them again. A failover may lose the last changes; put those stores again. No
//!   time is stored.
//!
//! ```
//! use patterns::stores::{Area, Hours, LocalTime, Opening, Place, Store, Stores};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let stores = Stores::new(connection, "");
//! let harbor = Store {
//!     id: "harbor".into(),
//!     name: "At the harbor".into(),
//!     place: Place::new(9.9937, 53.5511)?,
//!     hours: Hours::daily("09:00-18:00")?,
//! };
//! stores.put(&harbor).await?;
//!
//! let here = Place::new(10.0, 53.55)?;
//! let noon = LocalTime::new(0, 12, 0).unwrap();
//! let near = stores.near(here, Area::Circle { radius: 5_000.0 }, 10, noon).await?;
//! assert_eq!(near[0].id, "harbor");
//! assert!((near[0].meters - 434.0).abs() < 1.0);
//! assert_eq!(near[0].opening, Opening::Open { closes_in: Some(360) });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use redis::aio::ConnectionLike;
use serde::{Deserialize, Serialize};

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, quote};

/// The most stores that one [`Stores::near`] finds.
pub const MAX_NEAR: usize = 100;
/// The longest name of a store, in bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// The highest latitude that Redis stores, north and south: that of the square web map, EPSG:3857.
pub const MAX_LATITUDE: f64 = 85.051_128_78;
/// The radius of the sphere that Redis uses, in meters. The Earth is not quite a sphere, so a distance can be off by 0.5%.
pub const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// The longest search radius, in meters: half the circumference of the sphere.
const MAX_METERS: f64 = 20_100_000.0;
const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// The most spans of one day.
const MAX_SPANS: usize = 4;

const FILE: &str = include_str!("stores.lua");

/// Adds or replaces a store.
pub static PUT: Script = Script::new("stores.lua: put", FILE, &["put"]);
/// Moves a store on the map.
pub static RELOCATE: Script = Script::new("stores.lua: relocate", FILE, &["relocate"]);
/// Removes a store.
pub static REMOVE: Script = Script::new("stores.lua: remove", FILE, &["remove"]);
/// Removes all stores.
pub static CLEAR: Script = Script::new("stores.lua: clear", FILE, &["clear"]);
/// Finds stores, with their distances and details.
pub static NEAR: Script = Script::new("stores.lua: near", FILE, &["near"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&PUT, &RELOCATE, &REMOVE, &CLEAR, &NEAR])
}

/// A store.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Its ID.
    pub id: String,
    /// Its name for people: 1 to 200 bytes.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// When it is open.
    pub hours: Hours,
}

/// A store that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct NearStore {
    /// Its ID.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Meters along a great circle. The map stores places to about 0.3 m, and treats the Earth as a sphere.
    pub meters: f64,
    /// Whether it is open at the given time.
    pub opening: Opening,
}

/// What the Hash holds of a store.
#[derive(Deserialize, Serialize)]
struct Details {
    name: String,
    hours: [String; 7],
}

/// The stores of a shop under a prefix.
#[derive(Clone, Debug)]
pub struct Stores<C> {
    connection: C,
    prefix: String,
}

impl<C: ConnectionLike + Clone> Stores<C> {
    /// The stores under this prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Adds a store, or replaces the store with its ID; true if it is new.
    pub async fn put(&self, store: &Store) -> Result<bool, StoresError> {
        let Store { id, name, place, hours } = store;
        check_id(id).map_err(StoreError::from)?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(StoresError::Name { bytes: name.len() });
        }
        let details = serde_json::json!({"name": name, "hours": hours.days}).to_string();
        let call = PUT.call(&self.keys()?).arg(id).arg(place.longitude).arg(place.latitude).arg(details);
        Ok(call.run::<Reply>(&self.connection).await?.either("ADDED", "REPLACED")?)
    }

    /// Moves a store; false if there is none with this ID.
    pub async fn relocate(&self, id: &str, to: Place) -> Result<bool, StoreError> {
        check_id(id)?;
        let call = RELOCATE.call(&self.keys()?).arg(id).arg(to.longitude).arg(to.latitude);
        call.run::<Reply>(&self.connection).await?.either("MOVED", "UNKNOWN")
    }

    /// Removes a store; false if there is none with this ID.
    pub async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        check_id(id)?;
        REMOVE.call(&self.keys()?).arg(id).run::<Reply>(&self.connection).await?.either("REMOVED", "UNKNOWN")
    }

    /// Removes all stores, to put them again.
    pub async fn clear(&self) -> Result<(), StoreError> {
        CLEAR.call(&self.keys()?).run::<Reply>(&self.connection).await?.must_be("CLEARED")
    }

    /// Up to `most` stores (at most [`MAX_NEAR`]) within an area around a place, the nearest first, and whether each is open at a
    /// local time.
    pub async fn near(
        &self,
        here: Place,
        area: Area,
        most: usize,
        time: LocalTime,
    ) -> Result<Vec<NearStore>, StoresError> {
        area.check()?;
        if most == 0 {
            return Ok(Vec::new());
        }
        let keys = self.keys()?;
        let mut call = NEAR.call(&keys).arg("FROMLONLAT").arg(here.longitude).arg(here.latitude);
        call = match area.to_search(here) {
            Area::Circle { radius } => call.arg("BYRADIUS").arg(radius),
            Area::Box { width, height } => call.arg("BYBOX").arg(width).arg(height),
        };
        call = call.arg("m").arg("ASC").arg("COUNT").arg(most.min(MAX_NEAR)).arg("WITHDIST");
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "FOUND" => {}
            "DAMAGED" => return Err(StoresError::Damaged),
            _ => return Err(reply.unexpected().into()),
        }
        let (found, details): (Vec<(String, f64)>, Vec<Option<String>>) = (reply.next()?, reply.next()?);
        let mut near = Vec::new();
        for ((id, meters), details) in found.into_iter().zip(details) {
            let details = details.ok_or(StoresError::Damaged)?;
            if meters > area.reach() {
                continue;
            }
            let malformed = || StoreError::Malformed(quote(&format!("{} {id}", keys[1])));
            let details: Details = serde_json::from_str(&details).map_err(|_| malformed())?;
            let hours = Hours::new(details.hours.each_ref().map(String::as_str)).map_err(|_| malformed())?;
            near.push(NearStore { id, name: details.name, meters, opening: hours.at(time) });
        }
        Ok(near)
    }

    /// The keys: the map and the details.
    pub fn keys(&self) -> Result<[String; 2], StoreError> {
        let key = Key::new(&self.prefix, "stores", &[])?;
        Ok([key.as_str().to_owned(), key.companion("details")])
    }
}

/// A place on the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    longitude: f64,
    latitude: f64,
}

impl Place {
    /// This place, in degrees: longitude from -180 to 180, latitude from -85.05112878 to 85.05112878. (The other order is as
    /// common; Redis has the longitude first.)
    pub fn new(longitude: f64, latitude: f64) -> Result<Self, PlaceError> {
        let valid =
            (-180.0..=180.0).contains(&longitude) && (-MAX_LATITUDE..=MAX_LATITUDE).contains(&latitude);
        if valid { Ok(Self { longitude, latitude }) } else { Err(PlaceError::Place { longitude, latitude }) }
    }

    /// Degrees east of Greenwich.
    #[must_use]
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// Degrees north of the equator.
    #[must_use]
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Meters to another place along a great circle, on Redis's sphere (the haversine formula).
    #[must_use]
    pub fn meters_to(self, other: Self) -> f64 {
        let [from, to] = [self.latitude, other.latitude].map(f64::to_radians);
        let across = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let up = ((to - from) / 2.0).sin();
        let chord = (up * up + from.cos() * to.cos() * across * across).sqrt();
        2.0 * EARTH_RADIUS * chord.min(1.0).asin()
    }
}

/// How far to look, in meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Area {
    /// A circle around the place, by its radius.
    Circle {
        /// Meters, up to 20,100 km.
        radius: f64,
    },
    /// A box around the place, as a map shows it, by its sides.
    Box {
        /// Meters from west to east, up to 20,100 km.
        width: f64,
        /// Meters from south to north, up to 20,100 km.
        height: f64,
    },
}

impl Area {
    /// Checks that lengths are positive and not beyond the Earth.
    fn check(self) -> Result<(), PlaceError> {
        let possible = |meters: f64| meters > 0.0 && meters <= MAX_METERS;
        let valid = match self {
            Self::Circle { radius } => possible(radius),
            Self::Box { width, height } => possible(width) && possible(height),
        };
        if valid { Ok(()) } else { Err(PlaceError::Area(self)) }
    }

    /// The area to ask the server for. The server misses a part of a circle that reaches over a pole (Redis 7.0 to 8.2, Valkey
    /// 9.1). So for such a circle, the search is over the whole Earth, and results beyond [`Area::reach`] are dropped.
    fn to_search(self, here: Place) -> Self {
        let over_a_pole = |radius: f64| here.latitude.abs() + (radius / EARTH_RADIUS).to_degrees() >= 90.0;
        match self {
            Self::Circle { radius } if over_a_pole(radius) => Self::Circle { radius: MAX_METERS },
            area => area,
        }
    }

    /// The longest distance in the area, in meters.
    fn reach(self) -> f64 {
        match self {
            Self::Circle { radius } => radius,
            Self::Box { .. } => MAX_METERS,
        }
    }
}

/// A moment of the week, where the store is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocalTime {
    /// Since Monday 00:00.
    minute_of_week: u32,
}

impl LocalTime {
    /// A day (0 is Monday), an hour, and a minute; `None` if the time is not valid.
    #[must_use]
    pub fn new(day: u32, hour: u32, minute: u32) -> Option<Self> {
        (day < 7 && hour < 24 && minute < 60).then(|| Self { minute_of_week: day * DAY + hour * 60 + minute })
    }

    /// The local time at a moment (milliseconds since 1970), at this offset from UTC in minutes. Pass the store's offset at
    /// that moment, including daylight saving time.
    #[must_use]
    pub fn at(unix_ms: u64, minutes_east: i32) -> Self {
        // 1970 began on a Thursday.
        let since_monday = unix_ms / 60_000 % u64::from(WEEK) + u64::from(3 * DAY);
        let minute = (since_monday.cast_signed() + i64::from(minutes_east)).rem_euclid(i64::from(WEEK));
        Self { minute_of_week: u32::try_from(minute).unwrap_or_default() }
    }
}

/// Whether a store is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// It is, at this moment.
    Open {
        /// Minutes until it closes; `None` if it never closes.
        closes_in: Option<u32>,
    },
    /// It is not.
    Closed {
        /// Minutes until it opens; `None` if it never opens.
        opens_in: Option<u32>,
    },
}

/// The hours of a week.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hours {
    /// The first minute of the week in which it is open, and the first in which it is not. A span that begins on Sunday may end
    /// beyond the week.
    spans: Vec<(u32, u32)>,
    days: [String; 7],
}

impl Hours {
    /// The hours of each day from Monday on: `09:00-18:00`, or `09:00-12:30,14:00-18:00`, or empty for a closed day. At the
    /// closing minute, it is closed. `18:00-02:00` ends on the next day; `00:00-24:00` is the whole day.
    ///
    /// ```
    /// use patterns::stores::{Hours, LocalTime, Opening};
    ///
    /// let hours = Hours::new(["", "", "", "", "18:00-02:00", "18:00-02:00", ""])?;
    /// let one_at_night = LocalTime::new(6, 1, 0).unwrap();
    /// assert_eq!(hours.at(one_at_night), Opening::Open { closes_in: Some(60) }, "Saturday's evening is not over");
    /// # Ok::<(), patterns::stores::PlaceError>(())
    /// ```
    pub fn new(days: [&str; 7]) -> Result<Self, PlaceError> {
        let mut spans = Vec::new();
        for (day, text) in (0..).zip(days) {
            let refused = || PlaceError::Hours { text: quote(text) };
            for (number, span) in text.split(',').filter(|_| !text.is_empty()).enumerate() {
                let (opens, closes) = span_of(span).filter(|_| number < MAX_SPANS).ok_or_else(refused)?;
                let overnight = if closes <= opens { DAY } else { 0 };
                spans.push((day * DAY + opens, day * DAY + closes + overnight));
            }
        }
        Ok(Self { spans, days: days.map(str::to_owned) })
    }

    /// The same hours on every day.
    pub fn daily(hours: &str) -> Result<Self, PlaceError> {
        Self::new([hours; 7])
    }

    /// The hours of each day from Monday on, as they were given.
    #[must_use]
    pub fn days(&self) -> &[String; 7] {
        &self.days
    }

    /// Whether it is open at a time, and how long that lasts.
    #[must_use]
    pub fn at(&self, time: LocalTime) -> Opening {
        let now = time.minute_of_week;
        let mut open_for = 0;
        // One span may begin where another ends.
        while let Some(left) = self.left_at((now + open_for) % WEEK) {
            open_for += left;
            if open_for >= WEEK {
                return Opening::Open { closes_in: None };
            }
        }
        if open_for > 0 {
            return Opening::Open { closes_in: Some(open_for) };
        }
        let opens_in = self.spans.iter().map(|(opens, _)| (opens + WEEK - now) % WEEK).min();
        Opening::Closed { opens_in }
    }

    /// The longest time in minutes that a span with this minute goes on.
    fn left_at(&self, minute: u32) -> Option<u32> {
        let left = |at: u32| {
            let holding = self.spans.iter().filter(move |(opens, closes)| (*opens..*closes).contains(&at));
            holding.map(move |(_, closes)| closes - at).max()
        };
        left(minute).max(left(minute + WEEK))
    }
}

/// `09:00-18:00` as minutes of a day.
fn span_of(text: &str) -> Option<(u32, u32)> {
    let (opens, closes) = text.split_once('-')?;
    let (opens, closes) = (minute_of_day(opens)?, minute_of_day(closes)?);
    (opens < DAY && opens != closes).then_some((opens, closes))
}

fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60 || hour == 24 && minute == 0).then_some(hour * 60 + minute)
}

/// Why something is not on the map.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Outside the map, or not a number.
    #[error(
        "longitude {longitude}, latitude {latitude} is not on the map: -180 to 180, and {MAX_LATITUDE} north or south"
    )]
    Place {
        /// Degrees.
        longitude: f64,
        /// Degrees.
        latitude: f64,
    },
    /// A length is zero, negative, beyond the Earth, or not a number.
    #[error("{0:?} is not a search area: lengths must be more than 0 and up to {MAX_METERS} meters")]
    Area(Area),
    /// Not the hours of a day.
    #[error("{text} are not opening hours: write 09:00-18:00, with a comma between two spans")]
    Hours {
        /// What was given, escaped and cut.
        text: String,
    },
}

/// Why a store was not added, or none was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoresError {
    /// The name is empty or too long.
    #[error("a store's name has 1 to {MAX_NAME_BYTES} bytes, not {bytes}")]
    Name {
        /// Its length.
        bytes: usize,
    },
    /// One of the two keys was lost.
    #[error(
        "the stores are damaged: a store is on the map without its details, or the other way around; clear them and put all again"
    )]
    Damaged,
    /// The area to search is none.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
