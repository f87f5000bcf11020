//! The tools as Galaxy runs them: an inputs JSON in, files out; and what happens when the input is at fault.
#![cfg(feature = "engine")]
#![allow(
    clippy::cast_precision_loss,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "small tables made row by row"
)]

use std::fs;
use std::path::{Path, PathBuf};

use galaxy_burn_core::Result;
use galaxy_burn_core::keras::estimator::Estimator;
use galaxy_burn_core::tool::{keras_model_builder, keras_model_config, keras_train_and_eval, model_prediction};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory with tables of 40 samples, whose label says whether the first two columns sum to more than zero.
struct Lab {
    dir: TempDir,
}

fn number(row: usize, column: usize) -> f64 {
    let mixed = (row * 31 + column * 17 + row * row * 7) % 41;
    mixed as f64 / 20.0 - 1.0
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            dir: TempDir::new().expect("a directory"),
        };
        let mut x = "a\tb\tc\td\n".to_owned();
        let (mut y, mut values) = ("label\n".to_owned(), "value\n".to_owned());
        for row in 0..40 {
            let cells: Vec<String> = (0..4).map(|column| format!("{:.2}", number(row, column))).collect();
            x += &(cells.join("\t") + "\n");
            let sum = number(row, 0) + number(row, 1);
            y += if sum > 0.0 { "high\n" } else { "low\n" };
            values += &format!("{sum:.3}\n");
        }
        lab.write("X.tsv", &x);
        lab.write("y.tsv", &y);
        lab.write("values.tsv", &values);
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("text")
    }

    /// A place of its own for each job's outputs.
    fn job(&self, name: &str, inputs: &Value) -> (PathBuf, PathBuf) {
        let dir = self.path(name);
        fs::create_dir_all(&dir).expect("a directory");
        let file = self.path(&format!("{name}.json"));
        fs::write(&file, inputs.to_string()).expect("written");
        (file, dir)
    }

    /// Runs the first two tools; the estimator is then at `model/estimator.zip`.
    fn model(&self, layers: &Value, learning_type: &str, loss: &str, epochs: u32) {
        self.model_with(layers, learning_type, loss, epochs, &json!({"callback_type": "None"}));
    }

    /// The same with a callback.
    fn model_with(&self, layers: &Value, learning_type: &str, loss: &str, epochs: u32, callback: &Value) {
        let layers: Vec<Value> = layers
            .as_array()
            .expect("layers")
            .iter()
            .map(|layer| json!({"layer_selection": layer}))
            .collect();
        let (file, dir) = self.job(
            "config",
            &json!({"model_selection": {"input_shape": "(4, )", "layers": layers, "model_type": "sequential"}}),
        );
        keras_model_config::run(&file, &dir).expect("a model configuration");
        let (file, dir) = self.job(
            "model",
            &json!({"mode_selection": {
                "infile_json": self.path("config/model.json"), "learning_type": learning_type,
                "compile_params": {
                    "loss": loss,
                    "optimizer_selection": {"optimizer_options": {"lr": 0.05}, "optimizer_type": "Adam"},
                    "metrics": ["acc"]
                },
                "fit_params": {"epochs": epochs, "batch_size": 8, "callbacks": [{"callback_selection": callback}]},
                "random_seed": 7, "get_params": false, "mode_type": "train_model"
            }}),
        );
        keras_model_builder::run(&file, &dir).expect("an estimator");
    }

    fn classifier(&self) {
        let layers = json!([
            {"units": 6, "activation": "tanh", "kwargs": "", "layer_type": "Dense"},
            {"units": 1, "activation": "sigmoid", "kwargs": "", "layer_type": "Dense"}
        ]);
        self.model(&layers, "KerasGClassifier", "binary_crossentropy", 30);
    }

    fn training(&self) -> Value {
        json!({
            "experiment_schemes": {
                "infile_estimator": self.path("model/estimator.zip"),
                "hyperparams_swapping": {"infile_params": null, "param_set": [{"sp_name": null, "sp_value": ""}]},
                "test_split": {"split_algos": {"test_size": 0.25, "random_state": 1, "shuffle": "simple"}},
                "metrics": {"scoring": {"primary_scoring": "default"}},
                "selected_exp_scheme": "train_val"
            },
            "input_options": {
                "infile1": self.path("X.tsv"), "header1": true,
                "column_selector_options_1": {"selected_column_selector_option": "all_columns"},
                "infile2": self.path("y.tsv"), "header2": true,
                "column_selector_options_2": {"selected_column_selector_option2": "all_columns"},
                "selected_input": "tabular"
            },
            "save": ["save_estimator", "save_prediction"]
        })
    }

    fn train(&self, inputs: &Value) -> (Result<()>, String) {
        let (file, dir) = self.job("train", inputs);
        let mut report = Vec::new();
        let result = keras_train_and_eval::run(&file, &dir, None, &mut report);
        (result, String::from_utf8(report).expect("text"))
    }

    fn prediction(&self, method: &str) -> Value {
        json!({
            "infile_estimator": self.path("train/estimator.zip"), "infile_weights": self.path("train/weights.h5"),
            "method": method,
            "input_options": {
                "infile1": self.path("X.tsv"), "header1": true,
                "column_selector_options_1": {"selected_column_selector_option": "all_columns"},
                "selected_input": "tabular"
            }
        })
    }

    fn predict(&self, inputs: &Value) -> Result<()> {
        let (file, dir) = self.job("predict", inputs);
        model_prediction::run(&file, &dir, &mut Vec::new())
    }

    /// Asserts that training with these inputs is refused as the user's mistake, in words that hold all of `words`, leaving nothing.
    fn refuses_training(&self, inputs: &Value, words: &[&str]) {
        let (result, _) = self.train(inputs);
        refused(result, &self.path("train"), words);
    }

    fn refuses_prediction(&self, inputs: &Value, words: &[&str]) {
        let result = self.predict(inputs);
        refused(result, &self.path("predict"), words);
    }
}

fn refused(result: Result<()>, dir: &Path, words: &[&str]) {
    let error = result.expect_err("an error");
    let line = error.in_one_line();
    assert_eq!(error.exit_code(), 2, "{line}");
    assert!(!line.contains('\n'));
    for word in words {
        assert!(line.contains(word), "'{word}' is not in: {line}");
    }
    assert_eq!(fs::read_dir(dir).expect("a directory").count(), 0, "{line}");
}

#[test]
fn a_classifier_learns_text_labels_and_gives_them_back() {
    let lab = Lab::new();
    lab.classifier();
    let (result, report) = lab.train(&lab.training());
    result.expect("trained");
    assert_eq!(
        report.lines().filter(|line| line.starts_with("epoch ")).count(),
        30,
        "{report}"
    );
    assert!(
        report
            .lines()
            .any(|line| line.starts_with("epoch 1/30 - ") && line.contains(" - val_acc: ")),
        "{report}"
    );
    assert!(report.contains("random seed 7"), "{report}");

    let score = lab.read("train/result.tabular");
    let (header, value) = score.trim_end().split_once('\n').expect("two lines");
    assert_eq!(header, "score");
    assert!(value.parse::<f64>().expect("a number") >= 0.8, "{score}");
    let truth = lab.read("train/y_true.tabular");
    assert_eq!(truth.lines().next(), Some("0"));
    assert_eq!(truth.lines().count(), 11);
    assert!(truth.lines().skip(1).all(|label| label == "high" || label == "low"));
    let predicted = lab.read("train/y_preds.tabular");
    assert_eq!(predicted.lines().next(), Some("0\t1"));

    lab.predict(&lab.prediction("predict")).expect("predicted");
    let predictions = lab.read("predict/predictions.tabular");
    let right = predictions
        .lines()
        .skip(1)
        .zip(lab.read("y.tsv").lines().skip(1))
        .filter(|(a, b)| a == b)
        .count();
    assert_eq!(predictions.lines().next(), Some("0"));
    assert!(right >= 34, "{right} of 40 right");

    lab.predict(&lab.prediction("predict_proba")).expect("predicted");
    let probabilities = lab.read("predict/predictions.tabular");
    assert_eq!(probabilities.lines().next(), Some("0\t1"));
    let sum: f32 = probabilities
        .lines()
        .nth(1)
        .expect("a row")
        .split('\t')
        .map(|p| p.parse::<f32>().expect("a number"))
        .sum();
    assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let lab = Lab::new();
    lab.classifier();
    let files = || {
        ["estimator.zip", "weights.h5", "result.tabular"]
            .map(|name| fs::read(lab.path("train").join(name)).expect("a file"))
    };
    lab.train(&lab.training()).0.expect("trained");
    let first = files();
    lab.train(&lab.training()).0.expect("trained");
    assert!(first == files());
}

#[test]
fn the_estimator_alone_is_enough_to_predict_and_a_weights_dataset_wins() {
    let lab = Lab::new();
    lab.classifier();
    lab.train(&lab.training()).0.expect("trained");
    let mut inputs = lab.prediction("predict_proba");
    lab.predict(&inputs).expect("predicted");
    let with_both = lab.read("predict/predictions.tabular");
    inputs["infile_weights"] = Value::Null;
    lab.predict(&inputs).expect("predicted");
    assert_eq!(lab.read("predict/predictions.tabular"), with_both);
    // The unfitted estimator of the builder with the trained weights.
    inputs["infile_estimator"] = json!(lab.path("model/estimator.zip"));
    inputs["infile_weights"] = json!(lab.path("train/weights.h5"));
    lab.predict(&inputs).expect("predicted");
    assert_eq!(lab.read("predict/predictions.tabular"), with_both);
}

#[test]
fn a_regressor_scores_minus_its_loss_and_predicts_values() {
    let lab = Lab::new();
    let layers = json!([
        {"units": 8, "activation": "relu", "kwargs": "", "layer_type": "Dense"},
        {"units": 1, "activation": "linear", "kwargs": "", "layer_type": "Dense"}
    ]);
    lab.model(&layers, "KerasGRegressor", "mean_squared_error", 60);
    let mut inputs = lab.training();
    inputs["input_options"]["infile2"] = json!(lab.path("values.tsv"));
    lab.train(&inputs).0.expect("trained");
    let score: f64 = lab
        .read("train/result.tabular")
        .lines()
        .nth(1)
        .expect("a value")
        .parse()
        .expect("a number");
    assert!((-0.2..0.0).contains(&score), "{score}");
    lab.predict(&lab.prediction("predict")).expect("predicted");
    assert_eq!(
        lab.read("predict/predictions.tabular").lines().next(),
        Some("Predicted")
    );
    lab.refuses_prediction_after(&lab.prediction("predict_proba"), &["regressor", "method 'predict'"]);
}

impl Lab {
    /// As [`Lab::refuses_prediction`], where an earlier job has left its output.
    fn refuses_prediction_after(&self, inputs: &Value, words: &[&str]) {
        fs::remove_dir_all(self.path("predict")).expect("removed");
        self.refuses_prediction(inputs, words);
    }
}

#[test]
fn three_classes_are_learned_from_plain_labels_and_from_one_hot_columns() {
    let lab = Lab::new();
    let layers = json!([{"units": 3, "activation": "softmax", "kwargs": "", "layer_type": "Dense"}]);
    lab.model(&layers, "KerasGClassifier", "categorical_crossentropy", 40);
    let class = |row: usize| {
        if number(row, 0) > 0.3 {
            2
        } else {
            usize::from(number(row, 0) > -0.3)
        }
    };
    lab.write(
        "y.tsv",
        "y\n".to_owned() + &(0..40).map(|row| format!("{}\n", class(row))).collect::<String>(),
    );
    lab.train(&lab.training()).0.expect("trained");
    lab.predict(&lab.prediction("predict")).expect("predicted");
    let plain = lab.read("predict/predictions.tabular");
    assert_eq!(plain.lines().next(), Some("Predicted"));
    let right = plain
        .lines()
        .skip(1)
        .enumerate()
        .filter(|(row, label)| **label == class(*row).to_string())
        .count();
    assert!(right >= 30, "{right} of 40 right");
    let one_hot: String = (0..40)
        .map(|row| ["1\t0\t0\n", "0\t1\t0\n", "0\t0\t1\n"][class(row)])
        .collect();
    lab.write("y.tsv", "0\t1\t2\n".to_owned() + &one_hot);
    lab.train(&lab.training()).0.expect("trained");
    lab.predict(&lab.prediction("predict")).expect("predicted");
    assert_eq!(lab.read("predict/predictions.tabular"), plain);
}

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
fn numbers_under_a_header_switch_are_only_a_warning() {
    let lab = Lab::new();
    lab.classifier();
    let headerless: String = lab
        .read("X.tsv")
        .lines()
        .skip(1)
        .map(|line| line.to_owned() + "\n")
        .collect();
    lab.write("X.tsv", headerless);
    let labels: String = lab
        .read("y.tsv")
        .lines()
        .skip(2)
        .map(|line| line.to_owned() + "\n")
        .collect();
    lab.write("y.tsv", "label\n".to_owned() + &labels);
    let (result, report) = lab.train(&lab.training());
    result.expect("trained");
    assert!(
        report
            .lines()
            .any(|line| line.starts_with("warning: ") && line.contains("header")),
        "{report}"
    );
}

#[test]
fn tables_at_fault_are_refused_before_training() {
    let lab = Lab::new();
    lab.classifier();
    let inputs = lab.training();
    let good = lab.read("X.tsv");
    let line = |number: usize, text: &str| {
        let mut lines: Vec<&str> = good.lines().collect();
        lines[number - 1] = text;
        lines.join("\n")
    };
    let mut gone = inputs.clone();
    gone["input_options"]["infile1"] = json!(lab.path("gone.tsv"));
    lab.refuses_training(&gone, &["gone.tsv"]);
    let mut no_header = inputs.clone();
    no_header["input_options"]["header1"] = json!(false);
    lab.refuses_training(&no_header, &["X.tsv", "row 1", "header"]);
    let mut no_column = inputs.clone();
    no_column["input_options"]["column_selector_options_1"] =
        json!({"selected_column_selector_option": "by_index_number", "col1": [1, 9]});
    lab.refuses_training(&no_column, &["X.tsv", "9", "4"]);
    for (text, words) in [
        (String::new(), vec!["X.tsv", "empty"]),
        ("\u{0}\u{1}binary\u{0}\n".repeat(9), vec!["X.tsv"]),
        (line(5, "1\t2\t3"), vec!["X.tsv", "row 5", "3", "4"]),
        (line(6, "1\t2\tmuch\t3"), vec!["X.tsv", "row 6", "'c'", "much"]),
        (line(7, "1\t2\tnan\t3"), vec!["X.tsv", "row 7", "'c'"]),
        (
            good.lines().take(30).collect::<Vec<_>>().join("\n"),
            vec!["X.tsv", "29", "y.tsv", "40"],
        ),
    ] {
        lab.write("X.tsv", text);
        lab.refuses_training(&inputs, &words);
    }
}

#[test]
fn labels_that_do_not_fit_the_loss_are_refused() {
    let lab = Lab::new();
    lab.classifier();
    lab.write(
        "y.tsv",
        "y\n".to_owned() + &(0..40).map(|row| format!("{}\n", row % 3)).collect::<String>(),
    );
    lab.refuses_training(&lab.training(), &["3 classes", "1 unit", "categorical_crossentropy"]);
    lab.write(
        "y.tsv",
        "y\n".to_owned() + &(0..40).map(|row| format!("{row}.5\n")).collect::<String>(),
    );
    lab.refuses_training(&lab.training(), &["y.tsv", "row 2", "KerasGRegressor"]);
    let layers = json!([{"units": 3, "activation": "softmax", "kwargs": "", "layer_type": "Dense"}]);
    lab.model(&layers, "KerasGRegressor", "sparse_categorical_crossentropy", 1);
    lab.write(
        "y.tsv",
        "y\n".to_owned() + &(0..40).map(|row| format!("{}\n", row % 4)).collect::<String>(),
    );
    lab.refuses_training(&lab.training(), &["row 4", "holds 3", "0 to 2"]);
}

#[test]
fn a_model_for_another_number_of_columns_is_refused() {
    let lab = Lab::new();
    lab.classifier();
    let mut inputs = lab.training();
    inputs["input_options"]["column_selector_options_1"] =
        json!({"selected_column_selector_option": "by_header_name", "col1": "a, b"});
    lab.refuses_training(&inputs, &["(4,)", "(2,)"]);
}

#[test]
fn foreign_and_damaged_model_files_are_refused() {
    let lab = Lab::new();
    lab.classifier();
    lab.train(&lab.training()).0.expect("trained");
    let archive = fs::read(lab.path("train/estimator.zip")).expect("an archive");
    let weights = fs::read(lab.path("train/weights.h5")).expect("weights");
    let inputs = lab.prediction("predict");
    for (bytes, words) in [
        (&archive[..archive.len() / 2], vec!["estimator.zip"]),
        (
            &b"\x80\x04\x95 galaxy_ml.keras_galaxy_models KerasGClassifier"[..],
            vec!["estimator.zip", "pickle"],
        ),
        (&weights[..], vec!["estimator.zip", "HDF5"]),
        (
            &b"{\"class_name\": \"Sequential\"}"[..],
            vec!["estimator.zip", "not an estimator"],
        ),
    ] {
        lab.write("train/estimator.zip", bytes);
        lab.refuses_prediction(&inputs, &words);
    }
    lab.write("train/estimator.zip", &archive);
    lab.write("train/weights.h5", &weights[..weights.len() / 2]);
    lab.refuses_prediction(&inputs, &["weights.h5"]);
    lab.write("train/weights.h5", &archive);
    lab.refuses_prediction(&inputs, &["weights.h5", "zip"]);

    // Weights of a wider model.
    let layers = json!([
        {"units": 9, "activation": "tanh", "kwargs": "", "layer_type": "Dense"},
        {"units": 1, "activation": "sigmoid", "kwargs": "", "layer_type": "Dense"}
    ]);
    lab.write("train/weights.h5", &weights);
    lab.model(&layers, "KerasGClassifier", "binary_crossentropy", 1);
    let mut other = inputs.clone();
    other["infile_estimator"] = json!(lab.path("model/estimator.zip"));
    lab.refuses_prediction(&other, &["weights.h5", "dense_1", "(4, 9)", "(4, 6)"]);
}

#[test]
fn an_output_directory_that_cannot_be_written_to_fails_the_work() {
    let lab = Lab::new();
    lab.classifier();
    let (file, _) = lab.job("train", &lab.training());
    lab.write("blocked", "a file where a directory should be");
    let error = keras_train_and_eval::run(&file, &lab.path("blocked"), None, &mut Vec::new()).expect_err("an error");
    assert_eq!(error.exit_code(), 1, "{error}");
    assert!(error.in_one_line().contains("result.tabular"), "{error}");
}

#[test]
fn a_job_that_would_not_fit_its_memory_is_refused_with_the_estimate() {
    let lab = Lab::new();
    let wide = json!({"units": 50_000, "activation": "linear", "kwargs": "use_bias=False", "layer_type": "Dense"});
    let mut layers = vec![wide];
    layers.extend(vec![json!({"activation": "tanh", "layer_type": "Activation"}); 12]);
    layers.push(json!({"units": 1, "activation": "sigmoid", "kwargs": "", "layer_type": "Dense"}));
    lab.model(&json!(layers), "KerasGClassifier", "binary_crossentropy", 1);
    let (file, dir) = lab.job("train", &lab.training());
    let train = |granted| keras_train_and_eval::run(&file, &dir, granted, &mut Vec::new());
    refused(
        train(Some(60)),
        &dir,
        &["60 MB (GALAXY_MEMORY_MB)", "8 rows", "batch_size of 4 or less"],
    );
    refused(train(Some(17)), &dir, &["17 MB (GALAXY_MEMORY_MB)", "smaller model"]);
    train(Some(4000)).expect("enough memory");
}

#[test]
fn a_loss_that_runs_away_names_epoch_batch_and_layer() {
    let lab = Lab::new();
    let layers = json!([
        {"units": 6, "activation": "exponential", "kwargs": "", "layer_type": "Dense"},
        {"units": 1, "activation": "linear", "kwargs": "", "layer_type": "Dense"}
    ]);
    lab.model(&layers, "KerasGRegressor", "mean_squared_error", 5);
    let far: String = lab
        .read("X.tsv")
        .lines()
        .skip(1)
        .map(|line| line.replace('0', "900") + "\n")
        .collect();
    lab.write("X.tsv", "a\tb\tc\td\n".to_owned() + &far);
    let mut inputs = lab.training();
    inputs["input_options"]["infile2"] = json!(lab.path("values.tsv"));
    lab.refuses_training(
        &inputs,
        &["epoch 1", "batch", "layer 1 (Dense 'dense_1')", "learning rate"],
    );
}

#[test]
fn ids_beyond_an_embedding_are_refused_with_their_place() {
    let lab = Lab::new();
    let layers = json!([
        {"input_dim": 10, "output_dim": 3, "kwargs": "", "layer_type": "Embedding"},
        {"units": 3, "kwargs": "", "layer_type": "LSTM"},
        {"units": 1, "activation": "sigmoid", "kwargs": "", "layer_type": "Dense"}
    ]);
    lab.model(&layers, "KerasGClassifier", "binary_crossentropy", 1);
    let mut lines: Vec<String> = (0..40)
        .map(|row| format!("{}\t{}\t3\t4", row % 10, (row * 7) % 10))
        .collect();
    lines[11] = "1\t10\t3\t4".into();
    lab.write("X.tsv", "a\tb\tc\td\n".to_owned() + &lines.join("\n"));
    lab.refuses_training(
        &lab.training(),
        &["X.tsv", "data row 12", "'b'", "10", "Embedding", "0 to 9", "input_dim"],
    );
}

#[test]
fn the_fitted_estimator_remembers_its_history_and_its_seed() {
    let lab = Lab::new();
    lab.classifier();
    lab.train(&lab.training()).0.expect("trained");
    let bytes = fs::read(lab.path("train/estimator.zip")).expect("an archive");
    let (estimator, weights) = Estimator::from_zip(&bytes).expect("an estimator");
    let fitted = estimator.fitted.expect("fitted");
    assert_eq!(fitted.seed_used, 7);
    assert_eq!(fitted.classes.expect("classes").names(), ["high", "low"]);
    assert_eq!(fitted.history.epochs(), 30);
    assert_eq!(
        fitted.history.names().collect::<Vec<_>>(),
        ["loss", "acc", "val_loss", "val_acc"]
    );
    let losses = fitted.history.values("loss").expect("losses");
    assert!(losses[29] < losses[0] / 2.0, "{losses:?}");
    assert_eq!(
        weights.expect("weights"),
        fs::read(lab.path("train/weights.h5")).expect("weights")
    );
}

#[test]
fn what_cannot_be_done_yet_is_refused() {
    let lab = Lab::new();
    lab.classifier();
    let mut inputs = lab.training();
    inputs["experiment_schemes"]["hyperparams_swapping"]["param_set"][0] = json!({"sp_name": "lr", "sp_value": "0.1"});
    lab.refuses_training(&inputs, &["'lr'", "not supported yet"]);
    let mut inputs = lab.training();
    inputs["input_options"] = json!({"selected_input": "sparse"});
    lab.refuses_training(&inputs, &["sparse", "tabular"]);
}

#[test]
fn early_stopping_ends_training_and_puts_the_best_weights_back() {
    let lab = Lab::new();
    let layers = json!([{"units": 1, "activation": "sigmoid", "kwargs": "", "layer_type": "Dense"}]);
    // No epoch improves by 10, so the first one stays the best and the second one after it is the last.
    let stop = json!({"monitor": "val_loss", "mode": "auto", "min_delta": 10.0, "patience": 2, "baseline": null,
        "restore_best_weights": true, "callback_type": "EarlyStopping"});
    lab.model_with(&layers, "KerasGClassifier", "binary_crossentropy", 50, &stop);
    let (result, report) = lab.train(&lab.training());
    result.expect("trained");
    assert_eq!(
        report.lines().filter(|line| line.starts_with("epoch ")).count(),
        3,
        "{report}"
    );
    assert!(
        report.contains("training ended early: early stopping after epoch 3"),
        "{report}"
    );
    let stopped = lab.read("train/y_preds.tabular");
    lab.model(&layers, "KerasGClassifier", "binary_crossentropy", 1);
    lab.train(&lab.training()).0.expect("trained");
    assert_eq!(lab.read("train/y_preds.tabular"), stopped);
}

impl Lab {
    /// The form for training with rows of its own for validation.
    fn training_in_three_parts(&self, test: &Value, validation: &Value) -> Value {
        let mut inputs = self.training();
        let scheme = &mut inputs["experiment_schemes"];
        scheme["selected_exp_scheme"] = json!("train_val_test");
        scheme["test_split"] = json!({ "split_algos": test });
        scheme["val_split"] = json!({ "split_algos": validation });
        inputs["save"] = json!(["save_prediction"]);
        inputs
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
