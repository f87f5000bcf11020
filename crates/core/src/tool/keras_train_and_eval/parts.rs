//! Which rows train, which validate after each epoch, and which are scored in the end.

use super::plan::{Plan, Split, SplitKind};
use super::targets::Truth;
use crate::galaxy::inputs::TableInput;
use crate::galaxy::table;
use crate::nn::random::{Seed, Stream};
use crate::train::split::{self, Strategy};
use crate::{Error, Result};

/// The rows of each part, counted from 0.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub train: Vec<usize>,
    /// The same as `test` unless the form asks for a part of its own.
    pub validation: Vec<usize>,
    pub test: Vec<usize>,
    /// Whether validation has a part of its own.
    three: bool,
}

impl Parts {
    /// Holds rows out for the test and then, if the form says so, some of the rest for validation: a share is one of the rest.
    pub(super) fn new(plan: &Plan, truth: &Truth, seed: Seed) -> Result<Self> {
        let rows: Vec<usize> = (0..truth.rows()).collect();
        let groups = match &plan.split.kind {
            SplitKind::Groups { table, .. } => Some(groups(table, rows.len())?),
            _ => None,
        };
        let divide = |split: &Split, rows: &[usize], stream| {
            let state = split.seed.unwrap_or_else(|| seed.derived(stream));
            divided(split, rows, truth, groups.as_deref(), state)
        };
        let outer = divide(&plan.split, &rows, Stream::Split)?;
        let Some(split) = &plan.validation_split else {
            return Ok(Self {
                train: outer.train,
                validation: outer.test.clone(),
                test: outer.test,
                three: false,
            });
        };
        let inner = divide(split, &outer.train, Stream::ValidationSplit)?;
        Ok(Self {
            train: inner.train,
            validation: inner.test,
            test: outer.test,
            three: true,
        })
    }

    /// The parts' sizes for the job's log.
    pub(super) fn described(&self) -> String {
        let (train, validation, test) = (self.train.len(), self.validation.len(), self.test.len());
        if self.three {
            format!("training on {train} rows, validating on {validation}, testing on {test}")
        } else {
            format!("training on {train} rows, validating on {validation} rows held out")
        }
    }
}

/// The group of each row.
fn groups(table: &TableInput, rows: usize) -> Result<Vec<String>> {
    let cells = table::read_cells(&table.path, table.header, &table.columns)?;
    if cells.columns != 1 {
        return Err(Error::Input(format!(
            "{}: groups are read from one column, but {} are chosen",
            table.path.display(),
            cells.columns
        )));
    }
    if cells.rows != rows {
        return Err(split::SplitError::Length {
            rows,
            found: cells.rows,
            what: "group labels",
        }
        .into());
    }
    Ok(cells.values)
}

/// Divides `rows` as the form says; `groups` are those of all rows of the table.
fn divided(
    split: &Split,
    rows: &[usize],
    truth: &Truth,
    groups: Option<&[String]>,
    state: u32,
) -> Result<split::Split> {
    let groups = || -> Result<Vec<String>> {
        let all = groups.ok_or_else(|| {
            Error::Input(
                "the validation holdout goes by groups, but the test holdout does not, and only there is the dataset with the groups \
                 given: choose groups for both, or another method for validation"
                    .into(),
            )
        })?;
        Ok(rows.iter().map(|&row| all[row].clone()).collect())
    };
    let (classes, members);
    let strategy = match &split.kind {
        SplitKind::Ordered => Strategy::Ordered,
        SplitKind::Simple => Strategy::Simple { seed: state },
        SplitKind::Stratified => {
            let all = match truth {
                Truth::Classes { indices, .. } => indices.clone(),
                Truth::MultiLabel { values, columns, .. } => split::strata(values, *columns),
                Truth::Values { matrix } => split::strata(&matrix.values, matrix.columns),
            };
            classes = rows.iter().map(|&row| all[row]).collect::<Vec<_>>();
            Strategy::Stratified {
                classes: &classes,
                seed: state,
            }
        }
        SplitKind::Groups { names, .. } | SplitKind::SameGroups { names } => {
            members = groups()?;
            if names.is_empty() {
                Strategy::Groups {
                    groups: &members,
                    seed: state,
                }
            } else {
                Strategy::NamedGroups {
                    groups: &members,
                    names,
                }
            }
        }
    };
    let name = |class: usize| {
        truth
            .classes()
            .map_or_else(|| class.to_string(), |classes| classes.name(class))
    };
    let chosen = split::split(rows.len(), split.test_size, strategy).map_err(|error| error.naming(name))?;
    let rows_of = |part: Vec<usize>| part.into_iter().map(|place| rows[place]).collect();
    Ok(split::Split {
        train: rows_of(chosen.train),
        test: rows_of(chosen.test),
    })
}
