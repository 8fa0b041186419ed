//! Lists by cursor: what a caller asks for, and what it is given.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};

use super::failure::{Failure, Sentence};

/// Items of one page that a caller may ask for, at most.
pub const PAGE_MAX: u16 = 100;
/// Characters of a cursor, at most: ours are shorter.
const CURSOR_CHARS_MAX: usize = 400;

/// Where a list goes on: opaque to the caller, and only ever a place within the list that the route names, so a
/// made-up cursor reads nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor into a list that is sorted by keys: it goes on after this one.
    pub fn after(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// A cursor into a list that has places instead of keys.
    #[must_use]
    pub fn at_place(place: usize) -> Self {
        Self(format!("@{place}"))
    }

    /// Reads a caller's cursor.
    ///
    /// # Errors
    /// `Invalid` when it is not one of ours.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let bytes = (text.len() <= CURSOR_CHARS_MAX).then(|| URL_SAFE_NO_PAD.decode(text).ok());
        let key = bytes.flatten().and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Self).ok_or_else(Self::invalid)
    }

    /// The key that the list goes on after, if it is one of those that begin with `prefix`.
    ///
    /// # Errors
    /// `Invalid` when the cursor is another list's.
    pub fn key(&self, prefix: &str) -> Result<&str, Failure> {
        Some(self.0.as_str())
            .filter(|key| key.starts_with(prefix))
            .ok_or_else(Self::invalid)
    }

    /// The place in a list that has places.
    ///
    /// # Errors
    /// `Invalid` when the cursor is another list's.
    pub fn place(&self) -> Result<usize, Failure> {
        let place = self.0.strip_prefix('@').and_then(|place| place.parse().ok());
        place.ok_or_else(Self::invalid)
    }

    fn invalid() -> Failure {
        Failure::Invalid {
            path: "cursor".to_owned(),
            code: "invalid-cursor",
            sentence: Sentence::new(
                "Ce curseur n'est pas valable : reprenez la liste depuis le début.",
                "This cursor is not valid: start the list again.",
            ),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// The part of a list that a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// Where to go on; the list's beginning when there is none.
    pub cursor: Option<Cursor>,
    /// Items asked for, 1 to [`PAGE_MAX`].
    pub limit: u16,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// The same page of other items.
    pub fn map<U>(self, view: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(view).collect(),
            cursor: self.cursor,
        }
    }

    /// The same page of other items, if each can be made.
    ///
    /// # Errors
    /// The first item's that cannot.
    pub fn try_map<U, E>(self, view: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            items: self.items.into_iter().map(view).collect::<Result<_, _>>()?,
            cursor: self.cursor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_given_and_fits_its_own_list_only() {
        let given = |cursor: &Cursor| {
            let text = serde_json::to_value(cursor).unwrap();
            Cursor::parse(text.as_str().unwrap()).unwrap()
        };
        let (key, place) = (Cursor::after("COPY#1"), Cursor::at_place(7));
        assert_eq!((given(&key), given(&place)), (key.clone(), place.clone()));
        assert_eq!((key.key("COPY#"), place.place()), (Ok("COPY#1"), Ok(7)));
        for wrong in [
            key.key("RUN#").err(),
            place.key("COPY#").err(),
            key.place().err(),
            Cursor::parse("made-up!").err(),
            Cursor::parse(&"A".repeat(401)).err(),
        ] {
            assert_eq!(wrong.map(|failure| failure.code()), Some("invalid-cursor"));
        }
    }
}
