//! Which rows are held out.

use serde_json::{Value, json};

use crate::lab::Lab;

#[test]
fn every_split_kind_trains() {
    let lab = Lab::new();
    lab.classifier();
    lab.write(
        "groups.tsv",
        (0..40).map(|row| format!("g{}\n", row % 5)).collect::<String>(),
    );
    let selector = json!({"infile_g": lab.path("groups.tsv"), "header_g": false,
        "column_selector_options_g": {"selected_column_selector_option_g": "by_index_number", "col_g": [1]}});
    let kinds = [
        (json!({"test_size": 0.2, "shuffle": "None"}), 9),
        (json!({"test_size": 0.2, "random_state": null, "shuffle": "simple"}), 9),
        (json!({"test_size": 0.2, "random_state": 3, "shuffle": "stratified"}), 9),
        (
            json!({"test_size": 0.2, "random_state": 3, "group_names": "", "groups_selector": selector, "shuffle": "group"}),
            9,
        ),
        (
            json!({"test_size": 0.2, "random_state": null, "group_names": "g1, g2", "groups_selector": selector, "shuffle": "group"}),
            17,
        ),
    ];
    for (kind, lines) in kinds {
        let mut inputs = lab.training();
        inputs["experiment_schemes"]["test_split"]["split_algos"] = kind.clone();
        lab.train(&inputs).0.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(lab.read("train/y_true.tabular").lines().count(), lines, "{kind}");
    }
}

#[test]
fn validation_may_have_rows_of_its_own_and_the_test_rows_stay_the_same() {
    let lab = Lab::new();
    lab.classifier();
    let mut inputs = lab.training();
    inputs["save"] = json!(["save_prediction"]);
    lab.train(&inputs).0.expect("training");
    let held_out = lab.read("train/y_true.tabular");

    let simple = json!({"test_size": 0.25, "random_state": 1, "shuffle": "simple"});
    let of_the_rest = json!({"test_size": 0.2, "random_state": 3, "shuffle": "simple"});
    let (result, printed) = lab.train(&lab.training_in_three_parts(&simple, &of_the_rest));
    result.expect("training");
    // 10 of 40, then a fifth of the other 30.
    assert!(
        printed.contains("training on 24 rows, validating on 6, testing on 10\n"),
        "{printed}"
    );
    assert!(printed.contains("result on 10 rows held out"), "{printed}");
    assert_eq!(lab.read("train/y_true.tabular"), held_out);

    for (kind, random_state) in [("stratified", json!(1)), ("None", Value::Null)] {
        let mut split = json!({"test_size": 0.2, "shuffle": kind});
        if !random_state.is_null() {
            split["random_state"] = random_state;
        }
        let (result, printed) = lab.train(&lab.training_in_three_parts(&simple, &split));
        result.expect("training");
        assert!(
            printed.contains("training on 24 rows, validating on 6, testing on 10\n"),
            "{printed}"
        );
    }
}

#[test]
fn groups_of_the_test_holdout_serve_validation_too() {
    let lab = Lab::new();
    lab.classifier();
    let groups: String = (0..40).map(|row| format!("plate {}\n", row % 4 + 1)).collect();
    lab.write("groups.tsv", groups);
    let selector = json!({
        "infile_g": lab.path("groups.tsv"), "header_g": false,
        "column_selector_options_g": {"selected_column_selector_option_g": "all_columns"}
    });
    let test = json!({
        "test_size": null, "random_state": null, "group_names": "plate 4", "groups_selector": selector, "shuffle": "group"
    });
    let named = json!({"test_size": null, "random_state": null, "group_names": "plate 1,plate 2", "shuffle": "group"});
    let (result, printed) = lab.train(&lab.training_in_three_parts(&test, &named));
    result.expect("training");
    assert!(
        printed.contains("training on 10 rows, validating on 20, testing on 10\n"),
        "{printed}"
    );
    // A third of the three groups that are left.
    let drawn = json!({"test_size": 0.3, "random_state": 5, "group_names": "", "shuffle": "group"});
    let (result, printed) = lab.train(&lab.training_in_three_parts(&test, &drawn));
    result.expect("training");
    assert!(
        printed.contains("training on 20 rows, validating on 10, testing on 10\n"),
        "{printed}"
    );

    let lab = Lab::new();
    lab.classifier();
    let simple = json!({"test_size": 0.25, "random_state": 1, "shuffle": "simple"});
    lab.refuses_training(
        &lab.training_in_three_parts(&simple, &named),
        &["validation holdout goes by groups", "choose groups for both"],
    );
}
