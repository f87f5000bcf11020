use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Deserialize)]
struct Case {
    kind: String,
    rows: usize,
    labels: Value,
    test_size: f64,
    seed: u32,
    train: Vec<usize>,
    test: Vec<usize>,
}

fn golden(kind: &str) -> Vec<Case> {
    let mut file: Value = serde_json::from_str(include_str!("../golden/splits.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_value(file["cases"].take()).unwrap();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.kind == kind).collect();
    assert!(!cases.is_empty(), "no golden case for {kind}");
    cases
}

fn labels<T: serde::de::DeserializeOwned>(case: &Case) -> Vec<T> {
    serde_json::from_value(case.labels.clone()).unwrap()
}

fn assert_rows(case: &Case, strategy: Strategy<'_>) {
    let found = split(case.rows, case.test_size, strategy).unwrap();
    assert_eq!(found.test, case.test, "{} seed {}: rows held out", case.kind, case.seed);
    assert_eq!(
        found.train, case.train,
        "{} seed {}: rows to train on",
        case.kind, case.seed
    );
}

#[test]
fn simple_splits_are_scikit_learns() {
    for case in golden("simple") {
        assert_rows(&case, Strategy::Simple { seed: case.seed });
    }
}

#[test]
fn stratified_splits_are_scikit_learns() {
    for case in golden("stratified") {
        assert_rows(
            &case,
            Strategy::Stratified {
                classes: &labels(&case),
                seed: case.seed,
            },
        );
    }
}

#[test]
fn group_splits_are_scikit_learns() {
    for case in golden("group") {
        assert_rows(
            &case,
            Strategy::Groups {
                groups: &labels::<String>(&case),
                seed: case.seed,
            },
        );
    }
}

#[test]
fn one_hot_rows_are_strata_as_in_scikit_learn() {
    for case in golden("one_hot") {
        let values: Vec<f32> = labels::<Vec<f32>>(&case).concat();
        let classes = strata(&values, 3);
        assert_rows(
            &case,
            Strategy::Stratified {
                classes: &classes,
                seed: case.seed,
            },
        );
    }
}

#[test]
fn without_shuffling_the_last_rows_are_held_out() {
    let parts = split(5, 0.3, Strategy::Ordered).unwrap();
    assert_eq!(
        parts,
        Split {
            train: vec![0, 1, 2],
            test: vec![3, 4]
        }
    );
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn named_groups_are_held_out_whatever_the_share() {
    let groups = texts(&["train", "test", "validation", "test", "train"]);
    let names = texts(&["test"]);
    let parts = split(
        5,
        0.9,
        Strategy::NamedGroups {
            groups: &groups,
            names: &names,
        },
    )
    .unwrap();
    assert_eq!(
        parts,
        Split {
            train: vec![0, 2, 4],
            test: vec![1, 3]
        }
    );
}

#[test]
fn a_share_outside_0_to_1_is_refused() {
    for share in [0.0, -0.2, 1.0, 20.0, f64::NAN] {
        let error = split(10, share, Strategy::Simple { seed: 0 }).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("is not a share between 0 and 1, such as 0.2"),
            "{error}"
        );
    }
}

#[test]
fn a_part_without_rows_is_refused() {
    let error = split(1, 0.2, Strategy::Ordered).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 row and test size 0.2 leave nothing to train on: use a smaller test size or more data"
    );
    let groups = texts(&["a", "a", "a"]);
    let error = split(
        3,
        0.2,
        Strategy::Groups {
            groups: &groups,
            seed: 0,
        },
    )
    .unwrap_err();
    assert!(error.to_string().starts_with("1 group and test size 0.2"), "{error}");
    assert!(split(0, 0.2, Strategy::Ordered).is_err());
}

#[test]
fn a_class_of_one_row_cannot_be_stratified() {
    let error = split(
        5,
        0.4,
        Strategy::Stratified {
            classes: &[0, 0, 1, 0, 0],
            seed: 0,
        },
    )
    .unwrap_err();
    let error = error.naming(|class| ["ALL", "AML"][class].to_owned());
    assert_eq!(
        error.to_string(),
        "class 'AML' has only one row: a stratified split needs at least two of each class; choose another split"
    );
}

#[test]
fn every_class_must_fit_into_both_parts() {
    let error = split(
        6,
        0.2,
        Strategy::Stratified {
            classes: &[0, 1, 2, 0, 1, 2],
            seed: 0,
        },
    )
    .unwrap_err();
    assert_eq!(
        error,
        SplitError::MoreClassesThanRows {
            classes: 3,
            rows: 2,
            part: "hold out"
        }
    );
    let error = split(
        6,
        0.8,
        Strategy::Stratified {
            classes: &[0, 1, 2, 0, 1, 2],
            seed: 0,
        },
    )
    .unwrap_err();
    assert_eq!(
        error,
        SplitError::MoreClassesThanRows {
            classes: 3,
            rows: 1,
            part: "train on"
        }
    );
}

#[test]
fn labels_of_another_length_are_refused() {
    let error = split(
        3,
        0.5,
        Strategy::Stratified {
            classes: &[0, 1],
            seed: 0,
        },
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there are 3 rows to split, but 2 class labels: both tables need the same rows"
    );
    let groups = texts(&["a"]);
    assert!(matches!(
        split(
            2,
            0.5,
            Strategy::Groups {
                groups: &groups,
                seed: 0
            }
        ),
        Err(SplitError::Length { found: 1, .. })
    ));
}

#[test]
fn groups_that_do_not_exist_are_named() {
    let groups = texts(&["train", "test"]);
    let names = texts(&["tset"]);
    let error = split(
        2,
        0.2,
        Strategy::NamedGroups {
            groups: &groups,
            names: &names,
        },
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no row belongs to group 'tset'; the groups are 'test', 'train'"
    );
    let error = split(
        2,
        0.2,
        Strategy::NamedGroups {
            groups: &groups,
            names: &groups,
        },
    )
    .unwrap_err();
    assert_eq!(error, SplitError::AllGroups);
    let error = split(
        2,
        0.2,
        Strategy::NamedGroups {
            groups: &groups,
            names: &[],
        },
    )
    .unwrap_err();
    assert_eq!(error, SplitError::NoGroup);
}

#[test]
fn seeds_are_32_bit() {
    assert_eq!(seed(4_294_967_295), Ok(u32::MAX));
    assert_eq!(seed(-1), Err(SplitError::Seed(-1)));
    assert_eq!(
        seed(4_294_967_296).unwrap_err().to_string(),
        "random state 4294967296 is not between 0 and 4294967295"
    );
}
