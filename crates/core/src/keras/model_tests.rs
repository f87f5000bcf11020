use serde_json::json;

use super::*;

/// A sequential model in the dialect of Keras 2.3.1 from class names and configurations.
fn read(layers: &[(&str, Value)]) -> Result<Model, ModelError> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|(class_name, config)| json!({"class_name": class_name, "config": config}))
        .collect();
    Model::from_value(&json!({"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers}}))
}

fn complaint(layers: &[(&str, Value)]) -> String {
    let error = match read(layers) {
        Ok(model) => model.shapes(None).unwrap_err(),
        Err(error) => error,
    };
    error.to_string()
}

#[test]
fn other_files_are_told_apart() {
    let complaint = |text| Model::from_json(text).unwrap_err().to_string();
    assert!(complaint("").starts_with("not a model configuration: it is not valid JSON (EOF while parsing"));
    assert!(complaint("\u{89}HDF").starts_with("not a model configuration: it is not valid JSON (expected value"));
    assert_eq!(
        complaint("[1]"),
        "not a Keras model configuration: there is no class_name at its top"
    );
    assert_eq!(
        complaint(r#"{"class_name": "Dense", "config": {}}"#),
        "not a Keras model configuration: its class_name is 'Dense', expected 'Sequential' or 'Model'"
    );
    assert_eq!(
        complaint(r#"{"class_name": "Sequential", "config": []}"#),
        "not a Keras model configuration: the model has no layers; add at least one"
    );
    assert_eq!(
        complaint(r#"{"class_name": "Model", "config": {}}"#),
        "not a Keras model configuration: its config has no list of layers"
    );
    assert_eq!(
        complaint(r#"{"class_name": "Sequential", "config": {"name": "s", "layers": [7]}}"#),
        "not a Keras model configuration: layer 1 has no class_name or no config"
    );
}

#[test]
fn keras_2_2_wrote_the_layers_only() {
    let text = r#"{"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"units": 3, "name": "d",
        "batch_input_shape": [null, 4]}}]}"#;
    let model = Model::from_json(text).unwrap();
    assert_eq!(
        (model.name.as_str(), model.nodes[0].layer.name.as_str()),
        ("sequential_1", "d")
    );
    assert_eq!(model.shapes(None).unwrap()[0].output, [Some(3)]);
}

#[test]
fn an_input_layer_gives_its_shape_to_the_first_layer() {
    for key in ["batch_input_shape", "batch_shape"] {
        let model = read(&[
            ("InputLayer", json!({key: [null, 7], "dtype": "int32", "sparse": false})),
            ("Dense", json!({"units": 2})),
        ]);
        let model = model.unwrap();
        assert_eq!(model.nodes.len(), 1);
        assert_eq!(model.nodes[0].layer.batch_input_shape, Some(vec![None, Some(7)]));
    }
    let error = complaint(&[("InputLayer", json!({"batch_shape": [null, 7], "sparse": true}))]);
    assert_eq!(error, "layer 1, InputLayer: sparse=True: not supported for an input");
    let error = complaint(&[("InputLayer", json!({"name": "in", "batch_shape": [null, "x"]}))]);
    assert!(
        error.starts_with("layer 1, InputLayer 'in': batch_shape=[None, 'x']: expected a positive integer"),
        "{error}"
    );
}

#[test]
fn newer_keys_are_ignored_only_when_they_change_nothing() {
    let conv = |groups: i64| {
        (
            "Conv2D",
            json!({"name": "c", "filters": 2, "kernel_size": [3, 3], "groups": groups, "lora_rank": null}),
        )
    };
    assert!(read(&[conv(1)]).is_ok());
    assert_eq!(
        complaint(&[conv(2)]),
        "layer 1, Conv2D 'c': groups=2: only 1 is supported"
    );
    let error = complaint(&[("Dense", json!({"units": 2, "unit": 3}))]);
    assert_eq!(error, "layer 1, Dense: unknown keyword 'unit'; did you mean 'units'?");
}

#[test]
fn a_whole_model_that_is_frozen_is_refused() {
    let value = json!({"class_name": "Sequential", "config": {"trainable": false, "layers": []}});
    let error = Model::from_value(&value).unwrap_err().to_string();
    assert_eq!(
        error,
        "the whole model is marked as not trainable; mark its layers instead"
    );
}

#[test]
fn names_are_unique() {
    let dense = ("Dense", json!({"name": "d", "units": 1}));
    let error = complaint(&[dense.clone(), ("Dropout", json!({"rate": 0.1})), dense]);
    assert_eq!(
        error,
        "layers 1 and 3 are both called 'd'; every layer needs a name of its own"
    );
}

#[test]
fn a_layer_that_does_not_fit_is_named_with_what_would() {
    let first = |units: usize| {
        (
            "Dense",
            json!({"name": "d", "units": units, "batch_input_shape": [null, 500]}),
        )
    };
    let cases = [
        (
            ("LSTM", json!({"name": "r", "units": 3})),
            "layer 2, LSTM 'r': does not fit its input of shape (12,): needs 2 axes (steps, features); an Embedding or a Reshape \
             layer before it can make them, or return_sequences=True in a recurrent layer before it",
        ),
        (
            ("Conv2D", json!({"name": "c", "filters": 3, "kernel_size": [3, 3]})),
            "layer 2, Conv2D 'c': does not fit its input of shape (12,): needs 3 axes (rows, columns, channels); a Reshape layer \
             before it can make them",
        ),
        (
            (
                "GlobalMaxPooling1D",
                json!({"name": "g", "data_format": "channels_first"}),
            ),
            "layer 2, GlobalMaxPooling1D 'g': does not fit its input of shape (12,): needs 2 axes (channels, steps); a Reshape \
             layer before it can make them",
        ),
        (
            ("Reshape", json!({"name": "r", "target_shape": [5, 2]})),
            "layer 2, Reshape 'r': does not fit its input of shape (12,): it has 12 entries, target_shape=[5,2] has 10",
        ),
        (
            ("Reshape", json!({"name": "r", "target_shape": [-1, 5]})),
            "layer 2, Reshape 'r': does not fit its input of shape (12,): it has 12 entries, target_shape=[-1,5] has a multiple \
             of 5",
        ),
        (
            ("BatchNormalization", json!({"name": "b", "axis": [2]})),
            "layer 2, BatchNormalization 'b': does not fit its input of shape (12,): axis=2 is not one of its axes; the batch is \
             axis 0, -1 is the last",
        ),
        (
            ("Dropout", json!({"name": "d2", "rate": 0.5, "noise_shape": [null, 5]})),
            "layer 2, Dropout 'd2': does not fit its input of shape (12,): noise_shape needs 2 entries, batch first, each of them \
             1, None or the input's size",
        ),
    ];
    for (layer, expected) in cases {
        assert_eq!(complaint(&[first(12), layer]), expected);
    }
}

#[test]
fn a_window_larger_than_its_input_does_not_fit() {
    let conv = json!({"name": "c", "filters": 1, "kernel_size": [3, 3], "dilation_rate": [1, 4], "batch_input_shape": [null, 8, 8, 1]});
    assert_eq!(
        complaint(&[("Conv2D", conv)]),
        "layer 1, Conv2D 'c': does not fit its input of shape (8, 8, 1): the kernel covers 9 of only 8 columns; use a smaller one \
         or padding='same'"
    );
    let pool = json!({"name": "p", "pool_size": [3], "batch_input_shape": [null, 2, 1]});
    assert_eq!(
        complaint(&[("MaxPooling1D", pool)]),
        "layer 1, MaxPooling1D 'p': does not fit its input of shape (2, 1): the pooling window covers 3 of only 2 steps; use a \
         smaller one or padding='same'"
    );
}

#[test]
fn sizes_that_only_the_data_tell_may_stay_open() {
    let model = read(&[
        (
            "Embedding",
            json!({"input_dim": 9, "output_dim": 4, "batch_input_shape": [null, null]}),
        ),
        ("Conv1D", json!({"filters": 2, "kernel_size": [3], "padding": "same"})),
        ("LSTM", json!({"units": 5, "return_sequences": true})),
        ("GlobalAveragePooling1D", json!({})),
    ])
    .unwrap();
    let outputs =
        |shapes: Vec<LayerShapes>| -> Vec<String> { shapes.iter().map(|layer| display(&layer.output)).collect() };
    assert_eq!(
        outputs(model.shapes(None).unwrap()),
        ["(None, 4)", "(None, 2)", "(None, 5)", "(5,)"]
    );
    assert_eq!(
        outputs(model.shapes(Some(&vec![Some(6)])).unwrap()),
        ["(6, 4)", "(6, 2)", "(6, 5)", "(5,)"]
    );
}

#[test]
fn sizes_that_weights_depend_on_must_be_known() {
    let error = complaint(&[(
        "Dense",
        json!({"name": "d", "units": 2, "batch_input_shape": [null, null]}),
    )]);
    assert_eq!(
        error,
        "layer 1, Dense 'd': does not fit its input of shape (None,): needs to know the number of features; give it in the input shape"
    );
}

#[test]
fn the_datas_shape_must_be_the_models() {
    let model = read(&[("Dense", json!({"units": 2, "batch_input_shape": [null, 7129]}))]).unwrap();
    let error = model.shapes(Some(&vec![Some(7130)])).unwrap_err().to_string();
    assert_eq!(
        error,
        "the model takes inputs of shape (7129,), the data have shape (7130,)"
    );
    let model = read(&[("Dense", json!({"units": 2}))]).unwrap();
    assert!(matches!(model.shapes(None), Err(ModelError::NoInputShape)));
    assert_eq!(model.shapes(Some(&vec![Some(3)])).unwrap()[0].weights[0].shape, [3, 2]);
}

#[test]
fn frozen_layers_have_no_trainable_weights() {
    let model = read(&[
        (
            "Dense",
            json!({"units": 2, "trainable": false, "batch_input_shape": [null, 3]}),
        ),
        ("BatchNormalization", json!({})),
    ])
    .unwrap();
    let trainable: Vec<Vec<bool>> = model
        .shapes(None)
        .unwrap()
        .iter()
        .map(|layer| layer.weights.iter().map(|weight| weight.trainable).collect())
        .collect();
    assert_eq!(trainable, [vec![false, false], vec![true, true, false, false]]);
}

#[test]
fn an_lstms_forget_gate_starts_open() {
    let lstm = |forget: bool| json!({"units": 3, "unit_forget_bias": forget, "batch_input_shape": [null, 5, 2]});
    let ones = |forget| {
        read(&[("LSTM", lstm(forget))]).unwrap().shapes(None).unwrap()[0].weights[2]
            .ones
            .clone()
    };
    assert_eq!(ones(true), Some(3..6));
    assert_eq!(ones(false), None);
}

#[test]
fn sizes_beyond_all_memory_do_not_overflow() {
    let size = i64::from(i32::MAX);
    let model = read(&[
        ("LSTM", json!({"units": size, "batch_input_shape": [null, 5, size]})),
        ("Dense", json!({"units": size})),
    ])
    .unwrap();
    let shapes = model.shapes(None).unwrap();
    assert_eq!(shapes[1].weights[0].parameters(), 4_611_686_014_132_420_609);
}

#[test]
fn states_that_are_handed_on_are_read_in_every_dialect() {
    let read = |name: &str, of_decoder: Value, tensor: fn(&str, usize) -> Value| {
        let entry = |class_name: &str, name: &str, config: Value, inbound: Value| {
            json!({"class_name": class_name, "name": name,
            "config": config, "inbound_nodes": inbound})
        };
        let lstm = |sequences: bool| json!({"units": 3, "return_sequences": sequences, "return_state": sequences});
        let encoder = match name {
            "keras 3" => json!([{"args": [tensor("x", 0)], "kwargs": {"training": false, "mask": null}}]),
            _ => json!([[tensor("x", 0)]]),
        };
        Model::from_value(&json!({"class_name": "Functional", "config": {
            "name": "m",
            "layers": [
                entry("InputLayer", "x", json!({"batch_input_shape": [null, 5, 2]}), json!([])),
                entry("LSTM", "encoder", lstm(true), encoder),
                entry("LSTM", "decoder", lstm(false), of_decoder),
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["decoder", 0, 0]],
        }}))
    };
    let plain: fn(&str, usize) -> Value = |layer, output| json!([layer, 0, output, {}]);
    let keras3: fn(&str, usize) -> Value = |layer, output| json!({"class_name": "__keras_tensor__", "config": {"shape": [null, 3], "keras_history": [layer, 0, output]}});
    let all = [0, 1, 2].map(|output| plain("encoder", output));
    let older = read("keras 2", json!([all]), plain).unwrap();
    let states = [1, 2].map(|output| keras3("encoder", output));
    let call = json!([{"args": [keras3("encoder", 0)], "kwargs": {"initial_state": states}}]);
    let newer = read("keras 3", call, keras3).unwrap();
    let taken = [0, 1, 2].map(|output| LayerOutput { layer: 1, output });
    assert_eq!(
        (&*older.nodes[2].inputs, &*newer.nodes[2].inputs),
        (&taken[..], &taken[..])
    );
    let fourth = read("keras 2", json!([[plain("encoder", 3)]]), plain).unwrap_err();
    assert_eq!(
        fourth.to_string(),
        "layer 2, LSTM 'encoder': its output 3 is taken (counted from 0), but it has 3"
    );
}

#[test]
fn only_the_sequence_of_a_recurrent_layer_has_a_mask_that_counts() {
    // Masked rows, not steps, give the first state.
    let entry = |class_name: &str, config: Value, taken: &[&str]| {
        let taken: Vec<Value> = taken.iter().map(|layer| json!([layer, 0, 0, {}])).collect();
        let nodes = if taken.is_empty() { json!([]) } else { json!([taken]) };
        json!({"class_name": class_name, "name": config["name"], "config": config, "inbound_nodes": nodes})
    };
    let model = |of_steps: &str| {
        let layers = [
            entry(
                "InputLayer",
                json!({"name": "x", "batch_input_shape": [null, 5, 3]}),
                &[],
            ),
            entry("Reshape", json!({"name": "row", "target_shape": [15]}), &["x"]),
            entry("Masking", json!({"name": "masked"}), &["row"]),
            entry("Dense", json!({"name": "state", "units": 3}), &["masked"]),
            entry(of_steps, json!({"name": "steps"}), &["x"]),
            entry(
                "SimpleRNN",
                json!({"name": "next", "units": 3, "return_sequences": true}),
                &["steps", "state"],
            ),
            entry("Flatten", json!({"name": "flat"}), &["next"]),
        ];
        let ends = (json!([["x", 0, 0]]), json!([["flat", 0, 0]]));
        let config = json!({"name": "m", "layers": layers, "input_layers": ends.0, "output_layers": ends.1});
        Model::from_value(&json!({"class_name": "Model", "config": config})).unwrap()
    };
    assert!(model("ELU").check_masks().is_ok());
    let refused = model("Masking").check_masks().unwrap_err().to_string();
    assert!(
        refused.starts_with("layer 7, Flatten 'flat': it cannot leave out the steps that layer 5"),
        "{refused}"
    );
}
