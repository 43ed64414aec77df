//! Other people's data: never written, never in the way under a prefix of our own.

use lab_server::{Cluster, Server};
use redis::cmd;

use crate::support::Shop;

#[test]
fn a_database_with_foreign_data_is_refused_and_left_as_it_is() {
    let (server, cluster) = (Server::start().unwrap(), Cluster::start(3).unwrap());
    for shape in ["hash", "sorted-set"] {
        for shop in [
            Shop::alone_on(server.url(), false, shape),
            Shop::alone_on(cluster.urls()[0].clone(), true, shape),
        ] {
            let _: () = shop.ask(cmd("SET").arg("user:1").arg("somebody's"));
            let commands: [&[&str]; 8] = [
                &["user", "add", "--first-name", "A", "--last-name", "B"],
                &["sku", "list"],
                &["add", "1", "sku123"],
                &["view", "1"],
                &["watch", "1"],
                &["menu"],
                &["demo"],
                &["compare"],
            ];
            for command in commands {
                let refused = shop.refused(4, command.iter().copied());
                assert!(refused.contains("other data") && refused.contains("--prefix"), "{refused}");
            }

            let ours = Shop { prefix: format!("{shape}:"), ..shop.clone() };
            ours.open();
            ours.ok(["add", "1", "sku123", "2"]);
            ours.ok(["demo", "--no-pause"]);
            let kept: String = shop.ask(cmd("GET").arg("user:1"));
            assert_eq!(kept, "somebody's");
            shop.refused(4, ["view", "1"]);
        }
    }
}

#[test]
fn keys_have_the_names_of_the_documents() {
    let server = Server::start().unwrap();
    let shop = Shop::alone_on(server.url(), false, "hash");
    shop.open();
    shop.ok(["add", "1", "sku123", "2"]);
    shop.ok(["add", "abc123", "sku456"]);
    let first: String = shop.ask(cmd("HGET").arg("user:1").arg("firstname"));
    let last: String = shop.ask(cmd("HGET").arg("user:1").arg("lastname"));
    assert_eq!((first.as_str(), last.as_str()), ("Parker", "Perry"));
    let price: String = shop.ask(cmd("HGET").arg("sku:sku123").arg("price"));
    assert_eq!(price, "19.99");
    let quantity: i64 = shop.ask(cmd("HGET").arg("cart:1").arg("sku123"));
    assert_eq!(quantity, 2);
    assert!(shop.ask::<bool>(cmd("EXISTS").arg("cart:guest:abc123")));
}
