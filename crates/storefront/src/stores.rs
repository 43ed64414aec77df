//! The stores near a place.
//!
//! The naive way keeps coordinates in each store's Hash, reads all of them and measures here: a thousand reads for the
//! three that are near. A Sorted Set scored by a geohash (GEOADD) finds them by looking at a few ranges (GEOSEARCH),
//! nearest first. A store is in two keys, the map and its Hash; each change of both is one script, so a store that was
//! removed leaves no ghost on the map, and one that moves is never in two places.
//!
//! ```
//! use storefront::stores::{Area, Hours, LocalTime, Opening, Place, Store, Stores};
//! use storefront::{Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let stores = Stores::new(connection, Keys::new("", Layout::Standalone));
//! let harbour = Store {
//!     id: "harbour".parse()?,
//!     name: "At the harbour".into(),
//!     place: Place::new(9.9937, 53.5511)?,
//!     hours: Hours::daily("09:00-18:00")?,
//! };
//! stores.put(&harbour).await?;
//!
//! let here = Place::new(10.0, 53.55)?;
//! let noon = LocalTime::new(0, 12, 0).unwrap();
//! let near = stores.near(here, Area::Circle { radius: 5_000.0 }, 10, noon).await?;
//! assert_eq!(near[0].id, harbour.id);
//! assert!((near[0].metres - 434.0).abs() < 1.0);
//! assert_eq!(near[0].opening, Opening::Open { closes_in: Some(360) });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod hours;
mod id;
mod place;

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, Script};

pub use hours::{DAYS, Hours, LocalTime, Opening};
pub use id::StoreId;
pub use place::{Area, EARTH_RADIUS, HIGHEST_LATITUDE, Place, PlaceError};

use crate::script;
use crate::store::{Reply, holds_store_error};
use crate::together::together;
use crate::{Keys, StoreError};

/// The most stores that one [`Stores::near`] finds.
pub const MOST_NEAR: usize = 100;
/// The longest name of a store, in bytes.
pub const LONGEST_NAME: usize = 200;

static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("stores/scripts/put.lua")))
});
static MOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("stores/scripts/move.lua")))
});
static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("stores/scripts/remove.lua")))
});

/// A store.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Its name in keys.
    pub id: StoreId,
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
    /// Its name in keys.
    pub id: StoreId,
    /// Its name for people.
    pub name: String,
    /// Metres along a great circle from where one asked. The map keeps places to about 0.3 m, and takes the Earth for a
    /// sphere, which makes up to 0.5 % of a distance.
    pub metres: f64,
    /// Whether it is open at the time one asked for.
    pub opening: Opening,
}

/// The stores of a shop. There is one map, so on a cluster all of them are on one node.
#[derive(Clone, Debug)]
pub struct Stores<C> {
    connection: C,
    keys: Keys,
}

impl<C: ConnectionLike + Clone> Stores<C> {
    /// The stores under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Adds a store, or replaces the one with its id: true if it is new. One round trip.
    pub async fn put(&self, store: &Store) -> Result<bool, StoresError> {
        if store.name.is_empty() || store.name.len() > LONGEST_NAME {
            return Err(StoresError::Name { bytes: store.name.len() });
        }
        let mut call = PUT.key(self.keys.stores());
        call.key(self.keys.store(&store.id)).arg(store.id.as_str());
        call.arg(store.place.longitude()).arg(store.place.latitude()).arg("name").arg(&store.name);
        for (day, hours) in DAYS.iter().zip(store.hours.days()) {
            call.arg(day).arg(hours);
        }
        let reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "ADDED" => Ok(true),
            "REPLACED" => Ok(false),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Moves a store: false if there is none with this id. One round trip.
    pub async fn relocate(&self, id: &StoreId, to: Place) -> Result<bool, StoreError> {
        let mut call = MOVE.key(self.keys.stores());
        call.key(self.keys.store(id)).arg(id.as_str()).arg(to.longitude()).arg(to.latitude());
        let reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "MOVED" => Ok(true),
            "UNKNOWN" => Ok(false),
            _ => Err(reply.into_error()),
        }
    }

    /// Removes a store: false if there is none with this id. One round trip.
    pub async fn remove(&self, id: &StoreId) -> Result<bool, StoreError> {
        let mut call = REMOVE.key(self.keys.stores());
        call.key(self.keys.store(id)).arg(id.as_str());
        let reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "REMOVED" => Ok(true),
            "UNKNOWN" => Ok(false),
            _ => Err(reply.into_error()),
        }
    }

    /// Up to `most` stores (at most [`MOST_NEAR`]) within an area around a place, the nearest first, and whether each is
    /// open at a local time.
    ///
    /// Two round trips: the map, then all the stores found; on a cluster one for each of those, all at once. A store that is removed between the two is
    /// left out. The search takes O(n + log m) for n stores in the squares around the area and m in all; a circle that
    /// reaches over a pole looks at all of them.
    pub async fn near(
        &self,
        here: Place,
        area: Area,
        most: usize,
        time: LocalTime,
    ) -> Result<Vec<NearStore>, StoresError> {
        let area = area.checked()?;
        if most == 0 {
            return Ok(Vec::new());
        }
        let search = self.search(here, area.to_search(here), most.min(MOST_NEAR));
        let found: Vec<(String, f64)> = search.query_async(&mut self.connection.clone()).await?;
        let map = self.keys.stores();
        let mut places = Vec::new();
        for (member, metres) in found.into_iter().filter(|(_, metres)| *metres <= area.reach()) {
            let id: StoreId = member.parse().map_err(|_| StoreError::malformed(&map, &member))?;
            places.push((id, metres));
        }
        if places.is_empty() {
            return Ok(Vec::new());
        }

        // On a cluster not in one pipeline, though they share a slot: while that moves, redis-rs says ASKING once for all of
        // a pipeline, and it holds for the first command only.
        let commands = places
            .iter()
            .map(|(id, _)| redis::cmd("HMGET").arg(self.keys.store(id)).arg("name").arg(&DAYS).take());
        let stored: Vec<Vec<Option<Vec<u8>>>> =
            together(&self.connection, self.keys.layout(), commands.collect()).await?;
        let mut near = Vec::new();
        for ((id, metres), fields) in places.into_iter().zip(stored) {
            if let Some((name, hours)) = self.parse(&id, fields)? {
                near.push(NearStore { id, name, metres, opening: hours.at(time) });
            }
        }
        Ok(near)
    }

    /// GEOSEARCH, which has replaced GEORADIUS since Redis 6.2.
    fn search(&self, here: Place, area: Area, most: usize) -> Cmd {
        let mut search = redis::cmd("GEOSEARCH");
        search.arg(self.keys.stores()).arg("FROMLONLAT").arg(here.longitude()).arg(here.latitude());
        match area {
            Area::Circle { radius } => search.arg("BYRADIUS").arg(radius),
            Area::Box { width, height } => search.arg("BYBOX").arg(width).arg(height),
        };
        search.arg("m").arg("ASC").arg("COUNT").arg(most).arg("WITHDIST");
        search
    }

    /// The name and the hours of a store, `None` if it is gone.
    fn parse(
        &self,
        id: &StoreId,
        fields: Vec<Option<Vec<u8>>>,
    ) -> Result<Option<(String, Hours)>, StoreError> {
        if fields.iter().all(Option::is_none) {
            return Ok(None);
        }
        let key = self.keys.store(id);
        let mut texts = Vec::new();
        for (field, name) in fields.into_iter().zip(["name"].into_iter().chain(DAYS)) {
            texts.push(crate::fields::parse::<String>(field, &key, name)?);
        }
        let [name, days @ ..] = texts.as_slice() else {
            return Err(StoreError::malformed(&key, "name"));
        };
        let days: Vec<&str> = days.iter().map(String::as_str).collect();
        let hours = days.try_into().ok().and_then(|days| Hours::new(days).ok());
        let hours = hours.ok_or_else(|| StoreError::malformed(&key, "mon to sun"))?;
        Ok(Some((name.clone(), hours)))
    }
}

/// Why a store was not added, or none was looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoresError {
    /// The name is empty or too long.
    #[error("a store's name has 1 to {LONGEST_NAME} bytes, not {bytes}")]
    Name {
        /// What was given.
        bytes: usize,
    },
    /// The area to search is none.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(StoresError);
