use serde_json::{Value, json};

use super::*;
use crate::keras::model::Model;
use crate::nn::device;

/// One unit without bias that starts at 1, for rows of one number.
fn one_unit() -> Network {
    let config = json!({"name": "dense_1", "units": 1, "use_bias": false, "kernel_initializer": "ones"});
    let model = json!({"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [
        {"class_name": "Dense", "config": config},
    ]}});
    let model = Model::from_value(&model).unwrap();
    Network::new(&model, &[1], Seed(1), &device::default().unwrap()).unwrap()
}

fn plan(callbacks: &[Value]) -> FitPlan {
    let options = json!({"lr": 0.1});
    FitPlan {
        loss: Loss::MeanSquaredError,
        optimizer: Optimizer::from_options("SGD", options.as_object().unwrap()).unwrap(),
        metrics: vec![Metric::from_name("mae").unwrap()],
        epochs: 5,
        batch_size: 2,
        steps_per_epoch: None,
        validation_steps: None,
        callbacks: callbacks
            .iter()
            .map(|callback| Callback::from_form(callback).unwrap())
            .collect(),
        seed: Seed(1),
    }
}

/// Rows of which the last one, which every epoch comes to, is not a number.
fn samples() -> Samples {
    Samples {
        x: vec![1.0, 1.0, f32::NAN],
        row: 1,
        truth: vec![0.0, 0.0, 0.0],
        truth_row: 1,
    }
}

#[test]
fn a_loss_that_is_no_number_is_an_error_that_says_where() {
    let mut network = one_unit();
    let error = fit(&mut network, &plan(&[]), &samples(), &[2], None, |_| ()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(
            "the loss is not a finite number in epoch 1, batch 1, first seen in the output of layer 1 (Dense 'dense_1');"
        ),
        "{message}"
    );
}

#[test]
fn terminate_on_nan_keeps_the_epoch_and_the_last_good_weights() {
    let callbacks = [json!({"callback_type": "TerminateOnNaN"})];
    // The order of three rows in which the broken one comes last, in a batch of its own.
    let plan = (0..50)
        .map(|seed| FitPlan {
            seed: Seed(seed),
            ..plan(&callbacks)
        })
        .find(|plan| random::permutation(3, &mut plan.seed.stream(Stream::Shuffle(0)))[2] == 2)
        .unwrap();
    let mut network = one_unit();
    let mut told = 0;
    let history = fit(&mut network, &plan, &samples(), &[0, 1, 2], Some(&[0]), |_| told += 1).unwrap();
    assert!(history.stopped.unwrap().contains("in epoch 1, batch 2, first seen in"));
    assert_eq!((history.epochs.len(), told), (1, 1));
    // No validation of an epoch that broke off, as in Keras 2.3.1.
    let names: Vec<&str> = history.epochs[0].values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "mae"]);
    assert!(history.epochs[0].values.iter().all(|(_, value)| value.is_nan()));
    // One step of the good batch: 1 - 0.1 * 2.
    assert!((network.weights()[0].values[0] - 0.8).abs() < 1e-6);
}

#[test]
fn early_stopping_restores_its_best_weights_after_a_loss_that_is_no_number() {
    let callbacks = [
        json!({"callback_type": "TerminateOnNaN"}),
        json!({"callback_type": "EarlyStopping", "monitor": "loss", "restore_best_weights": true, "patience": 0}),
    ];
    let mut samples = samples();
    samples.x = vec![1.0, 1.0, 1e30];
    samples.truth = vec![0.0; 3];
    // The third row's loss leaves the range of 32-bit numbers, but not before it is reached.
    let plan = FitPlan {
        steps_per_epoch: Some(1),
        batch_size: 1,
        ..plan(&callbacks)
    };
    let first = |epoch: usize, seed: u64| random::permutation(3, &mut Seed(seed).stream(Stream::Shuffle(epoch)))[0];
    let seed = (0..500)
        .find(|&seed| first(0, seed) < 2 && first(1, seed) == 2)
        .unwrap();
    let plan = FitPlan {
        seed: Seed(seed),
        ..plan
    };
    let mut network = one_unit();
    let history = fit(&mut network, &plan, &samples, &[0, 1, 2], None, |_| ()).unwrap();
    assert_eq!(history.epochs.len(), 2);
    assert!(history.epochs[1].values[0].1.is_infinite());
    assert!(history.stopped.unwrap().contains("not a finite number in epoch 2"));
    assert!((network.weights()[0].values[0] - 0.8).abs() < 1e-6);
}
