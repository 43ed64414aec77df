//! Key names of the lesson `sorted_sets`.

use super::Keys;

impl Keys {}
