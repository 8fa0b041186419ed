//! Where each question is answered: the markers that pupils write at the start of a line.

use crate::domain::rubric::{QUESTIONS_MAX, Rubric};
use crate::grading::fold::Folded;
use crate::grading::page::PageText;

/// The answer to one question: from its marker to the next question's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionSpan {
    /// The question's id in the barème.
    pub question: String,
    /// The page of its marker, counted from 1.
    pub page_first: u32,
    /// The page where it ends.
    pub page_last: u32,
    /// The pupil's lines, marker included.
    pub text: String,
}

/// A way of numbering. When a copy uses several (`Exercice 2`, then `1)` inside it), the one that covers most of
/// the barème's questions tells them apart; of two that cover as many, the first here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbering {
    Question,
    Exercise,
    Part,
    Bare,
}

const NUMBERINGS: [Numbering; 4] = [
    Numbering::Question,
    Numbering::Exercise,
    Numbering::Part,
    Numbering::Bare,
];

/// The questions found, in the order of the copy.
pub(super) fn find(pages: &[PageText], rubric: &Rubric) -> Vec<QuestionSpan> {
    let lines: Vec<(u32, &str)> = pages
        .iter()
        .flat_map(|page| page.text.lines().map(|line| (page.number, line)))
        .collect();
    let markers: Vec<(usize, Numbering, usize)> = lines
        .iter()
        .enumerate()
        .filter_map(|(at, (_, line))| marker(line).map(|(numbering, number)| (at, numbering, number)))
        .collect();

    let numbers = question_numbers(rubric);
    let starts_by = |numbering: Numbering| -> Vec<(usize, usize)> {
        let first_marker = |number: &usize| markers.iter().find(|(_, by, n)| *by == numbering && n == number);
        let mut starts: Vec<(usize, usize)> = numbers
            .iter()
            .enumerate()
            .filter_map(|(question, number)| first_marker(number).map(|(at, ..)| (*at, question)))
            .collect();
        starts.sort_unstable();
        starts
    };
    // `max_by_key` keeps the last of equals, so the order is turned round.
    let starts = NUMBERINGS
        .into_iter()
        .rev()
        .map(starts_by)
        .max_by_key(Vec::len)
        .unwrap_or_default();

    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([lines.len()]);
    let spans = starts.iter().zip(ends).filter_map(|((start, question), end)| {
        let answer = &lines[*start..end];
        let text: Vec<&str> = answer.iter().map(|(_, line)| *line).collect();
        Some(QuestionSpan {
            question: rubric.questions().get(*question)?.id().to_owned(),
            page_first: answer.first()?.0,
            page_last: answer.last()?.0,
            text: text.join("\n"),
        })
    });
    spans.collect()
}

/// The number that pupils write for each question: the one in its id when all ids have one of their own (`Q3`,
/// `ex5`), else its place.
fn question_numbers(rubric: &Rubric) -> Vec<usize> {
    let digits = |id: &str| {
        let digits: String = id.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    };
    let by_id: Option<Vec<usize>> = rubric
        .questions()
        .iter()
        .map(|question| digits(question.id()))
        .collect();
    let distinct = |numbers: &Vec<usize>| {
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.windows(2).all(|pair| pair[0] != pair[1])
    };
    by_id
        .filter(distinct)
        .unwrap_or_else(|| (1..=rubric.questions().len()).collect())
}

/// `Question 1`, `Q.2`, `Exercice n° 3`, `4)`, `5. `; never `12/03`, `1.5` or `14-18`.
fn marker(line: &str) -> Option<(Numbering, usize)> {
    const LOOK_AT_CHARS: usize = 40;
    let start: String = line.trim_start().chars().take(LOOK_AT_CHARS).collect();
    let folded = Folded::new(&start).text();
    let text = folded.trim_start_matches(|c: char| !c.is_alphanumeric());
    let word_end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(word_end);
    let numbering = match word {
        "question" | "q" => Numbering::Question,
        "exercice" | "exo" | "ex" | "exercise" => Numbering::Exercise,
        "partie" | "part" | "probleme" => Numbering::Part,
        "" => Numbering::Bare,
        _ => return None,
    };
    let rest = match numbering {
        Numbering::Bare => rest,
        _ => rest.trim_start_matches(|c: char| {
            c.is_whitespace() || matches!(c, 'n' | 'o' | '°' | '.' | '-' | '#')
        }),
    };
    let digits_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number: usize = rest[..digits_end]
        .parse()
        .ok()
        .filter(|number| (1..=QUESTIONS_MAX).contains(number))?;
    let mut after = rest[digits_end..].chars();
    let is_marker = numbering != Numbering::Bare
        || (matches!(after.next(), Some(')' | '.' | '-' | '/' | '°' | ':'))
            && !after.next().is_some_and(|c| c.is_ascii_digit()));
    is_marker.then_some((numbering, number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::grading::page::PageKind;

    fn rubric(ids: &[&str]) -> Rubric {
        let questions: Vec<_> = ids
            .iter()
            .map(|id| {
                json!({ "id": id, "title": "t", "points": 1,
                        "criteria": [{ "id": format!("{id}.a"), "label": "l", "points": 1 }] })
            })
            .collect();
        Rubric::from_value(&json!({ "total": ids.len(), "step": 1, "questions": questions })).unwrap()
    }

    fn pages(texts: &[&str]) -> Vec<PageText> {
        let page = |(text, number): (&&str, u32)| PageText {
            number,
            kind: PageKind::Typed,
            text: (*text).to_owned(),
        };
        texts.iter().zip(1..).map(page).collect()
    }

    fn check(texts: &[&str], ids: &[&str], found: &[(&str, u32, u32, &str)]) {
        let spans = find(&pages(texts), &rubric(ids));
        let spans: Vec<_> = spans
            .iter()
            .map(|span| {
                (
                    span.question.as_str(),
                    span.page_first,
                    span.page_last,
                    span.text.as_str(),
                )
            })
            .collect();
        assert_eq!(spans, found);
    }

    #[test]
    fn lines_that_start_a_question_are_told_from_lines_that_do_not() {
        use Numbering::{Bare, Exercise, Part, Question};
        for (line, expected) in [
            ("Question 1", Some((Question, 1))),
            ("  QUESTION n°2 : les causes", Some((Question, 2))),
            ("Q3.", Some((Question, 3))),
            ("q.4) oui", Some((Question, 4))),
            ("Q1a)", Some((Question, 1))),
            ("Exercice 2 —", Some((Exercise, 2))),
            ("Ex 5", Some((Exercise, 5))),
            ("Partie 1", Some((Part, 1))),
            ("1) La guerre", Some((Bare, 1))),
            ("**2.** La paix", Some((Bare, 2))),
            ("3- Oui", Some((Bare, 3))),
            ("12/03/2026", None),
            ("1.5 mol", None),
            ("14-18 fut une guerre", None),
            ("1914 : la guerre", None),
            ("41) trop", None),
            ("La question 1 porte", None),
            ("Questionnaire 1", None),
            ("quand 1)", None),
            ("", None),
        ] {
            assert_eq!(marker(line), expected, "{line:?}");
        }
    }

    #[test]
    fn an_answer_runs_from_its_marker_to_the_next_over_pages() {
        check(
            &["Nom : X\nQuestion 1\nOui", "suite\nQuestion 2\nNon"],
            &["q1", "q2"],
            &[
                ("q1", 1, 2, "Question 1\nOui\nsuite"),
                ("q2", 2, 2, "Question 2\nNon"),
            ],
        );
    }

    #[test]
    fn answers_in_another_order_or_missing_are_found_as_they_are() {
        check(
            &["Q3\nc\nQ1\na"],
            &["q1", "q2", "q3"],
            &[("q3", 1, 1, "Q3\nc"), ("q1", 1, 1, "Q1\na")],
        );
        check(&["un texte sans repère"], &["q1"], &[]);
    }

    #[test]
    fn the_numbering_that_covers_the_bareme_wins_over_the_one_inside_it() {
        let copy = "Exercice 1\n1) a\n2) b\nExercice 2\n1) c";
        check(
            &[copy],
            &["A", "B"],
            &[
                ("A", 1, 1, "Exercice 1\n1) a\n2) b"),
                ("B", 1, 1, "Exercice 2\n1) c"),
            ],
        );
        check(
            &["Exercice 1\n1) a\n2) b\n3) c"],
            &["A", "B", "C"],
            &[("A", 1, 1, "1) a"), ("B", 1, 1, "2) b"), ("C", 1, 1, "3) c")],
        );
    }

    #[test]
    fn ids_that_bear_a_number_are_found_by_it() {
        check(
            &["Exercice 4\nx\nExercice 7\ny"],
            &["ex4", "ex7"],
            &[("ex4", 1, 1, "Exercice 4\nx"), ("ex7", 1, 1, "Exercice 7\ny")],
        );
    }

    proptest! {
        #[test]
        fn each_question_is_found_at_most_once_and_in_the_copys_words(
            texts in prop::collection::vec("(Question [1-4]|[1-4]\\)|Ex\\.[1-4]|\n|\\PC){0,20}", 0..4),
        ) {
            let pages = pages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let spans = find(&pages, &rubric(&["q1", "q2", "q3"]));
            let whole: Vec<&str> = pages.iter().flat_map(|page| page.text.lines()).collect();
            let whole = whole.join("\n");
            let mut seen = std::collections::HashSet::new();
            for span in spans {
                prop_assert!(whole.contains(&span.text));
                prop_assert!(span.page_first <= span.page_last);
                prop_assert!(seen.insert(span.question));
            }
        }
    }
}
