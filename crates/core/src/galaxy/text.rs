//! Galaxy's sanitiser: text parameters arrive with special characters spelt out (`__sq__` for `'`).
//!
//! Galaxy lets letters, digits and a few signs through, spells out some others, and turns the rest into `X`. What was spelt out can be
//! restored; what became `X` is lost, so names that were typed can only be *matched* against the real ones ([`as_received`]).

/// What Galaxy writes for each character that it spells out.
const SPELT_OUT: [(&str, char); 13] = [
    ("__gt__", '>'),
    ("__lt__", '<'),
    ("__sq__", '\''),
    ("__dq__", '"'),
    ("__ob__", '['),
    ("__cb__", ']'),
    ("__oc__", '{'),
    ("__cc__", '}'),
    ("__at__", '@'),
    ("__pd__", '#'),
    ("__cn__", '\n'),
    ("__cr__", '\r'),
    ("__tc__", '\t'),
];

/// Signs that pass the sanitiser unchanged, besides ASCII letters and digits.
const PASSED: &str = " -=_.()/+*^,:?!";

/// Puts the characters back that Galaxy spelt out: `__ob__1__cb__` becomes `[1]`.
///
/// ```
/// use galaxy_burn_core::galaxy::text::unescape;
/// assert_eq!(unescape("padding=__sq__same__sq__"), "padding='same'");
/// ```
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut restored = String::with_capacity(text.len());
    let mut rest = text;
    'scan: while let Some(next) = rest.chars().next() {
        if next == '_' {
            for (code, character) in SPELT_OUT {
                if let Some(after) = rest.strip_prefix(code) {
                    restored.push(character);
                    rest = after;
                    continue 'scan;
                }
            }
        }
        restored.push(next);
        rest = &rest[next.len_utf8()..];
    }
    restored
}

/// What is left of `text` after Galaxy's sanitiser and [`unescape`]: characters that Galaxy does not know have become `X`.
///
/// A column that is called `CD4%` is typed as `CD4%` but arrives as `CD4X`; comparing with this form finds it again.
#[must_use]
pub fn as_received(text: &str) -> String {
    text.chars()
        .map(|character| {
            let passed = character.is_ascii_alphanumeric()
                || PASSED.contains(character)
                || SPELT_OUT.iter().any(|(_, known)| *known == character);
            if passed { character } else { 'X' }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_restored() {
        let escaped: String = SPELT_OUT.iter().map(|(code, _)| *code).collect();
        assert_eq!(unescape(&escaped), "><'\"[]{}@#\n\r\t");
    }

    #[test]
    fn underscores_next_to_an_escape_stay() {
        assert_eq!(unescape("___sq__"), "_'");
        assert_eq!(unescape("__sq___"), "'_");
        assert_eq!(unescape("__sq__sq__"), "'sq__");
    }

    #[test]
    fn other_text_is_untouched() {
        assert_eq!(unescape("l1_l2(0.01), __init__ é"), "l1_l2(0.01), __init__ é");
        assert_eq!(unescape(""), "");
    }

    #[test]
    fn characters_unknown_to_galaxy_arrive_as_x() {
        assert_eq!(as_received("CD4% [é;1]"), "CD4X [XX1]");
    }
}
