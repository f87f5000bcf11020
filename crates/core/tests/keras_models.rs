//! Model configurations held to real Keras: what 2.3.1 writes for the same form, byte for byte; what 2.15 and 3 write for the same
//! model, read back; and the shapes and weights that Keras builds. `keras_models/make_models.py` makes the golden files.

use std::fs;
use std::path::{Path, PathBuf};

use galaxy_burn_core::keras::field::Axis;
use galaxy_burn_core::keras::layers::{Embedding, LayerKind, catalogue};
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::shape::WeightSpec;
use galaxy_burn_core::keras::summary::summary;
use galaxy_burn_core::tool::keras_model_config;
use proptest::prelude::*;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/keras_models")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn forms() -> serde_json::Map<String, Value> {
    serde_json::from_str(&read("forms.json")).unwrap()
}

/// The tool's output file and its table for a form.
fn configured(form: &Value) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("inputs.json");
    fs::write(&inputs, form.to_string()).unwrap();
    let table = keras_model_config::run(&inputs, dir.path()).unwrap();
    (
        fs::read_to_string(dir.path().join(keras_model_config::OUTPUT)).unwrap(),
        table,
    )
}

#[test]
fn every_form_gives_the_file_that_keras_2_3_1_writes() {
    for (name, form) in forms() {
        assert_eq!(configured(&form).0, read(&format!("{name}.keras2.3.1.json")), "{name}");
    }
}

#[test]
fn the_forms_cover_every_layer() {
    let text = ["defaults", "defaults_of_the_rest", "graphics_cards"]
        .map(|name| read(&format!("{name}.keras2.3.1.json")))
        .concat();
    // Cells cannot stand in a model, and inputs and merges not in a sequential one.
    let sequential = catalogue()
        .iter()
        .filter(|spec| spec.in_sequential())
        .map(|spec| spec.layer_type)
        .filter(|layer_type| !layer_type.ends_with("Cell"));
    for class_name in sequential {
        assert!(
            text.contains(&format!("\"class_name\": \"{class_name}\"")),
            "{class_name}"
        );
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    for name in forms().keys() {
        let text = read(&format!("{name}.keras2.3.1.json"));
        assert_eq!(Model::from_json(&text).unwrap().to_json(), text, "{name}");
    }
}

#[test]
fn keras_2_15_says_the_same_in_its_dialect() {
    // It has no layers that run on graphics cards only.
    for name in forms().keys().filter(|name| *name != "graphics_cards") {
        let expected = Model::from_json(&read(&format!("{name}.keras2.3.1.json"))).unwrap();
        let mut found = Model::from_json(&read(&format!("{name}.keras2.15.json"))).unwrap();
        for (found, expected) in found.nodes.iter_mut().zip(&expected.nodes) {
            // It gives the model's input shape to an InputLayer, and to later layers none.
            if found.layer.batch_input_shape.is_none() {
                found
                    .layer
                    .batch_input_shape
                    .clone_from(&expected.layer.batch_input_shape);
            }
            // It writes which axis -1 turned out to be: `[3]`.
            if let (LayerKind::BatchNormalization(found), LayerKind::BatchNormalization(expected)) =
                (&mut found.layer.kind, &expected.layer.kind)
                && expected.axis == Axis(-1)
                && found.axis.0 > 0
            {
                let rank = usize::try_from(found.axis.0).unwrap();
                assert_eq!(found.feature_axis(rank), expected.feature_axis(rank));
                found.axis = expected.axis;
            }
        }
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn keras_3_says_the_same_in_its_dialect() {
    for name in [
        "intro",
        "rnn",
        "cnn",
        "defaults",
        "images",
        "two_inputs_two_outputs",
        "merges",
    ] {
        let expected = Model::from_json(&read(&format!("{name}.keras2.3.1.json"))).unwrap();
        let found = Model::from_json(&read(&format!("{name}.keras3.json"))).unwrap();
        assert_eq!(found.nodes.len(), expected.nodes.len(), "{name}");
        if name != "defaults" {
            assert_eq!(found.shapes(None).unwrap(), expected.shapes(None).unwrap(), "{name}");
        }
        for (found, expected) in found.nodes.iter().zip(&expected.nodes) {
            match (&found.layer.kind, &expected.layer.kind) {
                // Its gated unit resets after the product unless told otherwise.
                (LayerKind::GRU(found), LayerKind::GRU(expected)) => {
                    assert!(found.reset_after && !expected.reset_after);
                }
                // It does not know the length of an embedding's input.
                (LayerKind::Embedding(found), LayerKind::Embedding(expected)) => {
                    let input_length = expected.input_length;
                    assert_eq!(
                        Embedding {
                            input_length,
                            ..found.clone()
                        },
                        *expected,
                        "{name}"
                    );
                }
                (found, expected) => assert_eq!(found, expected, "{name}"),
            }
        }
    }
}

#[test]
fn shapes_and_weights_are_those_that_keras_builds() {
    let mut compared = 0;
    for (name, form) in forms() {
        if name == "graphics_cards" || form["model_selection"]["input_shape"] == "" {
            continue;
        }
        let model = Model::from_json(&read(&format!("{name}.keras2.3.1.json"))).unwrap();
        let expected: Vec<Value> = serde_json::from_str(&read(&format!("{name}.shapes.json"))).unwrap();
        let shapes = model.shapes(None).unwrap();
        assert_eq!(shapes.len(), expected.len());
        for ((node, found), expected) in model.nodes.iter().zip(&shapes).zip(&expected) {
            let layer = &node.layer.name;
            assert_eq!(expected["name"], *layer);
            assert_eq!(
                expected["output"],
                serde_json::to_value(&found.output).unwrap(),
                "{name}, {layer}"
            );
            let weights: Vec<Value> = found
                .weights
                .iter()
                .map(|weight| serde_json::json!([weight.name, weight.shape]))
                .collect();
            assert_eq!(expected["weights"], Value::Array(weights), "{name}, {layer}");
            let parameters: u64 = found.weights.iter().map(WeightSpec::parameters).sum();
            assert_eq!(expected["parameters"], parameters, "{name}, {layer}");
            let trainable: u64 = found
                .weights
                .iter()
                .filter(|weight| weight.trainable)
                .map(WeightSpec::parameters)
                .sum();
            assert_eq!(expected["trainable"], trainable, "{name}, {layer}");
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn quotes_that_galaxy_spelt_out_mean_the_same() {
    let form = forms()["cnn"].to_string();
    for quote in ["__sq__", "__dq__"] {
        let spelt: Value = serde_json::from_str(&form.replace('\'', quote)).unwrap();
        assert_ne!(spelt.to_string(), form);
        assert_eq!(configured(&spelt).0, read("cnn.keras2.3.1.json"));
    }
}

#[test]
fn the_table_has_kerass_numbers() {
    let table = configured(&forms()["cnn"]).1;
    let expected = "\
Model: \"sequential_1\"
_____________________________________________________________
Layer (type)                     Output Shape         Param #
=============================================================
reshape_1 (Reshape)              (None, 28, 28, 1)          0
conv2d_1 (Conv2D)                (None, 28, 28, 64)       640
max_pooling2d_1 (MaxPooling2D)   (None, 14, 14, 64)         0
conv2d_2 (Conv2D)                (None, 12, 12, 32)    18,464
max_pooling2d_2 (MaxPooling2D)   (None, 6, 6, 32)           0
flatten_1 (Flatten)              (None, 1152)               0
dense_1 (Dense)                  (None, 10)            11,530
=============================================================
Total params: 30,634
Trainable params: 30,634
Non-trainable params: 0
_____________________________________________________________
";
    assert_eq!(table, expected);
}

proptest! {
    /// One wrong character anywhere: refused with an error of one line, or a model that can be looked at.
    #[test]
    fn a_damaged_file_is_refused_or_read(at in any::<prop::sample::Index>(), c in "[0-9a-z\\[\\]{},:\" .-]", cut in any::<bool>()) {
        let mut text = read("sequences.keras2.3.1.json");
        let at = at.index(text.len());
        if cut {
            text.truncate(at);
        } else {
            text.replace_range(at..=at, &c);
        }
        let table = Model::from_json(&text).and_then(|model| summary(&model));
        if let Err(error) = table {
            prop_assert!(!error.to_string().contains('\n'));
        } else {
            prop_assert!(!cut || at + 1 >= text.len());
        }
    }
}
