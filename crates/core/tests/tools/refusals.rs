//! Input at fault, and work that fails.

use std::fs;

use galaxy_burn_core::tool::keras_train_and_eval;
use serde_json::json;

use crate::lab::{Lab, refused};

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
fn what_cannot_be_done_yet_is_refused() {
    let lab = Lab::new();
    lab.classifier();
    let mut inputs = lab.training();
    inputs["input_options"] = json!({"selected_input": "sparse"});
    lab.refuses_training(&inputs, &["sparse", "tabular"]);
}

#[test]
fn a_new_value_that_a_hyperparameter_cannot_take_is_refused() {
    let lab = Lab::new();
    lab.classifier();
    for (name, value, words) in [
        ("lr", "-1", &["learning_rate", "-1", "not negative"][..]),
        ("epochs", "0", &["epochs", "at least 1"]),
        ("optimizer", "adamax", &["'optimizer'", "quotes", "'adamax'"]),
        ("optimizer", "'adamx'", &["adamx", "Adamax"]),
        ("epoch", "3", &["'epoch'", "did you mean 'epochs'"]),
        ("momentum", "0.9", &["Adam", "momentum"]),
        ("config", "{}", &["'config'", "create the model anew"]),
        ("seed", "'x'", &["seed", "whole number"]),
        (
            "layers_0_Dense__config__unit",
            "5",
            &["layers_0_Dense__config__unit", "layers_0_Dense__config__units"],
        ),
        (
            "layers_0_Dense__config__name",
            "'a'",
            &["layers_0_Dense__config__name", "names are no hyperparameters"],
        ),
        ("layers_0_Dense__config__units", "-5", &["layer 1", "Dense", "units"]),
        (
            "layers_0_Dense__config__units",
            "randint(1, 9)",
            &["layers_0_Dense__config__units", "not a plain value"],
        ),
    ] {
        let mut inputs = lab.training();
        inputs["experiment_schemes"]["hyperparams_swapping"]["param_set"][0] =
            json!({"sp_name": name, "sp_value": value});
        lab.refuses_training(&inputs, words);
    }
    let mut inputs = lab.training();
    let swaps = &mut inputs["experiment_schemes"]["hyperparams_swapping"];
    swaps["param_set"] = json!([{"sp_name": "lr", "sp_value": "0.1"}, {"sp_name": "lr", "sp_value": "0.2"}]);
    lab.refuses_training(&inputs, &["'lr'", "two new values"]);
    let swaps = &mut inputs["experiment_schemes"]["hyperparams_swapping"];
    swaps["param_set"] = json!([{"sp_name": null, "sp_value": "0.1"}]);
    lab.refuses_training(&inputs, &["0.1", "no parameter"]);
}
