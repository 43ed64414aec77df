use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use lab_testing::TestConnection;
use patterns::product_vectors::ProductVectors;
use redis::Value;

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "product_vectors",
    workload: |prefix| {
        Box::new(Products {
            prefix: prefix.to_owned(),
            put: Mutex::default(),
            has_vectors: AtomicBool::new(true),
        })
    },
    plain_commands: &["VADD", "VSIM"],
    scripts: Vec::new,
};

struct Products {
    prefix: String,
    put: Mutex<BTreeSet<String>>,
    has_vectors: AtomicBool,
}

impl Products {
    fn vectors(&self, connection: TestConnection) -> ProductVectors<TestConnection> {
        ProductVectors::new(connection, &self.prefix).with_exact_search()
    }
}

impl Workload for Products {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let known: Vec<Value> = connection.send(&["COMMAND", "INFO", "VSIM"]).await;
        self.has_vectors.store(known != [Value::Nil], Ordering::Relaxed);
        Ok(())
    }

    fn missing(&self) -> Option<&'static str> {
        (!self.has_vectors.load(Ordering::Relaxed)).then_some("this server has no VSIM")
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let vectors = self.vectors(connection);
        let sku = format!("sku{client}-{call}");
        let vector = [client as f32, call as f32, 1.0];
        vectors.put(&sku, &vector).await?;
        vectors.near(&vector, 10).await?;
        self.put.lock().unwrap().insert(sku);
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let vectors = self.vectors(connection);
        let near = vectors.near(&[1.0, 1.0, 1.0], 1_000).await?;
        let found: BTreeSet<String> = near.into_iter().map(|near| near.sku).collect();
        let put = self.put.lock().unwrap().clone();
        vectors.put("last", &[-1.0, -1.0, -1.0]).await?;
        let nearest = vectors.near(&[-1.0, -1.0, -1.0], 1).await?;
        if nearest.first().is_none_or(|nearest| nearest.sku != "last") {
            return Err(format!("a product where it was put; found {nearest:?}").into());
        }
        match fault {
            Fault::KeyLost(_) | Fault::WritesLost if found != put && found.is_subset(&put) => {
                Ok(Verdict::Contract("are not found until you put them again"))
            }
            _ if found == put => Ok(Verdict::Held),
            _ => Err(format!("{} products; found {}", put.len(), found.len()).into()),
        }
    }
}
