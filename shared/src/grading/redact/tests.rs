use proptest::prelude::*;

use super::*;
use crate::grading::fold::words_of;

const CLASS: [&str; 6] = [
    "Dupont Léa",
    "Jean-Pierre N’Diaye",
    "Petit Zoé",
    "Maëlle de La Fontaine",
    "An Le",
    "MARTIN Élise",
];

fn redaction() -> Redaction {
    Redaction::new(
        CopyCode::parse("C-7F3A").unwrap(),
        CLASS,
        "dupont-lea_histoire.pdf",
    )
}

fn check(text: &str, masked: &str) {
    let mut redaction = redaction();
    let found = redaction.mask(text);
    assert_eq!(found, masked);
    assert_eq!(redaction.unmask(&found), text);
}

#[test]
fn names_are_masked_whatever_their_case_accents_and_order() {
    check(
        "Léa DUPONT, lea et Dupont.",
        "[C-7F3A-1], [C-7F3A-2] et [C-7F3A-3].",
    );
    check("ELISE Martin / martin elise", "[C-7F3A-1] / [C-7F3A-2]");
    check("Le\u{301}a", "[C-7F3A-1]");
}

#[test]
fn one_name_written_the_same_way_has_one_mask() {
    check(
        "Zoé a dit à Zoé : ZOÉ !",
        "[C-7F3A-1] a dit à [C-7F3A-1] : [C-7F3A-2] !",
    );
}

#[test]
fn hyphenated_names_are_masked_in_part_as_a_whole_and_as_one_word() {
    check("Jean-Pierre", "[C-7F3A-1]");
    check("jean pierre n'diaye", "[C-7F3A-1]");
    check(
        "jean et Pierre, n'diaye",
        "[C-7F3A-1] et [C-7F3A-2], n'[C-7F3A-3]",
    );
    check("Jeanpierre, Pierre-Louis", "[C-7F3A-1], [C-7F3A-2]-Louis");
}

#[test]
fn a_name_inside_another_word_is_left_alone() {
    check("Dupontel lisait ; martinet", "Dupontel lisait ; martinet");
    check("lea_dupont2", "[C-7F3A-1]_[C-7F3A-2]2");
}

#[test]
fn everyday_words_are_masked_only_where_they_are_names() {
    check(
        "Zoé Petit ; petit zoé ; petit, zoé",
        "[C-7F3A-1] ; [C-7F3A-2] ; petit, [C-7F3A-3]",
    );
    check("le petit pont de la fontaine", "le petit pont de la fontaine");
    check("an le : Maëlle de La Fontaine", "[C-7F3A-1] : [C-7F3A-2]");
    check("Il y a un an, le roi", "Il y a un an, le roi");
}

#[test]
fn a_name_cut_by_an_invisible_character_is_found() {
    check("Du\u{200b}po\u{ad}nt", "[C-7F3A-1]");
}

#[test]
fn header_lines_are_masked_even_for_a_pupil_out_of_the_list() {
    check(
        "Nom : Kowalski   Prénom : Iga\nClasse : 3eB\nDate : 12 mars\n\nExercice 1\nNom DURAND\n",
        "Nom : [C-7F3A-1]\nClasse : [C-7F3A-2]\nDate : 12 mars\n\nExercice 1\nNom [C-7F3A-3]\n",
    );
    check("Histoire — Élève: Iga K.", "Histoire — Élève: [C-7F3A-1]");
    check("Nom :\nPrénom : ", "Nom :\nPrénom : ");
}

#[test]
fn prose_that_holds_a_headers_word_is_left_alone() {
    check("La classe ouvrière : elle naît", "La classe ouvrière : elle naît");
    let late = format!("{}Nom : la photosynthèse", "ligne\n".repeat(HEADER_LINES));
    check(&late, &late);
    check("nom commun ou nom propre", "nom commun ou nom propre");
}

#[test]
fn addresses_and_the_files_name_are_masked() {
    check("écris à lea.d+x@college-rimbaud.fr !", "écris à [C-7F3A-1] !");
    check("DUPONT-Léa_Histoire.docx p. 1", "[C-7F3A-1].docx p. 1");
    check("a @ b", "a @ b");
}

/// Without a class list, for an assignment on the Great War.
fn check_guess(file_name: &str, pages: &[(&str, &str)]) {
    let assignment = [
        "La Grande Guerre",
        "Histoire-Géographie",
        "Le traité de Versailles, Georges Clemenceau",
    ];
    let code = CopyCode::parse("C-7F3A").unwrap();
    let mut redaction = Redaction::new(code, [], file_name).guessing(assignment);
    for (text, masked) in pages {
        let found = redaction.mask(text);
        assert_eq!(found, *masked);
        assert_eq!(redaction.unmask(&found), *text);
    }
}

#[test]
fn a_name_without_a_label_at_the_top_of_a_page_is_masked_without_any_list() {
    check_guess(
        "scan12.pdf",
        &[
            (
                "Léa Dupont 3eB\nHistoire\nQuestion 1",
                "[C-7F3A-1] 3eB\nHistoire\nQuestion 1",
            ),
            (
                "DUPONT Léa p. 2\nLéa Dupont dit",
                "[C-7F3A-2] p. 2\n[C-7F3A-1] dit",
            ),
        ],
    );
    check_guess(
        "",
        &[(
            "Histoire-Géographie — Maëlle de La Fontaine, 6ème2",
            "Histoire-Géographie — [C-7F3A-1], 6ème2",
        )],
    );
    check_guess("", &[("3eB Iga", "3eB [C-7F3A-1]")]);
    check_guess(
        "kowalski_histoire.pdf",
        &[(
            "Voici la copie de Kowalski, Histoire\nOui",
            "Voici la copie de [C-7F3A-1], Histoire\nOui",
        )],
    );
}

#[test]
fn an_answer_is_not_taken_for_a_name_without_a_label() {
    for text in [
        "Georges Clemenceau\nLa Grande Guerre",
        "Question 1\nExercice 2",
        "1) Franz Ferdinand est mort",
        "Sarajevo, Paris",
        "La guerre de Franz Ferdinand",
        "un\ndeux\ntrois\nFranz Ferdinand",
    ] {
        check_guess("histoire-guerre.pdf", &[(text, text)]);
    }
    check_guess(
        "",
        &[
            ("Question 1", "Question 1"),
            ("Franz Ferdinand", "Franz Ferdinand"),
        ],
    );
}

#[test]
fn a_mask_written_by_the_pupil_is_not_put_back_as_a_name() {
    let mut redaction = redaction();
    let text = "[C-7F3A-1] dit Léa";
    let masked = redaction.mask(text);
    assert_eq!(masked, "[C-7F3A-1]1] dit [C-7F3A-2]");
    assert_eq!(redaction.unmask(&masked), text);
    assert_eq!(
        redaction.unmask("[C-7F3A-9] [C-7F3A-0] [C-7F3A-x] [C-7F3A-"),
        "[C-7F3A-9] [C-7F3A-0] [C-7F3A-x] [C-7F3A-"
    );
}

#[test]
fn masks_are_numbered_over_all_the_pages_of_a_copy() {
    let mut redaction = redaction();
    assert_eq!(redaction.mask("Léa"), "[C-7F3A-1]");
    assert_eq!(redaction.mask("Zoé et Léa"), "[C-7F3A-2] et [C-7F3A-1]");
    assert_eq!(redaction.unmask("[C-7F3A-1] aime [C-7F3A-2]"), "Léa aime Zoé");
}

/// Text as pupils may write it, with names, particles, masks and traps mixed in.
fn copy_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(
            &[
                "Léa",
                "DUPONT",
                "jean-pierre",
                "N’Diaye",
                "zoe",
                "Élise Martin",
                "le",
                "petit",
                "Petit"
            ][..]
        )
        .prop_map(str::to_owned),
        prop::sample::select(
            &[
                "[C-7F3A-",
                "[C-7F3A-1]",
                "@",
                "a@b.fr",
                "Nom : ",
                "Classe:",
                "\n",
                "-",
                "’",
                "\u{200b}"
            ][..]
        )
        .prop_map(str::to_owned),
        "\\PC{0,6}",
        "[a-zé]{1,5}",
    ];
    prop::collection::vec((piece, prop::sample::select(&["", " ", "\n", ", "][..])), 0..25)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, gap)| piece + gap).collect())
}

proptest! {
    #[test]
    fn unmasking_undoes_masking(text in copy_text(), other in copy_text()) {
        let mut redaction = redaction();
        let masked = redaction.mask(&text);
        let masked_other = redaction.mask(&other);
        prop_assert_eq!(redaction.unmask(&masked), text);
        prop_assert_eq!(redaction.unmask(&masked_other), other);
    }

    #[test]
    fn no_name_of_the_class_is_left(
        text in copy_text(),
        people in prop::collection::vec("[A-ZÉa-zéï]{2,9}(-[A-Za-zé]{2,6})? [A-Za-zé]{2,9}", 1..6),
    ) {
        let written: String = people.iter().map(|name| format!("{text} {} {name}.", name.to_uppercase())).collect();
        let mut redaction = Redaction::new(CopyCode::parse("C-1234").unwrap(), people.iter().map(String::as_str), "");
        let masked = redaction.mask(&written);
        let left: Vec<String> = words_of(&masked.replace("[C-1234-", "[0-"));
        for name in people.iter().flat_map(|person| words_of(person)) {
            prop_assert!(names::is_everyday_word(&name) || !left.contains(&name), "{name} is left in {masked:?}");
        }
    }
}
