//! Near names for a name that is not in a closed vocabulary: "did you mean 'relu'?".

use crate::keras::literal::quoted;

/// At most this many names are suggested.
const SUGGESTIONS: usize = 3;
/// Longer names are not compared: nobody mistypes a name into so long a one.
const LONGEST: usize = 64;

/// The candidates that `name` may have been meant to be, nearest first, at most three.
///
/// Near means: equal but for case and underscores, one contained in the other, or few slips of the keyboard apart (insertions,
/// deletions, substitutions, neighbours swapped; up to a third of the name's length).
#[must_use]
pub fn near<'a>(name: &str, candidates: &[&'a str]) -> Vec<&'a str> {
    if name.chars().count() > LONGEST {
        return Vec::new();
    }
    let wanted = folded(name);
    let mut ranked: Vec<(usize, &str)> = candidates
        .iter()
        .filter_map(|candidate| {
            let known = folded(candidate);
            let slips = slips(&wanted, &known);
            let allowed = (wanted.len().max(known.len()) / 3).max(1);
            let contained =
                wanted.len() >= 3 && known.len() >= 3 && (contains(&known, &wanted) || contains(&wanted, &known));
            (slips <= allowed || contained).then_some((slips, *candidate))
        })
        .collect();
    ranked.sort_by_key(|(slips, _)| *slips);
    // An exact match but for case makes the others noise.
    if ranked.first().is_some_and(|(slips, _)| *slips == 0) {
        ranked.retain(|(slips, _)| *slips == 0);
    }
    ranked.truncate(SUGGESTIONS);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The second half of an error about an unknown name: "did you mean 'relu' or 'elu'?", or all candidates when none is near.
#[must_use]
pub fn did_you_mean(name: &str, candidates: &[&str]) -> String {
    let near = near(name, candidates);
    match near.split_last() {
        Some((last, [])) => format!("did you mean {}?", quoted(last)),
        Some((last, rest)) => {
            let rest: Vec<String> = rest.iter().map(|name| quoted(name)).collect();
            format!("did you mean {} or {}?", rest.join(", "), quoted(last))
        }
        None => format!("known: {}", candidates.join(", ")),
    }
}

fn folded(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

fn contains(text: &[char], part: &[char]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Optimal string alignment distance.
fn slips(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..width {
            table[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (table[(i - 1) * width + j] + 1)
                    .min(table[i * width + j - 1] + 1)
                    .min(table[(i - 1) * width + j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(table[(i - 2) * width + j - 2] + 1);
                }
                best
            };
        }
    }
    table[table.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVATIONS: &[&str] = &[
        "linear",
        "softmax",
        "elu",
        "selu",
        "relu",
        "tanh",
        "sigmoid",
        "hard_sigmoid",
    ];

    #[test]
    fn swapped_letters_find_the_name() {
        assert_eq!(near("rleu", ACTIVATIONS)[0], "relu");
        assert_eq!(near("sofmax", ACTIVATIONS), ["softmax"]);
    }

    #[test]
    fn case_and_underscores_do_not_count() {
        assert_eq!(near("HardSigmoid", ACTIVATIONS), ["hard_sigmoid"]);
    }

    #[test]
    fn a_part_of_a_name_finds_it() {
        assert_eq!(near("hard", ACTIVATIONS), ["hard_sigmoid"]);
    }

    #[test]
    fn nothing_near_lists_all() {
        assert_eq!(did_you_mean("xyzzy", &["mse", "mae"]), "known: mse, mae");
        assert_eq!(did_you_mean("sofmax", ACTIVATIONS), "did you mean 'softmax'?");
        assert_eq!(
            did_you_mean("eelu", &["elu", "relu", "selu"]),
            "did you mean 'elu', 'relu' or 'selu'?"
        );
    }

    #[test]
    fn a_hostile_length_is_not_compared() {
        assert!(near(&"relu".repeat(1000), ACTIVATIONS).is_empty());
    }
}
