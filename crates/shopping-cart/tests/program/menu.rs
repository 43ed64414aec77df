//! The menu: from a pipe and in a terminal.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use expectrl::{Eof, Expect};

use crate::support::{Shop, every_shop, standalone};

#[test]
fn every_entry_does_what_it_says() {
    for shop in every_shop() {
        let run = shop.menu(
            b"1\n2\nsku123\n3\n2\nMechanical keyboard\n\n3\nsku123\n1\n4\n6\nabc123\n4\n6\n1\n5\ny\nq\n",
        );
        assert_eq!(run.code, 0, "{run:?}");
        for part in [
            "Shopping as Parker Perry (user 1)",
            "Wireless mouse",
            "Added 3 x Wireless mouse (sku123)",
            "Added 1 x Mechanical keyboard (sku456)",
            "Removed 1 x Wireless mouse (sku123)",
            "129.48",
            "Shopping as guest abc123",
            "The cart of guest abc123 is empty.",
            "Emptied the cart of Parker Perry (user 1): 2 lines, 3 units.",
        ] {
            assert!(run.stdout.contains(part), "{part:?} is missing:\n{}", run.stdout);
        }
    }
}

#[test]
fn a_bad_entry_asks_again() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku456"]);
        let run = shop.menu(
            b"9\nadd\n\n2\nnosuch\nsku123\ntwo\n0\n100\n2\n3\nsku123\n5\n3\nsku789\n\n6\na:b\n99\n2\n4\nq\nnever read\n",
        );
        assert_eq!(run.code, 0, "{run:?}");
        for (part, times) in [
            ("That is not on the menu.", 3),
            ("No product has the SKU or the exact name 'nosuch'.", 1),
            ("must be a whole number from 1 to 99", 3),
            ("Added 2 x Wireless mouse (sku123)", 1),
            ("was not removed", 2),
            ("is not a session", 1),
            ("There is no user 99.", 1),
            ("The cart of Zo\u{eb} de la Cruz (user 2) is empty.", 1),
        ] {
            assert_eq!(run.stdout.matches(part).count(), times, "{part:?}:\n{}", run.stdout);
        }
        assert_eq!(shop.units("1"), [("sku123".to_owned(), 2), ("sku456".to_owned(), 1)]);
    }
}

#[test]
fn the_end_of_input_leaves_cleanly_wherever_it_comes() {
    for shop in every_shop() {
        for input in
            [&b""[..], b"4", b"2\n", b"2\nsku123\n", b"3\n", b"3\nsku123\n", b"5\n", b"6\n", b"2\nnosuch\n"]
        {
            let run = shop.menu(input);
            assert_eq!(run.code, 0, "{input:?}: {run:?}");
            assert_eq!(run.error(), "", "{input:?}");
        }
        assert!(shop.units("1").is_empty());
    }
}

#[test]
fn emptying_a_cart_needs_a_yes() {
    for shop in every_shop() {
        shop.ok(["add", "1", "sku123", "2"]);
        for input in [&b"5\n"[..], b"5\n\nq\n", b"5\nn\nq\n", b"5\n5\nq\n", b"5\nyet\nq\n"] {
            let run = shop.menu(input);
            assert_eq!(run.code, 0, "{run:?}");
            for part in
                ["This removes everything from the cart of Parker Perry (user 1).", "Nothing was removed."]
            {
                assert!(run.stdout.contains(part), "{part:?} is missing:\n{}", run.stdout);
            }
            assert_eq!(shop.units("1"), [("sku123".to_owned(), 2)]);
        }
        for yes in [&b"5\nY\nq\n"[..], b"2\nsku456\n\n5\nyes\nq\n"] {
            assert_eq!(shop.menu(yes).code, 0);
            assert!(shop.units("1").is_empty());
        }
    }
}

#[test]
fn no_line_is_wider_than_sixty_columns() {
    let shop = standalone("hash");
    shop.open();
    shop.ok([
        "user",
        "add",
        "--id",
        "7",
        "--first-name",
        "Bartholomew Montgomery",
        "--last-name",
        "Featherstonehaugh-Cholmondeley",
    ]);
    let entries = b"6\n7\n1\n2\nMechanical keyboard\n5\n3\nsku456\n9\n3\nsku456\n2\n4\n2\nno such thing\n\n9\n5\nn\n5\ny\n4\nq\n";
    let mut child = shop
        .command(["menu"])
        .env("COLUMNS", "60")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(entries).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(output.contains("Featherstonehaugh-Cholmondeley"), "{output}");
    for line in output.lines() {
        assert!(line.chars().count() <= 60, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn hostile_bytes_are_bad_entries_too() {
    let mut long = vec![b'x'; 1_000_000];
    long.push(b'\n');
    for shop in every_shop() {
        shop.ok(["add", "1", "sku456"]);
        let before = shop.cart("1");
        for bytes in [&b"a\0b\n"[..], b"\xff\xfe\n", b"a\rb\n", b"\x1b[2J\n", "\u{202e}\n".as_bytes(), &long]
        {
            let entries: [&[u8]; 3] = [b"", b"2\n", b"2\nsku123\n"];
            for before_it in entries {
                let run = shop.menu(&[before_it, bytes, b"\n\nq\n"].concat());
                assert_eq!(run.code, 0, "{:?}", run.stderr);
                assert!(run.stdout.len() < 5000, "a short error: {} bytes", run.stdout.len());
            }
            shop.ok(["remove", "1", "sku123"]);
            assert_eq!(shop.cart("1"), before);
        }
    }
}

#[test]
fn an_empty_shop_gets_sample_customers_and_products() {
    for shape in ["hash", "sorted-set"] {
        let shop = standalone(shape);
        let run = shop.menu(b"2\nsku123\n\nq\n");
        assert!(run.stdout.contains("The shop was empty"), "{run:?}");
        assert!(
            run.stdout.contains("Added 1 x Wireless mouse (sku123) to the cart of Parker Perry (user 1)"),
            "{run:?}"
        );
        let again = shop.menu(b"q\n");
        assert!(!again.stdout.contains("The shop was empty"), "{again:?}");
    }
}

#[test]
fn a_server_that_goes_away_ends_it_with_an_error() {
    let mut server = lab_server::Server::start().unwrap();
    let shop = Shop::alone_on(server.url(), false, "hash");
    shop.open();
    let mut terminal = in_a_terminal(&shop);
    terminal.expect("Shopping as Parker Perry (user 1)").unwrap();
    server.kill();
    terminal.send_line("4").unwrap();
    terminal.expect("try:").unwrap();
    terminal.expect(Eof).unwrap();
    assert_eq!(code(&terminal), 3);
}

#[test]
fn a_bare_call_in_a_terminal_opens_it() {
    for shop in every_shop() {
        let mut terminal = in_a_terminal(&shop);
        terminal.expect("Shopping as Parker Perry (user 1)").unwrap();
        terminal.send_line("nonsense").unwrap();
        terminal.expect("That is not on the menu.").unwrap();
        terminal.send_line("2").unwrap();
        terminal.expect("SKU or exact name").unwrap();
        terminal.send_line("sku123").unwrap();
        terminal.expect("How many [1]").unwrap();
        terminal.send_line("2").unwrap();
        terminal.expect("Added 2 x Wireless mouse (sku123)").unwrap();
        terminal.expect("q  quit").unwrap();
        // The end of input, as a terminal sends it.
        terminal.send([4]).unwrap();
        terminal.expect(Eof).unwrap();
        assert_eq!(code(&terminal), 0);
    }
}

#[test]
fn ctrl_c_leaves_it_with_130() {
    let shop = standalone("hash");
    shop.open();
    let mut terminal = in_a_terminal(&shop);
    terminal.expect("q  quit").unwrap();
    terminal.send([3]).unwrap();
    terminal.expect(Eof).unwrap();
    assert_eq!(code(&terminal), 130);
}

type Terminal = expectrl::session::OsSession;

fn in_a_terminal(shop: &Shop) -> Terminal {
    let mut command = shop.command([]);
    command.env("TERM", "xterm-256color");
    let mut terminal = Terminal::spawn(command).unwrap();
    terminal.set_expect_timeout(Some(Duration::from_mins(1)));
    terminal
}

fn code(terminal: &Terminal) -> i32 {
    match terminal.get_process().wait().unwrap() {
        expectrl::process::unix::WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}
