//! The shapes of a cart: `cargo bench --bench cart`.

use std::process::ExitCode;

use benches::Bench;
use criterion::Criterion;
use lab_connection::Failure;
use lab_connection::failure::Class;
use shopping_cart::compare::{AddUnit, CartShape, Carts, ReadCart};

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let carts = Carts::new("", 100)
        .map_err(|error| Failure::new(Class::Other, "The carts have no names.", error.to_string()))?;

    let add = CartShape::ALL.map(AddUnit);
    bench.compare(criterion, "Adding one unit to a ten-line cart", &add, &carts)?;
    let read = CartShape::ALL.map(ReadCart);
    bench.compare(criterion, "Reading a ten-line cart", &read, &carts)
}
