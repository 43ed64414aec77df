//! The names of views, interests, popularity and purchases.
