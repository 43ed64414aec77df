use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::facets::{self, Facets, FacetsError, Order, PageOf, Product, Selection};
use patterns::money::Cents;

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const PRODUCTS: usize = 12;
const BRANDS: [&str; 3] = ["Acme", "Bolt & Co.", "Corp"];

pub const PATTERN: Pattern = Pattern {
    name: "facets",
    workload: |prefix| Box::new(Shop { prefix: prefix.to_owned(), own: Mutex::default() }),
    plain_commands: &["HGET"],
    scripts: facets::scripts,
};

struct Shop {
    prefix: String,
    /// Products that one call alone changes: whether it left them in the catalog.
    own: Mutex<BTreeMap<String, bool>>,
}

/// In each state, all values say the same, so a mix of two shows.
fn in_state(id: String, state: usize) -> Product {
    Product {
        name: format!("{} {id}", BRANDS[state]),
        id,
        brand: BRANDS[state].into(),
        category: format!("of {}", BRANDS[state]),
        price: Cents::new(100 * (1 + state.cast_signed() as i64)).unwrap(),
        rating: 1 + u8::try_from(state).unwrap(),
        popularity: state as u64,
        added: state as u64,
    }
}

impl Shop {
    fn facets(&self, connection: TestConnection) -> Facets<TestConnection> {
        Facets::new(connection, &self.prefix)
    }

    fn stays(client: usize, call: usize) -> bool {
        (client + call).is_multiple_of(4)
    }

    /// What the contract says: repair, then put every product again.
    async fn repaired(&self, facets: &Facets<TestConnection>) -> Result<(), FacetsError> {
        if facets.repair().await? {
            let own = self.own.lock().unwrap().clone();
            for id in own.into_iter().filter_map(|(id, stays)| stays.then_some(id)) {
                facets.put(&in_state(id, 0)).await?;
            }
        }
        Ok(())
    }

    async fn change(
        &self,
        facets: &Facets<TestConnection>,
        client: usize,
        call: usize,
    ) -> Result<(), FacetsError> {
        let id = format!("p{}", (client + call) % PRODUCTS);
        if client % 5 == 4 {
            facets.remove(&id).await?;
        } else {
            facets.put(&in_state(id, client % 3)).await?;
        }
        let own = format!("own{client}-{call}");
        facets.put(&in_state(own.clone(), 0)).await?;
        if !Self::stays(client, call) {
            facets.remove(&own).await?;
        }
        self.own.lock().unwrap().insert(own, Self::stays(client, call));
        let acme = Selection { brands: [BRANDS[0].to_owned()].into(), ..Selection::default() };
        facets.page(&acme, Order::Newest, PageOf::first(10)).await?;
        Ok(())
    }
}

impl Workload for Shop {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let facets = self.facets(connection);
        match self.change(&facets, client, call).await {
            Err(FacetsError::Lost) => {
                self.repaired(&facets).await?;
                Ok(self.change(&facets, client, call).await?)
            }
            other => Ok(other?),
        }
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let facets = self.facets(connection);
        let may_be_lost = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost);
        if may_be_lost {
            self.repaired(&facets).await?;
        }
        let own = self.own.lock().unwrap().clone();
        let mut model = BTreeMap::new();
        for id in (0..PRODUCTS).map(|number| format!("p{number}")).chain(own.keys().cloned()) {
            let product = facets.get(&id).await?;
            if let Some(stays) = own.get(&id)
                && *stays != product.is_some()
                && !may_be_lost
            {
                return Err(format!("{id} is there: {stays}; found {product:?}").into());
            }
            model.extend(product.map(|product| (id, product)));
        }
        for (brand, state) in BRANDS.into_iter().zip(0..) {
            let wanted: BTreeSet<&str> =
                model.values().filter(|it| it.brand == brand).map(|it| it.id.as_str()).collect();
            let selection = Selection { brands: [brand.to_owned()].into(), ..Selection::default() };
            let (mut page, mut found) = (PageOf::first(7), BTreeSet::new());
            loop {
                let shown = facets.page(&selection, Order::Name, page).await?;
                if shown.total != wanted.len() as u64
                    || shown.brands.values().sum::<u64>() != model.len() as u64
                    || shown.categories.values().sum::<u64>() != shown.total
                    || shown.ratings.values().sum::<u64>() != shown.total
                {
                    return Err(format!(
                        "{} products, {} of {brand}; found {shown:?}",
                        model.len(),
                        wanted.len()
                    )
                    .into());
                }
                if shown.products.is_empty() {
                    break;
                }
                for product in shown.products {
                    if product != in_state(product.id.clone(), state) || !found.insert(product.id.clone()) {
                        return Err(format!("products of {brand}, each once; found {product:?}").into());
                    }
                }
                page = page.next();
            }
            if !found.iter().map(String::as_str).eq(wanted.iter().copied()) {
                return Err(format!("{wanted:?}; found {found:?}").into());
            }
        }
        facets.put(&in_state("last".into(), 2)).await?;
        Ok(match fault {
            Fault::KeyLost(_) => Verdict::Contract("then put every product again"),
            Fault::WritesLost => Verdict::Contract("A failover may lose the last changes, all of each"),
            _ => Verdict::Held,
        })
    }
}
