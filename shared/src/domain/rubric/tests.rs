use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::Language;

fn criterion(id: &str, points: &str) -> Value {
    json!({ "id": id, "label": "La date", "points": points })
}

fn valid() -> Value {
    json!({
        "total": 20, "step": "0.5", "guidance": "Accepter « 14-18 ».",
        "questions": [
            { "id": "q1", "title": "Dates", "statement": "Donnez deux dates.\nExpliquez.", "points": "8.00",
              "criteria": [criterion("q1a", "3.5"), criterion("q1b", "4.5"),
                { "id": "q1c", "label": "Soin", "points": 1, "bonus": true }] },
            { "id": "q2", "title": "Causes", "points": 12, "criteria": [
                { "id": "q2a", "label": "Alliances", "points": 11.75, "step": 0.25,
                  "expected": "Triple Entente", "keywords": ["entente", "alliance"] },
                { "id": "q2b", "label": "Orthographe", "points": "0.25", "step": "0.25" }] },
        ]
    })
}

/// The barème with the value at a JSON pointer replaced (or, with `null`, taken away).
fn with(pointer: &str, value: Value) -> Value {
    let mut rubric = valid();
    *rubric.pointer_mut(pointer).expect("the pointer exists") = value;
    rubric
}

#[test]
fn a_bareme_is_written_with_decimal_strings_in_their_shortest_form() {
    let rubric = Rubric::from_value(&valid()).unwrap();
    insta::assert_json_snapshot!(rubric);
}

#[test]
fn a_written_bareme_reads_back_the_same() {
    let rubric = Rubric::from_value(&valid()).unwrap();
    let json = serde_json::to_vec(&rubric).unwrap();
    assert_eq!(Rubric::parse(&json).unwrap(), rubric);
    assert_eq!(serde_json::from_slice::<Rubric>(&json).unwrap(), rubric);
}

#[test]
fn a_tenth_read_from_a_json_number_is_exact() {
    let rubric = json!({ "total": 0.3, "step": 0.1, "questions": [
        { "id": "q", "title": "t", "points": 0.3, "criteria": [criterion("a", "0.1"), criterion("b", "0.2")] }] });
    assert!(Rubric::from_value(&rubric).is_ok());
}

#[test]
fn bonus_points_are_left_out_of_the_sums() {
    let rubric = Rubric::from_value(&valid()).unwrap();
    assert_eq!(rubric.total(), Decimal::from(20));
    assert!(rubric.criterion("q1c").unwrap().bonus());
    assert_eq!(rubric.criteria().count(), 5);
}

#[test]
fn every_mistake_is_named_with_its_place_in_both_languages() {
    let many = |count: usize| Value::Array((0..count).map(|n| json!(format!("mot {n}"))).collect());
    let cases = [
        ("not an object", json!([])),
        (
            "unknown field",
            with("/questions/0", json!({ "id": "q1", "titre": "x" })),
        ),
        ("missing total", with("/total", Value::Null)),
        ("no question", with("/questions", json!([]))),
        ("questions as text", with("/questions", json!("aucune"))),
        ("title as number", with("/questions/0/title", json!(3))),
        ("blank label", with("/questions/1/criteria/0/label", json!(" \n"))),
        (
            "long label",
            with("/questions/1/criteria/0/label", json!("é".repeat(301))),
        ),
        (
            "line break in a label",
            with("/questions/1/criteria/0/label", json!("a\nb")),
        ),
        ("escape in a text", with("/guidance", json!("a\u{1b}[31mb"))),
        ("reversed text", with("/guidance", json!("a\u{202e}b"))),
        ("bad id", with("/questions/0/criteria/1/id", json!("</bareme>"))),
        (
            "criterion id used twice",
            with("/questions/1/criteria/0/id", json!("q1a")),
        ),
        ("question id used twice", with("/questions/1/id", json!("q1"))),
        ("points as words", with("/questions/0/points", json!("huit"))),
        ("points with a comma", with("/questions/0/points", json!("8,0"))),
        (
            "points with an exponent",
            with("/questions/0/points", json!("8e0")),
        ),
        (
            "points past all digits",
            with("/questions/0/points", json!("0.".to_owned() + &"1".repeat(40))),
        ),
        ("zero points", with("/questions/0/criteria/0/points", json!(0))),
        (
            "negative points",
            with("/questions/0/criteria/0/points", json!("-3.5")),
        ),
        ("too many points", with("/total", json!(100.5))),
        ("unknown step", with("/step", json!("0.3"))),
        (
            "not a multiple of the step",
            with("/questions/1/criteria/0/step", json!(0.5)),
        ),
        (
            "criteria that do not add up",
            with("/questions/0/criteria/1/points", json!(4)),
        ),
        ("questions that do not add up", with("/total", json!("19.5"))),
        (
            "too many keywords",
            with("/questions/1/criteria/0/keywords", many(KEYWORDS_MAX + 1)),
        ),
        (
            "keyword that is no text",
            with("/questions/1/criteria/0/keywords", json!(["a", 2])),
        ),
        (
            "bonus as text",
            with("/questions/0/criteria/2/bonus", json!("oui")),
        ),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(case, rubric)| {
            let error = Rubric::from_value(rubric).expect_err(case);
            format!(
                "{case}\n  {}\n  {}",
                error.sentence(Language::Fr),
                error.sentence(Language::En)
            )
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn bytes_that_are_no_json_or_too_many_are_refused() {
    assert_eq!(
        Rubric::parse(b"{\n x").unwrap_err(),
        RubricError::NotJson { line: 2, column: 2 }
    );
    let big = vec![b' '; RUBRIC_BYTES_MAX + 1];
    assert!(matches!(Rubric::parse(&big), Err(RubricError::TooLarge { .. })));
    let deep = "[".repeat(RUBRIC_BYTES_MAX);
    assert!(matches!(
        Rubric::parse(deep.as_bytes()),
        Err(RubricError::NotJson { .. })
    ));
}

#[test]
fn a_bareme_of_too_many_questions_or_criteria_is_refused() {
    let question = |q: usize, criteria: usize| {
        let criteria: Vec<_> = (0..criteria)
            .map(|c| criterion(&format!("q{q}.{c}"), "0.5"))
            .collect();
        json!({ "id": format!("q{q}"), "title": "t", "points": 1, "criteria": criteria })
    };
    let questions = |count: usize, criteria: usize| {
        let questions: Vec<_> = (0..count).map(|q| question(q, criteria)).collect();
        json!({ "total": 20, "step": 0.5, "questions": questions })
    };
    for (count, criteria) in [(QUESTIONS_MAX + 1, 1), (11, 10), (1, CRITERIA_MAX + 1)] {
        let error = Rubric::from_value(&questions(count, criteria)).unwrap_err();
        assert!(matches!(error, RubricError::TooMany { .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bareme_that_adds_up_is_accepted_and_any_other_total_is_not(
        quarters in prop::collection::vec(prop::collection::vec(1u32..20, 1..5), 1..6),
        off in 1u32..40,
    ) {
        let points = |quarters: u32| (Decimal::from(quarters) / Decimal::from(4)).to_string();
        let questions: Vec<_> = quarters.iter().enumerate().map(|(q, criteria)| {
            let list: Vec<_> = criteria.iter().enumerate()
                .map(|(c, worth)| criterion(&format!("{q}.{c}"), &points(*worth))).collect();
            json!({ "id": format!("{q}"), "title": "t", "points": points(criteria.iter().sum()), "criteria": list })
        }).collect();
        let sum: u32 = quarters.iter().flatten().sum();
        prop_assume!(sum + off <= 400);
        let rubric = |total: u32| json!({ "total": points(total), "step": 0.25, "questions": questions });

        let read = Rubric::from_value(&rubric(sum)).unwrap();
        prop_assert_eq!(read.criteria().map(Criterion::points).sum::<Decimal>(), read.total());
        let refused = matches!(Rubric::from_value(&rubric(sum + off)), Err(RubricError::QuestionsSum { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Rubric::parse(&bytes);
    }
}
