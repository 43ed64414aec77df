//! Stock that is never sold twice: holds that expire, confirmations, restocking, alerts.
