use super::*;
use crate::domain::time::UnixMillis;

const AT: UnixMillis = UnixMillis::new(1_798_758_000_000);
const ORIGIN: &str = "https://app.example";

fn written(letter: &Letter, language: Language) -> Written {
    let catalogue = Catalogue::default();
    letter.written(
        language,
        &Setting {
            catalogue: &catalogue,
            web_origin: ORIGIN,
        },
    )
}

fn failed(action_required: bool, kept_until: Option<UnixMillis>, page: Option<&str>) -> Letter {
    Letter::PaymentFailed {
        subscription: "sub_1".to_owned(),
        term_start: AT,
        tier: Tier::Pro,
        action_required,
        kept_until,
        page: page.map(str::to_owned),
    }
}

fn changed(from: Tier, to: Tier) -> Letter {
    Letter::PlanChanged {
        subscription: "sub_1".to_owned(),
        term_start: AT,
        from,
        to,
    }
}

fn ending(next: Tier) -> Letter {
    Letter::PeriodEnding {
        subscription: "sub_1".to_owned(),
        tier: Tier::Pro,
        next,
        at: AT,
    }
}

fn all() -> Vec<(&'static str, Letter)> {
    vec![
        (
            "payment-failed",
            failed(false, Some(AT), Some("https://pay.example/in_1")),
        ),
        ("payment-to-confirm", failed(true, Some(AT), None)),
        ("plan-raised", changed(Tier::Free, Tier::Pro)),
        ("plan-lowered", changed(Tier::Pro, Tier::Essentiel)),
        ("plan-ended", changed(Tier::Pro, Tier::Free)),
        ("period-ending", ending(Tier::Free)),
        ("period-changing", ending(Tier::Essentiel)),
    ]
}

#[test]
fn every_letter_reads_as_intended_in_both_languages() {
    let mut read = String::new();
    for (name, letter) in all() {
        for language in [Language::Fr, Language::En] {
            let written = written(&letter, language);
            read += &format!(
                "==== {name} {language:?}: {}\n{}\n",
                written.subject, written.text
            );
        }
    }
    insta::assert_snapshot!(read);
}

#[test]
fn the_html_part_reads_as_intended() {
    let (_, letter) = all().swap_remove(0);
    insta::assert_snapshot!(written(&letter, Language::Fr).html);
}

#[test]
fn both_parts_say_every_paragraph_and_the_link_and_leave_no_gap() {
    for (name, letter) in all() {
        for language in [Language::Fr, Language::En] {
            let written = written(&letter, language);
            assert!(
                !written.subject.is_empty() && !written.subject.contains('\n'),
                "{name}"
            );
            let template = letter.template(language);
            assert_eq!(template.matches(ACTION).count(), 1, "{name}: one thing to do");
            let paragraphs = template.split("\n\n").count() - 1;
            assert_eq!(
                written.html.matches("<p>").count(),
                paragraphs,
                "{name}: each is filled"
            );
            for part in [&written.subject, &written.text, &written.html] {
                assert!(!part.contains('}') && !part.contains(ACTION), "{name}: {part}");
            }
            for block in written.text.split("\n\n").take(paragraphs - 1) {
                assert!(written.html.contains(&escaped(block)), "{name}: {block}");
            }
            assert!(
                written.text.contains("http") && written.html.contains("href=\"http"),
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let sentence = "reste ouverte";
    assert!(
        written(&failed(true, Some(AT), None), Language::Fr)
            .text
            .contains(sentence)
    );
    assert!(
        !written(&failed(true, None, None), Language::Fr)
            .text
            .contains(sentence)
    );
}

#[test]
fn the_link_is_stripes_page_where_there_is_something_to_pay() {
    let link = |letter: &Letter| {
        let text = written(letter, Language::En).text;
        let line = text.lines().find(|line| line.starts_with("http")).unwrap();
        line.to_owned()
    };
    assert_eq!(
        link(&failed(false, None, Some("https://pay.example/in_1"))),
        "https://pay.example/in_1"
    );
    assert_eq!(link(&failed(false, None, None)), ORIGIN);
    assert_eq!(link(&failed(false, None, Some("javascript:alert(1)"))), ORIGIN);
    assert_eq!(link(&changed(Tier::Pro, Tier::Max)), ORIGIN);
}

#[test]
fn what_is_filled_in_cannot_become_html() {
    let hostile = "https://pay.example/?a=1&b=\"><script>alert(1)</script>{subject}{body}";
    let written = written(&failed(false, Some(AT), Some(hostile)), Language::Fr);
    assert!(!written.html.contains("<script>"));
    assert!(written.html.contains("a=1&amp;b=&quot;&gt;&lt;script&gt;"));
    assert!(
        written.html.contains("{subject}{body}"),
        "words are not looked into"
    );
    assert!(written.text.contains(hostile), "the text part is as it is");
}
