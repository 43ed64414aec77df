//! Key names of the lesson `sets`.

use super::Keys;

impl Keys {}
