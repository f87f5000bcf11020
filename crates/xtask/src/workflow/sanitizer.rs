//! What Galaxy does to the text that a user types before a tool sees it: special characters are spelt out or dropped.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::xml::Element;

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const DEFAULT_PUNCTUATION: &str = " -=_.()/+*^,:?!";
const PRINTABLE_PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// How Galaxy spells out what is not allowed, unless a parameter has a sanitizer of its own.
const DEFAULT_MAPPING: [(char, &str); 13] = [
    ('>', "__gt__"),
    ('<', "__lt__"),
    ('\'', "__sq__"),
    ('"', "__dq__"),
    ('[', "__ob__"),
    (']', "__cb__"),
    ('{', "__oc__"),
    ('}', "__cc__"),
    ('@', "__at__"),
    ('\n', "__cn__"),
    ('\r', "__cr__"),
    ('\t', "__tc__"),
    ('#', "__pd__"),
];

/// One parameter's rules.
#[derive(Debug, Clone)]
pub struct Sanitizer {
    valid: Option<BTreeSet<char>>,
    mapping: BTreeMap<char, String>,
    invalid: String,
}

impl Default for Sanitizer {
    fn default() -> Self {
        Self {
            valid: Some([LETTERS, DIGITS, DEFAULT_PUNCTUATION].concat().chars().collect()),
            mapping: DEFAULT_MAPPING
                .iter()
                .map(|(from, to)| (*from, (*to).to_owned()))
                .collect(),
            invalid: "X".to_owned(),
        }
    }
}

impl Sanitizer {
    /// The rules of a `<param>`: its `<sanitizer>` if it has one, else Galaxy's own.
    pub fn of(param: &Element) -> Result<Self> {
        let Some(element) = param.child("sanitizer") else {
            return Ok(Self::default());
        };
        let mut sanitizer = Self {
            valid: Some(named_set("default")),
            mapping: BTreeMap::new(),
            invalid: element.attribute("invalid_char").unwrap_or("X").to_owned(),
        };
        if element.flag("sanitize") == Some(false) {
            sanitizer.valid = None;
            return Ok(sanitizer);
        }
        for part in &element.children {
            match part.name.as_str() {
                "valid" => sanitizer.valid = Some(valid_set(part)?),
                "mapping" => sanitizer.mapping = mapping(part)?,
                other => bail!("<{other}> inside <sanitizer> is not supported"),
            }
        }
        Ok(sanitizer)
    }

    /// The text as the tool gets it.
    pub fn sanitize(&self, text: &str) -> String {
        let Some(valid) = &self.valid else {
            return text.to_owned();
        };
        let mut out = String::with_capacity(text.len());
        for character in text.chars() {
            if valid.contains(&character) {
                out.push(character);
            } else {
                out.push_str(self.mapping.get(&character).unwrap_or(&self.invalid));
            }
        }
        out
    }
}

fn named_set(name: &str) -> BTreeSet<char> {
    let characters = match name {
        "default" => [LETTERS, DIGITS, DEFAULT_PUNCTUATION].concat(),
        "none" => String::new(),
        "string.letters" | "string.ascii_letters" => LETTERS.to_owned(),
        "string.ascii_lowercase" => LETTERS[26..].to_owned(),
        "string.ascii_uppercase" => LETTERS[..26].to_owned(),
        "string.digits" => DIGITS.to_owned(),
        "string.punctuation" => PRINTABLE_PUNCTUATION.to_owned(),
        "string.printable" => [DIGITS, LETTERS, PRINTABLE_PUNCTUATION, " \t\n\r\u{b}\u{c}"].concat(),
        // Anything else stands for its own characters.
        characters => characters.to_owned(),
    };
    characters.chars().collect()
}

fn valid_set(valid: &Element) -> Result<BTreeSet<char>> {
    let mut set = named_set(valid.attribute("initial").unwrap_or("default"));
    for change in &valid.children {
        match change.name.as_str() {
            "add" => set.extend(named_value(change)?),
            "remove" => {
                for character in named_value(change)? {
                    set.remove(&character);
                }
            }
            other => bail!("<{other}> inside <valid> is not supported"),
        }
    }
    Ok(set)
}

fn named_value(change: &Element) -> Result<BTreeSet<char>> {
    match (change.attribute("value"), change.attribute("preset")) {
        (Some(value), _) => Ok(value.chars().collect()),
        (None, Some(preset)) => Ok(named_set(preset)),
        (None, None) => bail!("<{}> in a sanitizer has no value", change.name),
    }
}

fn mapping(element: &Element) -> Result<BTreeMap<char, String>> {
    let mut map: BTreeMap<char, String> = match element.attribute("initial").unwrap_or("default") {
        "none" => BTreeMap::new(),
        "default" => Sanitizer::default().mapping,
        other => bail!("sanitizer mapping initial={other:?} is not supported"),
    };
    for change in &element.children {
        let source = change.required("source")?.chars();
        for character in source {
            match change.name.as_str() {
                "add" => map.insert(character, change.required("target")?.to_owned()),
                "remove" => map.remove(&character),
                other => bail!("<{other}> inside a sanitizer's <mapping> is not supported"),
            };
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::super::xml::parse;
    use super::*;

    #[test]
    fn quotes_and_brackets_are_spelt_out_and_the_rest_becomes_x() {
        let plain = Sanitizer::default();
        assert_eq!(
            plain.sanitize("padding='same', x=[1]"),
            "padding=__sq__same__sq__, x=__ob__1__cb__"
        );
        assert_eq!(plain.sanitize("50 % & é"), "50 X X X");
    }

    #[test]
    fn a_sanitizer_of_ones_own_has_no_mapping_unless_it_says_so() {
        let param = parse(r#"<param><sanitizer><valid initial="default"><add value="'"/></valid></sanitizer></param>"#)
            .unwrap();
        assert_eq!(Sanitizer::of(&param).unwrap().sanitize("a='b' \"c\""), "a='b' XcX");
        let mapped = parse(
            r#"<param><sanitizer><valid initial="none"/><mapping initial="none"><add source="a" target="b"/></mapping></sanitizer></param>"#,
        )
        .unwrap();
        assert_eq!(Sanitizer::of(&mapped).unwrap().sanitize("ab"), "bX");
    }

    #[test]
    fn sanitizing_can_be_switched_off() {
        let param = parse(r#"<param><sanitizer sanitize="False"/></param>"#).unwrap();
        assert_eq!(Sanitizer::of(&param).unwrap().sanitize("%['é"), "%['é");
    }
}
