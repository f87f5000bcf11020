//! A wrapper's command line: one line without logic, split into words.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Splits the command as a shell would, with `$inputs` replaced by the inputs file and `\${GALAXY_SLOTS:-1}` by the slots.
///
/// Galaxy's templates can do far more; what goes beyond this is refused, because the wrappers keep all logic out of it.
pub fn words(template: &str, inputs: &Path, slots: usize) -> Result<Vec<String>> {
    let lines: Vec<&str> = template
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let [line] = lines.as_slice() else {
        bail!(
            "the command has {} lines, only one without logic is supported",
            lines.len()
        );
    };
    if line.starts_with('#') {
        bail!("the command is a template directive, which is not supported: {line}");
    }
    let inputs = inputs.to_str().context("the inputs file's path is not valid UTF-8")?;
    let slots = slots.to_string();
    let filled = [
        ("${inputs}", inputs),
        ("$inputs", inputs),
        ("\\${GALAXY_SLOTS:-1}", &slots),
        ("\\$GALAXY_SLOTS", &slots),
    ];

    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = *line;
    while let Some(character) = rest.chars().next() {
        if let Some((variable, value)) = filled.iter().find(|(variable, _)| rest.starts_with(variable)) {
            word.get_or_insert_default().push_str(value);
            rest = &rest[variable.len()..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match (character, quote) {
            (close, Some(open)) if close == open => quote = None,
            ('$' | '`' | '\\', _) => bail!("the command uses {character:?} for more than $inputs: {line}"),
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            ('|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?', None) => {
                bail!("the command holds shell logic ({character:?}), only one plain command is supported: {line}")
            }
            (space, None) if space.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        bail!("a quote is never closed in the command: {line}");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_inputs_become_one_word() {
        let words = words(
            "\n  tool --inputs '$inputs' --threads \"\\${GALAXY_SLOTS:-1}\"\n",
            Path::new("/a b/i.json"),
            2,
        )
        .unwrap();
        assert_eq!(words, ["tool", "--inputs", "/a b/i.json", "--threads", "2"]);
    }

    #[test]
    fn logic_in_a_command_is_refused() {
        for template in ["a && b", "a\nb", "#if $x", "a '$infile'", "a `b`", "a > b", "a 'b"] {
            assert!(words(template, Path::new("i"), 1).is_err(), "{template}");
        }
    }
}
