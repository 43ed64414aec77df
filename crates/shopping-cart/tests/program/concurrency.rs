//! Many processes at one cart: not one unit lost, not one doubled.

use std::process::{Child, Stdio};

use crate::support::{Shop, every_shop};

const PROCESSES: usize = 16;

#[test]
fn units_added_by_16_processes_at_once_are_all_there() {
    for shop in every_shop() {
        let adding: Vec<Child> = (0..PROCESSES).map(|_| start(&shop, &["add", "1", "sku123", "3"])).collect();
        let acknowledged = adding.into_iter().filter_map(acknowledged).count() as u64;
        assert_eq!(acknowledged, PROCESSES as u64, "48 units are below the limit");
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 3 * acknowledged)]);
        assert_eq!(shop.cart("1")["total"]["cents"], 3 * acknowledged * 1999);
    }
}

#[test]
fn the_limit_holds_for_16_processes_at_once() {
    for shop in every_shop() {
        let adding: Vec<Child> =
            (0..PROCESSES).map(|_| start(&shop, &["add", "1", "sku123", "10"])).collect();
        let acknowledged = adding.into_iter().filter_map(acknowledged).count() as u64;
        assert_eq!(acknowledged, 9, "the tenth would make 100");
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 90)]);
    }
}

#[test]
fn adds_and_removes_at_once_leave_what_their_exit_codes_say() {
    for shop in every_shop() {
        let changes: Vec<(i64, Child)> = (0..PROCESSES)
            .map(|process| match process % 3 {
                0 => (-2, start(&shop, &["remove", "1", "sku123", "2"])),
                1 => (5, start(&shop, &["add", "1", "sku123", "5"])),
                _ => (1, start(&shop, &["add", "1", "Wireless mouse"])),
            })
            .collect();
        let ledger: i64 =
            changes.into_iter().filter_map(|(change, process)| acknowledged(process).map(|()| change)).sum();
        let units = shop.units("1").iter().map(|(_, units)| i64::try_from(*units).unwrap()).sum::<i64>();
        assert_eq!(units, ledger, "{shop:?}");
    }
}

#[test]
fn logins_of_one_guest_at_once_move_the_cart_once() {
    for shop in every_shop() {
        shop.ok(["add", "abc123", "sku123", "7"]);
        shop.ok(["add", "abc123", "sku456", "2"]);
        let logins: Vec<Child> = (0..8).map(|_| start(&shop, &["merge", "abc123", "1"])).collect();
        assert_eq!(logins.into_iter().filter_map(acknowledged).count(), 8);
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 7), ("sku456".to_owned(), 2)]);
        assert!(shop.units("abc123").is_empty());
    }
}

fn start(shop: &Shop, command: &[&str]) -> Child {
    let mut command = shop.command(command.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// `None` if the shop said no; anything else would leave the outcome unknown.
fn acknowledged(mut process: Child) -> Option<()> {
    match process.wait().unwrap().code() {
        Some(0) => Some(()),
        Some(1) => None,
        other => panic!("ended with {other:?}"),
    }
}
