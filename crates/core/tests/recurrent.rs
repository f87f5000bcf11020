//! The recurrent layers against numbers computed by Keras 2.15 (`golden/recurrent/make.py`).
#![allow(clippy::cast_possible_truncation, reason = "Keras's numbers are f32 written as JSON")]

use galaxy_burn_core::nn::kernels::recurrent::{
    Activation, Call, Cell, Input, Layer, Needs, OutputGradients, States, Weights, backward, forward,
};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap() as f32)
        .collect()
}

fn activation(options: &Value, name: &str) -> Activation {
    match options[name].as_str().unwrap() {
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "hard_sigmoid" => Activation::HardSigmoid,
        "softmax" => Activation::Softmax,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "selu" => Activation::Selu,
        "elu" => Activation::Elu,
        other => panic!("unknown activation {other}"),
    }
}

fn cell(case: &Value) -> Cell {
    let options = &case["options"];
    let activation = |name| activation(options, name);
    match case["family"].as_str().unwrap() {
        "SimpleRNN" => Cell::Simple {
            activation: activation("activation"),
        },
        "GRU" => Cell::Gru {
            activation: activation("activation"),
            recurrent_activation: activation("recurrent_activation"),
            reset_after: options["reset_after"].as_bool().unwrap(),
        },
        _ => Cell::Lstm {
            activation: activation("activation"),
            recurrent_activation: activation("recurrent_activation"),
        },
    }
}

fn assert_close(what: &str, found: &[f32], expected: &Value) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 3e-6 * expected.abs().max(1.0),
            "{what}: {found} for {expected}"
        );
    }
}

#[test]
fn outputs_states_and_gradients_are_those_of_keras() {
    let golden: Value = serde_json::from_str(include_str!("golden/recurrent/keras215.json")).unwrap();
    let size = |name: &str| usize::try_from(golden[name].as_u64().unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 48);
    for (number, case) in cases.iter().enumerate() {
        let options = &case["options"];
        let layer = Layer {
            cell: cell(case),
            features: size("features"),
            units: size("units"),
            return_sequences: options["return_sequences"].as_bool().unwrap(),
            go_backwards: options["go_backwards"].as_bool().unwrap(),
        };
        let weights: Vec<Vec<f32>> = case["weights"].as_array().unwrap().iter().map(numbers).collect();
        let weights = Weights {
            kernel: &weights[0],
            recurrent_kernel: &weights[1],
            bias: weights.get(2).map(Vec::as_slice),
        };
        let x = numbers(&case["x"]);
        let initial: Option<Vec<Vec<f32>>> = case["initial"]
            .as_array()
            .map(|states| states.iter().map(numbers).collect());
        let mask: Option<Vec<bool>> = case["mask"]
            .as_array()
            .map(|mask| mask.iter().map(|step| step.as_bool().unwrap()).collect());
        let call = Call {
            batch: size("batch"),
            steps: size("steps"),
            input: Input::Values(&x),
            initial: initial.as_ref().map(|states| States {
                h: &states[0],
                c: states.get(1).map(Vec::as_slice),
            }),
            mask: mask.as_deref(),
            dropout: None,
            recurrent_dropout: None,
            share_prefix: false,
        };
        let output = forward(&layer, &weights, &call, true).unwrap();
        let name = |what: &str| format!("case {number}, {} {options}, {what}", case["family"]);
        assert_close(&name("y"), &output.y, &case["y"]);
        assert_close(&name("h"), &output.h, &case["last"][0]);
        if let Some(c) = &output.c {
            assert_close(&name("c"), c, &case["last"][1]);
        }
        let dy = numbers(&case["dy"]);
        let above = OutputGradients {
            y: &dy,
            h: None,
            c: None,
        };
        let needs = Needs {
            input: true,
            weights: true,
            initial: true,
        };
        let gradients = backward(&layer, &weights, &call, output.saved.unwrap(), &above, needs).unwrap();
        let expected = case["gradients"].as_object().unwrap();
        for (what, found) in [
            ("input", &gradients.input),
            ("kernel", &gradients.kernel),
            ("recurrent_kernel", &gradients.recurrent_kernel),
            ("bias", &gradients.bias),
            ("h", &gradients.h),
            ("c", &gradients.c),
        ] {
            if let Some(expected) = expected.get(what) {
                assert_close(&name(what), found.as_ref().unwrap(), expected);
            }
        }
    }
}
