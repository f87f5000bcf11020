//! The newer generation of the published tools: its form of the builder, models as HDF5 files, its result table, the history, and
//! predictions from the model alone.
#![cfg(feature = "engine")]

use std::fs;
use std::path::{Path, PathBuf};

use galaxy_burn_core::keras::weights;
use galaxy_burn_core::tool::{keras_model_builder, keras_train_and_eval, model_prediction};
use serde_json::{Value, json};
use tempfile::TempDir;

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-data").join(name)
}

struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("text")
    }

    fn job(&self, name: &str, form: &Value) -> (PathBuf, PathBuf) {
        let dir = self.path(name);
        fs::create_dir_all(&dir).expect("a directory");
        let inputs = self.path(&format!("{name}.json"));
        fs::write(&inputs, form.to_string()).expect("written");
        (inputs, dir)
    }

    /// The builder's newer form, filled in as Galaxy hands it over; the model is then at `model/estimator.h5mlm`.
    fn build(&self, model: &str, learning_type: &str, loss: &str, fit: &Value) {
        let mut fit_params = json!({
            "epochs": 3, "batch_size": 8, "steps_per_epoch": null, "validation_split": 0.1, "validation_steps": null,
            "callbacks": [{"callback_selection": {"callback_type": "CSVLogger"}}], "verbose": 1
        });
        for (key, value) in fit.as_object().expect("an object") {
            fit_params[key] = value.clone();
        }
        let (inputs, dir) = self.job(
            "model",
            &json!({"mode_selection": {
                "infile_json": bundled(&format!("models/{model}_config.json")), "learning_type": learning_type,
                "compile_params": {
                    "loss": loss,
                    "optimizer_selection": {
                        "optimizer_options": {
                            "learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": false
                        },
                        "optimizer_type": "Adam"
                    },
                    "metrics": ["mse"]
                },
                "fit_params": fit_params, "random_seed": 42, "estimator_format": "h5mlm", "mode_type": "train_model"
            }}),
        );
        keras_model_builder::run(&inputs, &dir).expect("a model");
    }

    /// Trains on the bundled table; returns what was printed.
    fn train(&self, target: &str, scoring: &Value) -> String {
        let (inputs, dir) = self.job(
            "train",
            &json!({
                "experiment_schemes": {
                    "infile_estimator": self.path("model/estimator.h5mlm"),
                    "hyperparams_swapping": {"param_set": [{"sp_name": null, "sp_value": ""}]},
                    "test_split": {"split_algos": {"test_size": 0.2, "random_state": 7, "shuffle": "simple"}},
                    "metrics": {"scoring": scoring}, "selected_exp_scheme": "train_val"
                },
                "input_options": {
                    "infile1": bundled("tables/blobs_X.tsv"), "header1": true,
                    "column_selector_options_1": {"selected_column_selector_option": "all_columns"},
                    "infile2": bundled("tables/blobs.tsv"), "header2": true,
                    "column_selector_options_2": {"col2": target, "selected_column_selector_option2": "by_header_name"},
                    "selected_input": "tabular"
                },
                "save": ["save_estimator", "save_csvlogger"]
            }),
        );
        let mut printed = Vec::new();
        keras_train_and_eval::run(&inputs, &dir, None, &mut printed).expect("training");
        String::from_utf8(printed).expect("text")
    }

    fn predict(&self, method: &str, weights: Option<&Path>) -> String {
        let (inputs, dir) = self.job(
            "predict",
            &json!({
                "infile_estimator": self.path("train/estimator.h5mlm"), "infile_weights": weights, "method": method,
                "input_options": {
                    "infile1": bundled("tables/blobs_X.tsv"), "header1": true,
                    "column_selector_options_1": {"selected_column_selector_option": "all_columns"},
                    "selected_input": "tabular"
                }
            }),
        );
        model_prediction::run(&inputs, &dir, &mut std::io::sink()).expect("predictions");
        self.read("predict/predictions.tabular")
    }
}

fn columns(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split('\t').collect()).collect()
}

#[test]
fn a_model_goes_as_hdf5_from_builder_to_prediction() {
    let lab = Lab::new();
    lab.build("classifier", "KerasGClassifier", "binary_crossentropy", &json!({}));
    lab.train("cell type", &json!({"primary_scoring": "default"}));
    assert!(!lab.path("train/estimator.zip").exists());
    let alone = lab.predict("predict", None);
    assert_eq!(alone.lines().count(), 121);
    assert_eq!(alone, lab.predict("predict", Some(&lab.path("train/weights.h5"))));
    let classes: Vec<&str> = alone.lines().skip(1).collect();
    assert!(
        classes.contains(&"healthy") && classes.contains(&"tumour"),
        "{classes:?}"
    );
}

#[test]
fn the_model_file_holds_the_weights_where_keras_looks_for_them() {
    let lab = Lab::new();
    lab.build("classifier", "KerasGClassifier", "binary_crossentropy", &json!({}));
    lab.train("cell type", &json!({"primary_scoring": "default"}));
    let read = |name: &str| weights::read(fs::read(lab.path(name)).expect("a file")).expect("weights");
    assert_eq!(read("train/estimator.h5mlm"), read("train/weights.h5"));
}

#[test]
fn the_result_has_loss_and_metrics_beside_the_scores() {
    let lab = Lab::new();
    lab.build("classifier", "KerasGClassifier", "binary_crossentropy", &json!({}));
    // Without acc among the metrics: the default is the accuracy all the same.
    lab.train("cell type", &json!({"primary_scoring": "default"}));
    assert_eq!(
        columns(&lab.read("train/result.tabular"))[0],
        ["accuracy", "loss", "mse"]
    );

    lab.build("regressor", "KerasGRegressor", "mean_squared_error", &json!({}));
    lab.train(
        "dose",
        &json!({"primary_scoring": "r2", "secondary_scoring": ["neg_mean_squared_error"]}),
    );
    let result = lab.read("train/result.tabular");
    let table = columns(&result);
    assert_eq!(table[0], ["loss", "mse", "neg_mean_squared_error", "r2"]);
    let value = |column: usize| table[1][column].parse::<f64>().expect("a number");
    assert!((value(0) - value(1)).abs() < 1e-6, "the loss is the metric: {table:?}");
    assert!(
        (value(0) + value(2)).abs() < 1e-6,
        "and the scorer's negative: {table:?}"
    );
}

#[test]
fn the_history_is_a_table_with_a_row_an_epoch() {
    let lab = Lab::new();
    lab.build("classifier", "KerasGClassifier", "binary_crossentropy", &json!({}));
    let printed = lab.train("cell type", &json!({"primary_scoring": "default"}));
    let history = lab.read("train/history.tabular");
    let table = columns(&history);
    assert_eq!(table[0], ["epoch", "loss", "mse", "val_loss", "val_mse"]);
    assert_eq!(
        table.iter().skip(1).map(|row| row[0]).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    // What is printed is what stands in the table.
    let last: f64 = table[3][3].parse().expect("a number");
    assert!(printed.contains(&format!("val_loss: {last:.4}")), "{printed}");
}

#[test]
fn a_reduced_learning_rate_shows_in_the_history() {
    let lab = Lab::new();
    let reduce = json!({"callbacks": [{"callback_selection": {
        "monitor": "val_loss", "mode": "max", "factor": 0.5, "patience": 1, "min_delta": 0.0001, "cooldown": 0, "min_lr": 0.0,
        "callback_type": "ReduceLROnPlateau"
    }}]});
    lab.build("classifier", "KerasGClassifier", "binary_crossentropy", &reduce);
    lab.train("cell type", &json!({"primary_scoring": "default"}));
    let history = lab.read("train/history.tabular");
    let table = columns(&history);
    assert_eq!(table[0].last(), Some(&"lr"));
    let rates: Vec<f64> = table[1..].iter().map(|row| row[5].parse().expect("a number")).collect();
    // The loss falls, which the mode "max" takes for no improvement.
    assert!(
        (rates[0] - 0.01).abs() < 1e-9 && (rates[2] - 0.005).abs() < 1e-9,
        "{rates:?}"
    );
}

#[test]
fn verbose_zero_tells_nothing_of_the_epochs() {
    let lab = Lab::new();
    lab.build(
        "classifier",
        "KerasGClassifier",
        "binary_crossentropy",
        &json!({"verbose": 0}),
    );
    let printed = lab.train("cell type", &json!({"primary_scoring": "default"}));
    assert!(!printed.contains("epoch 1/3"), "{printed}");
    lab.build(
        "classifier",
        "KerasGClassifier",
        "binary_crossentropy",
        &json!({"verbose": 2}),
    );
    let printed = lab.train("cell type", &json!({"primary_scoring": "default"}));
    assert!(printed.contains("epoch 1/3 - "), "{printed}");
}

#[test]
fn a_validation_split_that_is_not_needed_is_said_so() {
    let lab = Lab::new();
    lab.build("classifier", "KerasGClassifier", "binary_crossentropy", &json!({}));
    let printed = lab.train("cell type", &json!({"primary_scoring": "default"}));
    assert!(
        printed.contains("the model's validation_split (0.1) is not used: the rows held out validate"),
        "{printed}"
    );
}
