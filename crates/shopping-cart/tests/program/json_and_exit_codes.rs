//! Every command in JSON, its errors too, and every exit code of the README.

use lab_server::Server;
use serde_json::Value;

use crate::support::{Shop, every_shop, program, run, standalone};

#[test]
fn every_command_answers_with_one_json_document() {
    for shop in every_shop() {
        let commands: [&[&str]; 14] = [
            &["user", "add", "--first-name", "A", "--last-name", "B"],
            &["user", "show", "1"],
            &["user", "list"],
            &["sku", "add", "sku789", "--name", "USB-C cable, 2 m", "--price", "7.95"],
            &["sku", "show", "sku789"],
            &["sku", "list"],
            &["add", "1", "sku789"],
            &["add", "abc123", "sku789", "3", "--expires-in", "100"],
            &["view", "1"],
            &["merge", "abc123", "1"],
            &["remove", "1", "sku789", "1"],
            &["remove", "1", "sku789"],
            &["clear", "1"],
            &["sku", "remove", "sku789"],
        ];
        for command in commands {
            let document = shop.json(command.iter().copied());
            assert!(document.is_array() || document.is_object(), "{command:?}: {document}");
            assert!(document.get("error").is_none(), "{command:?}: {document}");
        }
    }
}

#[test]
fn the_lessons_answer_with_one_json_document_too() {
    let shop = standalone("hash");
    for lesson in ["demo", "compare"] {
        let document = shop.json([lesson]);
        assert_eq!(document["lessons"][0]["outcome"], "passed", "{lesson}");
    }
}

#[test]
fn errors_are_json_documents_with_the_exit_code() {
    for shop in every_shop() {
        let commands: [(i32, &str, &[&str]); 8] = [
            (1, "declined", &["user", "show", "99"]),
            (1, "declined", &["remove", "1", "sku123"]),
            (1, "declined", &["add", "1", "nosuch"]),
            (2, "usage", &["add", "1", "sku123", "0"]),
            (2, "usage", &["view", "a:b"]),
            (2, "usage", &["sku", "add", "x", "--name", "x", "--price", "-1"]),
            (2, "usage", &["menu"]),
            (2, "usage", &[]),
        ];
        for (code, class, command) in commands {
            let run = shop.run(command.iter().copied().chain(["--json"]));
            assert_eq!(run.code, code, "{command:?}: {run:?}");
            let document: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(document["error"]["class"], class, "{document}");
            assert_eq!(document["error"]["exit_code"], code);
            assert!(document["error"]["what"].as_str().unwrap().ends_with('.'), "{document}");
        }
    }
}

#[test]
fn a_bare_call_without_a_terminal_is_a_usage_error_with_a_hint() {
    // No server is looked for: the address leads nowhere.
    let run = run(program().args(["-h", "127.0.0.1", "-p", "1"]));
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("cargo cart --help") && run.stderr.contains("menu"), "{run:?}");
}

#[test]
fn a_server_that_is_gone_is_exit_code_3_between_two_commands() {
    let mut server = Server::start().unwrap();
    let shop = Shop::alone_on(server.url(), false, "hash");
    shop.open();
    shop.ok(["add", "1", "sku123"]);
    server.kill();
    for command in
        [&["add", "1", "sku123"][..], &["view", "1"], &["user", "list"], &["watch", "1"], &["menu"]]
    {
        let refused = shop.refused(3, command.iter().copied());
        assert!(refused.contains("Nothing answers at"), "{refused}");
    }
    assert_eq!(shop.json(["view", "1"])["error"]["exit_code"], 3);
    server.restart().unwrap();
    shop.open();
    shop.ok(["add", "1", "sku123"]);
}

#[test]
fn a_node_of_the_cluster_that_is_gone_is_exit_code_3() {
    let mut cluster = lab_server::Cluster::start(3).unwrap();
    let shop = Shop::alone_on(cluster.urls()[0].clone(), true, "hash");
    shop.open();
    cluster.nodes_mut()[0].kill();
    let refused = shop.refused(3, ["view", "1"]);
    assert!(refused.contains("Nothing answers at"), "{refused}");
    for node in 1..3 {
        cluster.nodes_mut()[node].kill();
    }
    shop.refused(3, ["view", "1"]);
}

#[test]
fn an_address_without_a_server_a_wrong_password_and_a_wrong_flag_have_their_codes() {
    let server = Server::builder().password("right").start().unwrap();
    let port = server.port().to_string();
    let wrong = |arguments: &[&str]| {
        let run = run(program()
            .args(["-h", "127.0.0.1", "-p", &port])
            .args(arguments)
            .env("REDISCLI_AUTH", "wrong"));
        (run.code, run)
    };
    let (code, run) = wrong(&["view", "abc123"]);
    assert_eq!(code, 4, "{run:?}");
    for flag in [&["--cart", "list", "view", "abc123"][..], &["--cart-ttl", "0", "view", "abc123"], &["fly"]]
    {
        let (code, run) = wrong(flag);
        assert_eq!(code, 2, "{run:?}");
    }
}
