//! The classes that a classifier tells apart, as its estimator remembers them.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The classes of a classifier, sorted, of the kind that their column had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classes {
    /// A column of integers.
    Integers(Vec<i64>),
    /// A column of reals, all of them whole.
    Reals(Vec<i64>),
    /// A column of true and false.
    Booleans(Vec<bool>),
    /// Any other column.
    Texts(Vec<String>),
}

/// How many classes a message lists.
const LISTED: usize = 12;

/// Whole numbers that a double holds exactly end here.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Classes {
    /// The classes `0` to `number - 1`, as one-hot columns have them.
    #[must_use]
    pub fn numbered(number: usize) -> Self {
        Self::Integers((0..).take(number).collect())
    }

    /// The distinct labels of a column, sorted.
    ///
    /// # Errors
    ///
    /// When the column holds reals: the row, counted from 0, of the first that is not whole.
    pub(crate) fn of(column: &[&str]) -> Result<Self, usize> {
        if let Some(integers) = column
            .iter()
            .map(|label| label.trim().parse().ok())
            .collect::<Option<Vec<i64>>>()
        {
            return Ok(Self::Integers(distinct(integers)));
        }
        if let Some(reals) = column
            .iter()
            .map(|label| label.trim().parse().ok())
            .collect::<Option<Vec<f64>>>()
        {
            return match reals.iter().position(|real| whole(*real).is_none()) {
                Some(row) => Err(row),
                None => Ok(Self::Reals(distinct(reals.into_iter().filter_map(whole).collect()))),
            };
        }
        if let Some(flags) = column.iter().map(|label| boolean(label)).collect::<Option<Vec<bool>>>() {
            return Ok(Self::Booleans(distinct(flags)));
        }
        Ok(Self::Texts(distinct(
            column.iter().map(|label| (*label).to_owned()).collect(),
        )))
    }

    /// Number of classes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(classes) | Self::Reals(classes) => classes.len(),
            Self::Booleans(classes) => classes.len(),
            Self::Texts(classes) => classes.len(),
        }
    }

    /// Whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a class as pandas writes it: `1`, `1.0`, `True`, `AML`; empty beyond the last class.
    #[must_use]
    pub fn name(&self, class: usize) -> String {
        let name = match self {
            Self::Integers(classes) => classes.get(class).map(ToString::to_string),
            Self::Reals(classes) => classes.get(class).map(|whole| format!("{whole}.0")),
            Self::Booleans(classes) => classes
                .get(class)
                .map(|flag| if *flag { "True" } else { "False" }.to_owned()),
            Self::Texts(classes) => classes.get(class).cloned(),
        };
        name.unwrap_or_default()
    }

    /// The names of all classes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        (0..self.len()).map(|class| self.name(class)).collect()
    }

    /// The class that binary scores are about: the class 1 (or true) if there is one, as in scikit-learn's scorers, else the last.
    #[must_use]
    pub fn positive(&self) -> usize {
        let one = match self {
            Self::Integers(classes) | Self::Reals(classes) => classes.iter().position(|class| *class == 1),
            Self::Booleans(_) | Self::Texts(_) => None,
        };
        one.unwrap_or_else(|| self.len().saturating_sub(1))
    }

    /// The classes' names in a sentence.
    pub(crate) fn listed(&self) -> String {
        let mut list = String::new();
        for class in 0..self.len().min(LISTED) {
            let _ = write!(list, "{}'{}'", if class == 0 { "" } else { ", " }, self.name(class));
        }
        if self.len() > LISTED {
            let _ = write!(list, " and {} more", self.len() - LISTED);
        }
        list
    }

    /// For looking labels up.
    pub(crate) fn index(&self) -> Index<'_> {
        match self {
            Self::Integers(classes) | Self::Reals(classes) => Index::Numbers(positions(classes.iter().copied())),
            Self::Booleans(classes) => Index::Booleans(positions(classes.iter().copied())),
            Self::Texts(classes) => Index::Texts(positions(classes.iter().map(String::as_str))),
        }
    }
}

/// Where each class stands. Numbers are compared as numbers.
pub(crate) enum Index<'a> {
    Numbers(HashMap<i64, usize>),
    Booleans(HashMap<bool, usize>),
    Texts(HashMap<&'a str, usize>),
}

impl Index<'_> {
    /// The class of a label.
    pub(crate) fn get(&self, label: &str) -> Option<usize> {
        match self {
            Self::Numbers(positions) => {
                let label = label.trim();
                let number = label.parse().ok().or_else(|| whole(label.parse().ok()?))?;
                positions.get(&number).copied()
            }
            Self::Booleans(positions) => positions.get(&boolean(label)?).copied(),
            Self::Texts(positions) => positions.get(label).copied(),
        }
    }
}

fn positions<T: std::hash::Hash + Eq>(classes: impl Iterator<Item = T>) -> HashMap<T, usize> {
    classes.enumerate().map(|(index, class)| (class, index)).collect()
}

fn distinct<T: Ord>(mut labels: Vec<T>) -> Vec<T> {
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// A real number as an integer, if it is whole and exact.
fn whole(real: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    let integer = real as i64;
    (real.fract() == 0.0 && real.abs() <= EXACT).then_some(integer)
}

/// The words that pandas reads as truth values.
fn boolean(label: &str) -> Option<bool> {
    match label {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}
