//! Tests of the callbacks: their form, and their decisions against those of Keras 2.15.

use serde_json::{Map, Value, json};

use super::*;

fn keras_runs(callback: &str) -> Vec<Value> {
    let runs: Vec<Value> = serde_json::from_str(include_str!("../../tests/golden/keras-2.15/callbacks.json")).unwrap();
    let runs: Vec<Value> = runs
        .into_iter()
        .filter(|run| run["callback_type"] == callback)
        .collect();
    assert!(runs.len() > 50);
    runs
}

fn from_run(run: &Value) -> Callback {
    let mut selection: Map<String, Value> = run["options"].as_object().unwrap().clone();
    selection.insert("callback_type".into(), run["callback_type"].clone());
    Callback::from_form(&Value::Object(selection)).unwrap()
}

/// JSON has no NaN and no infinity: the golden files write them as texts.
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn values(run: &Value) -> impl Iterator<Item = f64> {
    run["values"].as_array().unwrap().iter().map(number)
}

#[test]
fn early_stopping_stops_and_restores_as_keras_does() {
    for run in keras_runs("EarlyStopping") {
        let mut callbacks = Callbacks::new(&[from_run(&run)]);
        let (mut kept, mut stopped, mut restored) = (None, None, None);
        for (epoch, value) in values(&run).enumerate() {
            let log = |name: &str| (name == "val_loss").then_some(value);
            let decision = callbacks.epoch_end(epoch, log, 0.1)[0];
            assert_eq!(decision.learning_rate, None);
            if decision.keep_weights {
                kept = Some(epoch);
            }
            if decision.restore_weights {
                restored = kept;
            }
            if decision.stop {
                stopped = Some(epoch);
                break;
            }
        }
        assert_eq!(json!(stopped), run["stopped_after"], "{run}");
        assert_eq!(json!(restored), run["restored"], "{run}");
    }
}

#[test]
fn the_learning_rate_falls_as_in_keras() {
    for run in keras_runs("ReduceLROnPlateau") {
        let mut callbacks = Callbacks::new(&[from_run(&run)]);
        let mut rate = 0.1_f32;
        for (epoch, value) in values(&run).enumerate() {
            let log = |name: &str| (name == "val_loss").then_some(value);
            let decision = callbacks.epoch_end(epoch, log, rate)[0];
            assert!(!decision.stop && !decision.keep_weights && !decision.restore_weights);
            rate = decision.learning_rate.unwrap_or(rate);
            #[expect(clippy::cast_possible_truncation, reason = "Keras's rate is an f32")]
            let expected = number(&run["learning_rates"][epoch]) as f32;
            assert_eq!(rate.to_bits(), expected.to_bits(), "epoch {epoch} of {run}");
        }
    }
}

#[test]
fn a_value_that_is_not_reported_is_not_watched() {
    let stop = Callback::from_form(&json!({"callback_type": "EarlyStopping"})).unwrap();
    let mut callbacks = Callbacks::new(&[stop]);
    for epoch in 0..5 {
        assert_eq!(callbacks.epoch_end(epoch, |_| None, 0.1), [Decision::default()]);
    }
}

#[test]
fn only_terminate_on_nan_minds_a_loss_that_is_no_number() {
    let guarded = Callbacks::new(&[Callback::CSVLogger, Callback::TerminateOnNaN]);
    assert!(guarded.batch_end(f64::NAN) && guarded.batch_end(f64::INFINITY) && !guarded.batch_end(1.0));
    assert!(!Callbacks::new(&[Callback::None]).batch_end(f64::NAN));
}

#[test]
fn the_forms_defaults_are_taken() {
    let read = |selection: Value| Callback::from_form(&selection).unwrap();
    assert_eq!(read(json!({"callback_type": "None"})), Callback::None);
    assert_eq!(
        read(
            json!({"monitor": "loss", "mode": "max", "min_delta": null, "patience": 3, "baseline": "", "restore_best_weights": true,
                    "callback_type": "EarlyStopping"})
        ),
        Callback::EarlyStopping(EarlyStopping {
            monitor: Monitor::Loss,
            mode: Mode::Max,
            min_delta: 0.0,
            patience: 3,
            baseline: None,
            restore_best_weights: true,
        })
    );
    assert_eq!(
        read(json!({"callback_type": "ReduceLROnPlateau"})),
        Callback::ReduceLROnPlateau(ReduceLrOnPlateau {
            monitor: Monitor::ValLoss,
            mode: Mode::Auto,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
        })
    );
}

#[test]
fn what_a_callback_does_not_know_is_refused() {
    let message = |selection: Value| Callback::from_form(&selection).unwrap_err().to_string();
    assert_eq!(
        message(json!({"callback_type": "EarlyStoping"})),
        "unknown callback 'EarlyStoping'; did you mean 'EarlyStopping'?"
    );
    assert!(
        message(json!({"callback_type": "EarlyStopping", "monitor": "val_los"})).contains("did you mean 'val_loss'")
    );
    assert_eq!(
        message(json!({"callback_type": "ReduceLROnPlateau", "factor": 1.0})),
        "callback ReduceLROnPlateau: factor is 1.0, but it must be a number from 0 to less than 1"
    );
    assert!(message(json!({"callback_type": "TerminateOnNaN", "patience": 1})).contains("has no parameter 'patience'"));
}

#[test]
fn a_callback_survives_its_own_json() {
    for selection in [
        json!({"callback_type": "None"}),
        json!({"callback_type": "EarlyStopping", "baseline": 0.5}),
        json!({"callback_type": "ReduceLROnPlateau"}),
        json!({"callback_type": "TerminateOnNaN"}),
        json!({"callback_type": "CSVLogger"}),
    ] {
        let callback = Callback::from_form(&selection).unwrap();
        let value = serde_json::to_value(callback).unwrap();
        assert_eq!(value["callback_type"], selection["callback_type"]);
        assert_eq!(serde_json::from_value::<Callback>(value).unwrap(), callback);
    }
}
