//! Tests of weights files: those of Keras are read, ours are read again, and what is no weights file is refused.

use std::fs;
use std::path::PathBuf;

use hdf5::{AttrValue, File, FileBuilder};
use serde_json::Value;

use super::*;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/keras-2.15")
        .join(name)
}

fn read_golden(name: &str) -> Result<Vec<LayerWeights>, WeightsError> {
    read(fs::read(golden(name)).unwrap())
}

fn complaint(bytes: Vec<u8>) -> String {
    read(bytes).unwrap_err().to_string()
}

fn dense() -> Vec<LayerWeights> {
    let weight = |name: &str, shape: &[usize], values: &[f32]| Weight {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    vec![
        LayerWeights {
            layer: "dense_1".into(),
            weights: vec![
                weight("dense_1/kernel:0", &[3, 2], &[0.0, 0.25, 0.5, 0.75, 1.0, 1.25]),
                weight("dense_1/bias:0", &[2], &[1.0, -2.0]),
            ],
        },
        LayerWeights {
            layer: "activation_1".into(),
            weights: vec![],
        },
        LayerWeights {
            layer: "dense_2".into(),
            weights: vec![
                weight("dense_2/kernel:0", &[2, 1], &[0.5, 0.25]),
                weight("dense_2/bias:0", &[1], &[8.0]),
            ],
        },
    ]
}

#[test]
fn every_shape_that_keras_and_h5py_give_to_weights_is_read() {
    for name in [
        "file_whole_model.h5",
        "file_fixed_length_names.h5",
        "file_split_names.h5",
        "file_half.h5",
        "file_double_big_endian.h5",
        "file_compressed.h5",
    ] {
        assert_eq!(read_golden(name).unwrap(), dense(), "{name}");
    }
}

#[test]
fn every_golden_weights_file_of_keras_has_its_models_weights() {
    let mut files = 0;
    for entry in fs::read_dir(golden("")).unwrap() {
        let path = entry.unwrap().path();
        let weights = path.with_extension("h5");
        if path.extension().is_none_or(|extension| extension != "json") || !weights.exists() {
            continue;
        }
        files += 1;
        let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let layers = read(fs::read(&weights).unwrap()).unwrap();
        let names: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
        let expected: Vec<&str> = case["model"]["config"]["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| layer["config"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{}", path.display());
        // Their gradients have the same names and shapes.
        let weights: Vec<&Weight> = layers.iter().flat_map(|layer| &layer.weights).collect();
        for gradient in case["training"]["gradients"].as_array().into_iter().flatten() {
            let weight = weights
                .iter()
                .find(|weight| weight.name == gradient["name"].as_str().unwrap())
                .unwrap();
            assert_eq!(
                serde_json::json!(weight.shape),
                gradient["shape"],
                "{} {}",
                path.display(),
                weight.name
            );
            assert_eq!(weight.values.len(), gradient["values"].as_array().unwrap().len());
            assert!(weight.values.iter().all(|value| value.is_finite() && *value != 0.0));
        }
    }
    assert!(files > 50, "only {files} golden cases");
}

#[test]
fn what_is_written_is_read_again_and_always_the_same_bytes() {
    let mut layers = dense();
    layers[0].weights[0].values[0] = f32::MIN_POSITIVE / 2.0;
    layers[0].weights[1].values = vec![f32::NAN, f32::NEG_INFINITY];
    layers.push(LayerWeights {
        layer: "lstm_1".into(),
        weights: vec![
            Weight {
                name: "lstm_1/lstm_cell/kernel:0".into(),
                shape: vec![1, 4],
                values: vec![1.0; 4],
            },
            Weight {
                name: "lstm_1/lstm_cell/bias:0".into(),
                shape: vec![4],
                values: vec![2.0; 4],
            },
            Weight {
                name: "lstm_1/scale:0".into(),
                shape: vec![],
                values: vec![3.0],
            },
        ],
    });
    let bytes = write(&layers).unwrap();
    assert_eq!(bytes, write(&layers).unwrap());
    let again = read(bytes).unwrap();
    assert_eq!(again.len(), 4);
    assert_eq!(again[3], layers[3]);
    for (a, b) in again.iter().zip(&layers) {
        for (a, b) in a.weights.iter().zip(&b.weights) {
            let bits = |weight: &Weight| weight.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!((&a.name, &a.shape, bits(a)), (&b.name, &b.shape, bits(b)));
        }
    }
}

#[test]
fn the_layout_is_that_of_keras_2_3_1() {
    let file = File::from_bytes(write(&dense()).unwrap()).unwrap();
    let root = file.root().attrs().unwrap();
    assert_eq!(root["backend"], AttrValue::VarLenAsciiString("tensorflow".into()));
    assert_eq!(root["keras_version"], AttrValue::VarLenAsciiString("2.3.1".into()));
    let names = ["dense_1", "activation_1", "dense_2"].map(str::to_owned);
    assert_eq!(root["layer_names"], AttrValue::AsciiStringArray(names.to_vec()));
    let weightless = file.group("activation_1").unwrap().attrs().unwrap();
    assert_eq!(weightless["weight_names"], AttrValue::F64Array(vec![]));
    let kernel = file.dataset("dense_1/dense_1/kernel:0").unwrap();
    assert!(!kernel.is_chunked());
    assert_eq!(kernel.shape().unwrap(), [3, 2]);
}

#[test]
fn names_too_long_for_one_attribute_are_split_and_joined_again() {
    let layers: Vec<LayerWeights> = (0..700)
        .map(|index| LayerWeights {
            layer: format!("{}_{index:03}", "a".repeat(200)),
            weights: vec![],
        })
        .collect();
    let bytes = write(&layers).unwrap();
    let root = File::from_bytes(bytes.clone()).unwrap().root().attrs().unwrap();
    assert!(!root.contains_key("layer_names") && root.contains_key("layer_names2"));
    assert_eq!(read(bytes).unwrap(), layers);
}

#[test]
fn weights_that_contradict_themselves_are_not_written() {
    let mut layers = dense();
    layers[0].weights[1].shape = vec![3];
    assert_eq!(
        write(&layers).unwrap_err().to_string(),
        "cannot write the weights of layer 'dense_1': 'dense_1/bias:0' has 2 values where its shape needs 3"
    );
    let mut layers = dense();
    layers[0].weights[1].name = "dense_1/kernel:0".into();
    assert!(
        write(&layers)
            .unwrap_err()
            .to_string()
            .contains("two weights are called 'dense_1/kernel:0'")
    );
    let mut layers = dense();
    layers[2].layer = "a/b".into();
    assert!(write(&layers).unwrap_err().to_string().contains("cannot be a name"));
}

#[test]
fn links_out_of_the_file_are_not_followed() {
    for name in [
        "refused_soft_link.h5",
        "refused_external_link.h5",
        "refused_external_link_to_layer.h5",
    ] {
        let message = read_golden(name).unwrap_err().to_string();
        assert!(
            message.contains("only as a soft or external link, which are not followed"),
            "{name}: {message}"
        );
    }
    let message = read_golden("refused_external_storage.h5").unwrap_err().to_string();
    assert!(message.contains("external files are not followed"), "{message}");
    let message = read_golden("refused_virtual.h5").unwrap_err().to_string();
    assert!(message.contains("is a virtual dataset"), "{message}");
}

#[test]
fn sizes_beyond_the_files_own_are_refused_before_memory_is_taken() {
    for name in ["refused_terabytes.h5", "refused_terabyte_chunk.h5"] {
        let message = read_golden(name).unwrap_err().to_string();
        assert!(
            message.contains("far more than a file of this size") || message.contains("far larger"),
            "{name}: {message}"
        );
    }
}

#[test]
fn values_that_are_no_weights_are_refused() {
    let message = read_golden("refused_integers.h5").unwrap_err().to_string();
    assert_eq!(
        message,
        "the weights file's 'dense_1/dense_1/kernel:0': does not hold floating-point numbers of 16, 32 or 64 bits"
    );
    let message = read_golden("refused_unwritten.h5").unwrap_err().to_string();
    assert!(message.contains("stores no values"), "{message}");
}

#[test]
fn files_of_other_kinds_are_told_what_they_are() {
    assert!(complaint(vec![]).starts_with("this is an empty file, not an HDF5 file with Keras weights"));
    assert!(complaint(b"PK\x03\x04".to_vec()).contains("a zip archive"));
    assert!(complaint(b"1\t2\n".to_vec()).contains("a plain text"));

    let mut keras3 = FileBuilder::new();
    let mut layers = keras3.create_group("layers");
    layers.create_dataset("x").with_f32_data(&[1.0]);
    keras3.add_group(layers.finish());
    assert!(complaint(keras3.finish().unwrap()).contains("Keras 3's .weights.h5"));

    let mut h5mlm = FileBuilder::new();
    h5mlm.set_attr("-Galaxy-ML-", AttrValue::VarLenString("0.10.0".into()));
    assert!(complaint(h5mlm.finish().unwrap()).contains("(h5mlm)"));

    let mut other = FileBuilder::new();
    other.create_dataset("counts").with_f32_data(&[1.0]);
    assert!(complaint(other.finish().unwrap()).contains("it has no attribute layer_names"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for whole in [write(&dense()).unwrap(), fs::read(golden("lstm.h5")).unwrap()] {
        for length in (0..whole.len()).step_by(37) {
            assert!(
                read(whole[..length].to_vec()).is_err(),
                "{length} of {} bytes",
                whole.len()
            );
        }
        let message = complaint(whole[..whole.len() - 1].to_vec());
        assert!(message.contains("was cut off"), "{message}");
    }
}

#[test]
fn forged_bytes_never_panic() {
    // Every byte of structure gets several wrong values; a result of either kind is fine, a panic or a flood of memory is not.
    for name in ["lstm.h5", "file_compressed.h5", "file_fixed_length_names.h5"] {
        let whole = fs::read(golden(name)).unwrap();
        for position in 0..whole.len() {
            if whole[position] == 0 && position % 8 != 0 {
                continue;
            }
            for wrong in [0x00, 0xff, whole[position] ^ 0x40] {
                let mut forged = whole.clone();
                forged[position] = wrong;
                let _ = read(forged);
            }
        }
    }
}
