//! The command as Galaxy runs it: exit code, one line on stderr, and no output file when it fails.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

/// Runs the command in an empty directory on inputs with this content, or without an inputs file.
fn run(inputs: Option<&[u8]>) -> (Output, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("work")).unwrap();
    if let Some(content) = inputs {
        fs::write(dir.path().join("inputs.json"), content).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_keras_model_config"))
        .args(["--inputs", "../inputs.json"])
        .current_dir(dir.path().join("work"))
        .output()
        .unwrap();
    (output, dir)
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// What stderr says of inputs that are at fault.
fn complaint(inputs: Option<&[u8]>) -> String {
    let (output, dir) = run(inputs);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(is_empty(&dir.path().join("work")), "a failed job leaves no output");
    stderr.trim_end().to_owned()
}

fn form(units: i64) -> Vec<u8> {
    let layer = json!({"units": units, "activation": "elu", "kwargs": "", "layer_type": "Dense"});
    let layers = json!([{"layer_selection": layer}]);
    json!({"model_selection": {"input_shape": "(7129, )", "layers": layers, "model_type": "sequential"}})
        .to_string()
        .into_bytes()
}

#[test]
fn a_model_is_written_and_its_table_printed() {
    let (output, dir) = run(Some(&form(16)));
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("Total params: 114,080\n")
    );
    let model = fs::read_to_string(dir.path().join("work/model.json")).unwrap();
    assert!(model.starts_with("{\n  \"class_name\": \"Sequential\",\n"), "{model}");
    assert!(
        model.ends_with("  \"keras_version\": \"2.3.1\",\n  \"backend\": \"tensorflow\"\n}"),
        "{model}"
    );
}

#[test]
fn files_that_are_no_inputs_are_refused() {
    assert!(complaint(None).contains("inputs.json"));
    assert!(complaint(Some(b"")).contains("inputs.json"));
    assert!(complaint(Some(b"\x89HDF\r\n\x1a\n\0\0")).contains("inputs.json"));
    assert!(complaint(Some(&form(16)[..60])).contains("inputs.json"));
}

#[test]
fn a_wrong_layer_is_named() {
    assert_eq!(
        complaint(Some(&form(0))),
        "error: layer 1, Dense: units=0: expected a positive integer"
    );
}

#[test]
fn the_version_is_printed() {
    let output = Command::new(env!("CARGO_BIN_EXE_keras_model_config"))
        .arg("--version")
        .output()
        .unwrap();
    let expected = format!("keras_model_config {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
