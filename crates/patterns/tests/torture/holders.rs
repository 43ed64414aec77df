//! Who held a lock, or led, one after the other.

use std::collections::BTreeMap;

use patterns::lease::{Lease, Token};

#[derive(Default)]
pub struct Holders {
    /// Who works now, by its own clock.
    inside: Vec<(Token, u64, Lease)>,
    /// The token of each number.
    numbers: BTreeMap<u64, Token>,
    violation: Option<String>,
}

impl Holders {
    pub fn enter(&mut self, token: &Token, number: u64, lease: Lease) {
        self.inside.retain(|(other, _, lease)| other != token && lease.is_held());
        if lease.is_held()
            && let Some(other) = self.inside.first()
        {
            self.violation =
                Some(format!("one holder; found {other:?}, and {token} with {number}, {lease:?}"));
        }
        match self.numbers.insert(number, token.clone()) {
            Some(other) if other != *token => {
                self.violation = Some(format!("a number of its own; found {number} of {token} and {other}"));
            }
            _ => self.inside.push((token.clone(), number, lease)),
        }
    }

    pub fn leave(&mut self, token: &Token) {
        self.inside.retain(|(other, ..)| other != token);
    }

    /// Whether there was one holder at a time, each with a number of its own, and `last` is higher than all numbers before it.
    pub fn check(&self, last: u64) -> Result<(), String> {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        let highest = self.numbers.keys().last().copied().unwrap_or(0);
        if last > highest { Ok(()) } else { Err(format!("a higher number than {highest}; found {last}")) }
    }
}
