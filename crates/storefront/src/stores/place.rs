use crate::shown::Shown;

/// The latitude beyond which Redis keeps no place, north and south: that of the square web map, EPSG:3857.
pub const HIGHEST_LATITUDE: f64 = 85.051_128_78;
/// The radius of the sphere on which Redis measures, in metres. The Earth is no sphere, so a distance can be 0.5 % off.
pub const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// The longest search, in metres: beyond it everything on the sphere is near.
const FARTHEST: f64 = 20_100_000.0;

/// A place on the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    longitude: f64,
    latitude: f64,
}

impl Place {
    /// This place, in degrees: longitude from -180 to 180, latitude from -85.05112878 to 85.05112878. (The other order is
    /// as common; Redis has the longitude first.)
    pub fn new(longitude: f64, latitude: f64) -> Result<Self, PlaceError> {
        let valid = (-180.0..=180.0).contains(&longitude)
            && (-HIGHEST_LATITUDE..=HIGHEST_LATITUDE).contains(&latitude);
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

    /// Metres to another place along a great circle, on Redis's sphere (the haversine formula).
    #[must_use]
    pub fn metres_to(self, other: Self) -> f64 {
        let [from, to] = [self.latitude, other.latitude].map(f64::to_radians);
        let across = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let up = ((to - from) / 2.0).sin();
        let chord = (up * up + from.cos() * to.cos() * across * across).sqrt();
        2.0 * EARTH_RADIUS * chord.min(1.0).asin()
    }
}

/// How far to look, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Area {
    /// A circle around the place, by its radius.
    Circle {
        /// Metres, up to 20,100 km.
        radius: f64,
    },
    /// A box around the place, as a map shows it, by its sides.
    Box {
        /// Metres from west to east, up to 20,100 km.
        width: f64,
        /// Metres from south to north, up to 20,100 km.
        height: f64,
    },
}

impl Area {
    /// The area, if its lengths are more than nothing, and not beyond the Earth.
    pub(super) fn checked(self) -> Result<Self, PlaceError> {
        let possible = |metres: f64| metres > 0.0 && metres <= FARTHEST;
        let valid = match self {
            Self::Circle { radius } => possible(radius),
            Self::Box { width, height } => possible(width) && possible(height),
        };
        if valid { Ok(self) } else { Err(PlaceError::Area(self)) }
    }

    /// The area to ask the server for. Of a circle that reaches over a pole it misses a part (Redis 7.0 to 8.2, Valkey 9.1),
    /// so it is asked for the whole Earth, and what is beyond [`Area::reach`] has to be left out.
    pub(super) fn to_search(self, here: Place) -> Self {
        let over_a_pole = |radius: f64| here.latitude.abs() + (radius / EARTH_RADIUS).to_degrees() >= 90.0;
        match self {
            Self::Circle { radius } if over_a_pole(radius) => Self::Circle { radius: FARTHEST },
            area => area,
        }
    }

    /// The most metres at which something can be in the area.
    pub(super) fn reach(self) -> f64 {
        match self {
            Self::Circle { radius } => radius,
            Self::Box { .. } => FARTHEST,
        }
    }
}

/// Why something is not on the map.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Outside the map, or not a number.
    #[error(
        "longitude {longitude}, latitude {latitude} is not on the map: -180 to 180, and {HIGHEST_LATITUDE} north or south"
    )]
    Place {
        /// Degrees.
        longitude: f64,
        /// Degrees.
        latitude: f64,
    },
    /// Nothing, less than nothing, more than the Earth, or not a number.
    #[error("{0:?} is no area to search: its lengths must be more than 0 and up to {FARTHEST} metres")]
    Area(Area),
    /// Not the hours of a day.
    #[error("{text} are no opening hours: write 09:00-18:00, and a comma between two spans")]
    Hours {
        /// What was given, escaped and cut.
        text: String,
    },
}

impl PlaceError {
    pub(super) fn hours(text: &str) -> Self {
        Self::Hours { text: Shown(text).to_string() }
    }
}
