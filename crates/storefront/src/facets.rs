//! Filtering a catalogue by brand, category, price and rating.
