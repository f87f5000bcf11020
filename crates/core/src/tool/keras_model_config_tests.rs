use std::fs;

use serde_json::json;

use super::*;

/// Runs the tool on a form in a directory of its own; with the error comes whether anything was written.
fn run_on(form: &Value) -> Result<String, (Error, bool)> {
    let dir = tempfile::tempdir().unwrap();
    let (inputs, work) = (dir.path().join("inputs.json"), dir.path().join("work"));
    fs::create_dir(&work).unwrap();
    fs::write(&inputs, form.to_string()).unwrap();
    match run(&inputs, &work) {
        Ok(_) => Ok(fs::read_to_string(work.join(OUTPUT)).unwrap()),
        Err(error) => Err((error, fs::read_dir(&work).unwrap().next().is_some())),
    }
}

fn form(input_shape: impl Into<Value>, layers: Vec<Value>) -> Value {
    let layers: Vec<Value> = layers
        .into_iter()
        .map(|layer| json!({"layer_selection": layer}))
        .collect();
    json!({"model_selection": {"input_shape": input_shape.into(), "layers": layers, "model_type": "sequential"}})
}

fn complaint(form: &Value) -> String {
    let (error, written) = run_on(form).unwrap_err();
    assert!(!written, "a failed job leaves no output");
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// What is said of a layer in second place, behind a Dense with 12 outputs.
fn layer_complaint(layer: Value) -> String {
    complaint(&form(
        "(7, )",
        vec![json!({"layer_type": "Dense", "units": 12, "activation": "relu"}), layer],
    ))
}

#[test]
fn bookkeeping_of_galaxy_is_ignored() {
    let plain = form(
        "(3, )",
        vec![json!({"units": 2, "activation": "linear", "kwargs": "", "layer_type": "Dense"})],
    );
    let mut galaxys = form(
        json!([3]),
        vec![
            json!({"__current_case__": 0, "units": "2", "activation": "linear", "kwargs": null, "layer_type": "Dense"}),
        ],
    );
    galaxys["__job_resource"] = json!({"__job_resource__select": "no"});
    galaxys["model_selection"]["layers"][0]["__index__"] = json!(0);
    assert_eq!(run_on(&galaxys).unwrap(), run_on(&plain).unwrap());
}

#[test]
fn an_input_shape_may_lack_its_comma_or_be_empty() {
    let dense = || vec![json!({"units": 2, "layer_type": "Dense"})];
    let expected = run_on(&form("(784, )", dense())).unwrap();
    assert_eq!(run_on(&form("(784)", dense())).unwrap(), expected);
    assert_eq!(run_on(&form("784", dense())).unwrap(), expected);
    assert_eq!(run_on(&form("__ob__784__cb__", dense())).unwrap(), expected);
    for empty in [json!(""), json!(null), json!("None")] {
        assert!(!run_on(&form(empty, dense())).unwrap().contains("batch_input_shape"));
    }
}

#[test]
fn a_wrong_input_shape_is_explained() {
    let dense = || vec![json!({"units": 2, "layer_type": "Dense"})];
    assert_eq!(
        complaint(&form("(784", dense())),
        "input_shape: expected a tuple in which each is a positive integer or None; cannot read `(784`: expected ',' or ')', found \
         the end at column 5; write the shape without the batch as a tuple, e.g. (784, )"
    );
    assert!(
        complaint(&form("(0, )", dense()))
            .starts_with("input_shape: expected a positive integer or None in place of 0;")
    );
    assert!(complaint(&form("(28, -1)", dense())).contains("in place of -1"));
    assert!(complaint(&form("'784'", dense())).starts_with("input_shape: expected a tuple"));
}

#[test]
fn wrong_forms_are_explained() {
    assert_eq!(
        complaint(&form("(3, )", vec![])),
        "the model has no layers; add at least one"
    );
    assert_eq!(
        complaint(&form("(3, )", vec![json!({"units": 3})])),
        "layer 1: it has no layer_type"
    );
    let graph = json!({"model_selection": {"model_type": "graph", "layers": []}});
    assert_eq!(
        complaint(&graph),
        "unknown model type 'graph'; expected 'sequential' or 'functional'"
    );
    assert!(complaint(&json!({"model": 1})).contains("model_selection"));
}

#[test]
fn unknown_layers_and_activations_name_near_ones() {
    assert_eq!(
        layer_complaint(json!({"layer_type": "Conv2d", "filters": 3})),
        "layer 2, Conv2d: unknown layer type 'Conv2d'; did you mean 'Conv2D'?"
    );
    assert_eq!(
        layer_complaint(json!({"layer_type": "Activation", "activation": "rleu"})),
        "layer 2, Activation: activation='rleu': unknown activation; did you mean 'relu'?"
    );
}

#[test]
fn a_hostile_layer_type_stays_on_one_line_and_short() {
    let error = layer_complaint(json!({"layer_type": "Dense\n".repeat(1000)}));
    assert!(error.len() < 2000, "{}", error.len());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes and what is said to them")]
fn wrong_parameters_are_explained() {
    let dense = |kwargs: &str| json!({"layer_type": "Dense", "units": 3, "activation": "relu", "kwargs": kwargs});
    let cases = [
        (
            json!({"layer_type": "Dense", "units": null}),
            "Dense: units is missing; expected a positive integer",
        ),
        (
            json!({"layer_type": "Dense", "units": 0}),
            "Dense: units=0: expected a positive integer",
        ),
        (
            json!({"layer_type": "Dense", "units": 2.5}),
            "Dense: units=2.5: expected a positive integer",
        ),
        (
            json!({"layer_type": "Dense", "units": "many"}),
            "Dense: units='many': expected a positive integer; cannot read `many`: \
            many is not a value; text needs quotes, 'many' at column 1",
        ),
        (
            json!({"layer_type": "Dense", "units": 2, "unit": 3}),
            "Dense: unknown keyword 'unit'; did you mean 'units'?",
        ),
        (dense("use_bias=1"), "Dense: use_bias=1: expected True or False"),
        (
            dense("use_bais=False"),
            "Dense: unknown keyword 'use_bais'; did you mean 'use_bias'?",
        ),
        (
            dense("padding=same"),
            "Dense: kwargs: cannot read `padding=same`: same is not a value; text needs quotes, 'same' at \
            column 9",
        ),
        (
            dense("kernel_initializer='he_norml'"),
            "Dense: kernel_initializer='he_norml': unknown initializer 'he_norml'; did you \
            mean 'he_normal'?",
        ),
        (
            dense("kernel_initializer=RandomNormal(std=1)"),
            "Dense: kernel_initializer=RandomNormal(std=1): RandomNormal has no \
            argument 'std'; did you mean 'stddev'?",
        ),
        (
            dense("kernel_regularizer=__import__('os')"),
            "Dense: kernel_regularizer=__import__('os'): unknown regularizer \
            '__import__'; known: l1, l2, l1_l2",
        ),
        (
            dense("weights=[1]"),
            "Dense: weights=...: weights cannot be given in the form; load them from a weights file",
        ),
        (
            dense("dtype='float64'"),
            "Dense: dtype='float64': only 'float32' is supported",
        ),
        (
            dense("name='a/b'"),
            "Dense: name='a/b': a layer's name must be a text without '/'",
        ),
        (
            json!({"layer_type": "Dropout", "rate": 1.0}),
            "Dropout: rate=1: expected at least 0 and less than 1",
        ),
        (
            json!({"layer_type": "Dropout", "rate": -0.1}),
            "Dropout: rate=-0.1: expected at least 0 and less than 1",
        ),
        (
            json!({"layer_type": "Reshape", "target_shape": ""}),
            "Reshape: target_shape is missing; expected a tuple in which each \
            is an integer",
        ),
        (
            json!({"layer_type": "Reshape", "target_shape": "(-1, -1)"}),
            "Reshape: target_shape needs positive sizes, of which one \
            may be -1",
        ),
        (
            json!({"layer_type": "LSTM", "units": 3, "kwargs": "return_state=True"}),
            "LSTM 'lstm_1': return_state=True gives it several outputs, of which a sequential model can hand on one only; remove \
            it, or make a functional model",
        ),
        (
            json!({"layer_type": "GRU", "units": 3, "kwargs": "implementation=3"}),
            "GRU: implementation=3: expected 1 or 2",
        ),
        (
            json!({"layer_type": "SimpleRNN", "units": 3, "kwargs": "dropout=1.5"}),
            "SimpleRNN: dropout=1.5: expected at least 0 and \
            less than 1",
        ),
        (
            json!({"layer_type": "BatchNormalization", "kwargs": "momentum=2"}),
            "BatchNormalization: momentum=2: expected a number \
            from 0 to 1",
        ),
    ];
    for (layer, expected) in cases {
        assert_eq!(layer_complaint(layer), format!("layer 2, {expected}"));
    }
}

#[test]
fn parameters_that_do_not_go_together_are_refused() {
    let conv = |kwargs: &str| json!({"layer_type": "Conv2D", "filters": 3, "kernel_size": "3", "kwargs": kwargs});
    let cases = [
        (
            conv("strides=2, dilation_rate=2"),
            "Conv2D: strides above 1 and dilation_rate above 1 cannot be combined; set one of them to 1",
        ),
        (
            conv("padding='causal'"),
            "Conv2D: padding='causal' is for Conv1D only; expected 'valid' or 'same'",
        ),
        (
            conv("padding='sme'"),
            "Conv2D: padding='sme': unknown padding; did you mean 'same'?",
        ),
        (
            conv("kernel_size=(1, 2, 3)"),
            "Conv2D: kernel_size=(1, 2, 3): expected a positive integer or a tuple of 2",
        ),
        (
            json!({"layer_type": "Conv2DTranspose", "filters": 3, "kernel_size": "3", "kwargs": "dilation_rate=(1, 2)"}),
            "Conv2DTranspose: dilation_rate must be the same along both axes of a transposed convolution, e.g. 2",
        ),
        (
            json!({"layer_type": "Conv2DTranspose", "filters": 3, "kernel_size": "3", "kwargs": "strides=2, dilation_rate=2"}),
            "Conv2DTranspose: strides above 1 and dilation_rate above 1 cannot be combined; set one of them to 1",
        ),
        (
            json!({"layer_type": "ConvLSTM2D", "filters": 3, "kernel_size": "3",
                "kwargs": "activation='softmax', data_format='channels_first'"}),
            "ConvLSTM2D: softmax is taken along the last axis, which data_format='channels_first' makes the columns: this is not \
             supported; choose another activation, or data_format='channels_last'",
        ),
        (
            json!({"layer_type": "MaxPooling2D", "kwargs": "padding='causal'"}),
            "MaxPooling2D: padding='causal' is for Conv1D only; expected 'valid' or 'same'",
        ),
        (
            json!({"layer_type": "Conv1D", "filters": 3, "kernel_size": "3",
                "kwargs": "padding='causal', data_format='channels_first'"}),
            "Conv1D: padding='causal' needs data_format='channels_last'",
        ),
    ];
    for (layer, expected) in cases {
        assert_eq!(layer_complaint(layer), format!("layer 2, {expected}"));
    }
}

#[test]
fn an_initializer_that_makes_matrices_is_refused_where_there_is_none() {
    let dense = |kwargs: &str| json!({"layer_type": "Dense", "units": 3, "kwargs": kwargs});
    assert_eq!(
        layer_complaint(dense("bias_initializer='orthogonal'")),
        "layer 2, Dense 'dense_2': bias_initializer='orthogonal': it is for weights of at least two axes, and this one has the shape \
         (3,); choose another, e.g. 'zeros' or 'random_normal'"
    );
    assert!(
        layer_complaint(dense("bias_initializer='identity'"))
            .contains("bias_initializer='identity': it is for weights of two axes, and this one has the shape (3,);")
    );
    let conv =
        json!({"layer_type": "Conv1D", "filters": 3, "kernel_size": 2, "kwargs": "kernel_initializer='identity'"});
    assert!(complaint(&form("(7, 2)", vec![conv])).contains("has the shape (2, 2, 3)"));
    let fine = dense("kernel_initializer='identity', bias_initializer='ones'");
    assert!(run_on(&form("(7, )", vec![fine])).is_ok());
}

#[test]
fn kwargs_win_over_fields() {
    let layer =
        json!({"layer_type": "Dense", "units": 3, "activation": "relu", "kwargs": "units=4, activation='tanh'"});
    let text = run_on(&form("(3, )", vec![layer])).unwrap();
    assert!(
        text.contains("\"units\": 4") && text.contains("\"activation\": \"tanh\""),
        "{text}"
    );
}

#[test]
fn a_directory_that_is_not_there_is_an_output_error() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("inputs.json");
    fs::write(
        &inputs,
        form("(3, )", vec![json!({"layer_type": "Dense", "units": 1})]).to_string(),
    )
    .unwrap();
    let error = run(&inputs, &dir.path().join("missing")).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains(OUTPUT), "{error}");
}

fn functional(input_layers: &str, output_layers: &str, layers: Vec<Value>) -> Value {
    let layers: Vec<Value> = layers
        .into_iter()
        .map(|layer| json!({"layer_selection": layer}))
        .collect();
    json!({"model_selection": {"layers": layers, "input_layers": input_layers, "output_layers": output_layers,
        "model_type": "functional"}})
}

fn dense(before: impl Into<Value>) -> Value {
    json!({"layer_type": "Dense", "units": 3, "inbound_nodes": before.into()})
}

fn input(shape: &str) -> Value {
    json!({"layer_type": "Input", "shape": shape})
}

#[test]
fn inputs_and_outputs_are_found_when_their_lists_are_empty() {
    let layers = || vec![input("(4, )"), dense(1), dense(Value::Null), dense("2")];
    let expected = run_on(&functional("[1]", "[3, 4]", layers())).unwrap();
    assert!(expected.contains("\"class_name\": \"Model\"") && expected.contains("\"name\": \"model_1\""));
    assert_eq!(run_on(&functional("[ ]", "", layers())).unwrap(), expected);
    assert_eq!(
        run_on(&functional("__ob__1__cb__", "3, 4", layers())).unwrap(),
        expected
    );
}

#[test]
fn a_layer_may_take_one_that_comes_later_in_the_form() {
    let text = run_on(&functional("[2]", "[1]", vec![dense(3), input("(4, )"), dense(2)])).unwrap();
    let place = |name: &str| text.find(&format!("\"name\": \"{name}\"")).unwrap();
    assert!(place("input_1") < place("dense_2") && place("dense_2") < place("dense_1"));
}

#[test]
fn wrong_connections_are_explained() {
    let merge = |layers: &str| json!({"layer_type": "Add", "merging_layers": layers});
    let cases = [
        (
            functional("[1]", "[3]", vec![input("(4, )"), dense(3), dense(2)]),
            "layer 3, Dense 'dense_2': its connections run in a circle: it takes, directly or through others, its own output",
        ),
        (
            functional("[1]", "[3]", vec![input("(4, )"), dense(1), dense(1)]),
            "layer 2, Dense 'dense_1': its output leads to none of the model's; connect it, name it in output_layers, or remove it",
        ),
        (
            functional("[1]", "[2]", vec![input("(4, )"), dense(7)]),
            "layer 2, Dense 'dense_1': inbound_nodes=7: there is no layer 7, only 1 to 2; write the numbers of layers, counted \
             from 1, e.g. [1, 2]",
        ),
        (
            functional("[1]", "[0]", vec![input("(4, )"), dense(1)]),
            "output_layers=[0]: there is no layer 0, only 1 to 2; write the numbers of layers, counted from 1, e.g. [1, 2]",
        ),
        (
            functional("[1]", "[3]", vec![input("(4, )"), dense(1), merge("[ ]")]),
            "layer 3, Add 'add_1': merging_layers is empty; write the numbers of the layers to merge, e.g. [2, 3]",
        ),
        (
            functional("[1]", "[3]", vec![input("(4, )"), dense(1), merge("[2]")]),
            "layer 3, Add 'add_1': does not fit its input of shape (3,): takes several inputs; connect at least 2 layers to it",
        ),
        (
            functional("[1]", "[3]", vec![input("(4, )"), dense(1), merge("[1, 2]")]),
            "layer 3, Add 'add_1': does not fit its input of shape (4,) and (3,): its inputs have unlike shapes, (4,) and (3,); \
             they must be the same, or 1 along an axis",
        ),
        (
            functional("[1]", "[3]", vec![input("(4, )"), input("(4, )"), merge("[1, 2]")]),
            "layer 2, InputLayer 'input_2': it is an input of the model, but not in input_layers",
        ),
        (
            functional("[2]", "[2]", vec![input("(4, )"), dense(1)]),
            "layer 1, InputLayer 'input_1': it is an input of the model, but not in input_layers",
        ),
        (
            functional("", "", vec![dense(Value::Null)]),
            "layer 1, Dense 'dense_1': it is connected to no layer before it; begin the model with an Input layer",
        ),
        (
            functional("", "", vec![input("")]),
            "layer 1, Input: shape is missing; expected a tuple in which each is a positive integer or None",
        ),
    ];
    for (form, expected) in cases {
        assert_eq!(complaint(&form), expected);
    }
}

/// An LSTM that returns its sequence and its states, and a layer behind it.
fn behind_states(layer: Value) -> Value {
    let lstm = json!({"layer_type": "LSTM", "units": 3, "inbound_nodes": 1,
        "kwargs": "return_sequences=True, return_state=True"});
    functional("[1]", "[3]", vec![input("(5, 2)"), lstm, layer])
}

#[test]
fn a_recurrent_layer_begins_from_the_states_of_the_one_that_it_takes() {
    let text = run_on(&behind_states(
        json!({"layer_type": "LSTM", "units": 3, "inbound_nodes": 2}),
    ))
    .unwrap();
    let model: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        model["config"]["layers"][2]["inbound_nodes"],
        json!([[["lstm_1", 0, 0, {}], ["lstm_1", 0, 1, {}], ["lstm_1", 0, 2, {}]]])
    );
    assert_eq!(Model::from_json(&text).unwrap().to_json(), text);
}

#[test]
fn states_that_a_layer_cannot_begin_from_are_refused() {
    let expected = "layer 3, Dense 'dense_1': it takes the output of layer 2, LSTM 'lstm_1', which has several because of \
                    return_state=True: only a recurrent layer can take them, and begins from the states among them; remove \
                    return_state=True from layer 2";
    assert_eq!(complaint(&behind_states(dense(2))), expected);
    let gru = json!({"layer_type": "GRU", "units": 3, "inbound_nodes": 2});
    assert_eq!(
        complaint(&behind_states(gru)),
        "layer 3, GRU 'gru_1': does not fit its input of shape (5, 3) and (3,) and (3,): begins from one state of the shape (3,), \
         and is given 2"
    );
    let lstm = json!({"layer_type": "LSTM", "units": 4, "inbound_nodes": 2});
    assert_eq!(
        complaint(&behind_states(lstm)),
        "layer 3, LSTM 'lstm_2': does not fit its input of shape (5, 3) and (3,) and (3,): begins from 2 states of the shape (4,), \
         and is given one of (3,); the layer that it takes them from needs as many units"
    );
    let mut form = behind_states(dense(2));
    form["model_selection"]["output_layers"] = "[2]".into();
    form["model_selection"]["layers"].as_array_mut().unwrap().pop();
    assert_eq!(
        complaint(&form),
        "layer 2, LSTM 'lstm_1': return_state=True gives it several outputs, and an output of the model is one of them; remove it"
    );
}

#[test]
fn a_mask_that_a_layer_cannot_use_is_refused() {
    let layers = |last: Value| {
        vec![
            json!({"layer_type": "Embedding", "input_dim": 9, "output_dim": 2, "kwargs": "mask_zero=True"}),
            json!({"layer_type": "Dropout", "rate": 0.1}),
            last,
        ]
    };
    let flatten = json!({"layer_type": "Flatten", "data_format": "channels_last"});
    assert_eq!(
        complaint(&form("(5, )", layers(flatten))),
        "layer 3, Flatten 'flatten_1': it cannot leave out the steps that layer 1, Embedding 'embedding_1', masks; put a recurrent \
         layer or GlobalAveragePooling1D between them, or do without the mask"
    );
    assert!(run_on(&form("(5, )", layers(json!({"layer_type": "LSTM", "units": 2})))).is_ok());
}

#[test]
fn cells_are_refused_with_the_layer_that_is_meant() {
    assert_eq!(
        layer_complaint(json!({"layer_type": "LSTMCell", "units": 2})),
        "layer 2, LSTMCell: a cell computes one step of a recurrent layer and cannot stand alone in a model; choose LSTM instead"
    );
}

#[test]
fn what_keras_does_not_keep_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("inputs.json");
    let layer = json!({"layer_type": "AlphaDropout", "rate": 0.1, "kwargs": "seed=3"});
    fs::write(&inputs, form("(4, )", vec![layer]).to_string()).unwrap();
    let table = run(&inputs, dir.path()).unwrap();
    assert!(
        table.ends_with(
            "Note: layer 1, AlphaDropout 'alpha_dropout_1': Keras does not keep seed in a model configuration, so it has no effect\n"
        ),
        "{table}"
    );
}
