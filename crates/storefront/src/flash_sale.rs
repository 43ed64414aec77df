//! A sale with few units, many buyers and a cap for each of them.
