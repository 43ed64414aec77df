//! Points and time in one score.

use complex_structures::sorted_sets::PackedScore;

#[test]
fn more_points_win_and_with_equal_points_the_earlier() {
    let score = |points, millis| PackedScore::new(points, millis).unwrap();
    assert!(score(501, PackedScore::LAST_MILLIS) > score(500, 0));
    assert!(score(500, 1_000) > score(500, 1_001));
    assert_eq!(score(PackedScore::MOST_POINTS, 0), PackedScore::HIGHEST);
}

#[test]
fn a_packed_score_survives_the_way_through_a_double() {
    for points in [0, 1, 500, PackedScore::MOST_POINTS] {
        for millis in [0, 1, 86_400_000, PackedScore::LAST_MILLIS] {
            let packed = PackedScore::new(points, millis).unwrap();
            let back = PackedScore::from_score(packed.score() as f64).unwrap();
            assert_eq!((back.points(), back.millis_into_season()), (points, millis));
        }
    }
}

#[test]
fn a_score_that_would_lose_digits_is_refused() {
    assert_eq!(PackedScore::new(PackedScore::MOST_POINTS + 1, 0), None);
    assert_eq!(PackedScore::new(1, PackedScore::LAST_MILLIS + 1), None);
    for score in [-1.0, 0.5, 9_007_199_254_740_992.0, f64::INFINITY, f64::NAN] {
        assert_eq!(PackedScore::from_score(score), None, "{score}");
    }
}
