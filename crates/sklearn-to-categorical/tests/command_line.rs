//! The program as Galaxy starts it.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

fn run_in(dir: &Path, form: &str) -> Output {
    fs::write(dir.join("inputs.json"), form).unwrap();
    Command::new(env!("CARGO_BIN_EXE_sklearn_to_categorical"))
        .current_dir(dir)
        .args(["--inputs", "inputs.json"])
        .output()
        .unwrap()
}

#[test]
fn class_numbers_become_columns() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("y.tsv"), "2\n0\n").unwrap();
    let output = run_in(dir.path(), r#"{"infile": "y.tsv", "header0": false, "num_classes": 4}"#);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2 labels, 4 classes\n");
    assert_eq!(output.stderr, b"");
    assert_eq!(
        fs::read_to_string(dir.path().join("categorical.tabular")).unwrap(),
        "0\t0\t1\t0\n1\t0\t0\t0\n"
    );
}

#[test]
fn a_fault_of_the_input_is_one_line_and_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("y.tsv"), "red\ngreen\n").unwrap();
    let output = run_in(
        dir.path(),
        r#"{"infile": "y.tsv", "header0": false, "num_classes": null}"#,
    );
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: y.tsv: row 1 holds 'red'"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(!dir.path().join("categorical.tabular").exists());
}

#[test]
fn the_version_is_the_packages() {
    let output = Command::new(env!("CARGO_BIN_EXE_sklearn_to_categorical"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("sklearn_to_categorical {}\n", env!("CARGO_PKG_VERSION"))
    );
}
