//! "Did you mean ...?" for names that are not in a closed vocabulary.

/// The names closest to `name`, as the end of an error message: `"; did you mean A or B?"`, or nothing when none is close.
#[must_use]
pub fn did_you_mean(name: &str, candidates: &[&str]) -> String {
    let wanted = name.to_lowercase();
    let limit = 1 + wanted.chars().count() / 4;
    let mut near: Vec<(usize, &str)> = candidates
        .iter()
        .map(|candidate| (edits(&wanted, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_unstable();
    near.dedup();
    match near.as_slice() {
        [] => String::new(),
        [(_, only)] => format!("; did you mean {only}?"),
        [(_, first), (_, second), ..] => format!("; did you mean {first} or {second}?"),
    }
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_answered_with_the_name_that_was_meant() {
        assert_eq!(did_you_mean("Adm", &["Adam", "Nadam", "SGD"]), "; did you mean Adam?");
        assert_eq!(
            did_you_mean("adamx", &["Adam", "Adamax", "SGD"]),
            "; did you mean Adam or Adamax?"
        );
        assert_eq!(did_you_mean("lbfgs", &["Adam", "SGD"]), "");
    }
}
