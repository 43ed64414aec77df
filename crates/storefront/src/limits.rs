//! How often somebody may do something: four limiters, and the guard of logins.
