//! Where an account's letters go.

use serde::{Deserialize, Serialize};

use crate::domain::Language;

/// The longest address that mail can be sent to (RFC 5321). Unit: bytes.
const EMAIL_BYTES_MAX: usize = 254;

/// An account's address, and the language to write in. It is never logged: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    email: String,
    language: Language,
}

impl Contact {
    /// The contact that Stripe shows, with the locales that its owner prefers, best first. `None` for what is no
    /// address: one plain address, in the letters that SES can send to, so that it can be put into a header.
    #[must_use]
    pub fn read(email: &str, locales: &[String]) -> Option<Self> {
        let email = email.trim();
        let (name, host) = email.rsplit_once('@')?;
        let plain = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"@".contains(c);
        let whole = !name.is_empty() && host.contains('.') && email.len() <= EMAIL_BYTES_MAX;
        let english = locales.first().is_some_and(|it| it.starts_with("en"));
        (whole && name.chars().chain(host.chars()).all(plain)).then(|| Self {
            email: email.to_owned(),
            language: if english { Language::En } else { Language::Fr },
        })
    }

    /// The address.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The language.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contact(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_address_is_a_contact_and_french_is_the_default() {
        let language = |locales: &[&str]| {
            let locales: Vec<String> = locales.iter().map(|&it| it.to_owned()).collect();
            Contact::read(" prof@exemple.fr ", &locales).unwrap().language()
        };
        assert_eq!(language(&[]), Language::Fr);
        assert_eq!(language(&["de-DE", "en"]), Language::Fr);
        assert_eq!(language(&["en-GB", "fr"]), Language::En);
        for wrong in [
            "",
            "prof",
            "@exemple.fr",
            "prof@exemple",
            "a@exemple.fr,b@exemple.fr",
            "Prof <prof@exemple.fr>",
            "prof@exemple.fr\r\nBcc: all@exemple.fr",
            "élève@exemple.fr",
        ] {
            assert_eq!(Contact::read(wrong, &[]), None, "{wrong:?}");
        }
        assert_eq!(
            Contact::read(&format!("{}@exemple.fr", "a".repeat(250)), &[]),
            None
        );
    }

    #[test]
    fn an_address_is_not_shown_in_a_log() {
        let contact = Contact::read("prof@exemple.fr", &[]).unwrap();
        assert!(!format!("{contact:?}").contains("prof"));
    }
}
