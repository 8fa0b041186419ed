//! Reading JSON so that every mistake is named by its path.

use rust_decimal::Decimal;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use super::error::{Expected, RubricError};

/// What a text may hold.
#[derive(Clone, Copy)]
pub(super) struct Text {
    chars_max: usize,
    newlines: bool,
}

impl Text {
    pub(super) const fn line(chars_max: usize) -> Self {
        Self {
            chars_max,
            newlines: false,
        }
    }

    pub(super) const fn paragraphs(chars_max: usize) -> Self {
        Self {
            chars_max,
            newlines: true,
        }
    }

    fn allows(self, c: char) -> bool {
        match c {
            '\n' | '\t' => self.newlines,
            // Marks that reorder or hide what the teacher sees.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{E0000}'..='\u{E007F}' => false,
            _ => !c.is_control(),
        }
    }
}

/// A JSON value and the way to it.
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// `questions[2].criteria[0].points`; empty at the root.
    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    fn wrong_type(&self, expected: Expected) -> RubricError {
        RubricError::WrongType {
            path: self.path(),
            expected,
        }
    }

    fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        }
    }

    pub(super) fn only_fields(&self, known: &[&str]) -> Result<(), RubricError> {
        let object = self
            .value
            .as_object()
            .ok_or_else(|| self.wrong_type(Expected::Object))?;
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            // The stranger's name is not repeated: it could be any text, of any length.
            Some(_) => Err(RubricError::UnknownField {
                path: self.path(),
                known: known.join(", "),
            }),
            None => Ok(()),
        }
    }

    /// A field that may be absent or null.
    pub(super) fn optional(&self, field: &str) -> Option<Self> {
        let value = self.value.get(field).filter(|value| !value.is_null())?;
        Some(Self {
            value,
            path: self.path_of(field),
        })
    }

    pub(super) fn field(&self, field: &str) -> Result<Self, RubricError> {
        self.optional(field).ok_or_else(|| RubricError::Missing {
            path: self.path_of(field),
        })
    }

    pub(super) fn list(&self, count_max: usize) -> Result<Vec<Self>, RubricError> {
        let nodes = self.list_or_empty(count_max)?;
        if nodes.is_empty() {
            Err(RubricError::Empty { path: self.path() })
        } else {
            Ok(nodes)
        }
    }

    pub(super) fn list_or_empty(&self, count_max: usize) -> Result<Vec<Self>, RubricError> {
        let list = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong_type(Expected::List))?;
        if list.len() > count_max {
            return Err(RubricError::TooMany {
                path: self.path(),
                count: list.len(),
                count_max,
            });
        }
        let node = |(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
        };
        Ok(list.iter().enumerate().map(node).collect())
    }

    pub(super) fn boolean(&self) -> Result<bool, RubricError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong_type(Expected::Boolean))
    }

    /// A trimmed, composed text that is not empty.
    pub(super) fn text(&self, rule: Text) -> Result<String, RubricError> {
        let raw = self
            .value
            .as_str()
            .ok_or_else(|| self.wrong_type(Expected::Text))?;
        let text: String = raw.replace("\r\n", "\n").trim().nfc().collect();
        let chars = text.chars().count();
        if text.is_empty() {
            Err(RubricError::Empty { path: self.path() })
        } else if chars > rule.chars_max {
            Err(RubricError::TooLong {
                path: self.path(),
                chars,
                chars_max: rule.chars_max,
            })
        } else if !text.chars().all(|c| rule.allows(c)) {
            Err(RubricError::ControlCharacter { path: self.path() })
        } else {
            Ok(text)
        }
    }

    /// A text that may be absent, null or blank.
    pub(super) fn optional_text(&self, field: &str, rule: Text) -> Result<Option<String>, RubricError> {
        match self.optional(field).map(|node| node.text(rule)) {
            None | Some(Err(RubricError::Empty { .. })) => Ok(None),
            Some(text) => text.map(Some),
        }
    }

    /// A decimal in its shortest form (`2`, never `2.0`), so that equal barèmes have equal bytes.
    pub(super) fn decimal(&self) -> Result<Decimal, RubricError> {
        let written = match self.value {
            Value::String(text) => text.clone(),
            // `Number` prints the shortest text that reads back the same, so 0.1 stays 0.1.
            Value::Number(number) => number.to_string(),
            _ => return Err(self.wrong_type(Expected::Decimal)),
        };
        let plain = written
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
        match Decimal::from_str_exact(&written) {
            Ok(decimal) if plain => Ok(decimal.normalize()),
            _ => Err(self.wrong_type(Expected::Decimal)),
        }
    }
}
