//! GitHub's anchors of headings.

/// Where a link to this heading leads, without `#`: lower case, spaces become hyphens, letters, digits, hyphens and
/// underscores stay, everything else goes. (A second heading of the same text would get a number behind it; in the
/// guide there is none.)
#[must_use]
pub fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().flat_map(char::to_lowercase).filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        for (heading, expected) in [
            ("Data types and encodings", "data-types-and-encodings"),
            ("Pub/sub, streams", "pubsub-streams"),
            ("Locks & why `fencing`", "locks--why-fencing"),
            ("Clients: pools, time-outs", "clients-pools-time-outs"),
            ("snake_case 2.0", "snake_case-20"),
            ("Zürich", "zürich"),
        ] {
            assert_eq!(anchor(heading), expected);
        }
    }
}
