//! What training and prediction write.

use std::fs;

use galaxy_burn_core::keras::estimator::Estimator;
use galaxy_burn_core::keras::weights;
use serde_json::{Value, json};

use crate::lab::{Lab, number};

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

#[test]
fn hyperparameters_swapped_before_training_are_those_of_the_fitted_estimator() {
    let lab = Lab::new();
    lab.classifier();
    let mut inputs = lab.training();
    inputs["experiment_schemes"]["hyperparams_swapping"]["param_set"] = json!([
        {"sp_name": "optimizer", "sp_value": "'sgd'"},
        {"sp_name": "momentum", "sp_value": "0.9"},
        {"sp_name": "epochs", "sp_value": "3"},
        {"sp_name": "loss", "sp_value": "'mean_squared_error'"},
        {"sp_name": "metrics", "sp_value": "['acc', 'mae']"},
        {"sp_name": "seed", "sp_value": "11"},
        {"sp_name": "layers_0_Dense__config__units", "sp_value": "9"},
        {"sp_name": "layers_0_Dense__config__kernel_regularizer", "sp_value": "{'class_name': 'L1L2', 'config': {'l1': 0.0, 'l2': 0.01}}"},
        {"sp_name": "batch_size", "sp_value": ""},
    ]);
    let (result, printed) = lab.train(&inputs);
    result.expect("trained");
    for line in [
        "changed optimizer: 'adam' -> 'sgd'",
        "changed momentum: None -> 0.9",
        "changed epochs: 30 -> 3",
        "changed layers_0_Dense__config__units: 6 -> 9",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    let bytes = fs::read(lab.path("train/estimator.zip")).expect("an archive");
    let (estimator, _) = Estimator::from_zip(&bytes).expect("an estimator");
    let (compile, fit) = (estimator.compile.expect("compiled"), estimator.fit.expect("fit"));
    // The optimiser is another one, its rate is the old one.
    assert_eq!(compile.optimizer.name(), "SGD");
    assert_eq!(compile.optimizer.learning_rate.to_bits(), 0.05_f64.to_bits());
    assert_eq!(compile.loss.name(), "mean_squared_error");
    assert_eq!((fit.epochs, fit.batch_size, fit.random_seed), (3, 8, Some(11)));
    let fitted = estimator.fitted.expect("fitted");
    assert_eq!(fitted.seed_used, 11);
    assert_eq!(
        fitted.history.names().collect::<Vec<_>>(),
        ["loss", "acc", "mae", "val_loss", "val_acc", "val_mae"]
    );
    let layers = weights::read(fs::read(lab.path("train/weights.h5")).expect("weights")).expect("weights");
    let shapes: Vec<_> = layers
        .iter()
        .flat_map(|layer| &layer.weights)
        .map(|weight| weight.shape.clone())
        .collect();
    assert_eq!(shapes, [vec![4, 9], vec![9], vec![9, 1], vec![1]]);
}
