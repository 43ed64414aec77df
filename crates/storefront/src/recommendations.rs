//! What a customer may like: recent views, popularity, bought together, similar customers.
