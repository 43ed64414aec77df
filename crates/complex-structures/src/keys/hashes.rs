//! Key names of the lesson `hashes`.

use super::Keys;

impl Keys {}
