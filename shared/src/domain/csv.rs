//! CSV as French spreadsheets read it: UTF-8 with its mark, `;`, decimal comma, CRLF, texts in quotes, and no text
//! that a spreadsheet would run as a formula.

use rust_decimal::Decimal;

/// Without it, spreadsheets read UTF-8 as Windows-1252.
const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing: not graded, say, which is not zero.
    Empty,
    /// A text, written in quotes.
    Text(String),
    /// A decimal, written with a comma.
    Decimal(Decimal),
    /// A count.
    Count(u64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Decimal> for Cell {
    fn from(decimal: Decimal) -> Self {
        Self::Decimal(decimal)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, Into::into)
    }
}

/// A whole file, the row of titles first.
#[must_use]
pub fn write<'a>(rows: impl IntoIterator<Item = &'a [Cell]>) -> String {
    let mut csv = BYTE_ORDER_MARK.to_owned();
    for row in rows {
        let cells: Vec<String> = row.iter().map(written).collect();
        csv.push_str(&cells.join(";"));
        csv.push_str("\r\n");
    }
    csv
}

fn written(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Count(count) => count.to_string(),
        Cell::Decimal(decimal) => decimal.normalize().to_string().replace('.', ","),
        Cell::Text(text) => {
            // A formula that already wears the guard gets another, so that taking one off gives the text back.
            let guard = if starts_a_formula(text.trim_start_matches('\'')) {
                "'"
            } else {
                ""
            };
            format!("\"{guard}{}\"", text.replace('"', "\"\""))
        }
    }
}

/// What spreadsheets take for a formula, or skip before one (OWASP, "CSV Injection"); full-width signs included.
fn starts_a_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader of the same dialect that shares nothing with the writer: cells as texts, the guard taken off.
    fn read(csv: &str) -> Vec<Vec<String>> {
        let mut rows = vec![vec![String::new()]];
        let mut quoted = false;
        let mut chars = csv.strip_prefix('\u{FEFF}').expect("the mark").chars().peekable();
        while let Some(c) = chars.next() {
            let row = rows.last_mut().expect("a row");
            let cell = row.last_mut().expect("a cell");
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().expect("peeked")),
                '"' => quoted = !quoted,
                ';' if !quoted => row.push(String::new()),
                '\r' if !quoted && chars.next_if_eq(&'\n').is_some() => rows.push(vec![String::new()]),
                c => cell.push(c),
            }
        }
        assert_eq!(
            rows.pop(),
            Some(vec![String::new()]),
            "the file ends with a line end"
        );
        let unguarded = |cell: String| match cell.strip_prefix('\'') {
            Some(rest) if starts_a_formula(rest.trim_start_matches('\'')) => rest.to_owned(),
            _ => cell,
        };
        rows.into_iter()
            .map(|row| row.into_iter().map(unguarded).collect())
            .collect()
    }

    #[test]
    fn a_file_is_written_as_french_spreadsheets_read_it() {
        let rows: [&[Cell]; 3] = [
            &[
                "Élève".into(),
                "Note /20".into(),
                "Jetons".into(),
                "Remarque".into(),
            ],
            &[
                "Léa \"Lou\" D.".into(),
                Decimal::new(1_250, 2).into(),
                2_310.into(),
                "a;b\nc".into(),
            ],
            &["=1+1".into(), Cell::from(None::<Decimal>), 0.into(), "'=x".into()],
        ];
        assert_eq!(
            write(rows),
            "\u{FEFF}\"Élève\";\"Note /20\";\"Jetons\";\"Remarque\"\r\n\
             \"Léa \"\"Lou\"\" D.\";12,5;2310;\"a;b\nc\"\r\n\
             \"'=1+1\";;0;\"''=x\"\r\n"
        );
    }

    #[test]
    fn no_text_starts_a_formula() {
        for text in ["=SUM(A1)", "+33 6", "-1", "@a", "\tx", "\r=1", "\n=1", "＝1"] {
            assert!(written(&text.into()).starts_with("\"'"), "{text:?}");
        }
        assert_eq!(written(&"l’été".into()), "\"l’été\"");
        assert_eq!(written(&Decimal::new(-5, 1).into()), "-0,5");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            rows in prop::collection::vec(prop::collection::vec("(['=+@;\"\r\n\t-]|\\PC){0,8}", 1..5), 1..6),
        ) {
            let cells: Vec<Vec<Cell>> =
                rows.iter().map(|row| row.iter().map(|text| text.as_str().into()).collect()).collect();
            prop_assert_eq!(read(&write(cells.iter().map(Vec::as_slice))), rows);
        }

        #[test]
        fn decimals_are_read_back_exactly(units in -1_000_000i64..1_000_000, places in 0u32..4) {
            let decimal = Decimal::new(units, places);
            let row = [Cell::from(decimal)];
            let read = read(&write([&row[..]]));
            prop_assert_eq!(read[0][0].replace(',', ".").parse::<Decimal>().unwrap(), decimal);
        }
    }
}
