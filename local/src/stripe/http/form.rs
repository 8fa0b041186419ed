//! Parameters as Stripe takes them: `items[0][price]=…`, in a body or a query. What is not read is refused.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::stripe::refusal::Refusal;
use crate::stripe::world::Metadata;

/// The parameters of one request, or of one element of a list in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Params {
    /// What stands before each name, for refusals: `items[0]`.
    within: String,
    values: BTreeMap<String, String>,
}

impl Params {
    /// Reads `a=b&c[d]=e`; of a name given twice, the last counts, but for lists without indexes.
    pub(super) fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for (index, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // `expand[]` is `expand[0]`, `expand[1]`…
            let name = decoded(name).replace("[]", &format!("[{index}]"));
            values.insert(name, decoded(value));
        }
        let within = String::new();
        Self { within, values }
    }

    /// The same, whatever the order in which it was written.
    pub(super) fn fingerprint(&self) -> String {
        format!("{:?}", self.values)
    }

    /// The whole name of a parameter, for refusals.
    pub(super) fn name(&self, name: &str) -> String {
        if self.within.is_empty() {
            return name.to_owned();
        }
        match name.split_once('[') {
            Some((head, tail)) => format!("{}[{head}][{tail}", self.within),
            None => format!("{}[{name}]", self.within),
        }
    }

    /// A text; empty counts as not given.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(value) = self.values.remove(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        if value.chars().count() > 5000 {
            let message = "Invalid string: must be at most 5000 characters";
            return Err(Refusal::param(
                "parameter_invalid_string",
                self.name(name),
                message,
            ));
        }
        Ok(Some(value))
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::absent(&self.name(name)))
    }

    /// A number.
    pub(super) fn integer<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(value) = self.text(name)? else {
            return Ok(None);
        };
        let message = format!("Invalid integer: {value}");
        let refusal = Refusal::param("parameter_invalid_integer", self.name(name), message);
        value.parse().map(Some).map_err(|_| refusal)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        self.one_of(name, &[("true", true), ("false", false)])
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(value) = self.text(name)? else {
            return Ok(None);
        };
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == value) {
            return Ok(Some(*meant));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let name = self.name(name);
        let message = format!("Invalid {name}: must be one of {}", known.join(", "));
        Err(Refusal {
            param: Some(name),
            ..Refusal::invalid(message)
        })
    }

    /// Fails unless the parameter is absent or this very word.
    pub(super) fn only(&mut self, name: &str, word: &str) -> Result<(), Refusal> {
        self.one_of(name, &[(word, ())]).map(drop)
    }

    /// Keys and values; `None` if there are none. An empty value unsets.
    pub(super) fn metadata(&mut self, name: &str) -> Option<Metadata> {
        // `metadata=` unsets all; here nothing is there to be kept.
        let emptied = self.values.remove(name).is_some();
        let inner = self.inner(name);
        let metadata: Metadata = inner.values;
        (emptied || !metadata.is_empty()).then_some(metadata)
    }

    /// What stands in brackets after `name`.
    pub(super) fn inner(&mut self, name: &str) -> Self {
        let mut values = BTreeMap::new();
        let prefix = format!("{name}[");
        self.values.retain(|key, value| {
            let Some((head, tail)) = key.strip_prefix(&prefix).and_then(|rest| rest.split_once(']')) else {
                return true;
            };
            values.insert(format!("{head}{tail}"), std::mem::take(value));
            false
        });
        Self {
            within: self.name(name),
            values,
        }
    }

    /// The elements of a list, in their order.
    pub(super) fn list(&mut self, name: &str) -> Vec<Self> {
        let mut inner = self.inner(name);
        let mut indexes: Vec<usize> = inner
            .values
            .keys()
            .filter_map(|key| key.split('[').next()?.parse().ok())
            .collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
            .into_iter()
            .map(|index| inner.inner(&index.to_string()))
            .collect()
    }

    /// The texts of a list, in their order.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let mut texts: Vec<(usize, String)> = self
            .inner(name)
            .values
            .into_iter()
            .filter_map(|(key, value)| Some((key.parse().ok()?, value)))
            .collect();
        texts.sort();
        texts.into_iter().map(|(_, text)| text).collect()
    }

    /// Fails if anything was not read.
    pub(super) fn done(self) -> Result<(), Refusal> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name = self.name(name);
                let message = format!("Received unknown parameter: {name}");
                Err(Refusal::param("parameter_unknown", name, message))
            }
        }
    }
}

/// Undoes the percent-encoding of forms.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digits = (
                    ahead.next().and_then(hexadecimal),
                    ahead.next().and_then(hexadecimal),
                );
                if let (Some(high), Some(low)) = digits {
                    bytes.push(high * 16 + low);
                    rest = ahead;
                } else {
                    bytes.push(b'%');
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_and_what_is_not_read_is_named() {
        let mut params = Params::parse(
            "items%5B0%5D%5Bid%5D=si_1&items[0][price]=p&metadata[a%20b]=c+d&expand[]=x&expand[]=y.z&items[0][k][l]=m",
        );
        assert_eq!(params.texts("expand"), ["x", "y.z"]);
        let metadata = params.metadata("metadata").unwrap();
        assert_eq!(metadata.get("a b").map(String::as_str), Some("c d"));
        let mut items = params.list("items");
        let mut item = items.remove(0);
        assert_eq!(item.text("id"), Ok(Some("si_1".to_owned())));
        assert_eq!(item.text("price"), Ok(Some("p".to_owned())));
        assert_eq!(item.done().unwrap_err().param.as_deref(), Some("items[0][k][l]"));
        assert_eq!(params.done(), Ok(()));
    }
}
