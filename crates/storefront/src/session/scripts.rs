use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident = $($file:literal),+;)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("../cart/scripts/integer.lua"),
                include_str!("scripts/shared.lua"),
                $(include_str!(concat!("scripts/", $file, ".lua"))),+
            ))
        });)*
    };
}

/// Without what the others share: see there.
pub(super) static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/read.lua")));

scripts! {
    BEGIN = "begin";
    SET = "set";
    UNSET = "unset";
    END = "end";
    END_ALL = "end_all";
    REGISTER = "register";
    PREPARE = "prepare";
    ACTIVATE = "activate";
    CLAIM = "may_move", "claim";
    MOVE = "may_move", "move";
}
