//! What Keras 3 saves, read: `.weights.h5` and `.keras`. `golden/keras-3/make.py` makes the files.

use std::fs;
use std::path::{Path, PathBuf};

use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::weights;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/keras-3")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The numbers in nested lists, in order.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

#[test]
fn weights_are_found_by_class_and_number() {
    for name in ["chain", "graph"] {
        let saved: Value = serde_json::from_slice(&bytes(&format!("{name}.json"))).unwrap();
        let model = Model::from_value(&saved["model"]).unwrap();
        let expected: Vec<Vec<Vec<f64>>> = saved["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| layer["weights"].as_array().unwrap().iter().map(flat).collect())
            .collect();
        let shapes = model.shapes(None).unwrap();
        for file in [format!("{name}.weights.h5"), format!("{name}.keras")] {
            let layers = weights::read_for(bytes(&file), &model).unwrap();
            assert_eq!(layers.len(), expected.len(), "{file}");
            for ((layer, shapes), expected) in layers.iter().zip(&shapes).zip(&expected) {
                assert_eq!(layer.weights.len(), expected.len(), "{file}, {}", layer.layer);
                for ((weight, spec), expected) in layer.weights.iter().zip(&shapes.weights).zip(expected) {
                    assert_eq!(weight.shape, spec.shape, "{file}, {}", weight.name);
                    let rounded: Vec<f64> = weight
                        .values
                        .iter()
                        .map(|value| (f64::from(*value) * 1000.0).round() / 1000.0)
                        .collect();
                    assert_eq!(rounded, *expected, "{file}, {}", weight.name);
                }
            }
        }
    }
}

#[test]
fn an_archive_brings_its_configuration() {
    for name in ["chain", "graph"] {
        let text = weights::configuration(&bytes(&format!("{name}.keras")))
            .unwrap()
            .unwrap();
        let saved: Value = serde_json::from_slice(&bytes(&format!("{name}.json"))).unwrap();
        assert_eq!(
            Model::from_json(&text).unwrap(),
            Model::from_value(&saved["model"]).unwrap(),
            "{name}"
        );
    }
    assert_eq!(weights::configuration(&bytes("chain.weights.h5")).unwrap(), None);
}

#[test]
fn weights_of_another_model_are_not_taken_for_this_one_s() {
    let saved: Value = serde_json::from_slice(&bytes("chain.json")).unwrap();
    let model = Model::from_value(&saved["model"]).unwrap();
    let layers = weights::read_for(bytes("graph.weights.h5"), &model).unwrap();
    let expected: Vec<_> = model
        .nodes
        .iter()
        .zip(model.shapes(None).unwrap())
        .map(|(node, shapes)| {
            let shapes = shapes.weights.into_iter().map(|weight| weight.shape).collect();
            (node.layer.name.clone(), shapes)
        })
        .collect();
    let error = weights::assign(&expected, layers).unwrap_err().to_string();
    assert!(error.starts_with("these are weights for another model"), "{error}");
}
