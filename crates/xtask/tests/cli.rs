//! What a user sees of `cargo xtask` when something is wrong: one line that says what to do.

use assert_cmd::Command;

fn fails(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("xtask")
        .unwrap()
        .args(arguments)
        .assert()
        .failure()
        .get_output()
        .clone();
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn an_unknown_tutorial_is_told_the_known_ones() {
    for command in ["tutorials", "bench"] {
        assert_eq!(
            fails(&[command, "--only", "fnn"]),
            "error: there is no tutorial \"fnn\", only intro, rnn, cnn\n"
        );
    }
}

#[test]
fn missing_data_is_named_before_anything_is_built() {
    let empty = tempfile::tempdir().unwrap();
    for command in ["tutorials", "bench"] {
        let error = fails(&[command, "--data", empty.path().to_str().unwrap()]);
        assert!(error.contains("intro is not there: no file"), "{error}");
        assert!(error.contains("leukemia"), "{error}");
    }
}
