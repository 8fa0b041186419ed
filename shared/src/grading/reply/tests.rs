use serde_json::{Value, json};

use super::*;

fn rubric() -> Rubric {
    Rubric::from_value(&json!({ "total": 5, "step": "0.5", "questions": [
        { "id": "q", "title": "t", "points": 5, "criteria": [
            { "id": "a", "label": "l", "points": 3 }, { "id": "b", "label": "l", "points": 2 }] }] }))
    .unwrap()
}

fn award(criterion: &str, points: Value) -> Value {
    json!({ "criterion": criterion, "evidence": "Sarajevo", "feedback": "Juste.", "points": points })
}

fn reply(awards: &[Value]) -> String {
    json!({ "awards": awards, "comment": "Bien.", "instructions_found": [] }).to_string()
}

fn points(graded: &Graded) -> Vec<Option<String>> {
    graded
        .proposal
        .awards
        .iter()
        .map(|award| award.points.map(|points| points.to_string()))
        .collect()
}

#[test]
fn awards_are_put_in_the_order_of_the_bareme() {
    let graded = grading(&reply(&[award("b", json!(2)), award("a", json!(1.5))]), &rubric()).unwrap();
    assert_eq!(points(&graded), [Some("1.5".to_owned()), Some("2".to_owned())]);
    assert!(graded.findings.is_empty());
}

#[test]
fn points_out_of_range_or_between_steps_are_clamped_and_flagged() {
    let graded = grading(
        &reply(&[award("a", json!(20)), award("b", json!(1.3))]),
        &rubric(),
    )
    .unwrap();
    assert_eq!(points(&graded), [Some("3".to_owned()), Some("1.5".to_owned())]);
    let clamped = |id| Finding::on_criterion(Flag::ClampedPoints, id);
    assert_eq!(graded.findings, [clamped("a"), clamped("b")]);
}

#[test]
fn a_criterion_that_could_not_be_judged_is_not_graded_rather_than_zero() {
    let graded = grading(
        &reply(&[award("a", Value::Null), award("b", json!(0))]),
        &rubric(),
    )
    .unwrap();
    assert_eq!(points(&graded), [None, Some("0".to_owned())]);
    assert_eq!(graded.findings, [Finding::on_criterion(Flag::NotGraded, "a")]);
}

#[test]
fn answers_that_do_not_fit_the_bareme_are_errors_that_do_not_repeat_the_copy() {
    let whole = || [award("a", json!(1)), award("b", json!(1))];
    let with = |name: &str, value: Value| {
        let mut reply = json!({ "awards": whole(), "comment": "", "instructions_found": [] });
        reply[name] = value;
        reply.to_string()
    };
    let cases = [
        ("empty", String::new()),
        ("prose", "Voici les notes de Léa.".to_owned()),
        ("fenced", format!("```json\n{}\n```", reply(&whole()))),
        ("two answers", reply(&whole()) + &reply(&whole())),
        ("truncated", reply(&whole())[..60].to_owned()),
        (
            "unknown criterion",
            reply(&[award("a", json!(1)), award("Léa", json!(1))]),
        ),
        (
            "graded twice",
            reply(&[award("a", json!(1)), award("a", json!(2)), award("b", json!(1))]),
        ),
        ("missing criterion", reply(&[award("a", json!(1))])),
        ("no award", reply(&[])),
        ("unknown field", with("total", json!(20))),
        ("comment as a list", with("comment", json!(["Léa"]))),
        (
            "points as words",
            reply(&[award("a", json!("trois")), award("b", json!(1))]),
        ),
        (
            "points past all digits",
            reply(&[award("a", json!(1e300)), award("b", json!(1))]),
        ),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(case, json)| format!("{case}: {}", grading(json, &rubric()).expect_err(case)))
        .collect();
    assert!(!said.join("").contains("Léa"));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_models_texts_are_one_bounded_line_each() {
    let long = format!("a\n\u{7}{}", "é".repeat(5_000));
    let awards = [
        json!({ "criterion": "a", "evidence": long, "feedback": long, "points": 1 }),
        award("b", json!(1)),
    ];
    let json = json!({ "awards": awards, "comment": long, "instructions_found": vec![long; 50] });
    let graded = grading(&json.to_string(), &rubric()).unwrap();
    let award = &graded.proposal.awards[0];
    for text in [
        &award.quote,
        &award.feedback,
        &graded.proposal.comment,
        &graded.instructions_found[0],
    ] {
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX + 1);
        assert!(text.starts_with("a é") && text.ends_with('…'));
    }
    assert_eq!(graded.instructions_found.len(), INSTRUCTIONS_MAX);
}

#[test]
fn a_reply_is_written_as_it_is_read() {
    let json = reply(&[award("a", json!(1.5)), award("b", Value::Null)]);
    let reply: GradingReply = serde_json::from_str(&json).unwrap();
    assert_eq!(
        serde_json::to_string(&reply).unwrap(),
        r#"{"awards":[{"criterion":"a","evidence":"Sarajevo","feedback":"Juste.","points":1.5},{"criterion":"b","evidence":"Sarajevo","feedback":"Juste.","points":null}],"comment":"Bien.","instructions_found":[]}"#
    );
}

fn page(number: u32) -> Value {
    json!({ "name_visible": false, "page": number, "text": "Question 1", "trust": "low" })
}

#[test]
fn a_transcription_holds_each_page_that_was_sent_once() {
    let read = |pages: Vec<Value>| transcription(&json!({ "pages": pages }).to_string(), &[3, 5]);
    let pages = read(vec![page(5), page(3)]).unwrap();
    assert_eq!(pages.iter().map(|page| page.page).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(pages[0].trust, Trust::Low);
    for wrong in [
        vec![page(3)],
        vec![page(3), page(3)],
        vec![page(3), page(4)],
        vec![page(3), page(5), page(6)],
    ] {
        assert_eq!(read(wrong), Err(ReplyError::WrongPages));
    }
}
