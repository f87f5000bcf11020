//! Rows held out for validation or test, chosen as scikit-learn chooses them.
//!
//! With the same `random_state`, the same rows come out in the same order as from scikit-learn's `ShuffleSplit`,
//! `StratifiedShuffleSplit` and `GroupShuffleSplit` (first split). `ceil(test_size * rows)` rows are held out, the others are for
//! training.

mod numpy;

use std::collections::HashMap;

use numpy::RandomState;

/// The share that is held out when the form leaves it empty (only the group split may).
pub const DEFAULT_TEST_SIZE: f64 = 0.2;

/// How rows are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy<'a> {
    /// The first rows train, the last ones are held out; nothing is shuffled.
    Ordered,
    /// At random.
    Simple {
        /// `random_state`.
        seed: u32,
    },
    /// At random, so that each class has the same share in both parts.
    Stratified {
        /// The class of each row, as an index into the sorted classes (see [`strata`]).
        classes: &'a [usize],
        /// `random_state`.
        seed: u32,
    },
    /// Whole groups at random: no group is in both parts. The share counts groups, not rows.
    Groups {
        /// The group of each row.
        groups: &'a [String],
        /// `random_state`.
        seed: u32,
    },
    /// The rows of the named groups are held out; the share does not count.
    NamedGroups {
        /// The group of each row.
        groups: &'a [String],
        /// The groups to hold out.
        names: &'a [String],
    },
}

/// Row numbers, counted from 0, in the order in which scikit-learn gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows held out.
    pub test: Vec<usize>,
}

/// Why the rows cannot be split.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// The share is not between 0 and 1.
    #[error("test size {0} is not a share between 0 and 1, such as 0.2")]
    TestSize(f64),
    /// The seed does not fit the generator.
    #[error("random state {0} is not between 0 and 4294967295")]
    Seed(i64),
    /// One part would be empty.
    #[error(
        "{units} {what} and test size {test_size} leave nothing to train on: use a smaller test size or more data",
        what = if *units == 1 { unit.to_string() } else { format!("{unit}s") }
    )]
    NothingToTrain {
        /// What is split: rows or groups.
        unit: &'static str,
        /// How many there are.
        units: usize,
        /// The share to hold out.
        test_size: f64,
    },
    /// A class is too small to be in both parts.
    #[error(
        "class '{class}' has only one row: a stratified split needs at least two of each class; choose another split"
    )]
    SmallClass {
        /// The class, as index until [`SplitError::naming`] gives it a name.
        class: String,
    },
    /// There are more classes than rows in a part.
    #[error(
        "{classes} classes do not fit into {rows} rows to {part}: a stratified split needs a row of each class in both parts"
    )]
    MoreClassesThanRows {
        /// Number of classes.
        classes: usize,
        /// Rows of the part.
        rows: usize,
        /// What the part is for.
        part: &'static str,
    },
    /// The list of classes or groups is of another length than the table.
    #[error("there are {rows} rows to split, but {found} {what}: both tables need the same rows")]
    Length {
        /// Rows to split.
        rows: usize,
        /// Entries found.
        found: usize,
        /// What they are.
        what: &'static str,
    },
    /// A group that no row belongs to.
    #[error("no row belongs to group '{name}'; the groups are {known}")]
    UnknownGroup {
        /// The name asked for.
        name: String,
        /// Some of the groups there are.
        known: String,
    },
    /// No group is named.
    #[error("no group is named to hold out: give the names, with commas between them")]
    NoGroup,
    /// All rows belong to the named groups.
    #[error("all rows belong to the groups held out, which leaves nothing to train on: name fewer groups")]
    AllGroups,
}

impl SplitError {
    /// The same error with the class's name in place of its index.
    #[must_use]
    pub fn naming(self, name: impl Fn(usize) -> String) -> Self {
        match self {
            Self::SmallClass { class } => Self::SmallClass {
                class: class.parse().map_or(class, name),
            },
            other => other,
        }
    }
}

/// A form's `random_state` as a seed.
///
/// # Errors
///
/// When it is negative or does not fit into 32 bits, which `numpy` refuses too.
pub fn seed(random_state: i64) -> Result<u32, SplitError> {
    u32::try_from(random_state).map_err(|_| SplitError::Seed(random_state))
}

/// Splits `rows` rows, holding out the share `test_size` of them.
///
/// # Errors
///
/// When the share is not between 0 and 1, a part would be empty, a class has a single row, or the named groups do not exist.
pub fn split(rows: usize, test_size: f64, strategy: Strategy<'_>) -> Result<Split, SplitError> {
    match strategy {
        Strategy::Ordered => {
            let sizes = Sizes::of("row", rows, test_size)?;
            Ok(Split {
                train: (0..sizes.train).collect(),
                test: (sizes.train..rows).collect(),
            })
        }
        Strategy::Simple { seed } => {
            let sizes = Sizes::of("row", rows, test_size)?;
            let mut test = RandomState::new(seed).permutation(rows);
            let train = test.split_off(sizes.test);
            Ok(Split { train, test })
        }
        Strategy::Stratified { classes, seed } => {
            same_length(rows, classes.len(), "class labels")?;
            stratified(classes, &Sizes::of("row", rows, test_size)?, seed)
        }
        Strategy::Groups { groups, seed } => {
            same_length(rows, groups.len(), "group labels")?;
            whole_groups(groups, test_size, seed)
        }
        Strategy::NamedGroups { groups, names } => {
            same_length(rows, groups.len(), "group labels")?;
            named_groups(groups, names)
        }
    }
}

fn same_length(rows: usize, found: usize, what: &'static str) -> Result<(), SplitError> {
    if rows == found {
        Ok(())
    } else {
        Err(SplitError::Length { rows, found, what })
    }
}

/// How many go into each part.
struct Sizes {
    train: usize,
    test: usize,
}

impl Sizes {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of rows, far below 2^53, as scikit-learn computes it"
    )]
    fn of(unit: &'static str, units: usize, test_size: f64) -> Result<Self, SplitError> {
        if !(test_size > 0.0 && test_size < 1.0) {
            return Err(SplitError::TestSize(test_size));
        }
        let test = (test_size * units as f64).ceil() as usize;
        if test >= units {
            return Err(SplitError::NothingToTrain { unit, units, test_size });
        }
        Ok(Self {
            train: units - test,
            test,
        })
    }
}

fn stratified(classes: &[usize], sizes: &Sizes, seed: u32) -> Result<Split, SplitError> {
    let number = classes.iter().max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); number];
    for (row, &class) in classes.iter().enumerate() {
        members[class].push(row);
    }
    if let Some(class) = members.iter().position(|rows| rows.len() == 1) {
        return Err(SplitError::SmallClass {
            class: class.to_string(),
        });
    }
    // A class without rows is not a class of this table.
    members.retain(|rows| !rows.is_empty());
    for (rows, part) in [(sizes.train, "train on"), (sizes.test, "hold out")] {
        if rows < members.len() {
            return Err(SplitError::MoreClassesThanRows {
                classes: members.len(),
                rows,
                part,
            });
        }
    }

    let mut random = RandomState::new(seed);
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let for_training = shares(&counts, sizes.train, &mut random);
    let left: Vec<usize> = counts
        .iter()
        .zip(&for_training)
        .map(|(all, taken)| all - taken)
        .collect();
    let for_test = shares(&left, sizes.test, &mut random);
    let mut split = Split {
        train: Vec::with_capacity(sizes.train),
        test: Vec::with_capacity(sizes.test),
    };
    for (class, rows) in members.iter().enumerate() {
        let order = random.permutation(rows.len());
        let mut shuffled = order.into_iter().map(|index| rows[index]);
        split.train.extend(shuffled.by_ref().take(for_training[class]));
        split.test.extend(shuffled.take(for_test[class]));
    }
    random.shuffle(&mut split.train);
    random.shuffle(&mut split.test);
    Ok(split)
}

/// How many of `draws` rows each class gives: its proportional share rounded down, and what is then missing from the classes with the
/// largest remainders, ties broken at random. This is scikit-learn's `_approximate_mode`, in the same floating-point steps, because a
/// remainder that is a bit off would no longer tie and would change every draw that follows.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "counts are far below 2^53, and remainders tie only when they are equal bit for bit"
)]
fn shares(counts: &[usize], draws: usize, random: &mut RandomState) -> Vec<usize> {
    let total = counts.iter().sum::<usize>() as f64;
    let exact: Vec<f64> = counts
        .iter()
        .map(|&count| count as f64 / total * draws as f64)
        .collect();
    let mut taken: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut missing = draws.saturating_sub(taken.iter().sum());
    let remainders: Vec<f64> = exact.iter().map(|share| share - share.floor()).collect();
    let mut largest = remainders.clone();
    largest.sort_by(|a, b| b.total_cmp(a));
    largest.dedup();
    for value in largest {
        if missing == 0 {
            break;
        }
        let tied: Vec<usize> = (0..counts.len()).filter(|&class| remainders[class] == value).collect();
        let more = tied.len().min(missing);
        for class in random.choice(&tied, more) {
            taken[class] += 1;
        }
        missing -= more;
    }
    taken
}

fn whole_groups(groups: &[String], test_size: f64, seed: u32) -> Result<Split, SplitError> {
    let (indices, number) = group_indices(groups);
    let sizes = Sizes::of("group", number, test_size)?;
    let order = RandomState::new(seed).permutation(number);
    let mut held_out = vec![false; number];
    for &group in &order[..sizes.test] {
        held_out[group] = true;
    }
    Ok(by_row(groups.len(), |row| held_out[indices[row]]))
}

/// Groups as indices into the sorted distinct groups, and how many of these there are.
fn group_indices(groups: &[String]) -> (Vec<usize>, usize) {
    let sorted = sorted_distinct(groups);
    let position: HashMap<&str, usize> = sorted
        .iter()
        .enumerate()
        .map(|(index, group)| (*group, index))
        .collect();
    (
        groups.iter().map(|group| position[group.as_str()]).collect(),
        sorted.len(),
    )
}

/// The distinct values, sorted as `numpy.unique` sorts what pandas reads: as numbers if all are numbers, else as texts.
fn sorted_distinct(values: &[String]) -> Vec<&str> {
    let mut distinct: Vec<&str> = values.iter().map(String::as_str).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let numbers: Option<Vec<f64>> = distinct.iter().map(|value| value.trim().parse().ok()).collect();
    if let Some(numbers) = numbers {
        let mut order: Vec<(f64, &str)> = numbers.into_iter().zip(distinct).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        distinct = order.into_iter().map(|(_, value)| value).collect();
    }
    distinct
}

/// How many groups an error lists.
const LISTED: usize = 8;

fn named_groups(groups: &[String], names: &[String]) -> Result<Split, SplitError> {
    if names.is_empty() {
        return Err(SplitError::NoGroup);
    }
    for name in names {
        if !groups.contains(name) {
            let sorted = sorted_distinct(groups);
            let mut known: Vec<String> = sorted.iter().take(LISTED).map(|group| format!("'{group}'")).collect();
            if sorted.len() > LISTED {
                known.push(format!("and {} more", sorted.len() - LISTED));
            }
            return Err(SplitError::UnknownGroup {
                name: name.clone(),
                known: known.join(", "),
            });
        }
    }
    let split = by_row(groups.len(), |row| names.contains(&groups[row]));
    if split.train.is_empty() {
        Err(SplitError::AllGroups)
    } else {
        Ok(split)
    }
}

fn by_row(rows: usize, held_out: impl Fn(usize) -> bool) -> Split {
    let (test, train) = (0..rows).partition(|&row| held_out(row));
    Split { train, test }
}

/// The class of each row of a one-hot or multi-label table `[rows, columns]`, for a stratified split: equal rows are one class.
///
/// scikit-learn joins the cells of a row with spaces and sorts these texts, so a one-hot table's classes come in reverse order.
#[must_use]
pub fn strata(values: &[f32], columns: usize) -> Vec<usize> {
    let rows: Vec<String> = values
        .chunks_exact(columns.max(1))
        .map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        .collect();
    let mut sorted: Vec<&str> = rows.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let position: HashMap<&str, usize> = sorted
        .into_iter()
        .enumerate()
        .map(|(index, row)| (row, index))
        .collect();
    rows.iter().map(|row| position[row.as_str()]).collect()
}

#[cfg(test)]
mod tests;
