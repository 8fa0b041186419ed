use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::Language;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Out of 7: two criteria and a bonus.
fn rubric() -> Rubric {
    Rubric::from_value(&json!({ "total": 7, "step": "0.25", "questions": [
        { "id": "q", "title": "t", "points": 7, "criteria": [
            { "id": "a", "label": "l", "points": 5 },
            { "id": "b", "label": "l", "points": 2, "step": "0.5" },
            { "id": "bonus", "label": "l", "points": 1, "bonus": true }] }] }))
    .unwrap()
}

fn proposal(points: [Option<&str>; 3]) -> Proposal {
    let mut proposal = Proposal::not_graded(&rubric());
    for (award, points) in proposal.awards.iter_mut().zip(points) {
        award.points = points.map(decimal);
    }
    proposal
}

fn mark(points: [Option<&str>; 3]) -> Mark {
    proposal(points).mark(&rubric(), Rounding::None)
}

#[test]
fn a_mark_is_scaled_to_twenty_and_rounded_once_halves_up() {
    let cases = [
        ("7", "20", ["7", "7", "7", "7"]),
        ("1", "3", ["6.67", "6.75", "6.5", "7"]),
        ("10.125", "20", ["10.13", "10.25", "10", "10"]),
        ("10.25", "20", ["10.25", "10.25", "10.5", "10"]),
        ("4.75", "10", ["9.5", "9.5", "9.5", "10"]),
        ("0", "13", ["0", "0", "0", "0"]),
        ("2", "7", ["5.71", "5.75", "5.5", "6"]),
    ];
    for (points, out_of, expected) in cases {
        let roundings = [Rounding::None, Rounding::Quarter, Rounding::Half, Rounding::One];
        let found = roundings.map(|rounding| rounding.on_20(decimal(points), decimal(out_of)).to_string());
        assert_eq!(found, expected, "{points}/{out_of}");
    }
}

#[test]
fn a_copy_with_one_criterion_not_graded_is_not_graded_rather_than_short_of_points() {
    assert_eq!(mark([Some("5"), None, Some("0")]), Mark::NotGraded);
    assert_eq!(mark([None, None, None]), Mark::NotGraded);
}

#[test]
fn zero_is_a_mark_and_none_of_the_other_states_is() {
    let zero = mark([Some("0"), Some("0"), Some("0")]);
    assert_eq!(zero.total().unwrap().on_20(), Decimal::ZERO);
    for other in [Mark::NotGraded, Mark::Absent, Mark::Exempt] {
        assert_ne!(zero, other);
        assert_eq!(other.total(), None);
    }
}

#[test]
fn the_exact_points_are_kept_beside_the_rounded_mark() {
    let total = mark([Some("4.25"), Some("1.5"), Some("0")]).total().unwrap();
    assert_eq!(
        (total.points(), total.out_of(), total.on_20()),
        (decimal("5.75"), decimal("7"), decimal("16.43"))
    );
}

#[test]
fn a_bonus_makes_up_for_lost_points_but_never_lifts_the_total() {
    assert_eq!(
        mark([Some("4"), Some("2"), Some("1")]).total().unwrap().points(),
        decimal("7")
    );
    assert_eq!(
        mark([Some("5"), Some("2"), Some("1")]).total().unwrap().points(),
        decimal("7")
    );
}

#[test]
fn points_are_brought_to_the_nearest_step_within_range() {
    let rubric = rubric();
    let half_steps = rubric.criterion("b").unwrap();
    for (asked, fit) in [
        ("1.5", Fit::Exact(decimal("1.5"))),
        ("2.0", Fit::Exact(decimal("2"))),
        ("1.25", Fit::Clamped(decimal("1.5"))),
        ("1.2", Fit::Clamped(decimal("1"))),
        ("-3", Fit::Clamped(decimal("0"))),
        ("20", Fit::Clamped(decimal("2"))),
    ] {
        assert_eq!(Fit::new(decimal(asked), half_steps), fit, "{asked}");
    }
}

#[test]
fn marks_are_stored_with_their_state_and_decimal_strings() {
    insta::assert_json_snapshot!([
        Mark::NotGraded,
        Mark::Absent,
        Mark::Exempt,
        mark([Some("0"), Some("0"), Some("0")]),
        mark([Some("4.25"), Some("1.5"), Some("0")]),
    ]);
}

#[test]
fn every_flag_has_one_stable_code_and_a_label_in_both_languages() {
    let lines: Vec<String> = Flag::ALL
        .iter()
        .map(|flag| {
            assert_eq!(serde_json::to_value(flag).unwrap(), json!(flag.code()));
            format!(
                "{} | {} | {}",
                flag.code(),
                flag.label(Language::Fr),
                flag.label(Language::En)
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

proptest! {
    #[test]
    fn rounding_moves_a_mark_by_at_most_half_a_step_and_stays_in_range(
        quarters in 0u32..=400, out_of in 1u32..=400,
    ) {
        prop_assume!(quarters <= out_of);
        let (points, out_of) = (Decimal::from(quarters) / decimal("4"), Decimal::from(out_of) / decimal("4"));
        let exact = points * TWENTY / out_of;
        for (rounding, step) in
            [(Rounding::None, "0.01"), (Rounding::Quarter, "0.25"), (Rounding::Half, "0.5"), (Rounding::One, "1")]
        {
            let rounded = rounding.on_20(points, out_of);
            prop_assert!((rounded - exact).abs() <= decimal(step) / decimal("2") + decimal("0.0000001"));
            prop_assert!((rounded % decimal(step)).is_zero());
            prop_assert!(rounded >= Decimal::ZERO && rounded <= TWENTY);
        }
    }

    #[test]
    fn fitted_points_are_always_allowed_and_fitting_twice_changes_nothing(thousandths in -9000i64..9000) {
        let rubric = rubric();
        for criterion in rubric.criteria() {
            let fitted = Fit::new(Decimal::new(thousandths, 3), criterion).points();
            prop_assert!(fitted >= Decimal::ZERO && fitted <= criterion.points());
            prop_assert!((fitted % criterion.step()).is_zero());
            prop_assert_eq!(Fit::new(fitted, criterion), Fit::Exact(fitted));
        }
    }
}
