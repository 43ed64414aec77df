//! Every encoding keeps users as they are, and takes what the lesson claims.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "functions of a test, which clippy does not take for one"
)]

use std::sync::Arc;

use bulk_performance::keys::Keys;
use bulk_performance::memory::{Encoding, Growth, Limits, Store, Weight, Zstd};
use bulk_performance::people::People;
use bulk_performance::stored::Content;
use lab_connection::TargetArgs;

#[tokio::test]
async fn probe() {
    let target = TargetArgs::private().open().await.unwrap();
    let mut connection = target.connection();
    let people = People::new();
    let zstd = Zstd::train(&people).unwrap().map(Arc::new);
    let limits = Limits::ask(&mut connection).await.unwrap();
    let growth = Some(Growth::from_now(&mut connection).await.unwrap());
    for n in [2_000, 20_000] {
        let raw: usize = (1..=n).map(|number| people.user(number).values().concat().len()).sum();
        let store = Store::new(Keys::new(""), n, limits.bucket(), zstd.clone());
        let expected = Content::expected(&people, n);
        println!("{} {limits:?} raw {}", target.describe(), raw as f64 / n as f64);
        for encoding in Encoding::ALL {
            let conn = &mut connection.clone();
            let begun = std::time::Instant::now();
            let w = limits
                .held_for(encoding, &mut connection, Weight::of(encoding, &store, &expected, growth, conn))
                .await
                .unwrap();
            println!(
                "{:26} {:6} {:?} {:.1} {:.1} {:.2} {:?}",
                encoding.label(),
                w.keys,
                w.kept_as,
                w.bytes as f64 / n as f64,
                w.grown.unwrap() as f64 / n as f64,
                w.bytes as f64 / raw as f64,
                begun.elapsed()
            );
        }
    }
}
