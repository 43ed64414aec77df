//! Key names of the lesson `uniques`.

use super::Keys;

impl Keys {}
