//! The file that says what happened in a process.

use std::fs::OpenOptions;
use std::io::Write as _;

use work_patterns::torture::journal::{Event, Journal, Tail, What};

#[test]
fn lines_are_read_once_and_only_when_they_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let mut tail = Tail::new(path.clone());
    assert!(tail.read().unwrap().is_empty());
    Journal::open(&path).unwrap().write_at(What::Started, 7, 2, 30).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"C 7 2 3").unwrap();
    let started = Event { what: What::Started, job: 7, attempt: 2, at: 30 };
    assert_eq!(tail.read().unwrap(), [started]);
    file.write_all(b"1\n").unwrap();
    let worked = Event { what: What::Worked, job: 7, attempt: 2, at: 31 };
    assert_eq!(tail.read().unwrap(), [worked]);
}
