//! The program as Galaxy starts it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

fn run_in(dir: &Path, form: &str) -> std::process::Output {
    fs::write(dir.join("inputs.json"), format!(r#"{{"plotting_selection":{form}}}"#)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ml_visualization_ex"));
    command
        .current_dir(dir)
        .args(["--inputs", "inputs.json"])
        .output()
        .unwrap()
}

fn confusion_matrix(truth: &str) -> String {
    format!(
        r#"{{"infile_true":"{truth}","header_true":false,
            "column_selector_options_true":{{"selected_column_selector_option":"all_columns"}},
            "infile_predicted":"predicted.tsv","header_predicted":true,"title":"","plot_format":"png","plot_color":"Blues",
            "plot_type":"classification_confusion_matrix"}}"#
    )
}

#[test]
fn a_picture_is_drawn_and_its_scores_printed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("y.tsv"), "a\nb\n").unwrap();
    fs::write(dir.path().join("predicted.tsv"), "Predicted\na\nb\n").unwrap();
    let output = run_in(dir.path(), &confusion_matrix("y.tsv"));
    assert_eq!(output.status.code(), Some(0));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("accuracy 1.0000 (2 of 2)\n")
    );
    assert_eq!(output.stderr, b"");
    assert!(
        fs::read(dir.path().join("output"))
            .unwrap()
            .starts_with(b"\x89PNG\r\n\x1a\n")
    );
}

#[test]
fn a_fault_of_the_input_is_one_line_and_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("predicted.tsv"), "Predicted\na\n").unwrap();
    let output = run_in(dir.path(), &confusion_matrix("missing.tsv"));
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.starts_with("error: ") && message.contains("missing.tsv"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(!dir.path().join("output").exists());
}

#[test]
fn the_version_is_the_packages() {
    let output = Command::new(env!("CARGO_BIN_EXE_ml_visualization_ex"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("ml_visualization_ex {}\n", env!("CARGO_PKG_VERSION"))
    );
}
