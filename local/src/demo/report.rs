//! What came out: a table, the costs by phase, a CSV for the gradebook.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde::Deserialize as _;
use serde_json::Value;
use shared::domain::Language;
use shared::domain::csv::{self, Cell};
use shared::domain::mark::Flag;
use shared::grading::result::PhaseCost;

/// One class, marked.
#[derive(Debug)]
pub struct Outcome {
    pub(super) title: String,
    pub(super) rubric: Value,
    pub(super) run: Value,
    pub(super) copies: Vec<(Value, Option<Value>)>,
}

impl Outcome {
    fn questions(&self) -> Vec<&str> {
        let questions = self.rubric["questions"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        questions
            .iter()
            .filter_map(|question| question["id"].as_str())
            .collect()
    }

    /// A row a copy: pupil, points per question, total, flags, tokens.
    #[must_use]
    pub fn table(&self) -> String {
        let mut header = vec!["Élève".to_owned()];
        header.extend(self.questions().into_iter().map(str::to_owned));
        header.extend(["/20", "Jetons", "À voir"].map(str::to_owned));
        let rows = self.copies.iter().map(|(copy, result)| {
            let mut row = vec![shown(copy)];
            row.extend(points(result.as_ref(), self.questions().len()));
            row.push(decimal(&copy["result"]["total_on_20"]));
            row.push(copy["result"]["charged_tokens"].as_u64().unwrap_or(0).to_string());
            row.push(remark(copy));
            row
        });
        let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        format!("\n{}\n{}", self.title, grid(&rows))
    }
}

fn shown(copy: &Value) -> String {
    copy["pupil"]
        .as_str()
        .or_else(|| copy["name"].as_str())
        .unwrap_or("?")
        .to_owned()
}

/// Points per question; `–` where there are none.
fn points(result: Option<&Value>, count: usize) -> Vec<String> {
    let questions = result.and_then(|result| result["questions"].as_array());
    match questions {
        Some(questions) => questions
            .iter()
            .map(|question| decimal(&question["points"]))
            .collect(),
        None => vec!["–".to_owned(); count],
    }
}

/// A decimal as French writes it; a dash for none.
fn decimal(value: &Value) -> String {
    match value.as_str() {
        Some(text) if !text.is_empty() => text.replace('.', ","),
        _ => "–".to_owned(),
    }
}

/// What a human must look at; of a failure, what it is without what to do.
fn remark(copy: &Value) -> String {
    match copy["failure"]["detail"].as_str() {
        Some(detail) => format!("ÉCHEC : {}", detail.split(" : ").next().unwrap_or(detail).trim()),
        None => flags(copy),
    }
}

fn flags(copy: &Value) -> String {
    let found = copy["result"]["flags"].as_array().map(Vec::as_slice);
    let labels = found.unwrap_or_default().iter().filter_map(|code| {
        let flag = Flag::ALL.into_iter().find(|flag| code == flag.code())?;
        Some(flag.label(Language::Fr))
    });
    labels.collect::<Vec<_>>().join(", ")
}

/// Aligned columns; the first and the last to the left, numbers to the right.
fn grid(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|it| it.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let left = column == 0 || column + 1 == columns;
            let (before, after) = if left {
                ("", pad.as_str())
            } else {
                (pad.as_str(), "")
            };
            let _infallible = write!(text, "  {before}{cell}{after}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if number == 0 {
            let line = widths.iter().map(|width| width + 2).sum::<usize>();
            let _infallible = writeln!(text, "  {}", "─".repeat(line.saturating_sub(2)));
        }
    }
    text
}

/// What all of it cost, by phase and model: each field that a run shows, summed as it was printed.
///
/// # Errors
/// A line that cannot be read: without it, the sums would be wrong.
pub(super) fn costs(outcomes: &[Outcome]) -> anyhow::Result<String> {
    let mut sums: BTreeMap<(String, String), ([u64; 4], [Decimal; 5])> = BTreeMap::new();
    let lines = outcomes
        .iter()
        .filter_map(|outcome| outcome.run["cost"].as_array())
        .flatten();
    for line in lines {
        let PhaseCost {
            phase,
            model,
            usage,
            cost,
        } = PhaseCost::deserialize(line).with_context(|| format!("this cost cannot be read: {line}"))?;
        let (tokens, dollars) = sums.entry((phase, model)).or_default();
        for (sum, spent) in tokens.iter_mut().zip([
            usage.input_tokens,
            usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
            usage.cache_read_tokens,
            usage.output_tokens,
        ]) {
            *sum += spent;
        }
        for (sum, spent) in dollars.iter_mut().zip([
            cost.prompt_cost_usd,
            cost.completion_cost_usd,
            cost.cached_cost_usd,
            cost.total_cost_usd,
            cost.cached_savings_usd,
        ]) {
            *sum += spent
                .parse::<Decimal>()
                .with_context(|| format!("not an amount of dollars: {spent:?}"))?;
        }
    }
    let mut rows = vec![
        [
            "Phase",
            "entrée",
            "cache écrit",
            "cache lu",
            "sortie",
            "entrée $",
            "sortie $",
            "cache lu $",
            "total $",
            "économie $",
            "modèle",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for ((phase, model), (tokens, dollars)) in sums {
        let mut row = vec![phase];
        row.extend(tokens.map(|tokens| tokens.to_string()));
        row.extend(dollars.map(|dollars| format!("{dollars:.6}")));
        row.push(model);
        rows.push(row);
    }
    Ok(format!("\nCoût par phase (jetons, dollars)\n{}", grid(&rows)))
}

/// The account's counter.
pub(super) fn usage(usage: &Value) -> String {
    let tokens = |field: &str| usage[field].as_u64().unwrap_or_default();
    format!(
        "Compteur ({}) : {} jetons utilisés, {} réservés, {} restants sur {}",
        usage["tier"].as_str().unwrap_or("?"),
        tokens("tokens_used"),
        tokens("tokens_reserved"),
        tokens("remaining"),
        tokens("limit")
    )
}

/// One row a copy, in the form that French gradebooks read.
pub(super) fn csv(outcomes: &[Outcome]) -> String {
    let questions = outcomes
        .iter()
        .map(|outcome| outcome.questions().len())
        .max()
        .unwrap_or(0);
    let mut header: Vec<Cell> = ["Devoir", "Élève", "Fichier", "État", "Note /20"]
        .map(Cell::from)
        .to_vec();
    header.extend((1..=questions).map(|number| Cell::from(format!("Q{number}"))));
    header.extend(["À voir", "Jetons", "Échec", "Correcteur"].map(Cell::from));
    let mut rows = vec![header];
    for outcome in outcomes {
        for (copy, result) in &outcome.copies {
            let text = |value: &Value| Cell::from(value.as_str().unwrap_or_default().to_owned());
            let number = |value: &Value| match value.as_str().and_then(|it| it.parse::<Decimal>().ok()) {
                Some(number) => Cell::from(number),
                None => Cell::Empty,
            };
            let state = match copy["state"].as_str() {
                Some("graded") if result.as_ref().is_some_and(|it| it["mark"]["state"] == "graded") => {
                    "proposition"
                }
                Some("graded") => "non notée",
                _ => "échec",
            };
            let mut row = vec![
                Cell::from(outcome.title.clone()),
                text(&copy["pupil"]),
                text(&copy["name"]),
                Cell::from(state),
            ];
            row.push(number(&copy["result"]["total_on_20"]));
            let by_question = result.as_ref().and_then(|result| result["questions"].as_array());
            let by_question = by_question.map(Vec::as_slice).unwrap_or_default();
            row.extend(
                (0..questions).map(|place| number(&by_question.get(place).unwrap_or(&Value::Null)["points"])),
            );
            row.push(Cell::from(flags(copy)));
            row.push(Cell::from(copy["result"]["charged_tokens"].as_u64().unwrap_or(0)));
            row.push(text(&copy["failure"]["detail"]));
            row.push(text(&result.as_ref().unwrap_or(&Value::Null)["model"]));
            rows.push(row);
        }
    }
    csv::write(rows.iter().map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(phase: &str, dollars: [&str; 5]) -> Value {
        let [prompt, completion, cached, total, savings] = dollars;
        json!({
            "phase": phase, "model": "m",
            "usage": { "input_tokens": 10, "cache_write_5m_tokens": 3, "cache_write_1h_tokens": 4,
                       "cache_read_tokens": 50, "output_tokens": 6 },
            "prompt_cost_usd": prompt, "completion_cost_usd": completion, "cached_cost_usd": cached,
            "total_cost_usd": total, "cached_savings_usd": savings,
        })
    }

    /// A class of two questions: a pupil with a mark, and a file that could not be read.
    fn outcome() -> Outcome {
        let graded = json!({
            "copy": "1", "name": "durand-lea.pdf", "pupil": "Durand Léa", "state": "graded",
            "result": { "total": "7.25", "total_on_20": "14.5", "flags": ["mid_range"], "charged_tokens": 1916 },
        });
        let result = json!({
            "model": "m", "mark": { "state": "graded" },
            "questions": [{ "id": "Q1", "points": "4.25" }, { "id": "Q2", "points": "3" }],
        });
        let failed = json!({
            "copy": "2", "name": "=garnier;lina.pdf", "state": "failed",
            "failure": { "code": "pdf-encrypted",
                         "detail": "Ce PDF est \"protégé\" : enlevez le mot de passe." },
        });
        let dollars = ["0.100000", "0.200000", "0.000001", "0.300001", "0.000009"];
        Outcome {
            title: "La guerre".to_owned(),
            rubric: json!({ "questions": [{ "id": "Q1" }, { "id": "Q2" }] }),
            run: json!({ "cost": [line("detection", dollars), line("grading", dollars)] }),
            copies: vec![(graded, Some(result)), (failed, None)],
        }
    }

    #[test]
    fn the_table_has_a_row_a_copy_with_the_failed_ones() {
        let expected = "
La guerre
  Élève                Q1  Q2   /20  Jetons  À voir
  ───────────────────────────────────────────────────────────────────────
  Durand Léa         4,25   3  14,5    1916  Réponse partielle à relire
  =garnier;lina.pdf     –   –     –       0  ÉCHEC : Ce PDF est \"protégé\"
";
        assert_eq!(outcome().table(), expected);
    }

    #[test]
    fn the_costs_are_all_there_and_their_sums_exact() {
        // As binary fractions, three times 0.1 is not 0.3.
        let shown = costs(&[outcome(), outcome(), outcome()]).unwrap();
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .skip(4)
            .map(|row| row.split_whitespace().collect())
            .collect();
        let sums = [
            "30", "21", "150", "18", "0.300000", "0.600000", "0.000003", "0.900003", "0.000027", "m",
        ];
        let expected = ["detection", "grading"].map(|phase| [&[phase], &sums[..]].concat());
        assert_eq!(rows, expected);
        let titles = "entrée $  sortie $  cache lu $   total $  économie $  modèle";
        assert!(shown.contains(titles), "{shown}");
    }

    #[test]
    fn a_cost_that_cannot_be_read_is_not_left_out() {
        let mut broken = outcome();
        broken.run["cost"][1]["total_cost_usd"] = "much".into();
        let told = costs(&[outcome(), broken]).unwrap_err().to_string();
        assert_eq!(told, "not an amount of dollars: \"much\"");
        let mut broken = outcome();
        broken.run["cost"][0]["usage"] = "much".into();
        let told = costs(&[broken]).unwrap_err().to_string();
        assert!(told.starts_with("this cost cannot be read: {"), "{told}");
    }

    #[test]
    fn the_csv_has_a_row_a_copy_in_the_form_of_french_spreadsheets() {
        let mut short = outcome();
        short.rubric = json!({ "questions": [{ "id": "Q1" }] });
        short.copies.pop();
        if let Some(result) = &mut short.copies[0].1 {
            *result = json!({ "model": "m", "mark": { "state": "ungraded" },
                              "questions": [{ "id": "Q1", "points": null }] });
        }
        short.copies[0].0["result"]["total_on_20"] = "".into();
        assert_eq!(
            csv(&[outcome(), short]),
            "\u{FEFF}\"Devoir\";\"Élève\";\"Fichier\";\"État\";\"Note /20\";\"Q1\";\"Q2\";\
             \"À voir\";\"Jetons\";\"Échec\";\"Correcteur\"\r\n\
             \"La guerre\";\"Durand Léa\";\"durand-lea.pdf\";\"proposition\";14,5;4,25;3;\
             \"Réponse partielle à relire\";1916;\"\";\"m\"\r\n\
             \"La guerre\";\"\";\"'=garnier;lina.pdf\";\"échec\";;;;\
             \"\";0;\"Ce PDF est \"\"protégé\"\" : enlevez le mot de passe.\";\"\"\r\n\
             \"La guerre\";\"Durand Léa\";\"durand-lea.pdf\";\"non notée\";;;;\
             \"Réponse partielle à relire\";1916;\"\";\"m\"\r\n"
        );
    }
}
