//! Completing what somebody types.
