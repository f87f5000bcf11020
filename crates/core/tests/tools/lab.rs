//! A directory with small tables, and the tools run in it.

use std::fs;
use std::path::{Path, PathBuf};

use galaxy_burn_core::Result;
use galaxy_burn_core::tool::{keras_model_builder, keras_model_config, keras_train_and_eval, model_prediction};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory with tables of 40 samples, whose label says whether the first two columns sum to more than zero.
pub struct Lab {
    dir: TempDir,
}

pub fn number(row: usize, column: usize) -> f64 {
    let mixed = (row * 31 + column * 17 + row * row * 7) % 41;
    mixed as f64 / 20.0 - 1.0
}

impl Lab {
    pub fn new() -> Self {
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("text")
    }

    /// A place of its own for each job's outputs.
    pub fn job(&self, name: &str, inputs: &Value) -> (PathBuf, PathBuf) {
        let dir = self.path(name);
        fs::create_dir_all(&dir).expect("a directory");
        let file = self.path(&format!("{name}.json"));
        fs::write(&file, inputs.to_string()).expect("written");
        (file, dir)
    }

    /// Runs the first two tools; the estimator is then at `model/estimator.zip`.
    pub fn model(&self, layers: &Value, learning_type: &str, loss: &str, epochs: u32) {
        self.model_with(layers, learning_type, loss, epochs, &json!({"callback_type": "None"}));
    }

    /// The same with a callback.
    pub fn model_with(&self, layers: &Value, learning_type: &str, loss: &str, epochs: u32, callback: &Value) {
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

    pub fn classifier(&self) {
        let layers = json!([
            {"units": 6, "activation": "tanh", "kwargs": "", "layer_type": "Dense"},
            {"units": 1, "activation": "sigmoid", "kwargs": "", "layer_type": "Dense"}
        ]);
        self.model(&layers, "KerasGClassifier", "binary_crossentropy", 30);
    }

    pub fn training(&self) -> Value {
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

    pub fn train(&self, inputs: &Value) -> (Result<()>, String) {
        let (file, dir) = self.job("train", inputs);
        let mut report = Vec::new();
        let result = keras_train_and_eval::run(&file, &dir, None, &mut report);
        (result, String::from_utf8(report).expect("text"))
    }

    pub fn prediction(&self, method: &str) -> Value {
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

    pub fn predict(&self, inputs: &Value) -> Result<()> {
        let (file, dir) = self.job("predict", inputs);
        model_prediction::run(&file, &dir, &mut Vec::new())
    }

    /// Asserts that training with these inputs is refused as the user's mistake, in words that hold all of `words`, leaving nothing.
    pub fn refuses_training(&self, inputs: &Value, words: &[&str]) {
        let (result, _) = self.train(inputs);
        refused(result, &self.path("train"), words);
    }

    pub fn refuses_prediction(&self, inputs: &Value, words: &[&str]) {
        let result = self.predict(inputs);
        refused(result, &self.path("predict"), words);
    }

    /// As [`Lab::refuses_prediction`], where an earlier job has left its output.
    pub fn refuses_prediction_after(&self, inputs: &Value, words: &[&str]) {
        fs::remove_dir_all(self.path("predict")).expect("removed");
        self.refuses_prediction(inputs, words);
    }

    /// The form for training with rows of its own for validation.
    pub fn training_in_three_parts(&self, test: &Value, validation: &Value) -> Value {
        let mut inputs = self.training();
        let scheme = &mut inputs["experiment_schemes"];
        scheme["selected_exp_scheme"] = json!("train_val_test");
        scheme["test_split"] = json!({ "split_algos": test });
        scheme["val_split"] = json!({ "split_algos": validation });
        inputs["save"] = json!(["save_prediction"]);
        inputs
    }
}

pub fn refused(result: Result<()>, dir: &Path, words: &[&str]) {
    let error = result.expect_err("an error");
    let line = error.in_one_line();
    assert_eq!(error.exit_code(), 2, "{line}");
    assert!(!line.contains('\n'));
    for word in words {
        assert!(line.contains(word), "'{word}' is not in: {line}");
    }
    assert_eq!(fs::read_dir(dir).expect("a directory").count(), 0, "{line}");
}
