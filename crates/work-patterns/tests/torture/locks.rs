//! Locks: the fence keeps late writes out, and the others do not.

use serde_json::Value;

use crate::{document, torture};

#[test]
fn a_stopped_holder_writes_late_unless_its_lock_has_a_fence() {
    let report =
        document(&mut torture("locks --sections 300 --holders 4 --stops 3 --kills 2 --seed 1 --json"));
    let rows = report["locks"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().filter_map(|row| row["approach"].as_str()).collect();
    assert_eq!(names, ["naive", "token", "redlock", "fenced"]);
    let count = |row: &Value, field: &str| row[field].as_u64().unwrap_or_else(|| panic!("{field} in {row}"));
    for row in rows {
        assert!(count(row, "writes") >= 300, "{row}");
        assert!(count(row, "stopped") > 0, "{row}");
        let fenced = row["approach"] == "fenced";
        assert_eq!(count(row, "stale_writes") == 0, fenced, "{row}");
        assert_eq!(count(row, "refused") > 0, fenced, "{row}");
    }
}
