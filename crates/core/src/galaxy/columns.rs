//! Which columns of a table the user chose: by number, by name, all but those, or all.

use std::fmt::Write as _;

use serde::Deserialize;

use super::inputs::{ColumnList, Text};
use super::text;

/// The five ways in which the forms choose columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Form")]
pub enum Selector {
    /// These columns, counted from 1.
    ByIndexNumber(Vec<usize>),
    /// All columns except these, counted from 1.
    AllButByIndexNumber(Vec<usize>),
    /// The columns with these names in the header.
    ByHeaderName(Vec<String>),
    /// All columns except those with these names in the header.
    AllButByHeaderName(Vec<String>),
    /// Every column.
    #[default]
    AllColumns,
}

/// Why a choice of columns does not fit a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// A column number beyond the table.
    #[error("there is no column {column}: the table has {columns}; choose columns from 1 to {columns}")]
    NoSuchNumber {
        /// The number asked for, counted from 1.
        column: usize,
        /// How many columns the table has.
        columns: usize,
    },
    /// A name that the header lacks.
    #[error("there is no column named '{name}'{}", near_or_all(name, names))]
    NoSuchName {
        /// The name asked for.
        name: String,
        /// The names in the header.
        names: Vec<String>,
    },
    /// Names were asked for, but the table is read without a header.
    #[error(
        "columns are chosen by header name ('{name}'), but the table is read without a header: set 'Does the dataset contain \
         header' to Yes, or choose columns by number"
    )]
    NamesWithoutHeader {
        /// The first name asked for.
        name: String,
    },
    /// No column is left.
    #[error("no column is selected: choose at least one of the table's {columns}")]
    Empty {
        /// How many columns the table has.
        columns: usize,
    },
}

impl Selector {
    /// The chosen columns, counted from 0, in the order in which they were asked for (as pandas' `iloc` and `[]` return them).
    ///
    /// `names` is the header, when the table is read with one. A name that is not found as it stands is also compared with what
    /// Galaxy's sanitiser makes of each header.
    ///
    /// # Errors
    ///
    /// When a column does not exist, names are asked for without a header, or nothing is selected.
    pub fn resolve(&self, names: Option<&[String]>, columns: usize) -> Result<Vec<usize>, ColumnError> {
        let chosen = match self {
            Self::AllColumns => (0..columns).collect(),
            Self::ByIndexNumber(numbers) => from_numbers(numbers, columns)?,
            Self::AllButByIndexNumber(numbers) => all_but(&from_numbers(numbers, columns)?, columns),
            Self::ByHeaderName(wanted) => from_names(wanted, names)?,
            Self::AllButByHeaderName(wanted) => all_but(&from_names(wanted, names)?, columns),
        };
        if chosen.is_empty() {
            Err(ColumnError::Empty { columns })
        } else {
            Ok(chosen)
        }
    }
}

fn from_numbers(numbers: &[usize], columns: usize) -> Result<Vec<usize>, ColumnError> {
    numbers
        .iter()
        .map(|&column| {
            if (1..=columns).contains(&column) {
                Ok(column - 1)
            } else {
                Err(ColumnError::NoSuchNumber { column, columns })
            }
        })
        .collect()
}

fn from_names(wanted: &[String], names: Option<&[String]>) -> Result<Vec<usize>, ColumnError> {
    wanted
        .iter()
        .map(|name| {
            let names = names.ok_or_else(|| ColumnError::NamesWithoutHeader { name: name.clone() })?;
            position(name, names).ok_or_else(|| ColumnError::NoSuchName {
                name: name.clone(),
                names: names.to_vec(),
            })
        })
        .collect()
}

/// Where `name` stands in the header: the first exact match, or else the only header that Galaxy would have mangled into `name`.
fn position(name: &str, names: &[String]) -> Option<usize> {
    if let Some(exact) = names.iter().position(|header| header.trim() == name) {
        return Some(exact);
    }
    let mut mangled = names
        .iter()
        .enumerate()
        .filter(|(_, header)| text::as_received(header.trim()) == name);
    match (mangled.next(), mangled.next()) {
        (Some((column, _)), None) => Some(column),
        _ => None,
    }
}

fn all_but(dropped: &[usize], columns: usize) -> Vec<usize> {
    (0..columns).filter(|column| !dropped.contains(column)).collect()
}

/// How many names a message lists at most.
const LISTED: usize = 8;

/// The end of a sentence about an unknown name: the names that look like it, or else what there is.
fn near_or_all(name: &str, names: &[String]) -> String {
    let wanted = name.to_lowercase();
    let mut near: Vec<(usize, &String)> = names
        .iter()
        .map(|candidate| (edit_distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= 1 + wanted.chars().count() / 4)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    let (lead, shown): (_, Vec<&String>) = if near.is_empty() {
        ("; the header has ", names.iter().take(LISTED).collect())
    } else {
        (
            "; did you mean ",
            near.into_iter().take(3).map(|(_, candidate)| candidate).collect(),
        )
    };
    let mut sentence = String::from(lead);
    for (index, candidate) in shown.iter().enumerate() {
        let _ = write!(sentence, "{}'{candidate}'", if index == 0 { "" } else { ", " });
    }
    if lead.ends_with("mean ") {
        sentence.push('?');
    } else if names.len() > LISTED {
        let _ = write!(sentence, " and {} more", names.len() - LISTED);
    }
    sentence
}

/// Levenshtein's distance between two words.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let replaced = previous[column] + usize::from(a != *b);
            current.push(replaced.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[right.len()]
}

/// The conditional as the form writes it. The three forms give the same fields different endings.
#[derive(Deserialize)]
struct Form {
    #[serde(
        alias = "selected_column_selector_option2",
        alias = "selected_column_selector_option_g"
    )]
    selected_column_selector_option: Kind,
    #[serde(default, alias = "col2", alias = "col_g")]
    col1: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ByIndexNumber,
    AllButByIndexNumber,
    ByHeaderName,
    AllButByHeaderName,
    AllColumns,
}

impl TryFrom<Form> for Selector {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        let columns = form.col1.unwrap_or_default();
        let numbers = |value| match serde_json::from_value::<ColumnList>(value) {
            Ok(list) => Ok(list.0),
            Err(error) => Err(format!("the chosen columns are not column numbers: {error}")),
        };
        let names = |value| match serde_json::from_value::<Option<Text>>(value) {
            Ok(names) => Ok(split_names(&names.unwrap_or_default().0)),
            Err(error) => Err(format!("the chosen columns are not header names: {error}")),
        };
        Ok(match form.selected_column_selector_option {
            Kind::ByIndexNumber => Self::ByIndexNumber(numbers(columns)?),
            Kind::AllButByIndexNumber => Self::AllButByIndexNumber(numbers(columns)?),
            Kind::ByHeaderName => Self::ByHeaderName(names(columns)?),
            Kind::AllButByHeaderName => Self::AllButByHeaderName(names(columns)?),
            Kind::AllColumns => Self::AllColumns,
        })
    }
}

/// Splits a comma-separated list of names, as the forms take them; spaces around a name and empty names do not count.
#[must_use]
pub fn split_names(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<String> {
        ["age", "gender", "miles", "CD4%", "income"].map(str::to_owned).to_vec()
    }

    fn selector(json: &str) -> Selector {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_form_gives_each_kind_of_selector() {
        assert_eq!(
            selector(r#"{"selected_column_selector_option": "all_columns"}"#),
            Selector::AllColumns
        );
        assert_eq!(
            selector(r#"{"col1": [1, 3], "selected_column_selector_option": "by_index_number"}"#),
            Selector::ByIndexNumber(vec![1, 3])
        );
        assert_eq!(
            selector(r#"{"col2": "2", "selected_column_selector_option2": "all_but_by_index_number"}"#),
            Selector::AllButByIndexNumber(vec![2])
        );
        assert_eq!(
            selector(r#"{"col_g": " age ,miles,", "selected_column_selector_option_g": "by_header_name"}"#),
            Selector::ByHeaderName(vec!["age".into(), "miles".into()])
        );
        assert_eq!(
            selector(r#"{"col1": "a__pd__1", "selected_column_selector_option": "all_but_by_header_name"}"#),
            Selector::AllButByHeaderName(vec!["a#1".into()])
        );
    }

    #[test]
    fn an_unknown_kind_lists_the_five() {
        let error = serde_json::from_str::<Selector>(r#"{"selected_column_selector_option": "by_name"}"#).unwrap_err();
        assert!(error.to_string().contains("`by_header_name`"), "{error}");
    }

    #[test]
    fn columns_come_in_the_order_asked_for() {
        assert_eq!(Selector::ByIndexNumber(vec![3, 1]).resolve(None, 5), Ok(vec![2, 0]));
        assert_eq!(
            Selector::AllButByIndexNumber(vec![3, 1]).resolve(None, 5),
            Ok(vec![1, 3, 4])
        );
        let names = header();
        let by_name = Selector::ByHeaderName(vec!["income".into(), "age".into()]);
        assert_eq!(by_name.resolve(Some(&names), 5), Ok(vec![4, 0]));
        let all_but = Selector::AllButByHeaderName(vec!["gender".into()]);
        assert_eq!(all_but.resolve(Some(&names), 5), Ok(vec![0, 2, 3, 4]));
        assert_eq!(Selector::AllColumns.resolve(None, 2), Ok(vec![0, 1]));
    }

    #[test]
    fn a_name_that_galaxy_mangled_is_found() {
        let by_name = Selector::ByHeaderName(vec!["CD4X".into()]);
        assert_eq!(by_name.resolve(Some(&header()), 5), Ok(vec![3]));
        let ambiguous: Vec<String> = ["a%", "a&"].map(str::to_owned).to_vec();
        assert!(
            Selector::ByHeaderName(vec!["aX".into()])
                .resolve(Some(&ambiguous), 2)
                .is_err()
        );
    }

    #[test]
    fn a_column_that_does_not_exist_says_how_many_there_are() {
        let error = Selector::ByIndexNumber(vec![2, 9]).resolve(None, 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no column 9: the table has 5; choose columns from 1 to 5"
        );
        assert!(Selector::AllButByIndexNumber(vec![0]).resolve(None, 5).is_err());
    }

    #[test]
    fn an_unknown_name_lists_the_near_ones() {
        let error = Selector::ByHeaderName(vec!["Mile".into()])
            .resolve(Some(&header()), 5)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no column named 'Mile'; did you mean 'miles'?"
        );
        let error = Selector::ByHeaderName(vec!["weight".into()])
            .resolve(Some(&header()[..2]), 2)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no column named 'weight'; the header has 'age', 'gender'"
        );
    }

    #[test]
    fn names_need_a_header() {
        let error = Selector::ByHeaderName(vec!["age".into()]).resolve(None, 5).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("set 'Does the dataset contain header' to Yes"),
            "{error}"
        );
    }

    #[test]
    fn an_empty_choice_is_refused() {
        assert_eq!(
            Selector::ByIndexNumber(vec![]).resolve(None, 5),
            Err(ColumnError::Empty { columns: 5 })
        );
        assert_eq!(
            Selector::AllButByIndexNumber(vec![1, 2]).resolve(None, 2),
            Err(ColumnError::Empty { columns: 2 })
        );
    }
}
