use super::*;

fn table(text: &str) -> String {
    summary(&Model::from_json(text).unwrap()).unwrap()
}

#[test]
fn frozen_parameters_are_counted_apart() {
    // Keras 2.3.1: Total params: 234, trainable 228, non-trainable 6 for the same layers behind a Dense(3).
    let text = r#"{"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "Dense", "config": {"units": 3, "name": "d", "batch_input_shape": [null, 4]}},
        {"class_name": "BatchNormalization", "config": {"name": "b"}}]}}"#;
    let table = table(text);
    assert!(
        table.contains("d (Dense)                (None, 3)           15\n"),
        "{table}"
    );
    assert!(
        table.contains("Total params: 27\nTrainable params: 21\nNon-trainable params: 6\n"),
        "{table}"
    );
}

#[test]
fn a_model_without_input_shape_has_no_numbers() {
    let table = table(r#"{"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"units": 3}}]}"#);
    assert!(table.contains("dense_1 (Dense)   ?                    ?\n"), "{table}");
    assert!(table.contains("No input shape was given"), "{table}");
}

#[test]
fn a_fixed_batch_size_is_shown() {
    let text = r#"{"class_name": "Sequential", "config": [
        {"class_name": "Dense", "config": {"units": 3, "batch_input_shape": [8, 4]}}]}"#;
    assert!(table(text).contains("(8, 3)"));
}

#[test]
fn thousands_are_grouped() {
    assert_eq!(
        [0, 999, 1000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
}

#[test]
fn all_that_a_layer_puts_out_is_shown() {
    let text = r#"{"class_name": "Model", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "x", "config": {"batch_input_shape": [null, 5, 2]}, "inbound_nodes": []},
        {"class_name": "LSTM", "name": "l", "config": {"units": 3, "return_sequences": true, "return_state": true},
            "inbound_nodes": [[["x", 0, 0, {}]]]},
        {"class_name": "Dense", "name": "d", "config": {"units": 4}, "inbound_nodes": [[["l", 0, 2, {}]]]}],
        "input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}}"#;
    let table = table(text);
    // Keras 2.15 counts the same.
    assert!(
        table.contains("l (LSTM)         [(None, 5, 3), (None, 3), (None, 3)]        72\n"),
        "{table}"
    );
    assert!(
        table.contains("d (Dense)        (None, 4)                                   16\n"),
        "{table}"
    );
}
