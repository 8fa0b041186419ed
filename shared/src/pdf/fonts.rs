//! Fonts that give two accounts of their letters.
//!
//! What text means comes from a font's `ToUnicode` map, which nobody sees; what is drawn follows its encoding. An
//! honest file says the same in both. Subsets name their shapes as they like, so only the names of plain letters and
//! digits are compared; a font whose encoding says nothing cannot be compared.

use std::collections::HashMap;

use hayro_interpret::hayro_cmap::{BfString, CMap};
use hayro_interpret::hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, Stream};
use hayro_interpret::hayro_syntax::page::Resources;

/// How deep forms are followed within forms, and how many fonts and forms of a page are looked at.
const DEPTH_MAX: u32 = 6;
const LOOKS_MAX: u32 = 1_000;

/// The fonts and forms of a file, each looked at once.
#[derive(Default)]
pub(super) struct Fonts {
    known: HashMap<ObjectIdentifier, bool>,
}

impl Fonts {
    /// Whether no font that the page can use calls a letter by another's name.
    pub(super) fn agree(&mut self, resources: &Resources<'_>) -> bool {
        let mut looks = LOOKS_MAX;
        self.all_agree(&resources.fonts, &resources.x_objects, DEPTH_MAX, &mut looks)
    }

    fn all_agree(&mut self, fonts: &Dict<'_>, forms: &Dict<'_>, depth: u32, looks: &mut u32) -> bool {
        for name in fonts.keys() {
            let Some(font) = fonts.get::<Dict<'_>>(name.as_ref()) else {
                continue;
            };
            if !self.once(font.obj_id(), looks, |_, _| agrees(&font)) {
                return false;
            }
        }
        for name in forms.keys().filter(|_| depth > 0) {
            let Some(form) = forms.get::<Stream<'_>>(name.as_ref()) else {
                continue;
            };
            let Some(resources) = form.dict().get::<Dict<'_>>("Resources") else {
                continue;
            };
            let inner = |fonts: &mut Self, looks: &mut u32| {
                let part = |key| resources.get::<Dict<'_>>(key).unwrap_or_default();
                fonts.all_agree(&part("Font"), &part("XObject"), depth - 1, looks)
            };
            if !self.once(form.dict().obj_id(), looks, inner) {
                return false;
            }
        }
        true
    }

    /// The answer for an object, asked for at its first sight only. A form within itself agrees.
    fn once(
        &mut self,
        object: Option<ObjectIdentifier>,
        looks: &mut u32,
        look: impl FnOnce(&mut Self, &mut u32) -> bool,
    ) -> bool {
        if let Some(known) = object.and_then(|object| self.known.get(&object)) {
            return *known;
        }
        let Some(left) = looks.checked_sub(1) else {
            return false;
        };
        *looks = left;
        if let Some(object) = object {
            self.known.insert(object, true);
        }
        let agrees = look(self, looks);
        if let Some(object) = object {
            self.known.insert(object, agrees);
        }
        agrees
    }
}

fn agrees(font: &Dict<'_>) -> bool {
    let subtype = font.get::<Name<'_>>("Subtype");
    // Others have no encoding of letters, or give their programs any name.
    if !subtype.is_some_and(|subtype| matches!(&*subtype, b"Type1" | b"MMType1" | b"TrueType")) {
        return true;
    }
    let map = font
        .get::<Stream<'_>>("ToUnicode")
        .and_then(|stream| stream.decoded_data().ok())
        .and_then(|data| CMap::parse(&data, |_| None));
    let Some(map) = map else { return true };
    let named = named(font);
    let mut codes = (0u32..).zip(&named);
    codes.all(|(code, letter)| match (letter, map.lookup_bf_string(code)) {
        (Some(letter), Some(BfString::Char(meant))) => {
            !meant.is_alphanumeric() || meant.eq_ignore_ascii_case(letter)
        }
        _ => true,
    })
}

/// The letters and digits that the font's encoding names, by code.
fn named(font: &Dict<'_>) -> [Option<char>; 256] {
    const SYMBOLIC: u32 = 4;
    let mut named = [None; 256];
    let descriptor = font.get::<Dict<'_>>("FontDescriptor").unwrap_or_default();
    // A symbolic font follows its own table, whatever the encoding says.
    if descriptor.get::<u32>("Flags").unwrap_or(0) & SYMBOLIC != 0 {
        return named;
    }
    let encoding = font.get::<Dict<'_>>("Encoding");
    let base = match &encoding {
        Some(encoding) => encoding.get::<Name<'_>>("BaseEncoding"),
        None => font.get::<Name<'_>>("Encoding"),
    };
    let latin = |base: &Name<'_>| {
        matches!(
            &**base,
            b"WinAnsiEncoding" | b"MacRomanEncoding" | b"StandardEncoding"
        )
    };
    if base.as_ref().is_some_and(latin) {
        // The three agree on these.
        for (code, slot) in (0u8..=255).zip(&mut named) {
            *slot = Some(char::from(code)).filter(char::is_ascii_alphanumeric);
        }
    }
    let differences = encoding.and_then(|encoding| encoding.get::<Array<'_>>("Differences"));
    let mut code = 0usize;
    for entry in differences.iter().flat_map(Array::iter::<Object<'_>>) {
        match entry {
            Object::Number(number) => code = usize::try_from(number.as_i64()).unwrap_or(usize::MAX),
            Object::Name(name) => {
                if let Some(slot) = named.get_mut(code) {
                    *slot = letter_named(&name);
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    named
}

fn letter_named(name: &[u8]) -> Option<char> {
    const DIGITS: [&[u8]; 10] = [
        b"zero", b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eight", b"nine",
    ];
    match name {
        [letter] if letter.is_ascii_alphabetic() => Some(char::from(*letter)),
        name => (b'0'..)
            .zip(DIGITS)
            .find(|(_, digit)| *digit == name)
            .map(|(digit, _)| char::from(digit)),
    }
}
